"""Copy-paste: labelled kilns with their yards, set into kiln-free mosaics, edges blended."""

import dataclasses

import numpy as np

from boxes import envelopes

REACH = 20
"""Half the side of the square that is copied with a kiln, in pixels."""

YARD, FADE = 3, 6
"""Pixels round a kiln that come along whole, and those over which the copy fades."""

CROWDED = 0.5
"""Share of the pastes in which kilns stand side by side, as they do in the thick of the belt."""

BESIDE = 16
"""How far from another kiln of a crowd the next one is set at most, in x and y, in pixels."""

OWN = 3
"""Pixels round a kiln over which it gives way to what is pasted later; its box does not."""


def onto(rng, target, tiles, weights):
    """`target` (a `Tile` without kilns) with kilns of one of `tiles` on it, apart or in a crowd.

    Only kilns of a single tile are taken, so that they agree in light and in kind of label.
    Another kiln that comes along in the margin of a copy counts neither way.
    """
    source = tiles[rng.choice(len(tiles), p=weights)]
    height, width = target.pixels.shape[1:]
    pixels = target.pixels.astype(np.float32)
    owned = np.zeros((height, width))
    boxes, kinds, ignore = [], [], []
    is_crowd = rng.random() < CROWDED
    count = rng.integers(6, 25) if is_crowd else rng.integers(1, 5)
    for _ in range(count if len(source.boxes) else 0):
        chosen = int(rng.integers(len(source.boxes)))
        copy = _copy(source, chosen)
        if copy is None:
            continue
        patch, box, others = _turned(rng, *copy)
        x, y = _place(rng, (width, height), boxes if is_crowd else [])
        window = slice(y - REACH, y + REACH), slice(x - REACH, x + REACH)
        part, taken = pixels[:, *window], owned[window]
        outside = _distance(box)
        if not part[:, REACH, REACH].any() or taken[outside <= 0].max(initial=0) > 0.3:
            continue
        # Yards run into one another, kilns do not.
        cover = np.clip(1 - (outside - YARD) / FADE, 0, 1) * part.any(0) * (1 - taken)
        part += cover * (_in_light_of(rng, patch, part, outside) - part)
        np.maximum(taken, np.clip(1 - outside / OWN, 0, 1), out=taken)
        shift = np.array([x - REACH, y - REACH], float)
        boxes.append(np.concatenate([box[:2] + shift, box[2:]]))
        kinds.append(source.kinds[chosen] if source.kinds else None)
        seen = cover[tuple(((others[:, :2] + others[:, 2:]) / 2).astype(int).T[::-1])] > 0.1
        ignore += [other + np.tile(shift, 2) for other in others[seen]]
    made = np.array(boxes).reshape(-1, 5)
    return dataclasses.replace(
        target,
        pixels=np.where(target.pixels.any(0), np.clip(pixels, 1, 255), 0).astype(np.uint8),
        boxes=made,
        envelopes=envelopes(made),
        oriented=source.oriented,
        kinds=kinds,
        ignore=np.array(ignore).reshape(-1, 4),
    )


def _copy(source, chosen):
    """Square of pixels round a kiln, its box and its neighbours' envelopes.

    Coordinates are those of the square; None where the square leaves the tile.
    """
    box = source.boxes[chosen]
    left, top = (np.round(box[:2]) - REACH).astype(int)
    height, width = source.pixels.shape[1:]
    if left < 0 or top < 0 or left + 2 * REACH > width or top + 2 * REACH > height:
        return None
    patch = source.pixels[:, top : top + 2 * REACH, left : left + 2 * REACH].astype(np.float32)
    others = np.delete(source.envelopes, chosen, 0) - (left, top, left, top)
    near = np.concatenate([others, source.ignore - (left, top, left, top)])
    middle = (near[:, :2] + near[:, 2:]) / 2
    near = near[(np.abs(middle - REACH) < REACH).all(1)]
    return patch, box - (left, top, 0, 0, 0), near


def _place(rng, size, crowd):
    """Where to set the middle of a copy (x, y): beside one of the boxes `crowd`, if there are any.

    The square lies within the picture of `size` (width, height).
    """
    low, high = REACH, np.array(size) - REACH
    if not crowd:
        return rng.integers(low, high + 1)
    beside = crowd[rng.integers(len(crowd))][:2] + rng.uniform(-BESIDE, BESIDE, 2)
    return np.clip(beside.astype(int), low, high)


def _distance(box):
    """How far the pixels of the square lie outside of a box, along its length or width."""
    steps = np.arange(2 * REACH) + 0.5
    dx, dy = steps[None] - box[0], steps[:, None] - box[1]
    along = np.abs(dx * np.cos(box[4]) + dy * np.sin(box[4])) - box[2] / 2
    across = np.abs(dy * np.cos(box[4]) - dx * np.sin(box[4])) - box[3] / 2
    return np.maximum(along, across)


def _turned(rng, patch, box, others):
    """The copy flipped and turned by a quarter at random, its boxes with it."""
    if rng.random() < 0.5:
        patch = patch[:, :, ::-1]
        box = np.array([2 * REACH - box[0], *box[1:4], -box[4]])
        others = np.stack(
            [2 * REACH - others[:, 2], others[:, 1], 2 * REACH - others[:, 0], others[:, 3]], 1
        )
    for _ in range(rng.integers(4)):
        patch = np.rot90(patch, 1, (1, 2))
        box = np.array([box[1], 2 * REACH - box[0], box[2], box[3], box[4] - np.pi / 2])
        others = np.stack(
            [others[:, 1], 2 * REACH - others[:, 2], others[:, 3], 2 * REACH - others[:, 0]], 1
        )
    return patch, box, others


def _in_light_of(rng, patch, part, outside):
    """The copy, its light moved a random share of the way to that of where it is set.

    What lies round the kiln should look like what lies there: it would stand in a halo otherwise,
    and be known by that. Its colour moves less, or kilns would lose theirs.
    """
    ring = (outside > YARD) & (outside <= YARD + FADE) & part.any(0)
    if not ring.any():
        return patch
    here, there = (np.log(np.maximum(p, 1))[:, ring].mean(1) for p in (patch, part))
    bands = there - here
    light = bands.mean()
    gain = np.exp(rng.uniform(0.3, 1) * light + rng.uniform(0, 0.5) * (bands - light))
    return np.clip(patch * gain[:, None, None], 1, 255)
