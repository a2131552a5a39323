"""Pasted kilns: their labels must follow the pixels, however a copy is turned."""

import numpy as np
import pytest

pytest.importorskip("rasterio")

import paste
from boxes import envelopes, oriented_iou
from data import Tile


def source_tile(oriented=True):
    """A grey tile with a bright kiln of 12 x 6 pixels, and a lesser one near it."""
    pixels = np.full((3, 128, 128), 90, np.uint8)
    pixels[:, 57:63, 64:76] = 250
    pixels[:, 65:69, 64:76] = 160
    boxes = np.array([[70, 60, 12, 6, 0.0]])
    return Tile(
        pixels,
        boxes,
        envelopes(boxes),
        oriented,
        ignore=np.array([[64, 65, 76, 69.0], [64, 74, 76, 80]]),
        kinds=["FCBK"],
    )


def empty_tile():
    nothing = np.zeros((0, 5)), np.zeros((0, 4))
    return Tile(np.full((3, 128, 128), 60, np.uint8), *nothing, oriented=True)


def pasted(seed, crowded, monkeypatch):
    monkeypatch.setattr(paste, "CROWDED", crowded)
    return paste.onto(np.random.default_rng(seed), empty_tile(), [source_tile()], [1.0])


@pytest.mark.parametrize("crowded", [0, 1])
def test_labels_follow_the_pixels(crowded, monkeypatch):
    seen = 0
    for seed in range(20):
        made = pasted(seed, crowded, monkeypatch)
        assert len(made.boxes) == len(made.kinds) == len(made.envelopes)
        for x0, y0, x1, y1 in made.envelopes:
            seen += 1
            part = made.pixels[0, round(y0) : round(y1), round(x0) : round(x1)]
            assert part.size == 72
            # The kiln is 2.8 times as bright as its yard, wherever it is set.
            assert part.min() > 2.3 * 60
    assert seen > (100 if crowded else 20)


def test_what_is_seen_of_a_neighbour_counts_neither_way(monkeypatch):
    for seed in range(20):
        made = pasted(seed, 0, monkeypatch)
        # The nearer of two, 7 pixels from the kiln; of the farther nothing is left.
        for (x0, y0, x1, y1), (x, y) in zip(made.ignore, made.boxes[:, :2], strict=True):
            assert np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y) == pytest.approx(7, abs=0.01)


def test_kilns_of_a_crowd_stand_side_by_side_and_not_on_one_another(monkeypatch):
    gaps = []
    for seed in range(20):
        boxes = pasted(seed, 1, monkeypatch).boxes
        shared = [oriented_iou(a, b) for i, a in enumerate(boxes) for b in boxes[:i]]
        assert max(shared, default=0) == 0
        gaps += [
            np.hypot(*(np.delete(boxes, i, 0)[:, :2] - boxes[i, :2]).T).min()
            for i in range(len(boxes) if len(boxes) > 1 else 0)
        ]
    assert 9 < np.median(gaps) < 18


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


def test_a_box_that_holds_no_middle_of_a_pixel_is_pasted_as_well():
    source = source_tile()
    source.boxes = np.array([[70, 60, 0.4, 0.4, 0.0]])
    made = paste.onto(np.random.default_rng(1), empty_tile(), [source], [1.0])
    assert len(made.boxes) > 0
