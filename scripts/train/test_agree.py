"""The comparison of two lists of detections; the scan itself is compared at every export."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

import agree

BOXES = np.array([[10.0, 12, 9, 5, 0.1], [40.0, 30, 11, 6, 1.2]])
SCORES = np.array([0.9, 0.4])


def test_equal_lists_do_not_differ():
    assert agree.difference((BOXES, SCORES), (BOXES[::-1], SCORES[::-1])) == (2, 0, 0)


def test_moves_and_scores_are_told():
    count, far, off = agree.difference((BOXES, SCORES), (BOXES + 0.5, SCORES - 0.1))
    assert (count, far, off) == (2, pytest.approx(0.5), pytest.approx(0.1))


def test_what_only_one_has_is_told():
    _, far, _ = agree.difference((BOXES, SCORES), (BOXES[:1], SCORES[:1]))
    assert far > 10
    assert agree.difference((BOXES, SCORES), (BOXES[:0], SCORES[:0])) == (2, np.inf, np.inf)


def test_low_scores_may_be_in_one_only():
    assert agree.difference((BOXES, SCORES * 0.01), (BOXES[:0], SCORES[:0])) == (0, 0, 0)
