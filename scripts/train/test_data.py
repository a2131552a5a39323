"""The labelled tiles, where they are: skipped in a checkout without them."""

from pathlib import Path

import pytest

pytest.importorskip("rasterio")

import labels
from data import training_list_hash

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data")


@needs_data
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_labelled_tiles():
    tiles = labels.load(SHARED / "kilns-s2")
    assert len(tiles) == 42
    assert sum(len(t.boxes) for t in tiles) == 109
    assert sum(len(t.ignore) for t in tiles) == 11
    assert sum(len(t.boxes) for t in tiles if t.oriented) == 38
    assert len({t.region for t in tiles}) == 6
    for tile in tiles:
        assert tile.pixels.shape == (3, 128, 128)
        assert (tile.boxes[:, 2] >= tile.boxes[:, 3]).all()


@needs_data
def test_the_training_list_is_known_by_its_hash_only():
    assert len(training_list_hash(SHARED / "kilns-s2")) == 64
