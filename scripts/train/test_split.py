"""Splits by place, on tiles in the open ocean."""

import numpy as np
import pytest

pytest.importorskip("rasterio")

from data import Tile
from split import SplitError, name_regions, regions, without

PER_KM = 1 / 111.2
"""Degrees a kilometre at the equator."""


def tile(east_km, region="", kilns=1):
    boxes = np.tile([10.0, 10, 8, 5, 0], (kilns, 1))
    place = None if east_km is None else (east_km * PER_KM, 0.0)
    return Tile(
        np.ones((3, 8, 8), np.uint8), boxes, np.zeros((kilns, 4)), True, region=region, place=place
    )


def test_what_lies_near_the_held_out_is_not_trained_on():
    held, near, far = tile(0, "a"), tile(1.5, "b"), tile(2.5, "b")
    assert without([held, near, far], "a", buffer_m=2_000) == [far]
    assert without([held, near, far], "a", buffer_m=1_000) == [near, far]


def test_the_buffer_holds_across_the_antimeridian():
    west, east = tile(0, "a"), tile(0, "b")
    west.place, east.place = (179.999, 10.0), (-179.999, 10.0)
    assert without([west, east], "a") == []


def test_without_places_a_district_is_held_out_all_the_same():
    tiles = [tile(None, "a"), tile(None, "b")]
    assert without(tiles, "a") == [tiles[1]]


def test_neighbours_stay_together():
    tiles = [tile(40 * block + 0.98 * i) for block in range(12) for i in range(3)]
    name_regions(tiles, block_m=500_000, folds=2)
    assert len({t.region for t in tiles}) <= 2
    for t in tiles:
        t.region = ""
    name_regions(tiles, block_m=20_000, folds=4)
    assert regions(tiles) == ["part 1", "part 2", "part 3", "part 4"]
    counts = [sum(t.region == r for t in tiles) for r in regions(tiles)]
    assert max(counts) <= 2 * min(counts)


def test_districts_that_have_a_name_keep_it():
    tiles = [tile(0, "a"), tile(500, "b")]
    name_regions(tiles)
    assert regions(tiles) == ["a", "b"]


def test_tiles_of_nowhere_are_told():
    with pytest.raises(SplitError, match="1 of 2 tiles"):
        name_regions([tile(0), tile(None)])


def test_one_district_cannot_be_held_out():
    with pytest.raises(SplitError, match="nothing to hold out"):
        regions([tile(0, "a"), tile(1, "a")])
