"""Matching detections with truth, and the figures made from it.

A detection matches a kiln by one of three rules: its centre lies within 50 m (`within_50m`), or
its axis-aligned envelope overlaps the kiln's by IoU 0.3 or 0.5 (`iou_30`, `iou_50`). Each kiln is
matched once, by the best score. Detections centred in an ignore region count neither way.
"""

from dataclasses import dataclass

import numpy as np

from boxes import envelope_iou, envelopes

RULES = ("within_50m", "iou_30", "iou_50")

NEAR_M = 50
"""A detection this near to a kiln is right by `within_50m`."""


@dataclass
class Matches:
    """The detections of one tile that count: scores N, hits N (bool), and the number of kilns."""

    scores: np.ndarray
    hits: np.ndarray
    truths: int


def match(rule, tile, boxes, scores):
    """Match detections (N x 5, N) of a `data.Tile` with its kilns by `rule`."""
    height, width = tile.pixels.shape[1:]
    # Kilns at the edge of a tile are labelled as far as they are seen: cut detections likewise.
    found = np.clip(envelopes(boxes), 0, (width, height, width, height))
    centres = (found[:, :2] + found[:, 2:]) / 2
    if rule == "within_50m":
        true_centres = (tile.envelopes[:, :2] + tile.envelopes[:, 2:]) / 2
        gap = np.linalg.norm(centres[:, None] - true_centres[None], axis=2)
        closeness = 1 - gap * tile.gsd_m / NEAR_M
        least = 0.0
    else:
        closeness = envelope_iou(found, tile.envelopes)
        least = {"iou_30": 0.3, "iou_50": 0.5}[rule]

    free = np.ones(len(tile.envelopes), bool)
    kept_scores, hits = [], []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        candidates = np.where(free, closeness[i], -np.inf)
        best = int(candidates.argmax()) if len(candidates) else -1
        hit = best >= 0 and candidates[best] >= least
        if hit:
            free[best] = False
        elif _inside(tile.ignore, centres[i]):
            continue
        kept_scores.append(scores[i])
        hits.append(hit)
    return Matches(np.array(kept_scores), np.array(hits, bool), len(free))


def _inside(regions, point):
    return bool(((regions[:, :2] <= point) & (point <= regions[:, 2:])).all(1).any())


def average_precision(parts):
    """Area under the precision-recall curve (all points, precision made monotone) of `Matches`."""
    scores = np.concatenate([p.scores for p in parts])
    hits = np.concatenate([p.hits for p in parts])[np.argsort(-scores, kind="stable")]
    truths = sum(p.truths for p in parts)
    if truths == 0:
        return float("nan")
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(monotone[hits]) / truths)


def precision_recall(parts):
    """Points (recall, precision) of the curve, one a hit, best score first."""
    scores = np.concatenate([p.scores for p in parts])
    hits = np.concatenate([p.hits for p in parts])[np.argsort(-scores, kind="stable")]
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    recall = right / max(sum(p.truths for p in parts), 1)
    return list(zip(recall[hits].tolist(), precision[hits].tolist(), strict=True))


def at_score(parts, least):
    """(recall, precision, F1) of the detections with a score of at least `least`."""
    found = sum(int(p.hits[p.scores >= least].sum()) for p in parts)
    claimed = sum(int((p.scores >= least).sum()) for p in parts)
    truths = sum(p.truths for p in parts)
    recall, precision = found / max(truths, 1), found / max(claimed, 1)
    return recall, precision, 2 * recall * precision / max(recall + precision, 1e-9)


def recall_at_precision(parts, least):
    """The best recall at any score where the precision is `least` or better."""
    scores = np.concatenate([p.scores for p in parts])
    hits = np.concatenate([p.hits for p in parts])[np.argsort(-scores, kind="stable")]
    right = np.cumsum(hits)
    precise = right >= least * np.arange(1, len(hits) + 1)
    return float(right[precise].max(initial=0) / max(sum(p.truths for p in parts), 1))


def best_score(parts):
    """The score threshold of the best F1, on a grid of 0.01."""
    grid = np.round(np.arange(0.05, 0.96, 0.01), 2)
    return float(grid[int(np.argmax([at_score(parts, s)[2] for s in grid]))])


def interval(parts, figure, draws=1000, seed=0):
    """95 % bootstrap interval over tiles of `figure(parts)`, as (low, high)."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        sample = [parts[i] for i in rng.integers(len(parts), size=len(parts))]
        values.append(figure(sample))
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
