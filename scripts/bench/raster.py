"""Writes the benchmark's rasters: ground at 0.5 m, tiled and compressed like real mosaics.

usage: raster.py PATH SIDE
"""

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

BLOCK = 512
GSD_M = 0.5


def ground(random, side):
    """A piece of ground: soft patches, fine noise that DEFLATE cannot remove, some bright boxes."""
    image = np.zeros((3, side, side), np.float32)
    for cells, strength in ((side // 128, 40.0), (side // 16, 12.0)):
        coarse = random.normal(0, strength, (3, cells, cells)).astype(np.float32)
        image += np.repeat(np.repeat(coarse, side // cells, 1), side // cells, 2)
    image += 110 + random.normal(0, 4, (3, side, side))
    for _ in range(side * side // 40_000):
        y, x = random.integers(0, side - 64, 2)
        h, w = random.integers(16, 64, 2)
        image[:, y : y + h, x : x + w] += random.normal(50, 20)
    return np.clip(image, 1, 255).astype(np.uint8)


def write(path, side):
    """Writes a raster of `side` × `side` pixels, three bands of bytes, once."""
    path = Path(path)
    if path.exists():
        return
    # The same ground in all of them, so that a network answers alike.
    random = np.random.default_rng(8)
    piece = 2048
    pieces = [ground(random, piece) for _ in range(4)]
    partial = path.with_suffix(".part.tif")
    with rasterio.open(
        partial, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8",
        crs="EPSG:32644", transform=from_origin(300_000, 3_000_000, GSD_M, GSD_M),
        tiled=True, blockxsize=BLOCK, blockysize=BLOCK, compress="deflate", predictor=2,
        zlevel=1, interleave="pixel", photometric="rgb", bigtiff="if_safer", num_threads="all_cpus",
    ) as out:  # fmt: skip
        for y in range(0, side, piece):
            for x in range(0, side, piece):
                h, w = min(piece, side - y), min(piece, side - x)
                chosen = np.rot90(pieces[random.integers(4)], random.integers(4), (1, 2))
                out.write(chosen[:, :h, :w], window=Window(x, y, w, h))
    partial.rename(path)


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
