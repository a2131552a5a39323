"""Reading output maps."""

import numpy as np
import pytest

from decode import detections


def maps(height=32, width=40):
    return {
        "heatmap": np.full((1, height, width), 0.01, np.float32),
        "size": np.log(np.full((2, height, width), 5.0, np.float32)),
        "offset": np.zeros((2, height, width), np.float32),
    }


def test_one_peak_is_one_box():
    some = maps()
    some["heatmap"][0, 10, 20] = 0.9
    some["heatmap"][0, 10, 21] = 0.5
    some["offset"][:, 10, 20] = (0.25, -0.5)
    some["size"][:, 10, 20] = np.log((12.0, 6.0))
    boxes, scores, _ = detections(some)
    assert scores == pytest.approx([0.9])
    assert boxes[0] == pytest.approx([20.75, 10.0, 12, 6, 0])


def test_of_equal_neighbours_the_first_in_row_order_wins():
    some = maps()
    some["heatmap"][0, 10, 20:22] = 0.8
    some["heatmap"][0, 11, 20] = 0.8
    boxes, *_ = detections(some)
    assert boxes[:, :2].tolist() == [[20.5, 10.5]]


def test_angle_turns_from_right_towards_down():
    some = maps()
    some["heatmap"][0, 10, 20] = 0.9
    t = np.radians(30)
    some["angle"] = np.zeros((2, 32, 40), np.float32)
    some["angle"][:, 10, 20] = (3 * np.cos(2 * t), 3 * np.sin(2 * t))
    boxes, *_ = detections(some)
    assert boxes[0, 4] == pytest.approx(t)


def test_nothing_found():
    boxes, scores, _ = detections(maps())
    assert boxes.shape == (0, 5)
    assert scores.shape == (0,)


def test_types_are_read_at_the_peak():
    some = maps()
    some["heatmap"][0, 10, 20] = 0.9
    some["type"] = np.zeros((3, 32, 40), np.float32)
    some["type"][:, 10, 20] = np.log((1.0, 2.0, 5.0))
    *_, types = detections(some)
    assert types == pytest.approx(np.array([[0.125, 0.25, 0.625]]))
