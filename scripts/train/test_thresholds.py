"""Choosing scores, and the table of what is found and false."""

import numpy as np
import pytest

import metrics
import thresholds


def test_false_detections_are_counted_below_a_half_and_expected_above():
    logits = np.random.default_rng(0).exponential(0.8, 4000)
    wrong = np.concatenate([1 / (1 + np.exp(-logits)), np.full(50, 0.3)])
    rate = thresholds.false_rate(wrong, 10_000)
    assert rate(0.3) == 405
    assert rate(0.31) == rate(0.5) == 400
    # 5 are left of 400 where the exponential has fallen to 1 in 80.
    level = 0.8 * np.log(80)
    assert thresholds.sparse_score(rate) == pytest.approx(1 / (1 + np.exp(-level)), abs=0.015)
    assert thresholds.sparse_score(thresholds.false_rate(wrong, 1e6)) == thresholds.LOW_SCORE
    assert thresholds.sparse_score(thresholds.false_rate(np.full(1000, 0.9999), 1)) is None
    assert thresholds.false_rate(np.array([0.3]), 100)(0.9) == 0


def test_look_alikes_that_the_tail_does_not_expect_are_counted():
    # Many just above one half, and six of 0.9 where the exponential expects next to none.
    wrong = np.concatenate([np.full(200, 0.51), np.full(6, 0.9)])
    rate = thresholds.false_rate(wrong, 1000)
    assert rate(0.89) == rate(0.9) == 6
    assert rate(0.91) < 1
    assert thresholds.sparse_score(rate) == 0.91


def test_the_score_for_a_region_weighs_what_is_found_by_how_rare_kilns_are():
    parts = [metrics.Matches(np.array([0.95, 0.9, 0.6, 0.3]), np.ones(4, bool), truths=4)]
    assert thresholds.regional_score(parts, lambda _: 0) == thresholds.LOW_SCORE
    # A quarter more of the kilns is worth one false detection for each, but not five.
    assert thresholds.regional_score(parts, lambda s: 36 * (s < 0.5)) == thresholds.LOW_SCORE
    assert thresholds.regional_score(parts, lambda s: 180 * (s < 0.5)) == 0.5
    assert thresholds.regional_score(parts, lambda s: 1000 * (s < 0.8)) == 0.8


def test_few_false_detections_come_first_unless_they_cost_most_kilns():
    parts = [metrics.Matches(np.array([0.95, 0.9, 0.6, 0.3]), np.ones(4, bool), truths=4)]
    assert thresholds.default_score(parts, lambda s: 30 * (s < 0.8)) == 0.8
    # From 0.93 on one of four is left: then the rule for a region decides.
    assert thresholds.default_score(parts, lambda s: 30 * (s < 0.93)) == thresholds.LOW_SCORE
    assert thresholds.default_score(parts, lambda _: 30) == thresholds.LOW_SCORE


def test_thresholds_say_what_is_found_and_what_is_false():
    parts = [metrics.Matches(np.array([0.95, 0.7, 0.4]), np.array([True, False, True]), truths=4)]
    rows = thresholds.table(parts, np.array([0.3, 0.52, 0.81]), 400, {0.31})
    assert [row["score"] for row in rows] == sorted([*thresholds.SCORES, 0.31])
    assert next(row for row in rows if row["score"] == 0.31) == {
        "score": 0.31,
        "recall": 0.5,
        "precision": 0.667,
        "false_per_1000_km2": 5.0,
    }
    assert thresholds.table(parts, np.zeros(0), 0, set())[0]["false_per_1000_km2"] is None
    assert thresholds.BEHIND not in rows[0]
    behind = np.array([0.52]), 250
    rows = thresholds.table(parts, np.array([0.3, 0.52, 0.81]), 400, set(), behind)
    assert [row[thresholds.BEHIND] for row in rows if row["score"] in (0.5, 0.6)] == [4.0, 0.0]


def test_the_balanced_score_of_probabilities_is_that_of_the_best_f1():
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 1, 20000)
    hits = rng.random(20000) < scores
    parts = [metrics.Matches(scores, hits, int(hits.sum()))]
    assert thresholds.balanced_score(parts) == pytest.approx(metrics.best_score(parts), abs=0.03)
