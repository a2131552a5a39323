"""Training one screen network, on the same tiles and with the same augmentation as the detector."""

import time
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

import augment
import losses
from data import stretch
from robustness import STRETCH_PERCENTILES
from screen_net import CELL, ScreenNet, averaged
from train import Average, draw_batch, tile_weights


@dataclass
class Settings:
    """How long and on what mix to train."""

    steps: int = 1200
    rate: float = 6e-3
    decay: float = 0.02
    kilns: int = 8
    """Crops of labelled tiles in a batch."""
    synthetic: int = 2
    """Crops of synthetic scenes in a batch."""
    background: int = 6
    """Crops of kiln-free mosaics in a batch."""
    paste: float = 0.3
    """Share of the mosaics that get kilns pasted on."""
    mine_every: int = 200
    """Steps between two looks at which kiln-free tiles score high; those are shown more often."""
    average: float = 0.995
    """Decay of the moving average of the weights, which is what is kept."""
    seed: int = 1


def target(targets):
    """What each cell should say (1 where a centre lies in it), and what it weighs: B x H x W.

    From the pixel targets of `augment.describe`. Cells round a centre are punished less, as there;
    a cell with a pixel of unknown truth does not count, unless a centre lies in it.
    """
    heat = F.max_pool2d(targets.heatmap[:, None], CELL)[:, 0]
    known = -F.max_pool2d(-targets.weight[:, None], CELL)[:, 0]
    return heat, torch.maximum(known, heat.eq(1).float())


@torch.no_grad()
def hardness(net, pixels, batch=256):
    """The best probability on each kiln-free tile (N x 3 x 32 x 32), N."""
    low, high = np.percentile(
        pixels.transpose(1, 0, 2, 3).reshape(3, -1), STRETCH_PERCENTILES, axis=1
    )
    best = []
    for start in range(0, len(pixels), batch):
        some = stretch(pixels[start : start + batch].transpose(1, 0, 2, 3), low, high)
        image = torch.from_numpy(some.transpose(1, 0, 2, 3).astype(np.float32) / 255)
        logits = net(averaged(F.pad(image, (8, 8, 8, 8))))
        best.append(logits.sigmoid().amax((1, 2, 3)).numpy())
    return np.concatenate(best)


def train(tiles, background, synthetic, settings, log=print):
    """Train on labelled `tiles`, `background` pixels (N x 3 x 32 x 32), `synthetic` tiles.

    The last two may be empty. Returns the averaged network, in evaluation mode.
    """
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    net = ScreenNet().train()
    average = Average(net, settings.average)
    optimizer = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, settings.steps, pct_start=0.1
    )
    weights = tile_weights(tiles)
    started, seen, chance = time.monotonic(), [], None
    for step in range(1, settings.steps + 1):
        if len(background) and step > 1 and step % settings.mine_every == 1:
            scores = hardness(average.net.eval(), background)
            chance = 0.3 / len(background) + 0.7 * scores / scores.sum()
        picked = draw_batch(rng, tiles, weights, background, chance, synthetic, settings)
        image, targets = augment.batch(rng, picked)
        loss = losses.focal(net(averaged(image))[:, 0], *target(targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        average.update(net)
        seen.append(loss.item())
        if step % 200 == 0 or step == settings.steps:
            recent, seconds = np.mean(seen[-200:]), time.monotonic() - started
            log(f"step {step}/{settings.steps} loss {recent:.3f} {seconds:.0f} s")
    return average.net.eval()
