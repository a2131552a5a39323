"""From output maps to detections, as the scanner does it."""

import numpy as np

from boxes import suppress

STORE_SCORE = 0.02
"""Peaks below are not kept."""


def detections(maps, iou=0.3, store=STORE_SCORE):
    """Oriented boxes N x 5, scores N and probabilities of types N x T of one image, best first.

    `maps`: arrays C x H x W named as in the exported model: `heatmap` (probability), `size`,
    `offset` and optionally `angle` and `type` (logits), at stride 1. Without `type`, T is 0.
    """
    heat = maps["heatmap"][0]
    y, x = np.nonzero(_peaks(heat) & (heat >= store))
    scores = heat[y, x]
    dx, dy = maps["offset"][:, y, x]
    length, width = np.exp(maps["size"][:, y, x])
    if "angle" in maps:
        t = np.arctan2(maps["angle"][1, y, x], maps["angle"][0, y, x]) / 2
    else:
        t = np.zeros(len(x))
    boxes = np.stack([x + 0.5 + dx, y + 0.5 + dy, length, width, t], 1).astype(float)
    logits = maps["type"][:, y, x].T if "type" in maps else np.zeros((len(x), 0))
    odds = np.exp(logits - logits.max(1, keepdims=True, initial=-np.inf))
    types = odds / odds.sum(1, keepdims=True)
    kept = suppress(boxes, scores, iou)
    return boxes[kept], scores[kept], types[kept]


def _peaks(heat):
    """Mask H x W of 3 x 3 local maxima; among equal neighbours the first in row order wins."""
    padded = np.pad(heat, 1, constant_values=-1)
    height, width = heat.shape
    mask = np.ones_like(heat, bool)
    for dy in range(3):
        for dx in range(3):
            other = padded[dy : dy + height, dx : dx + width]
            if (dy, dx) < (1, 1):
                mask &= heat > other
            elif (dy, dx) > (1, 1):
                mask &= heat >= other
    return mask
