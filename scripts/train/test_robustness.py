"""Changed tiles: the labels must follow the pixels. Skipped where torch is missing."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

from boxes import envelopes
from data import Tile
from robustness import CHANGES, as_a_scene, as_reflectance, brighter, hazy


def dot_tile():
    """A dark tile with a bright kiln of 12 x 6 pixels whose centre is (70, 60)."""
    pixels = np.full((3, 128, 128), 20, np.uint8)
    pixels[:, 57:63, 64:76] = 250
    boxes = np.array([[70, 60, 12, 6, 0.0]])
    ignore = np.array([[0, 0, 10, 10.0]])
    return Tile(pixels, boxes, envelopes(boxes), True, ignore=ignore)


@pytest.mark.parametrize("name", CHANGES)
def test_labels_follow_the_pixels(name):
    tile = dot_tile()
    changed = CHANGES[name](tile)
    light = changed.pixels[0].astype(float)
    light -= np.median(light)
    light[light < 40] = 0
    y, x = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    centre = (light * x).sum() / light.sum(), (light * y).sum() / light.sum()
    assert centre == pytest.approx(changed.boxes[0, :2], abs=0.15)
    x0, y0, x1, y1 = changed.envelopes[0]
    assert (light > light.max() / 2).sum() == pytest.approx((x1 - x0) * (y1 - y0), rel=0.25)
    assert len(changed.ignore) == 1
    assert changed.pixels.dtype == np.uint8


def test_a_scene_has_one_range_for_all_bands():
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.integers(low, low + 1000, 4096) for low in (400, 1400, 2400)])
    pixels[:, :2000] = 0
    made = as_a_scene(pixels.astype(np.uint16))
    assert (made[:, :2000] == 0).all()
    # Three thousand levels over the range: a third of it for each band, side by side.
    middles = np.median(made[:, 2000:], axis=1)
    assert middles == pytest.approx([255 / 6, 255 / 2, 255 * 5 / 6], abs=4)


def test_no_data_stays_so():
    pixels = dot_tile().pixels
    pixels[:, :20] = 0
    for made in (brighter(pixels, 1.2), hazy(pixels, 0.3), as_reflectance(pixels)):
        assert (made[:, :20] == 0).all()
        assert (made[:, 20:] > 0).all()


def test_haze_by_hand():
    assert hazy(np.full((3, 1, 1), 100, np.uint8), 0.2)[0, 0, 0] == 121
