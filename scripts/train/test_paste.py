"""Pasted kilns: their labels must follow the pixels, however a copy is turned."""

import numpy as np
import pytest

pytest.importorskip("rasterio")

import paste
from boxes import envelopes
from data import Tile


def source_tile(oriented=True):
    """A grey tile with a bright kiln of 12 x 6 pixels, and a lesser one near it."""
    pixels = np.full((3, 128, 128), 90, np.uint8)
    pixels[:, 57:63, 64:76] = 250
    pixels[:, 70:76, 64:76] = 160
    boxes = np.array([[70, 60, 12, 6, 0.0]])
    return Tile(
        pixels,
        boxes,
        envelopes(boxes),
        oriented,
        ignore=np.array([[64, 70, 76, 76.0]]),
        kinds=["FCBK"],
    )


def empty_tile():
    nothing = np.zeros((0, 5)), np.zeros((0, 4))
    return Tile(np.full((3, 128, 128), 60, np.uint8), *nothing, oriented=True)


def test_labels_follow_the_pixels():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(20):
        made = paste.onto(rng, empty_tile(), [source_tile()], [1.0])
        assert len(made.boxes) == len(made.kinds) == len(made.envelopes) == len(made.ignore)
        for (x0, y0, x1, y1), box in zip(made.envelopes, made.boxes, strict=True):
            seen += 1
            part = made.pixels[0, round(y0) : round(y1), round(x0) : round(x1)]
            assert part.size == 72
            assert part.min() > 180
            u, v = ((made.ignore[:, :2] + made.ignore[:, 2:]) / 2 - box[:2]).T
            assert np.hypot(u, v).min() == pytest.approx(13, abs=0.01)
    assert seen > 20


def test_what_is_far_from_a_kiln_stays():
    made = paste.onto(np.random.default_rng(1), empty_tile(), [source_tile()], [1.0])
    far = np.ones((128, 128), bool)
    for x, y in made.boxes[:, :2]:
        far[int(y) - 20 : int(y) + 20, int(x) - 20 : int(x) + 20] = False
    assert (made.pixels[:, far] == 60).all()


def test_no_data_gets_no_kiln():
    target = empty_tile()
    target.pixels[:] = 0
    made = paste.onto(np.random.default_rng(1), target, [source_tile()], [1.0])
    assert len(made.boxes) == 0
    assert (made.pixels == 0).all()


def test_the_kind_of_label_is_that_of_the_source():
    made = paste.onto(np.random.default_rng(1), empty_tile(), [source_tile(False)], [1.0])
    assert not made.oriented
