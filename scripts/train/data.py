"""Reading the labelled kiln tiles and the background tiles.

Tile file names of the kiln data are coordinates of real places. They are read here and go no
further: a tile is known by its number, and the list of files only by its hash.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio

from boxes import envelopes, from_corners

BACKGROUND_GRID_M = 320
"""Side of a background tile and of the grid that all of them sit on, in metres."""


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
    region: str = ""
    number: int = 0


def load_kilns(folder):
    """All labelled tiles of `folder`, a list of `Tile` sorted by number."""
    folder = Path(folder)
    coco = json.loads((folder / "annotations.coco.json").read_text())
    records = {image["id"]: [] for image in coco["images"]}
    for record in coco["annotations"]:
        records[record["image_id"]].append(record)
    tiles = []
    for image in sorted(coco["images"], key=lambda image: image["id"]):
        with rasterio.open(folder / "images" / image["file_name"]) as source:
            pixels = source.read([1, 2, 3])
        tiles.append(_tile(image, records[image["id"]], pixels))
    return tiles


def _tile(image, records, pixels):
    oriented = image["label_source"] == "official_obb"
    outlines = np.array([_corners_of_bbox(r["bbox"]) for r in records])
    spans = np.concatenate([outlines.min(1), outlines.max(1)], 1).reshape(-1, 4)
    crowd = np.array([bool(r["iscrowd"]) for r in records])
    shapes = [
        from_corners(r["segmentation"][0] if oriented else _corners_of_bbox(r["bbox"]))
        for r in records
        if not r["iscrowd"]
    ]
    boxes = np.array(shapes).reshape(-1, 5)
    return Tile(
        pixels=pixels,
        boxes=boxes,
        envelopes=envelopes(boxes) if oriented else spans[~crowd],
        oriented=oriented,
        ignore=spans[crowd],
        region=image["region"],
        number=image["id"],
    )


def _corners_of_bbox(bbox):
    x, y, w, h = bbox
    return np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], float)


def training_list_hash(folder):
    """SHA-256 of the sorted image file names, one a line: names the training set, tells no name."""
    names = sorted(path.name for path in (Path(folder) / "images").glob("*.png"))
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()


def load_background(folder):
    """Kiln-free tiles: (pixels N x 3 x 32 x 32 uint16 RGB, fold N) without the all-zero ones.

    `fold` counts 0..5 and is the same for all tiles of a 10 km block, so that tiles that touch
    stay together when some are held out.
    """
    pixels, folds = [], []
    for path in sorted(Path(folder).glob("*.tif")):
        with rasterio.open(path) as source:
            tile = source.read([3, 2, 1])
            column = int(source.transform.c // (BACKGROUND_GRID_M * 32))
            row = int(source.transform.f // (BACKGROUND_GRID_M * 32))
        if tile.any():
            pixels.append(tile)
            folds.append((column + 2 * row) % 6)
    return np.stack(pixels), np.array(folds)


def stretch(pixels, low, high):
    """Stretch bands (3 x ...) from `low`..`high` (one value a band) to 1..255; all-zero stays 0."""
    shape = (3,) + (1,) * (pixels.ndim - 1)
    low, high = np.reshape(low, shape), np.reshape(high, shape)
    scaled = (pixels - low) / np.maximum(high - low, 1e-6) * 255
    return np.where(pixels.any(0), np.clip(scaled, 1, 255), 0).astype(np.uint8)
