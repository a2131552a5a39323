"""Training crops: cuts of scenes, and mosaics of classified chips, coloured as other sensors do.

All crops are `CROP` pixels of the model's ground size a side. Beside the pixels, each has the
share of every output cell that is camp-like, and a weight: 0 where nothing is known. Cells of
chips that are camp-like as a whole are marked apart, since lanes and gardens lie in them, too.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from augment import recolour
from camps.data import PARK
from camps.network import STRIDE

CROP = 144
CELLS = 3
"""A mosaic has `CELLS` x `CELLS` chips."""
SCALES = (0.6, 1.6)
"""How much smaller or larger than they are things may look."""
KINDS = {
    PARK: 0.3,
    "denseresidential": 0.2,
    "buildings": 0.2,
    "storagetanks": 0.15,
    "agricultural": 0.15,
}
"""Shares of the classes in mosaics."""


@dataclass
class Crop:
    """One crop: pixels 3 x S x S in 0..1, target, weight and park S/2 x S/2."""

    pixels: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    park: torch.Tensor


def cut(pixels, mask, centre, span, size):
    """A square of `span` pixels round `centre` (y, x) as a `Crop` of `size`; outside is no data."""
    span = round(span)
    top, left = (round(c - span / 2) for c in centre)
    height, width = mask.shape
    window = np.zeros((5, span, span), np.float32)
    rows = slice(max(0, top), min(height, top + span))
    columns = slice(max(0, left), min(width, left + span))
    inside = (
        slice(rows.start - top, rows.stop - top),
        slice(columns.start - left, columns.stop - left),
    )
    part = pixels[:, rows, columns]
    window[(slice(0, 3), *inside)] = part / np.float32(255)
    window[(3, *inside)] = mask[rows, columns]
    window[(4, *inside)] = 1
    whole = torch.from_numpy(window)[None]
    image = F.interpolate(whole, (size, size), mode="bilinear", antialias=True)[0]
    image, seen = image[:3], image[4:] > 0.999
    coarse = F.interpolate(whole[:, 3:], (size // STRIDE,) * 2, mode="bilinear", antialias=True)[0]
    return Crop(
        image.clamp(1 / 255, 1) * seen,
        coarse[0].clamp(0, 1),
        (coarse[1] > 0.999).float(),
        torch.zeros_like(coarse[0]),
    )


def turned(rng, crop):
    """The crop turned by quarters and mirrored at random."""
    quarters, mirror = int(rng.integers(4)), bool(rng.integers(2))

    def turn(values):
        values = torch.rot90(values, quarters, (-2, -1))
        return values.flip(-1) if mirror else values

    return Crop(*(turn(v) for v in (crop.pixels, crop.target, crop.weight, crop.park)))


def log_uniform(rng, low, high):
    """A random factor between `low` and `high`, equally likely above and below their middle."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def scene_crop(rng, scene, gsd, size=CROP, edges=None):
    """A random cut of a scene; round one of `edges` (N x 2, y and x), if given, two in three."""
    zoom = log_uniform(rng, *SCALES)
    span = size * gsd / scene.gsd / zoom
    height, width = scene.mask.shape
    if edges is not None and len(edges) and rng.random() < 0.67:
        centre = edges[rng.integers(len(edges))] + rng.uniform(-0.35, 0.35, 2) * span
    else:
        centre = rng.uniform(0, 1, 2) * (height, width)
    # Most of the cut lies within the scene, now and then its border is seen.
    inside = np.minimum(span / 2 * rng.choice([0.7, 1.0]), (height / 2, width / 2))
    centre = np.clip(centre, inside, (height, width) - inside)
    return turned(rng, cut(scene.pixels, scene.mask, centre, span, size))


def chip_crop(rng, chip, gsd, size):
    """A random cut of a chip, none of it outside."""
    height, width = chip.pixels.shape[1:]
    smallest = size * gsd / chip.gsd / min(height, width)
    span = size * gsd / chip.gsd / log_uniform(rng, max(smallest, SCALES[0]), SCALES[1])
    span = min(span, height, width)
    centre = [rng.uniform(span / 2, side - span / 2) for side in (height, width)]
    park = chip.kind == PARK
    crop = cut(chip.pixels, np.full((height, width), park), centre, span, size)
    if park:
        crop.park = crop.weight.clone()
    return turned(rng, crop)


def mosaic(rng, chips, scenes, gsd):
    """`CELLS` x `CELLS` random chips by `KINDS`, some cells cuts of scenes or no data.

    Every other mosaic is of one class: a park goes on beyond a chip, and fields do. Some have few
    chips, down to one alone.
    """
    side = CROP // CELLS
    whole = Crop(
        torch.zeros(3, CROP, CROP), *(torch.zeros(CROP // STRIDE, CROP // STRIDE) for _ in range(3))
    )
    kinds, shares = list(KINDS), list(KINDS.values())
    same = kinds[rng.choice(len(kinds), p=shares)] if rng.random() < 0.5 else None
    missing = rng.choice([0, 0.1, 0.7], p=[0.5, 0.25, 0.25])
    for row in range(CELLS):
        for column in range(CELLS):
            if rng.random() < missing:
                continue
            if not same and rng.random() < 0.12:
                cell = scene_crop(rng, scenes[rng.integers(len(scenes))], gsd, side)
            else:
                some = chips[same or kinds[rng.choice(len(kinds), p=shares)]]
                cell = chip_crop(rng, some[rng.integers(len(some))], gsd, side)
            for name, step in (("pixels", 1), ("target", 2), ("weight", 2), ("park", 2)):
                top, left, size = (v // step for v in (row * side, column * side, side))
                values = getattr(whole, name)
                values[..., top : top + size, left : left + size] = getattr(cell, name)
    return whole


def soften(rng, images, share=0.25):
    """Some images as a coarser sensor sees them, down to half the resolution (B x 3 x S x S)."""
    out = []
    for image in images:
        if rng.random() < share:
            size = int(images.shape[-1] / rng.uniform(1.2, 2.0))
            seen = image.amax(0, keepdim=True) > 0
            small = F.interpolate(image[None], (size, size), mode="bilinear", antialias=True)
            image = F.interpolate(small, images.shape[-2:], mode="bilinear")[0]
            image = image.clamp(1 / 255, 1) * seen
        out.append(image)
    return torch.stack(out)


def mixed(rng, images, share=0.2):
    """Images with their bands mixed a little, as other sensors do; a `share` towards grey."""
    mixing = torch.eye(3) + torch.from_numpy(rng.normal(0, 0.08, (len(images), 3, 3))).float()
    mixing = mixing / mixing.sum(2, keepdim=True)
    grey = torch.from_numpy(rng.uniform(0, 1, len(images)) * (rng.random(len(images)) < share))
    grey = grey.float()[:, None, None]
    mixing = mixing * (1 - grey) + grey / 3
    seen = images.amax(1, keepdim=True) > 0
    return torch.einsum("bij,bjhw->bihw", mixing, images).clamp(1 / 255, 1) * seen


def batch(rng, crops):
    """Crops as tensors: (images B x 3 x S x S in 0..1, target, weight, park B x S/2 x S/2)."""
    images = torch.stack([crop.pixels for crop in crops])
    images = recolour(rng, mixed(rng, soften(rng, images)))
    rest = (torch.stack([getattr(c, name) for c in crops]) for name in ("target", "weight", "park"))
    return (images, *rest)
