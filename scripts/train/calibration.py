"""Calibrated scores: 0.7 should mean that 7 of 10 such detections are right.

The correction is Platt's: a line on the logit of the score, fitted on detections of districts that
the network did not see. It keeps the order of scores and goes into the card as a curve.
"""

from dataclasses import dataclass

import numpy as np

MIN_SLOPE = 0.05
"""The least slope, so that the order of scores is kept."""


@dataclass
class Calibration:
    """Calibrated score = sigmoid(slope x logit(score) + shift)."""

    slope: float = 1.0
    shift: float = 0.0

    def apply(self, scores):
        """Calibrated `scores`."""
        return 1 / (1 + np.exp(-(self.slope * logit(scores) + self.shift)))

    def points(self):
        """The curve for the card: [score, probability], both rising, scores from 0 to 1."""
        scores = 1 / (1 + np.exp(-np.linspace(-6, 6, 49)))
        curve = [[0.0, 0.0]]
        for score, share in zip(scores, self.apply(scores), strict=True):
            if share > curve[-1][1] + 1e-6:
                curve.append([round(float(score), 6), round(float(share), 6)])
        curve[-1][0] = 1.0
        return curve


def logit(scores):
    """Log odds of scores, which are kept off 0 and 1."""
    scores = np.clip(np.asarray(scores, float), 1e-6, 1 - 1e-6)
    return np.log(scores / (1 - scores))


def fit(scores, hits):
    """The `Calibration` of the greatest likelihood, on softened outcomes (Platt 1999).

    `hits` says which of the detections are right. With no right or no wrong one it is the identity.
    """
    hits = np.asarray(hits, bool)
    right, wrong = hits.sum(), (~hits).sum()
    if not right or not wrong:
        return Calibration()
    target = np.where(hits, (right + 1) / (right + 2), 1 / (wrong + 2))
    x = np.stack([logit(scores), np.ones(len(hits))], 1)
    line = np.array([1.0, 0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ line)))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - target))
        # Newton overshoots where nearly all scores are far from the right ones.
        line = line - step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(max(float(line[0]), MIN_SLOPE), float(line[1]))


def reliability(scores, hits, bins=10):
    """Reliability curve and expected calibration error of detections.

    Bins are equally wide. Returns (curve, error): the curve lists, for each bin that holds any,
    the number of detections, their mean score and the share that is right; the error is the mean
    gap of the two, weighted by the numbers.
    """
    scores, hits = np.asarray(scores, float), np.asarray(hits, bool)
    index = np.minimum((scores * bins).astype(int), bins - 1)
    curve = []
    for i in np.unique(index):
        own = index == i
        curve.append((int(own.sum()), float(scores[own].mean()), float(hits[own].mean())))
    gaps = sum(count * abs(score - share) for count, score, share in curve)
    return curve, gaps / max(len(scores), 1)


def error_by_chance(scores, draws=1000):
    """The expected calibration error of scores that mean just what they say.

    The mean over outcomes drawn with the probabilities `scores`: what remains of the error with so
    many detections, however good the calibration is.
    """
    rng = np.random.default_rng(0)
    scores = np.asarray(scores, float)
    return np.mean([reliability(scores, rng.random(len(scores)) < scores)[1] for _ in range(draws)])
