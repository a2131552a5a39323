"""Drawn camps: tents and sheds, in rows or clumps, on real ground that has none.

No labelled camp was at hand. What is drawn is what camps have in common: small roofs, alike and
close together, on ground that is worn bare. Boxes are N x 5 (x, y, length, width, t) in pixels of
the crop.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from camps.augment import CROP, chip_crop
from camps.network import STRIDE

FINE = 3
"""Roofs are drawn at this many times the resolution, and averaged."""

LEAST = 6
"""Shelters of a camp."""

ROOFS = (
    (0.88, 0.88, 0.86),
    (0.6, 0.61, 0.62),
    (0.35, 0.5, 0.72),
    (0.72, 0.64, 0.5),
    (0.5, 0.34, 0.27),
    (0.38, 0.46, 0.36),
)
"""Colours of canvas, plastic sheet and corrugated iron: white, grey, blue, tan, rust, green."""


@dataclass(frozen=True)
class Kind:
    """Sizes of one kind of shelter: ranges in metres, and how high it is."""

    length: tuple
    width: tuple
    gap: tuple
    height: tuple


TENT = Kind(length=(4, 8), width=(3, 5), gap=(1, 5), height=(1.5, 3))
SHED = Kind(length=(8, 30), width=(4, 7), gap=(2, 8), height=(2.5, 4))


def camp_crop(rng, fields, gsd):
    """A crop with a drawn camp, on one of the chips of `fields`."""
    field = _mirrored(fields[rng.integers(len(fields))])
    return onto(rng, chip_crop(rng, field, gsd, CROP), gsd)


def _mirrored(chip):
    """The chip and its mirror images beyond its edges: alone it is smaller than a crop."""
    down, across = (side // 2 for side in chip.pixels.shape[1:])
    pixels = np.pad(chip.pixels, ((0, 0), (down, down), (across, across)), mode="symmetric")
    return replace(chip, pixels=pixels)


def layout(rng, gsd, size=CROP):
    """Boxes of one camp somewhere on a crop, the widest gap between them in pixels, their `Kind`.

    Rows of one direction, more or less even; some shelters are missing.
    """
    kind = TENT if rng.random() < 0.6 else SHED
    length, width, gap = (rng.uniform(*r) / gsd for r in (kind.length, kind.width, kind.gap))
    across = rng.uniform(1, 2.5) * gap
    reach = rng.uniform(40, 110) / gsd
    columns = max(2, int(reach * rng.uniform(0.7, 1.5) / (length + gap)))
    rows = max(2, int(reach / (width + across)))
    turn = rng.uniform(0, np.pi)
    untidy = rng.choice([0.05, 0.3, 0.8])
    along, over = np.meshgrid(np.arange(columns) - columns / 2, np.arange(rows) - rows / 2)
    kept = rng.random(along.size) > rng.uniform(0, 0.3)
    along = along.ravel()[kept] * (length + gap)
    over = over.ravel()[kept] * (width + across)
    along = along + rng.normal(0, untidy * gap, len(along))
    over = over + rng.normal(0, untidy * gap, len(over))
    middle = rng.uniform(0.2, 0.8, 2) * size
    turns = turn + rng.normal(0, 0.15 * untidy, len(along))
    sizes = np.array([length, width]) * rng.uniform(0.85, 1.15, (len(along), 2))
    places = middle + np.stack(
        [along * np.cos(turn) - over * np.sin(turn), along * np.sin(turn) + over * np.cos(turn)], 1
    )
    boxes = np.column_stack([places, sizes, turns])
    inside = ((places > 0) & (places < size)).all(1)
    return _apart(boxes[inside]), max(gap, across), kind


def _apart(boxes):
    """Those of `boxes` that overlap none before them, by circles of their width."""
    kept = []
    for box in boxes:
        if all(np.hypot(*(box[:2] - other[:2])) > (box[3] + other[3]) / 2 for other in kept):
            kept.append(box)
    return np.array(kept).reshape(-1, 5)


def _within(box, size):
    """Window of a fine grid round a box: its slices, and where its pixels lie along and across.

    Both in half lengths: within -1 and 1 is inside.
    """
    reach = np.hypot(box[2], box[3]) / 2 + 1
    left, top = (max(0, int((c - reach) * FINE)) for c in box[:2])
    right, bottom = (min(size * FINE, int((c + reach) * FINE) + 1) for c in box[:2])
    dx = (np.arange(left, right) + 0.5) / FINE - box[0]
    dy = (np.arange(top, bottom)[:, None] + 0.5) / FINE - box[1]
    cos, sin = np.cos(box[4]), np.sin(box[4])
    along, across = (dx * cos + dy * sin) * 2 / box[2], (dy * cos - dx * sin) * 2 / box[3]
    return (slice(top, bottom), slice(left, right)), along, across


def ground_of(boxes, gap, size=CROP):
    """The camp's ground, `size` x `size` of 0 and 1: its roofs and what lies between them."""
    roofs = np.zeros((size * FINE, size * FINE), np.float32)
    for box in boxes:
        window, along, across = _within(box, size)
        roofs[window] = np.maximum(roofs[window], (abs(along) < 1) & (abs(across) < 1))
    reach = int(np.ceil(gap / 2)) + 2
    margin = 2 * reach
    covered = F.pad(F.max_pool2d(torch.from_numpy(roofs)[None, None], FINE), (margin,) * 4)
    grown = F.max_pool2d(covered, 2 * reach + 1, 1, reach)
    shrunk = -F.max_pool2d(-grown, 2 * (reach - 1) + 1, 1, reach - 1)
    return shrunk[0, 0, margin:-margin, margin:-margin]


def _bare(rng, pixels, ground):
    """Pixels worn to soil where the camp's `ground` is, more in some places than in others."""
    soil = torch.tensor(rng.uniform((0.45, 0.38, 0.3), (0.75, 0.65, 0.55))).float()[:, None, None]
    light = pixels[:, pixels.amax(0) > 0].mean() / soil.mean()
    soil = soil * light * rng.uniform(0.9, 1.5)
    rough = torch.from_numpy(rng.normal(0, 1, (1, 1, 18, 18))).float()
    rough = F.interpolate(rough, pixels.shape[1:], mode="bicubic")[0, 0]
    soft = F.avg_pool2d(ground[None, None], 5, 1, 2)[0, 0]
    worn = soft * (rng.uniform(0.3, 0.9) + 0.2 * rough).clamp(0, 1)
    grain = 1 + 0.06 * torch.from_numpy(rng.normal(0, 1, pixels.shape[1:])).float()
    return pixels + worn * (soil * grain - pixels)


def onto(rng, crop, gsd):
    """A `Crop` without camps, with one drawn on it: pixels, target; what was unknown stays so."""
    size, boxes = crop.pixels.shape[-1], ()
    while len(boxes) < LEAST:
        boxes, gap, kind = layout(rng, gsd, size)
    ground = ground_of(boxes, gap, size)
    pixels = _bare(rng, crop.pixels, ground).numpy()
    fine = pixels.repeat(FINE, 1).repeat(FINE, 2)
    sun = rng.uniform(0, 2 * np.pi)
    shadow = rng.uniform(*kind.height) * rng.uniform(0.3, 1.2) / gsd
    mean = pixels[:, pixels.max(0) > 0].mean()
    one = rng.random() < 0.6
    usual = ROOFS[rng.integers(len(ROOFS))]
    drop = np.array([np.cos(sun), np.sin(sun)]) * shadow
    for box in boxes:
        under = box + np.array([*drop, 0, 0, 0])
        window, along, across = _within(under, size)
        fine[:, *window] *= np.where((abs(along) < 1) & (abs(across) < 1), 0.55, 1)
    for box in boxes:
        window, along, across = _within(box, size)
        inside = (abs(along) < 1) & (abs(across) < 1)
        colour = usual if one or rng.random() < 0.3 else ROOFS[rng.integers(len(ROOFS))]
        roof = np.array(colour)[:, None, None] * rng.uniform(0.85, 1.1) * (0.5 + mean)
        # Two slopes, of which the one that faces the sun is brighter.
        faces = np.sin(sun - box[4]) * np.sign(across)
        roof = roof * (1 - 0.18 * faces)
        roof = roof * (1 + 0.03 * rng.standard_normal(across.shape))
        fine[:, *window] = np.where(inside, roof, fine[:, *window])
    drawn = fine.reshape(3, size, FINE, size, FINE).mean((2, 4)).astype(np.float32)
    seen = crop.pixels.amax(0) > 0
    share = F.avg_pool2d(ground[None, None], STRIDE)[0, 0]
    return replace(
        crop,
        pixels=torch.from_numpy(drawn).clamp(1 / 255, 1) * seen,
        target=torch.maximum(crop.target, share * (crop.weight > 0)),
    )
