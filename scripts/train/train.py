"""Training one network. Run as a program, it trains on every tile there is.

The final network is not measured by itself: no tile is left to measure it on. Its figures are those
of `cross_validate.py`, which trains the same way with one region left out.
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import augment
import background
import checkpoint
import curves
import labels
import loop
import losses
import paste
from data import load_background
from encoder import encoder_slower
from network import KilnNet
from synthetic import synthetic_tiles


@dataclass
class Settings(loop.Course):
    """How long and on what mix to train."""

    steps: int = 600
    rate: float = 2e-3
    kilns: int = 11
    """Crops of labelled tiles in a batch."""
    synthetic: int = 1
    """Crops of synthetic scenes in a batch."""
    background: int = 4
    """Crops of kiln-free mosaics in a batch."""
    paste: float = 0.5
    """Share of the mosaics that get kilns pasted on."""
    mine_every: int = 250
    """Steps between two looks at which kiln-free tiles score high; those are shown more often."""


def tile_weights(tiles):
    """Chance of each tile to be drawn: by the root of its kilns, official labels counting twice."""
    weights = np.array([np.sqrt(len(t.boxes) + 1) * (2 if t.oriented else 1) for t in tiles])
    return weights / weights.sum()


def draw_batch(rng, tiles, weights, mining, synthetic, settings):
    """The tiles of one batch: labelled, mosaics of background with and without kilns, synthetic."""
    picked = [tiles[i] for i in rng.choice(len(tiles), settings.kilns, p=weights)]
    if len(mining.pixels):
        for _ in range(settings.background):
            mosaic = background.mosaic(rng, mining.pixels, mining.chance)
            pasted = rng.random() < settings.paste
            picked.append(paste.onto(rng, mosaic, tiles, weights) if pasted else mosaic)
    if len(synthetic):
        picked += [synthetic[i] for i in rng.integers(len(synthetic), size=settings.synthetic)]
    return picked


def terms_of_batch(rng, net, picked):
    """The terms of the loss (`losses.terms`) of a network on random crops of the tiles `picked`."""
    image, targets = augment.batch(rng, picked)
    image = image.to(loop.device(), memory_format=torch.channels_last)
    with loop.fast():
        maps = net(image)
    return losses.terms(maps, targets.to(loop.device()))


def train(tiles, pixels, synthetic, settings, *, start, log=print, keep=None):
    """Train on labelled `tiles`, kiln-free `pixels` (N x 3 x 32 x 32), `synthetic` tiles.

    `pixels` and `synthetic` may be empty; `start` are the first weights (`start.first`). Returns
    the averaged network and one row a step, as `loop.run` says; of the terms of `losses.terms`.
    With a file `keep`, a training that was stopped goes on.
    """
    rng = loop.seeded(settings.seed)
    net = KilnNet()
    net.load_state_dict(start)
    mining = background.Mining(pixels, settings.mine_every, _inner_logits)
    weights = tile_weights(tiles)

    def terms_of(step, net, averaged):
        mining.look(step, averaged)
        return terms_of_batch(
            rng, net, draw_batch(rng, tiles, weights, mining, synthetic, settings)
        )

    seen = checkpoint.of_tiles([*tiles, *synthetic]), [pixels], checkpoint.of_weights(start)
    return loop.run(
        *(net, settings, rng, terms_of),
        groups=encoder_slower(net, settings.rate),
        beside={"mining": mining},
        keep=keep,
        marked=checkpoint.mark(settings, *seen),
        log=log,
    )


def _inner_logits(net, image):
    # What is found on the margin round a tile, where nothing is, does not make the tile hard.
    inner = slice(background.MARGIN, -background.MARGIN)
    return net(image)["heatmap"][..., inner, inner]


def add_data_arguments(parser):
    """The arguments that say what to train on, for every program that reads the data."""
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled tiles")
    parser.add_argument(
        "--format", choices=labels.READERS, default="coco", help="format of the labels"
    )
    parser.add_argument(
        "--names", nargs="+", help="class names by number, for YOLO sets that do not tell them"
    )
    parser.add_argument("--background", type=Path, help="folder of kiln-free tiles, if any")


def _first_weights(text):
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no {text}: `start.py --out {text}` writes it")
    return path


def add_recipe_arguments(parser):
    """The arguments that say how to train, for the programs that do."""
    parser.add_argument(
        "--start", type=_first_weights, required=True, help="first weights, as start.py writes them"
    )
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--synthetic", type=int, default=150, help="number of synthetic tiles")


def background_of(arguments):
    """Background tiles and their folds (see `data.load_background`); none without a folder."""
    if arguments.background is None:
        return np.zeros((0, 3, 32, 32), np.uint16), np.zeros(0, int)
    return load_background(arguments.background)


def main():
    """Train on all tiles and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    add_recipe_arguments(parser)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    tiles = labels.load(arguments.data, arguments.format, arguments.names)
    pixels, _ = background_of(arguments)
    synthetic = synthetic_tiles(arguments.synthetic)
    settings = Settings(steps=arguments.steps)
    keep = arguments.out.with_suffix(".checkpoint")
    start = torch.load(arguments.start, weights_only=True)
    net, rows = train(tiles, pixels, synthetic, settings, start=start, keep=keep)
    counts = {
        "tiles": len(tiles),
        "kilns": sum(len(t.boxes) for t in tiles),
        "ignore_regions": sum(len(t.ignore) for t in tiles),
        "background_tiles": len(pixels),
        "synthetic_tiles": len(synthetic),
        "synthetic_kilns": sum(len(t.boxes) for t in synthetic),
        "steps": arguments.steps,
        "seconds": round(rows[-1][1]),
    }
    torch.save({"weights": net.state_dict(), "training": counts}, arguments.out)
    curves.write_log(rows, arguments.out.with_suffix(".csv"), losses.TERMS)
    curves.draw_losses({"all tiles": rows}, arguments.out.with_suffix(".png"), losses.TERMS)
    keep.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
