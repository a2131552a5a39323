"""Training one network. Run as a program, it trains on all scenes and chips.

The final network is not measured by itself: nothing is left to measure it on. Its figures are those
of `cross_validate.py`, which trains the same way with one fold left out.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from camps import augment
from camps.data import CLASSES, load_chips, load_scenes, training_list_hash
from camps.network import CampNet, pretrained_state
from train import Average

GSD = 1.0
"""Ground size of a pixel of the model, in metres."""


@dataclass
class Settings:
    """How long and on what mix to train."""

    steps: int = 700
    rate: float = 3e-3
    decay: float = 0.02
    settled: int = 4
    """Crops of scenes with settlements in a batch, most of them at an edge of one."""
    bare: int = 3
    """Crops of any scenes in a batch."""
    mosaics: int = 5
    """Mosaics of chips in a batch."""
    park_weight: float = 1.0
    park_kept: float = 0.8
    """Of the cells of a camp-like chip, this share teaches: those that fit best."""
    average: float = 0.995
    seed: int = 1


def edges_of(mask, step=4):
    """Where a mask begins or ends, every `step` pixels: N x 2 (y, x)."""
    thin = mask[::step, ::step]
    edge = np.zeros_like(thin)
    edge[1:] |= thin[1:] != thin[:-1]
    edge[:, 1:] |= thin[:, 1:] != thin[:, :-1]
    return np.argwhere(edge) * step


def loss_of(logits, target, weight, park, settings):
    """Cross entropy and Dice over the cells that are known; parks by the cells that fit best."""
    logits = logits[:, 0].float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    if park.any():
        limit = torch.quantile(entropy[park > 0].detach(), settings.park_kept)
        fits = (entropy.detach() <= limit).float()
        weight = torch.where(park > 0, fits * settings.park_weight, weight)
    share = logits.sigmoid()
    plain = weight * (park == 0)
    both = (share * target * plain).sum()
    dice = 1 - (2 * both + 1) / (((share + target) * plain).sum() + 1)
    return (entropy * weight).sum() / weight.sum() + 0.5 * dice


def draw_crops(rng, scenes, edges, chips, settings, gsd):
    """The crops of one batch. `edges` of each scene, some empty; `chips` by class."""
    with_settlement = [i for i, some in enumerate(edges) if len(some)]
    crops = []
    for i in rng.choice(with_settlement, settings.settled):
        crops.append(augment.scene_crop(rng, scenes[i], gsd, edges=edges[i]))
    for i in rng.integers(len(scenes), size=settings.bare):
        crops.append(augment.scene_crop(rng, scenes[i], gsd))
    for _ in range(settings.mosaics):
        crops.append(augment.mosaic(rng, chips, scenes, gsd))
    return crops


def train(scenes, chips, settings, gsd=GSD, log=print, state=None):
    """Train on scenes and chips; returns the averaged network, in evaluation mode.

    `state` are pretrained weights (default: those of the package).
    """
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    net = CampNet()
    net.encoder.load_pretrained(state or pretrained_state())
    net = net.to(memory_format=torch.channels_last).train()
    groups = net.parameter_groups(settings.rate)
    average = Average(net, settings.average)
    optimizer = torch.optim.AdamW(groups, settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [group["lr"] for group in groups], settings.steps, pct_start=0.15
    )
    by_kind = {kind: [chip for chip in chips if chip.kind == kind] for kind in CLASSES}
    edges = [edges_of(scene.mask) for scene in scenes]
    started, seen = time.monotonic(), []
    for step in range(1, settings.steps + 1):
        crops = draw_crops(rng, scenes, edges, by_kind, settings, gsd)
        images, *truth = augment.batch(rng, crops)
        logits = net(images.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits, *truth, settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimizer.step()
        schedule.step()
        average.update(net)
        seen.append(loss.item())
        if step % 100 == 0 or step == settings.steps:
            spent = time.monotonic() - started
            log(f"step {step}/{settings.steps} loss {np.mean(seen[-100:]):.3f} {spent:.0f} s")
    return average.net.eval()


def facts_of(scenes, chips, settings, seconds, fold=None):
    """What a network was trained on, for the card; `fold` is the one held out, if any."""
    return {
        "held_out_fold": fold,
        "scenes": len(scenes),
        "scenes_with_settlement": sum(bool(scene.mask.any()) for scene in scenes),
        "settlement_km2": round(sum(float(s.mask.sum()) * s.gsd**2 for s in scenes) / 1e6, 2),
        "area_km2": round(sum(s.mask.size * s.gsd**2 for s in scenes) / 1e6, 2),
        "chips": {kind: sum(chip.kind == kind for chip in chips) for kind in CLASSES},
        "training_list_sha256": training_list_hash([*scenes, *chips]),
        "steps": settings.steps,
        "seconds": round(seconds),
    }


def main():
    """Train on everything and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with both sets")
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    scenes, chips = load_scenes(arguments.data), load_chips(arguments.data)
    settings = Settings(steps=arguments.steps)
    started = time.monotonic()
    net = train(scenes, chips, settings)
    facts = facts_of(scenes, chips, settings, time.monotonic() - started)
    torch.save({"weights": net.state_dict(), "training": facts}, arguments.out)


if __name__ == "__main__":
    main()
