"""Geometry of oriented boxes on cases worked by hand."""

import numpy as np
import pytest

from boxes import corners, envelope_iou, envelopes, from_corners, oriented_iou, suppress


def test_envelope_of_a_turned_box():
    box = (50, 40, 10, 4, np.pi / 2)
    assert envelopes(box)[0] == pytest.approx([48, 35, 52, 45])


def test_corners_and_back():
    box = np.array([20.0, 30.0, 12.0, 6.0, 0.7])
    assert from_corners(corners(box)[0]) == pytest.approx(box)


def test_iou_of_a_half_shift_is_a_third():
    assert oriented_iou((0, 0, 10, 4, 0), (5, 0, 10, 4, 0)) == pytest.approx(1 / 3)


def test_iou_of_a_cross():
    # Two 10 x 2 boxes at right angles share 2 x 2 of 20 + 20.
    assert oriented_iou((0, 0, 10, 2, 0.3), (0, 0, 10, 2, 0.3 + np.pi / 2)) == pytest.approx(4 / 36)


def test_iou_of_distant_boxes_is_nought():
    assert oriented_iou((0, 0, 10, 4, 0), (30, 0, 10, 4, 1)) == 0


def test_turned_square_in_a_square():
    # A unit square and itself turned by 45 degrees share a regular octagon.
    octagon = 2 * (np.sqrt(2) - 1)
    assert oriented_iou((0, 0, 1, 1, 0), (0, 0, 1, 1, np.pi / 4)) == pytest.approx(
        octagon / (2 - octagon)
    )


def test_envelope_iou_is_pairwise():
    iou = envelope_iou(np.array([[0, 0, 2, 2.0]]), np.array([[1, 0, 3, 2.0], [5, 5, 6, 6]]))
    assert iou == pytest.approx(np.array([[1 / 3, 0]]))


def test_suppression_keeps_the_better_of_two_and_the_far_one():
    boxes = np.array([[0, 0, 10, 5, 0], [1, 0, 10, 5, 0], [40, 0, 10, 5, 0.0]])
    assert suppress(boxes, np.array([0.5, 0.9, 0.4]), 0.3) == [1, 2]


def test_parallel_neighbours_both_stay():
    # Side by side at 45 degrees: their envelopes overlap a lot, the boxes not at all.
    step = 6 / np.sqrt(2)
    boxes = np.array([[0, 0, 12, 5, np.pi / 4], [step, -step, 12, 5, np.pi / 4]])
    assert len(suppress(boxes, np.array([0.9, 0.8]), 0.3)) == 2
