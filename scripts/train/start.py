"""The weights that every training of the detector starts from; as a program, writes them.

The encoder's come from photographs; all are then trained on synthetic scenes alone. Those teach
what few labels tell, the direction of boxes above all, and cost false detections when they fill
much of a later batch: so they come first, and few are left for later.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

import checkpoint
import curves
import loop
import losses
from encoder import encoder_slower, pretrained_state
from network import KilnNet
from synthetic import synthetic_tiles
from train import terms_of_batch


@dataclass
class Settings(loop.Course):
    """How long to train."""

    steps: int = 300
    rate: float = 2e-3
    crops: int = 16
    """Crops in a batch."""


def first(synthetic, settings, pretrained, log=print, keep=None):
    """Train on `synthetic` tiles, the encoder from the state `pretrained` of EfficientNet-Lite0.

    Returns the averaged network and one row a step, as `loop.run` says; of the terms of
    `losses.terms`. With a file `keep`, a training that was stopped goes on.
    """
    rng = loop.seeded(settings.seed)
    net = KilnNet()
    net.load_pretrained(pretrained)

    def terms_of(_step, net, _averaged):
        chosen = rng.integers(len(synthetic), size=settings.crops)
        return terms_of_batch(rng, net, [synthetic[i] for i in chosen])

    return loop.run(
        *(net, settings, rng, terms_of),
        groups=encoder_slower(net, settings.rate),
        keep=keep,
        marked=checkpoint.mark(settings, checkpoint.of_tiles(synthetic)),
        log=log,
    )


def main():
    """Write the first weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--synthetic", type=int, default=400, help="number of synthetic tiles")
    arguments = parser.parse_args()
    keep = arguments.out.with_suffix(".checkpoint")
    net, rows = first(
        synthetic_tiles(arguments.synthetic),
        Settings(steps=arguments.steps),
        pretrained_state(),
        keep=keep,
    )
    torch.save(net.state_dict(), arguments.out)
    curves.write_log(rows, arguments.out.with_suffix(".csv"), losses.TERMS)
    keep.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
