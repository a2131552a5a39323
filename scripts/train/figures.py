"""All figures of a validation: accuracy, calibration, false detections, types, robustness."""

import numpy as np

import calibration
import data
import metrics
import thresholds
from boxes import oriented_iou
from predict import predict
from robustness import CHANGES, as_a_scene
from thresholds import LOW_SCORE

PRECISION = 0.7
"""Recall is also given at the score where the precision is this."""


def background_chips(pixels):
    """Background tiles, stretched over the whole area, as chips 3 x 64 x 64 among no data.

    That is how the scanner meets them: the tiles are strewn over a large empty raster.
    """
    for tile in as_a_scene(pixels.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3):
        chip = np.zeros((3, 64, 64), np.uint8)
        chip[:, 16:48, 16:48] = tile
        yield chip


def judge(tiles, found, least=None):
    """Figures of `found` {tile number: (boxes, scores, ...)} on `tiles`, with intervals over tiles.

    `least` is the score threshold of the default; without it the best is chosen. Returned too.
    """
    parts = {rule: _matches(rule, tiles, found) for rule in metrics.RULES}
    near = parts["within_50m"]
    least = least if least is not None else metrics.best_score(near)
    figures = {"tiles": len(tiles), "kilns": sum(p.truths for p in near)}
    for rule, matches in parts.items():
        figures[f"ap_{rule}"] = _figure(matches, metrics.average_precision)
    for i, name in enumerate(("recall", "precision", "f1")):
        figures[f"{name}_at_min_score"] = _figure(
            near, lambda m, i=i: metrics.at_score(m, least)[i]
        )
    figures["recall_at_low_score"] = _figure(near, lambda m: metrics.at_score(m, LOW_SCORE)[0])
    figures["recall_at_precision"] = _figure(
        near, lambda m: metrics.recall_at_precision(m, PRECISION)
    )
    return figures, least


def _matches(rule, tiles, found):
    return [metrics.match(rule, tile, *found[tile.number][:2]) for tile in tiles]


def _figure(parts, figure):
    value = round(figure(parts), 3)
    if len(parts) < 3:  # too few tiles to draw from
        return {"value": value}
    return {"value": value, "interval_95": [round(v, 3) for v in metrics.interval(parts, figure)]}


def groups(tiles):
    """Tiles by kind of label, where there are both, and by region."""
    out = {
        "official": [t for t in tiles if t.oriented],
        "hand_drawn": [t for t in tiles if not t.oriented],
    }
    if not all(out.values()):
        out = {}
    for region in sorted({t.region for t in tiles}):
        out[region] = [t for t in tiles if t.region == region]
    return out


def calibrate(tiles, found):
    """The `Calibration` of raw scores, and figures of how well it holds on regions not fitted.

    Each region is corrected by a line that was fitted on the others; what is shipped is fitted on
    all. A detection is right within 50 m.
    """
    parts = {t.number: m for t, m in zip(tiles, _matches("within_50m", tiles, found), strict=True)}

    def pooled(some):
        return [
            np.concatenate([getattr(parts[t.number], name) for t in some])
            for name in ("scores", "hits")
        ]

    raw, corrected, hits = [], [], []
    for region in sorted({t.region for t in tiles}):
        scores, right = pooled([t for t in tiles if t.region == region])
        line = calibration.fit(*pooled([t for t in tiles if t.region != region]))
        raw.append(scores)
        corrected.append(line.apply(scores))
        hits.append(right)
    hits, raw, corrected = (np.concatenate(each) for each in (hits, raw, corrected))
    shown = corrected >= LOW_SCORE
    curve, error = calibration.reliability(corrected[shown], hits[shown])
    shipped = calibration.fit(*pooled(tiles))
    return shipped, {
        "slope": round(shipped.slope, 4),
        "shift": round(shipped.shift, 4),
        "expected_error": round(error, 3),
        "expected_error_by_chance": round(calibration.error_by_chance(corrected[shown]), 3),
        "expected_error_raw": round(calibration.reliability(raw[shown], hits[shown])[1], 3),
        "detections": int(shown.sum()),
        "curve": [[n, round(score, 3), round(share, 3)] for n, score, share in curve],
    }


def oriented_figures(tiles, found):
    """Rotated IoU and direction error of detections near kilns, on tiles with oriented truth."""
    overlaps, turns = [], []
    for tile in (t for t in tiles if t.oriented):
        for truth, box, _ in _pairs(tile, found):
            overlaps.append(oriented_iou(box, truth))
            if truth[2] > 1.3 * truth[3]:
                turn = np.degrees(box[4] - truth[4]) % 180
                turns.append(min(turn, 180 - turn))
    if not turns:
        return None
    return {
        "kilns": len(overlaps),
        "median_rotated_iou": round(float(np.median(overlaps)), 3),
        "median_direction_error_deg": round(float(np.median(turns)), 1),
    }


def type_figures(tiles, found):
    """How often the likeliest type is right, for kilns that were found and whose type is known."""
    rows = []
    for tile in (t for t in tiles if any(t.kinds)):
        for _, _, (kind, types) in _pairs(tile, found):
            if kind:
                rows.append((data.TYPES.index(kind), int(types.argmax()), float(types.max())))
    if not rows:
        return None
    truth, told, sure = (np.array(column) for column in zip(*rows, strict=True))
    counts = [[int(((truth == i) & (told == j)).sum()) for j in range(3)] for i in range(3)]
    return {
        "kilns": len(rows),
        "accuracy": round(float((truth == told).mean()), 3),
        "accuracy_of_the_commonest": round(max(np.bincount(truth)) / len(rows), 3),
        "mean_confidence": round(float(sure.mean()), 3),
        "expected_error": round(calibration.reliability(sure, truth == told)[1], 3),
        "types": list(data.TYPES),
        "counts_true_by_told": counts,
    }


def _pairs(tile, found):
    """(true box, nearest detected box within 5 pixels, (true type, type odds)) of a tile."""
    boxes, _, types = found[tile.number]
    for i, truth in enumerate(tile.boxes):
        gaps = np.hypot(*(boxes[:, :2] - truth[:2]).T)
        if len(gaps) and gaps.min() <= 5:
            kind = tile.kinds[i] if tile.kinds else None
            yield truth, boxes[gaps.argmin()], (kind, types[gaps.argmin()])


def find(detectors, tiles, line=None):
    """{tile number: detections}, each by the detector of its region; scores corrected by `line`."""
    line = line or calibration.Calibration()
    found = {}
    for tile in tiles:
        boxes, scores, types = predict(detectors[tile.region], tile.pixels)
        found[tile.number] = boxes, line.apply(scores), types
    return found


def false_detections(detectors, line, pixels, folds):
    """Scores of all detections on background tiles held out, and the area in km2.

    The detector of the n-th region answers for fold n, over and over where there are more regions.
    Without any tiles, no scores on no ground.
    """
    scores, area = [np.zeros(0)], 0
    if not len(pixels):
        return scores[0], 0.0
    for i, detector in enumerate(detectors.values()):
        own = folds == i % data.BACKGROUND_FOLDS
        chips = zip(background_chips(pixels), own, strict=True)
        scores += [predict(detector, chip)[1] for chip, is_own in chips if is_own]
        area += own.sum() * (data.BACKGROUND_GRID_M / 1000) ** 2
    return line.apply(np.concatenate(scores)), float(area)


def all_figures(detectors, tiles, pixels, folds, behind=None):
    """All figures of `detectors` {region: a `predict.Detector`, say}, in order of the folds.

    `behind` are scores and area (km2) of what is false where a screen goes before the detectors;
    the default score is then chosen by that.
    The default score is one for a region (`thresholds.default_score`): on tiles that were chosen
    for their kilns, a lower one is best. Where no kiln-free ground was given, that one must do.
    """
    line, calibrated = calibrate(tiles, find(detectors, tiles))
    found = find(detectors, tiles, line)
    parts = _matches("within_50m", tiles, found)
    balanced = thresholds.balanced_score(parts)
    scores, area = false_detections(detectors, line, pixels, folds)
    rate = thresholds.false_rate(*(behind or (scores, area))) if area else None
    least = thresholds.default_score(parts, rate) if area else balanced
    regional = thresholds.regional_score(parts, rate) if area else None
    rare = thresholds.sparse_score(rate) if area else None
    pooled, _ = judge(tiles, found, least)
    figures = {
        "min_score": least,
        "balanced_score": balanced,
        "regional_score": regional,
        "sparse_score": rare,
        "thresholds": thresholds.table(
            parts, scores, area, {balanced, least, regional, rare} - {None}, behind
        ),
        "pooled": pooled,
        "groups": {name: judge(some, found, least)[0] for name, some in groups(tiles).items()},
        "calibration": calibrated,
        "precision_recall": {
            rule: [
                [round(value, 3) for value in point]
                for point in metrics.precision_recall(_matches(rule, tiles, found))
            ]
            for rule in metrics.RULES
        },
        "background_km2": round(area, 1),
    }
    if all("angle" in detector.names for detector in detectors.values()):
        figures["oriented_truth"] = oriented_figures(tiles, found)
        figures["types"] = type_figures(tiles, found)
        figures["robustness"] = {}
        for name, change in CHANGES.items():
            changed = [change(tile) for tile in tiles]
            made = judge(changed, find(detectors, changed, line), least)[0]
            figures["robustness"][name] = {
                key: made[key]["value"] for key in made if key not in ("tiles", "kilns")
            }
    return figures
