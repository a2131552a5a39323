"""Tiles in memory, background tiles, and the stretch; labelled tiles are read in `labels`.

Tile file names of the kiln data are coordinates of real places. They go no further than reading:
a tile is known by its number, and the list of files only by its hash.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio

IMAGES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".jp2")
"""Endings of the names of image files."""

TYPES = ("Zigzag", "FCBK", "CFCBK")
"""Types of kiln that are told apart, in the order of the channels of the network."""

BACKGROUND_GRID_M = 320
"""Side of a background tile and of the grid that all of them sit on, in metres."""


BACKGROUND_FOLDS = 6
"""Into how many parts the background is dealt."""


@dataclass
class Tile:
    """One image with its kilns; arrays are in pixels of the image."""

    pixels: np.ndarray
    """3 x H x W, uint8; 0 in all bands is no data."""
    boxes: np.ndarray
    """N x 5 oriented boxes (cx, cy, length, width, t); see `boxes`."""
    envelopes: np.ndarray
    """N x 4 axis-aligned boxes (x0, y0, x1, y1)."""
    oriented: bool
    """Whether `boxes` is truth; where not, only `envelopes` is, and `boxes` just repeats it."""
    ignore: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    """M x 4 regions (x0, y0, x1, y1) that count neither way."""
    kinds: list = field(default_factory=list)
    """The type of each kiln (of `TYPES`), None where unknown; no list where all are."""
    region: str = ""
    """What is held out together; made from `place` where the labels name none."""
    number: int = 0
    gsd_m: float = 10.0
    """Metres a pixel."""
    place: tuple | None = None
    """Longitude and latitude of the middle, degrees, for splitting only; never written."""


def training_list_hash(folder):
    """SHA-256 of the sorted image file names, one a line: names the training set, tells no name.

    Of the images in `images/`, where there is such a folder.
    """
    images = Path(folder) / "images"
    files = (images if images.is_dir() else Path(folder)).rglob("*")
    names = sorted(path.name for path in files if path.suffix.lower() in IMAGES)
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def load_background(folder):
    """Kiln-free tiles: (pixels N x 3 x 32 x 32 uint16 RGB, fold N) without the all-zero ones.

    `fold` counts from 0 to `BACKGROUND_FOLDS` - 1 and is the same for all tiles of a 10 km block,
    so that tiles that touch stay together when some are held out.
    """
    pixels, folds = [], []
    for path in sorted(Path(folder).glob("*.tif")):
        with rasterio.open(path) as source:
            tile = source.read([3, 2, 1])
            column = int(source.transform.c // (BACKGROUND_GRID_M * 32))
            row = int(source.transform.f // (BACKGROUND_GRID_M * 32))
        if tile.any():
            pixels.append(tile)
            folds.append((column + 2 * row) % BACKGROUND_FOLDS)
    return np.stack(pixels), np.array(folds)


def stretch(pixels, low, high):
    """Stretch bands (3 x ...) from `low`..`high` (one value a band) to 1..255; all-zero stays 0."""
    shape = (3,) + (1,) * (pixels.ndim - 1)
    low, high = np.reshape(low, shape), np.reshape(high, shape)
    scaled = (pixels - low) / np.maximum(high - low, 1e-6) * 255
    return np.where(pixels.any(0), np.clip(scaled, 1, 255), 0).astype(np.uint8)
