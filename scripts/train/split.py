"""Splitting by place: whole districts, or blocks of ground, are held out, with a buffer round them.

Tiles of a district overlap on the ground; a random split would judge a network on kilns that it
was trained on.
"""

import collections

import numpy as np

EARTH_M = 6_371_008.8
BLOCK_M = 30_000
"""Side of the blocks of ground that are kept together where tiles name no district."""

FOLDS = 6
"""Into how many parts the blocks are gathered."""

BUFFER_M = 2_000
"""Tiles nearer than this to a held-out tile, middle to middle, are not trained on."""


class SplitError(Exception):
    """Tiles that cannot be split by place: why, and what to do."""


def name_regions(tiles, block_m=BLOCK_M, folds=FOLDS):
    """Give every tile without a region one made from its place (in place).

    Blocks of `block_m` are dealt out, the one with most kilns first, to the part with fewest.
    """
    lost = [t for t in tiles if not t.region]
    if not lost:
        return
    if any(t.place is None for t in lost):
        raise SplitError(
            f"{sum(t.place is None for t in lost)} of {len(tiles)} tiles tell neither a district "
            "nor where they lie. Put the images of each district into a folder of its own, or "
            "give them a georeference"
        )
    blocks = collections.defaultdict(list)
    for tile in lost:
        blocks[_cell(_position(tile.place), block_m)].append(tile)
    parts = [0] * folds
    order = sorted(blocks, key=lambda b: (-sum(len(t.boxes) + 1 for t in blocks[b]), b))
    for block in order:
        part = int(np.argmin(parts))
        for tile in blocks[block]:
            tile.region = f"part {part + 1}"
            parts[part] += len(tile.boxes) + 1


def without(tiles, region, buffer_m=BUFFER_M):
    """Tiles to train on when `region` is held out: those of others, beyond the buffer."""
    held = collections.defaultdict(list)
    for tile in tiles:
        if tile.region == region and tile.place is not None:
            position = _position(tile.place)
            held[_cell(position, buffer_m)].append(position)

    def is_near(tile):
        if tile.place is None:
            return False
        position = _position(tile.place)
        x, y, z = _cell(position, buffer_m)
        near = [
            other
            for i in (x - 1, x, x + 1)
            for j in (y - 1, y, y + 1)
            for k in (z - 1, z, z + 1)
            for other in held.get((i, j, k), ())
        ]
        return any(np.linalg.norm(position - other) < buffer_m for other in near)

    return [t for t in tiles if t.region != region and not is_near(t)]


def regions(tiles):
    """Names of the regions, sorted; at least two."""
    found = sorted({t.region for t in tiles})
    if len(found) < 2:
        raise SplitError(
            "all tiles lie in one district or one block of ground: there is nothing to hold out. "
            "Label a second district, or train without validation (train.py)"
        )
    return found


def _position(place):
    """A place (longitude, latitude) as a point x, y, z in metres from the middle of the earth.

    Straight lines through the earth are shorter than the way over it by less than 1 m in 30 km.
    """
    longitude, latitude = np.radians(place)
    around = np.cos(latitude)
    return EARTH_M * np.array(
        [around * np.cos(longitude), around * np.sin(longitude), np.sin(latitude)]
    )


def _cell(position, side):
    return tuple(int(v) for v in np.floor(position / side))
