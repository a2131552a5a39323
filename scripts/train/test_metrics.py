"""Matching and figures on cases worked by hand."""

import numpy as np
import pytest

from boxes import envelopes
from metrics import (
    Matches,
    at_score,
    average_precision,
    best_score,
    interval,
    match,
    recall_at_precision,
)


class OneKiln:
    """A 128 x 128 tile with a kiln of 10 x 6 pixels at (50, 50) and an ignore region."""

    pixels = np.zeros((3, 128, 128), np.uint8)
    boxes = np.array([[50, 50, 10, 6, 0.0]])
    envelopes = envelopes(boxes)
    ignore = np.array([[100, 100, 120, 120.0]])
    gsd_m = 10


def matches(*scored_hits, truths):
    scores, hits = zip(*scored_hits, strict=True)
    return Matches(np.array(scores), np.array(hits, bool), truths)


def test_average_precision_by_hand():
    # Ranked right, wrong, right of 2 kilns: 1 * 1/2 + 2/3 * 1/2.
    part = matches((0.9, True), (0.8, False), (0.7, True), truths=2)
    assert average_precision([part]) == pytest.approx(5 / 6)


def test_missed_kilns_lower_it_and_parts_pool_by_score():
    first = matches((0.9, True), (0.2, False), truths=2)
    second = matches((0.8, True), truths=1)
    assert average_precision([first, second]) == pytest.approx(2 / 3)


def test_precision_is_made_monotone():
    part = matches((0.9, False), (0.8, True), (0.7, True), truths=2)
    assert average_precision([part]) == pytest.approx(2 / 3)


def test_at_score_counts_only_what_is_claimed():
    part = matches((0.9, True), (0.8, False), (0.3, True), truths=4)
    recall, precision, f1 = at_score([part], 0.5)
    assert (recall, precision) == (0.25, 0.5)
    assert f1 == pytest.approx(1 / 3)


def test_recall_at_a_precision():
    part = matches((0.9, True), (0.8, False), (0.7, True), (0.6, False), truths=4)
    assert recall_at_precision([part], 0.6) == 0.5
    assert recall_at_precision([part], 0.7) == 0.25


def test_best_score_is_above_the_false_and_below_the_right():
    part = matches((0.9, True), (0.6, True), (0.4, False), truths=2)
    assert 0.4 < best_score([part]) <= 0.6


@pytest.mark.parametrize(
    ("x", "rule", "hit"),
    [
        (54.9, "within_50m", True),
        (55.1, "within_50m", False),
        (55.0, "iou_30", True),
        (55.0, "iou_50", False),
        (53.0, "iou_50", True),
    ],
)
def test_rules(x, rule, hit):
    found = match(rule, OneKiln, np.array([[x, 50, 10, 6, 0.0]]), np.array([0.9]))
    assert found.hits.tolist() == [hit]


def test_a_kiln_is_matched_once_and_by_the_best_score():
    boxes = np.array([[51, 50, 10, 6, 0], [50, 50, 10, 6, 0.0]])
    found = match("iou_50", OneKiln, boxes, np.array([0.6, 0.9]))
    assert found.scores.tolist() == [0.9, 0.6]
    assert found.hits.tolist() == [True, False]


def test_ignore_regions_count_neither_way():
    found = match("iou_50", OneKiln, np.array([[110, 110, 10, 6, 0.0]]), np.array([0.9]))
    assert len(found.scores) == 0
    assert found.truths == 1


def test_a_detection_is_cut_at_the_edge_of_the_tile_like_its_truth():
    class AtEdge(OneKiln):
        boxes = np.array([[126, 50, 6, 4, np.pi / 2]])
        envelopes = np.array([[124, 47, 128, 53.0]])

    # A box that goes on beyond the edge is judged by its part inside.
    found = match("iou_50", AtEdge, np.array([[127, 50, 6, 6, 0.0]]), np.array([0.9]))
    assert found.hits.tolist() == [True]


def test_no_detections():
    found = match("iou_30", OneKiln, np.zeros((0, 5)), np.zeros(0))
    assert found.truths == 1
    assert average_precision([found]) == 0


def test_interval_holds_the_figure():
    parts = [matches((0.9, i % 3 > 0), truths=1) for i in range(30)]
    low, high = interval(parts, lambda m: at_score(m, 0.5)[0], draws=200)
    assert low < 2 / 3 < high
