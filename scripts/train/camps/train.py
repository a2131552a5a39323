"""Training one network. Run as a program, it trains on all scenes and chips.

The final network is not measured by itself: nothing is left to measure it on. Its figures are those
of `cross_validate.py`, which trains the same way with one fold left out.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import checkpoint
import curves
import loop
from camps import augment, drawn
from camps.data import CLASSES, load_chips, load_scenes, training_list_hash
from camps.network import CampNet
from encoder import pretrained_state

GSD = 1.0
"""Ground size of a pixel of the model, in metres."""

TERMS = ("entropy", "dice")
"""Names of the terms of the loss."""


@dataclass
class Settings(loop.Course):
    """How long and on what mix to train."""

    steps: int = 700
    rate: float = 3e-3
    average: float = 0.995
    warm_up: float = 0.15
    clip: float = 2.0
    settled: int = 4
    """Crops of scenes with settlements in a batch, most of them at an edge of one."""
    bare: int = 3
    """Crops of any scenes in a batch."""
    mosaics: int = 5
    """Mosaics of chips in a batch."""
    drawn: int = 0
    """Crops with a drawn camp in a batch (`variants.md` says why none)."""
    park_weight: float = 1.0
    park_kept: float = 0.8
    """Of the cells of a camp-like chip, this share teaches: those that fit best."""


def edges_of(mask, step=4):
    """Where a mask begins or ends, every `step` pixels: N x 2 (y, x)."""
    thin = mask[::step, ::step]
    edge = np.zeros_like(thin)
    edge[1:] |= thin[1:] != thin[:-1]
    edge[:, 1:] |= thin[:, 1:] != thin[:, :-1]
    return np.argwhere(edge) * step


def loss_of(logits, target, weight, park, settings):
    """Cross entropy and Dice over the cells that are known; parks by the cells that fit best.

    The terms, by the names of `TERMS`.
    """
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
    return {"entropy": (entropy * weight).sum() / weight.sum(), "dice": 0.5 * dice}


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
    for _ in range(settings.drawn):
        crops.append(drawn.camp_crop(rng, chips["agricultural"], gsd))
    return crops


def train(scenes, chips, settings, gsd=GSD, log=print, keep=None, pretrained=None):
    """Train on scenes and chips; returns the averaged network and one row a step (`loop.run`).

    With a file `keep`, a training that was stopped goes on. `pretrained` are the first weights of
    the encoder (default: those of the package).
    """
    rng = loop.seeded(settings.seed)
    net = CampNet()
    net.encoder.load_pretrained(pretrained or pretrained_state())
    by_kind = {kind: [chip for chip in chips if chip.kind == kind] for kind in CLASSES}
    edges = [edges_of(scene.mask) for scene in scenes]

    def terms_of(_step, net, _averaged):
        crops = draw_crops(rng, scenes, edges, by_kind, settings, gsd)
        images, *truth = augment.batch(rng, crops)
        images = images.to(loop.device(), memory_format=torch.channels_last)
        return loss_of(net(images), *(part.to(loop.device()) for part in truth), settings)

    seen = [array for scene in scenes for array in (scene.pixels, scene.mask)]
    seen += [part for chip in chips for part in (chip.pixels, chip.kind)]
    return loop.run(
        *(net, settings, rng, terms_of),
        groups=net.parameter_groups(settings.rate),
        keep=keep,
        marked=checkpoint.mark(settings, seen),
        log=log,
    )


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
    keep = arguments.out.with_suffix(".checkpoint")
    net, rows = train(scenes, chips, settings, keep=keep)
    facts = facts_of(scenes, chips, settings, rows[-1][1])
    torch.save({"weights": net.state_dict(), "training": facts}, arguments.out)
    curves.write_log(rows, arguments.out.with_suffix(".csv"), TERMS)
    curves.draw_losses({"everything": rows}, arguments.out.with_suffix(".png"), TERMS)
    keep.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
