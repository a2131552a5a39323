"""Calibration on outcomes drawn from known odds, and figures worked by hand."""

import numpy as np
import pytest

from calibration import Calibration, error_by_chance, fit, logit, reliability


def drawn(slope, shift, count=20_000):
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.02, 0.98, count)
    return scores, rng.random(count) < Calibration(slope, shift).apply(scores)


def test_the_line_that_drew_the_outcomes_is_found():
    made = fit(*drawn(0.6, -0.8))
    assert made.slope == pytest.approx(0.6, abs=0.05)
    assert made.shift == pytest.approx(-0.8, abs=0.05)


def test_calibrated_scores_are_shares():
    scores, hits = drawn(1.8, 1.2)
    _, before = reliability(scores, hits)
    _, after = reliability(fit(scores, hits).apply(scores), hits)
    assert before > 0.1
    assert after < 0.02


def test_the_order_is_kept_even_against_the_outcomes():
    scores = np.linspace(0.1, 0.9, 50)
    made = fit(scores, scores < 0.5)
    assert (np.diff(made.apply(scores)) > 0).all()


def test_nothing_to_learn_from_changes_nothing():
    assert fit([0.2, 0.8], [True, True]) == Calibration()
    assert fit([], []) == Calibration()


def test_a_few_detections_do_not_make_it_certain():
    made = fit([0.9, 0.8, 0.1], [True, True, False])
    assert 0.5 < made.apply(0.9) < 0.99


@pytest.mark.parametrize("line", [Calibration(), Calibration(0.5, -1.5), Calibration(3.0, 4.0)])
def test_the_curve_of_the_card_is_the_line(line):
    score, share = np.array(line.points()).T
    assert (score[0], share[0], score[-1]) == (0, 0, 1)
    assert (np.diff(score) > 0).all()
    assert (np.diff(share) > 0).all()
    some = np.linspace(0.01, 0.99, 99)
    assert np.interp(some, score, share) == pytest.approx(line.apply(some), abs=0.01)


def test_logit_of_certainty_is_finite():
    assert np.isfinite(logit([0.0, 1.0])).all()


def test_chance_alone_leaves_an_error_that_more_detections_shrink():
    # Half of n are right, but for a deviation of sqrt(n) / 2 on average times sqrt(2 / pi).
    few, many = (error_by_chance(np.full(n, 0.5)) for n in (25, 2500))
    assert few == pytest.approx(0.5 * np.sqrt(2 / np.pi / 25), rel=0.1)
    assert many == pytest.approx(few / 10, rel=0.1)
    assert error_by_chance([1.0, 0.0]) == 0


def test_reliability_by_hand():
    # Bin 0.2-0.3: mean 0.25, none right. Bin 0.9-1: mean 0.95, one of two right.
    curve, error = reliability([0.2, 0.3 - 1e-9, 0.9, 1.0], [False, False, True, False])
    assert curve == [(2, pytest.approx(0.25), 0), (2, pytest.approx(0.95), 0.5)]
    assert error == pytest.approx((2 * 0.25 + 2 * 0.45) / 4)
