"""From which score on detections are shown, and what is found and what is false from there on.

Scores are calibrated. What comes in is `metrics.Matches` of tiles with kilns, and how often a
detector is wrong on kiln-free ground; what goes out are scores and a table of them.
"""

import numpy as np

import calibration
import metrics

LOW_SCORE = 0.05
"""Recall is also given at this score: what a person could still be shown."""

DENSITY = 35.7
"""Kilns on 1,000 km2 of the South Asian brick belt: 55,387 on 1,551,997 km2 (Boyd et al. 2018,
ISPRS Journal of Photogrammetry and Remote Sensing 142)."""

SPARSE = 5.0
"""False detections per 1,000 km2 that are few enough to show without being asked."""

MOST = 0.5
"""Share of the kilns that the default score keeps at least."""

SCORES = (LOW_SCORE, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Scores at which `table` says what is found and what is false, beside those that are chosen."""

BEHIND = "false_behind_screen_per_1000_km2"
"""Key of a row of the `table`, where a screen goes before the detector."""

GRID = np.round(np.arange(LOW_SCORE, 1.0, 0.01), 2)
"""Scores that thresholds are chosen from."""


def balanced_score(parts):
    """The score for tiles that hold kilns: half the best F1 that any threshold gives.

    Where scores are probabilities, that is the threshold of the best F1 (Lipton, Elkan and
    Narayanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure"); where the
    best F1 was seen on few kilns depends on chance, how good it is hardly does.
    """
    return round(metrics.at_score(parts, metrics.best_score(parts))[2] / 2, 2)


def false_rate(scores, area):
    """False detections per 1,000 km2 to be reckoned with from a score on, a function of the score.

    `scores` are those of all detections on `area` km2 without kilns. Counting the highest would let
    one or two look-alikes decide. So from one half on an exponential is fitted to their logits (of
    the greatest likelihood: their mean is its scale), as is usual for the tail of a distribution.
    Where more were counted than it expects, the count holds.
    """
    tail = calibration.logit(scores[scores > 0.5])
    scale = tail.mean() if len(tail) else 1.0

    def rate(score):
        counted = (scores >= score).sum() / area * 1000
        if score < 0.5:
            return counted
        expected = len(tail) / area * 1000 * np.exp(-calibration.logit(score) / scale)
        return max(counted, expected)

    return rate


def sparse_score(rate):
    """The least score, on a grid of 0.01, from which on the `rate` is `SPARSE`; None if none is."""
    few = (float(s) for s in GRID if rate(s) <= SPARSE)
    return next(few, None)


def regional_score(parts, rate):
    """The score, on a grid of 0.01, of the best F2 where kilns are of the `DENSITY`.

    Recall is that of `parts`, `metrics.Matches` of tiles with kilns; false detections come at the
    `rate` of kiln-free ground. F2 and not F1, since detections are looked at by people: one that is
    false takes a moment, a kiln that is missed stays unknown.
    """

    def f2(score):
        found = DENSITY * metrics.at_score(parts, score)[0]
        return 5 * found / (4 * DENSITY + found + rate(score))

    return float(max(GRID, key=f2))


def default_score(parts, rate):
    """The score from which on detections are shown unless another is asked for.

    `sparse_score`, so that a map of a region is not mostly false, if that keeps `MOST` kilns of
    `parts`; else `regional_score`.
    """
    few = sparse_score(rate)
    if few is not None and metrics.at_score(parts, few)[0] >= MOST:
        return few
    return regional_score(parts, rate)


def table(parts, scores, area, chosen, behind=None):
    """What is found and what is false from each of `SCORES` and the `chosen` scores on: a table.

    `parts` are the `metrics.Matches` of tiles with kilns, `scores` those of all detections on
    `area` km2 without; where no such ground was given (area 0), its column is None. `behind` are
    the same two of what a screen lets through, if one goes before: a column more.
    """
    rows = []
    for score in sorted({*SCORES, *chosen}):
        recall, precision, _ = metrics.at_score(parts, score)
        wrong = int((scores >= score).sum())
        rows.append(
            {
                "score": score,
                "recall": round(recall, 3),
                "precision": round(precision, 3),
                "false_per_1000_km2": round(wrong / area * 1000, 1) if area else None,
            }
        )
        if behind is not None:
            left = (behind[0] >= score).sum() / behind[1] * 1000
            rows[-1][BEHIND] = round(float(left), 1)
    return rows
