"""Geometry of oriented boxes, in numpy.

A box is `(cx, cy, length, width, t)` in pixels of the image, pixel (0, 0) having its corner at
(0, 0). `t` is the direction of the length axis in radians, from +x (right) towards +y (down).
"""

import numpy as np


def corners(boxes):
    """Corner points of boxes N x 5 as N x 4 x 2, in turn round the box."""
    boxes = np.asarray(boxes, float).reshape(-1, 5)
    cx, cy, length, width, t = boxes.T
    along = np.stack([np.cos(t), np.sin(t)], 1) * (length / 2)[:, None]
    across = np.stack([-np.sin(t), np.cos(t)], 1) * (width / 2)[:, None]
    centre = np.stack([cx, cy], 1)
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return np.stack([centre + a * along + b * across for a, b in signs], 1)


def from_corners(points):
    """The box (cx, cy, length, width, t) of 4 corner points, 4 x 2, in turn round the box."""
    points = np.asarray(points, float).reshape(4, 2)
    first = (points[1] - points[0] + points[2] - points[3]) / 2
    second = (points[2] - points[1] + points[3] - points[0]) / 2
    sides = np.hypot(*first), np.hypot(*second)
    axis = first if sides[0] >= sides[1] else second
    t = np.arctan2(axis[1], axis[0]) % np.pi
    return np.array([*points.mean(0), max(sides), min(sides), t])


def envelopes(boxes):
    """Axis-aligned envelopes of boxes N x 5 as N x 4 (x0, y0, x1, y1)."""
    points = corners(boxes)
    return np.concatenate([points.min(1), points.max(1)], 1)


def envelope_iou(first, second):
    """IoU of envelopes N x 4 and M x 4 as N x M."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(e[:, 2:] - e[:, :2], 0, None), axis=1) for e in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    return shared / np.maximum(union, 1e-9)


def polygon_area(points):
    """Signed area of a polygon N x 2."""
    x, y = points[:, 0], points[:, 1]
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def _clip(points, start, end):
    """The part of a convex polygon N x 2 to the left of the line start -> end."""
    edge = end - start
    side = edge[0] * (points[:, 1] - start[1]) - edge[1] * (points[:, 0] - start[0])
    kept = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if side[i] >= 0:
            kept.append(points[i])
        if side[i] * side[j] < 0:
            kept.append(points[i] + (points[j] - points[i]) * side[i] / (side[i] - side[j]))
    return np.array(kept).reshape(-1, 2)


def oriented_iou(first, second):
    """Exact IoU of two oriented boxes."""
    a, b = corners(first)[0], corners(second)[0]
    shared = a
    for i in range(4):
        shared = _clip(shared, b[i], b[(i + 1) % 4])
        if len(shared) < 3:
            return 0.0
    overlap = polygon_area(shared)
    union = first[2] * first[3] + second[2] * second[3] - overlap
    return overlap / union if union > 0 else 0.0


def suppress(boxes, scores, iou):
    """Indices kept by greedy suppression, best score first; `boxes` N x 5, `scores` N."""
    boxes = np.asarray(boxes, float).reshape(-1, 5)
    reach = np.hypot(boxes[:, 2], boxes[:, 3]) / 2
    waiting = np.ones(len(boxes), bool)
    kept = []
    for i in np.argsort(-np.asarray(scores), kind="stable"):
        if not waiting[i]:
            continue
        kept.append(int(i))
        waiting[i] = False
        # Boxes whose circles are apart cannot overlap: spare the exact test.
        gaps = np.hypot(boxes[:, 0] - boxes[i, 0], boxes[:, 1] - boxes[i, 1])
        for k in np.flatnonzero(waiting & (gaps < reach + reach[i])):
            waiting[k] = oriented_iou(boxes[i], boxes[k]) <= iou
    return kept
