"""Settling the rule of the card on held-out scenes and chips: threshold, and what scores mean."""

import numpy as np

import calibration
from calibration import reliability
from camps.data import PARK
from camps.figures import chip_figures, iou, on_grid, pixel_counts
from camps.predict import Rule, areas

THRESHOLDS = tuple(round(0.3 + 0.05 * i, 2) for i in range(13))
MIN_AREA_M2 = 400.0
"""A dozen shacks, or two mobile homes with their plots: what is smaller is no camp."""
MIN_SCORE = 0.5
"""An area that is shown is more likely right than not."""
BARE = ("buildings", "storagetanks", "agricultural")
"""Chips of these show nothing that anybody would take for a camp."""
MOST_FLAGGED = 0.02


def bare_share(seen, rule, cell_m2):
    """Share of the chips of fields, tanks and large buildings with any area."""
    counts = chip_figures([s for s in seen if s.kind in BARE], rule, cell_m2, intervals=False)
    flagged = sum(c["flagged"] for c in counts.values())
    return flagged / max(sum(c["chips"] for c in counts.values()), 1)


def choose(seen, cell_m2):
    """The `Rule` of best pixel IoU, of those that flag at most `MOST_FLAGGED` of the bare chips.

    Scores are calibrated for each threshold anew. Where none flags so few, the highest threshold.
    """
    best = None
    for threshold in THRESHOLDS:
        rule = Rule(threshold, MIN_AREA_M2)
        rule = Rule(
            threshold, MIN_AREA_M2, MIN_SCORE, calibration.fit(*judged(seen, rule, cell_m2))
        )
        scenes = [s for s in seen if s.truth is not None]
        value = iou([pixel_counts(s, rule, cell_m2) for s in scenes])
        if bare_share(seen, rule, cell_m2) <= MOST_FLAGGED and (best is None or value > best[0]):
            best = (value, rule)
    return best[1] if best else rule


def judged(seen, rule, cell_m2):
    """Raw scores and hits of all areas, whatever their score.

    An area is right where most of it is settlement; on a chip, where the chip is of a park.
    """
    rule = Rule(rule.threshold, rule.min_area_m2)
    scores, hits = [], []
    for one in seen:
        for cells, score in areas(one.probability, rule, cell_m2):
            scores.append(score)
            if one.truth is None:
                hits.append(one.kind == PARK)
            else:
                hits.append(bool(one.truth[on_grid(cells, one.truth.shape)].mean() > 0.5))
    return np.array(scores), np.array(hits, bool)


def calibration_figures(seen, rule, cell_m2):
    """How well scores mean shares, each fold's corrected by a line fitted on the others."""
    folds = sorted({s.fold for s in seen})
    crossed, hits = [], []
    for fold in folds:
        line = calibration.fit(*judged([s for s in seen if s.fold != fold], rule, cell_m2))
        scores, right = judged([s for s in seen if s.fold == fold], rule, cell_m2)
        crossed.append(line.apply(scores))
        hits.append(right)
    crossed, hits = np.concatenate(crossed), np.concatenate(hits)
    curve, error = reliability(crossed, hits, bins=5)
    raw, right = judged(seen, rule, cell_m2)
    return {
        "slope": round(rule.line.slope, 4),
        "shift": round(rule.line.shift, 4),
        "areas": len(raw),
        "right": int(right.sum()),
        "expected_error": round(error, 4),
        "expected_error_raw": round(reliability(raw, right)[1], 4),
        "curve": [[n, round(said, 3), round(share, 3)] for n, said, share in curve],
    }


def nested(seen, cell_m2):
    """Pixel counts of all scenes, each fold by the rule chosen on the other folds."""
    parts = []
    for fold in sorted({s.fold for s in seen}):
        rule = choose([s for s in seen if s.fold != fold], cell_m2)
        held = [s for s in seen if s.fold == fold and s.truth is not None]
        parts += [pixel_counts(s, rule, cell_m2) for s in held]
    return parts
