"""Copy-paste: labelled kilns with their yards, set into kiln-free mosaics, edges blended."""

import dataclasses

import numpy as np

from boxes import envelopes

REACH = 20
"""Half the side of the square that is copied with a kiln, in pixels."""

GAP = 26
"""Least distance between the centres of two pasted kilns, in pixels."""


def onto(rng, target, tiles, weights):
    """`target` (a `Tile` without kilns) with one to four kilns of one of `tiles` on it.

    Only kilns of a single tile are taken, so that they agree in light and in kind of label.
    Another kiln that comes along in the margin of a copy counts neither way.
    """
    source = tiles[rng.choice(len(tiles), p=weights)]
    height, width = target.pixels.shape[1:]
    pixels = target.pixels.astype(np.float32)
    boxes, kinds, ignore, centres = [], [], [], []
    for _ in range(rng.integers(1, 5) if len(source.boxes) else 0):
        chosen = int(rng.integers(len(source.boxes)))
        copy = _copy(source, chosen)
        if copy is None:
            continue
        patch, cover, box, others = _turned(rng, *copy)
        x, y = rng.integers(REACH, (width - REACH + 1, height - REACH + 1))
        if any(np.hypot(x - u, y - v) < GAP for u, v in centres):
            continue
        part = pixels[:, y - REACH : y + REACH, x - REACH : x + REACH]
        if not part[:, REACH, REACH].any():
            continue
        cover = cover * part.any(0)
        part += cover * (_in_light_of(rng, patch, part, cover) - part)
        centres.append((x, y))
        shift = np.array([x - REACH, y - REACH], float)
        boxes.append(np.concatenate([box[:2] + shift, box[2:]]))
        kinds.append(source.kinds[chosen] if source.kinds else None)
        ignore += [other + np.tile(shift, 2) for other in others]
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
    """Square of pixels round a kiln, its cover 0..1, its box and its neighbours' envelopes.

    Coordinates are those of the square; None where the square leaves the tile.
    """
    box = source.boxes[chosen]
    left, top = (np.round(box[:2]) - REACH).astype(int)
    height, width = source.pixels.shape[1:]
    if left < 0 or top < 0 or left + 2 * REACH > width or top + 2 * REACH > height:
        return None
    patch = source.pixels[:, top : top + 2 * REACH, left : left + 2 * REACH].astype(np.float32)
    box = box - (left, top, 0, 0, 0)
    steps = np.arange(2 * REACH) + 0.5
    dx, dy = steps[None] - box[0], steps[:, None] - box[1]
    along = np.abs(dx * np.cos(box[4]) + dy * np.sin(box[4])) - box[2] / 2
    across = np.abs(dy * np.cos(box[4]) - dx * np.sin(box[4])) - box[3] / 2
    # Three pixels of yard come along whole, then it fades.
    cover = np.clip(1 - (np.maximum(along, across) - 3) / 4, 0, 1)
    others = np.delete(source.envelopes, chosen, 0) - (left, top, left, top)
    near = np.concatenate([others, source.ignore - (left, top, left, top)])
    middle = (near[:, :2] + near[:, 2:]) / 2
    near = near[(np.abs(middle - REACH) < REACH).all(1)]
    return patch, cover, box, near


def _turned(rng, patch, cover, box, others):
    """The copy flipped and turned by a quarter at random, its boxes with it."""
    if rng.random() < 0.5:
        patch, cover = patch[:, :, ::-1], cover[:, ::-1]
        box = np.array([2 * REACH - box[0], *box[1:4], -box[4]])
        others = np.stack(
            [2 * REACH - others[:, 2], others[:, 1], 2 * REACH - others[:, 0], others[:, 3]], 1
        )
    for _ in range(rng.integers(4)):
        patch, cover = np.rot90(patch, 1, (1, 2)), np.rot90(cover)
        box = np.array([box[1], 2 * REACH - box[0], box[2], box[3], box[4] - np.pi / 2])
        others = np.stack(
            [others[:, 1], 2 * REACH - others[:, 2], others[:, 3], 2 * REACH - others[:, 0]], 1
        )
    return patch, cover, box, others


def _in_light_of(rng, patch, part, cover):
    """The copy, its light moved a random share of the way to that of where it is set."""
    here, there = (np.log(np.maximum(p, 1))[:, part.any(0)].mean(1) for p in (patch, part))
    gain = np.exp(rng.uniform(0, 0.6) * (there - here))
    return np.clip(patch * gain[:, None, None], 1, 255)
