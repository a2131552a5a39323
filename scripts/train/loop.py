"""The loop that every network here is trained by; what it draws and what it minimises is given.

AdamW, one cycle of the learning rate, clipped gradients, a moving average of the weights, a log of
every step, and checkpoints that a training that was stopped goes on from.
"""

import copy
import time
from dataclasses import dataclass

import numpy as np
import torch

import checkpoint

LOG_EVERY = 200
"""Steps between two lines that say how it goes."""


@dataclass
class Course:
    """How a training runs, whatever it trains."""

    steps: int
    rate: float
    """Highest learning rate."""
    decay: float = 0.02
    average: float = 0.997
    """Decay of the moving average of the weights, which is what is kept."""
    warm_up: float = 0.1
    """Share of the steps in which the learning rate rises."""
    clip: float = 5.0
    """Longest gradient."""
    seed: int = 1


def device():
    """A graphics card where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast():
    """Autocast to bfloat16 on a graphics card; a processor computes in float32.

    Backwards through convolutions of a channel each, bfloat16 takes a processor longer.
    """
    return torch.autocast("cuda", torch.bfloat16, enabled=device().type == "cuda")


def seeded(seed):
    """The generator that a training draws from; torch starts from the same seed."""
    torch.manual_seed(seed)
    return np.random.default_rng(seed)


class Average:
    """Exponential moving average of a network's weights and statistics."""

    def __init__(self, net, decay):
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, net):
        """Move towards `net`, faster in the first steps."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for kept, new in zip(
            self.net.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def state_dict(self):
        """For a checkpoint."""
        return {"net": self.net.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        """From a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.steps = state["steps"]


def run(net, course, rng, terms_of, groups=None, beside=None, keep=None, marked=None, log=print):
    """Train `net` for the steps of a `Course`; `rng` is what `seeded` gave.

    `terms_of(step, net, averaged)` draws from `rng` and returns the terms of the step's loss by
    name. `groups` are parameters with their highest rates (default: all at `course.rate`). With a
    file `keep`, a training that was stopped goes on from its last checkpoint, if that is `marked`
    alike (`checkpoint.mark`); `beside` names what else with a `state_dict` a step depends on.

    Returns the averaged network, in evaluation mode and on the processor, and one row a step as
    `curves.COLUMNS` and the terms say.
    """
    net = net.to(device(), memory_format=torch.channels_last).train()
    groups = groups or [{"params": list(net.parameters()), "lr": course.rate}]
    average = Average(net, course.average)
    optimizer = torch.optim.AdamW(groups, course.rate, weight_decay=course.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], course.steps, pct_start=course.warm_up
    )
    parts = {"net": net, "average": average, "optimizer": optimizer, "schedule": schedule}
    parts |= beside or {}
    done, rows, before = 0, [], 0.0
    if keep is not None and (state := checkpoint.load(keep, marked, parts, rng)) is not None:
        done, rows = state["done"], state["rows"]
        before = rows[-1][1]
        log(f"goes on after step {done}")
    started = time.monotonic() - before
    for step in range(done + 1, course.steps + 1):
        terms = terms_of(step, net, average.net.eval())
        loss = sum(terms.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), course.clip)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        average.update(net)
        seconds = time.monotonic() - started
        rows.append((step, seconds, rate, loss.item(), *(term.item() for term in terms.values())))
        if keep is not None and step % checkpoint.EVERY == 0:
            checkpoint.save(keep, marked, parts, rng, done=step, rows=rows)
        if step % LOG_EVERY == 0 or step == course.steps:
            recent = np.mean([row[3] for row in rows[-LOG_EVERY:]])
            log(f"step {step}/{course.steps} loss {recent:.3f} {seconds:.0f} s")
    return average.net.eval().cpu(), rows
