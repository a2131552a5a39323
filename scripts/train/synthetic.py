"""Synthetic training tiles, drawn by the same program as the demo scene but from other seeds."""

import sys
from pathlib import Path

import numpy as np

from boxes import envelopes
from data import Tile

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import make_demo_scene

FIRST_SEED = 1_000_000
"""Training seeds start here, far from any seed a person would pick for a demo scene."""

SIZE = 144
"""Side of a synthetic tile in pixels."""


def synthetic_tiles(count):
    """`count` tiles of `SIZE` pixels with 0 to 9 kilns each, every one in its own colours."""
    return [synthetic_tile(FIRST_SEED + i) for i in range(count)]


def synthetic_tile(seed):
    """One synthetic tile; the same seed gives the same tile."""
    rng = np.random.default_rng(seed)
    pixels, kilns = make_demo_scene.sample_scene(rng, SIZE, kilns=int(rng.integers(0, 10)))
    boxes = as_boxes(kilns)
    return Tile(
        pixels,
        boxes,
        envelopes(boxes),
        oriented=True,
        kinds=[k.kind for k in kilns],
        region="synthetic",
        number=seed,
    )


def as_boxes(kilns):
    """Kilns of the scene generator as boxes N x 5 (cx, cy, length, width, t)."""
    return np.array([(k.x, k.y, k.length, k.width, k.t) for k in kilns]).reshape(-1, 5)
