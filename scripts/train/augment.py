"""Random training crops: where to cut, how to turn, how to colour, and what the net should say.

All geometry of a batch is done at once in torch: tiles are small, and a Python loop over pixels
or an image library would take longer than the net itself.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from boxes import envelopes
from data import TYPES

CROP = 80
"""Side of a training crop in pixels."""

BUMP_REACH = 9
"""How far from a centre, in pixels, the heat map is still above nought."""


@dataclass
class Targets:
    """What the net should say for a batch of B crops.

    `heatmap`, `weight`: B x CROP x CROP; weight is 0 where nothing is known. The rest describes
    the P pixels near a centre, one row each: `where` P x 3 (crop, y, x), `near` P (1 at the centre,
    falling off), `offset` P x 2 from the pixel's centre to the kiln's, `size_xy` P x 2, `box` P x 3
    (length, width, t), `oriented` P (bool; `box` is only truth where set), `kind` P (index into
    `data.TYPES`, -1 where unknown).
    """

    heatmap: torch.Tensor
    weight: torch.Tensor
    where: torch.Tensor
    near: torch.Tensor
    offset: torch.Tensor
    size_xy: torch.Tensor
    box: torch.Tensor
    oriented: torch.Tensor
    kind: torch.Tensor

    def to(self, device):
        """The same on a device."""
        return Targets(**{name: values.to(device) for name, values in vars(self).items()})


@dataclass
class View:
    """A crop's place in its tile: tile = centre + matrix @ (crop - CROP / 2)."""

    centre: np.ndarray
    matrix: np.ndarray

    def to_crop(self, points):
        """Tile points N x 2 in crop pixels."""
        return (points - self.centre) @ np.linalg.inv(self.matrix).T + CROP / 2


def random_view(rng, tile, scale=(0.75, 1.4)):
    """A random cut of `tile`, near a kiln two times out of three.

    Hand-drawn boxes are known in x and y only, so their tiles are flipped and turned by quarters;
    others turn by any angle.
    """
    height, width = tile.pixels.shape[1:]
    if len(tile.boxes) and rng.random() < 0.65:
        centre = tile.boxes[rng.integers(len(tile.boxes)), :2] + rng.uniform(-30, 30, 2)
    else:
        centre = rng.uniform(0, 1, 2) * (width, height)
    zoom = np.exp(rng.uniform(np.log(scale[0]), np.log(scale[1])))
    inside = np.minimum(CROP / 2 / zoom * 0.85, (width / 2, height / 2))
    centre = np.clip(centre, inside, (width, height) - inside)
    quarter = rng.integers(4) * np.pi / 2
    angle = rng.uniform(0, 2 * np.pi) if tile.oriented and rng.random() < 0.7 else quarter
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    flip = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    return View(centre, turn @ flip / zoom)


def cut(tiles, views):
    """Pixels of the views, B x 3 x CROP x CROP in 0..1; outside of a tile 0."""
    steps = torch.arange(CROP, dtype=torch.float32) + 0.5 - CROP / 2
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1)
    crops = []
    for tile, view in zip(tiles, views, strict=True):
        height, width = tile.pixels.shape[1:]
        matrix = torch.tensor(view.matrix.T, dtype=torch.float32)
        places = grid @ matrix + torch.tensor(view.centre, dtype=torch.float32)
        places = places / torch.tensor([width, height]) * 2 - 1
        pixels = torch.from_numpy(tile.pixels).float()[None] / 255
        crop = F.grid_sample(pixels, places[None], mode="bicubic", align_corners=False)
        seen = (pixels > 0).float()
        seen = F.grid_sample(seen, places[None], mode="nearest", align_corners=False)
        crops.append(crop.clamp(1 / 255, 1) * seen.amax(1, keepdim=True))
    return torch.cat(crops)


def recolour(rng, crops):
    """Change the light as the sources' stretch does: gain and gamma per band, haze, blur, noise."""
    seen = (crops.amax(1, keepdim=True) > 0).float()
    size = (len(crops), 1, 1, 1)
    bands = (len(crops), 3, 1, 1)

    def draw(low, high, shape):
        return torch.from_numpy(rng.uniform(low, high, shape)).float()

    gamma = draw(-0.3, 0.3, size) + draw(-0.1, 0.1, bands)
    gain = draw(-0.45, 0.4, size) + draw(-0.18, 0.18, bands)
    out = crops.clamp_min(1e-3) ** gamma.exp() * gain.exp()
    grey = out.mean(1, keepdim=True)
    out = grey + (out - grey) * draw(0.65, 1.25, size)
    haze = draw(0, 0.2, size) * torch.from_numpy(rng.random(size) < 0.3).float()
    out = out * (1 - haze) + haze * draw(0.7, 1.1, bands)
    soft = F.avg_pool2d(F.pad(out, (1, 1, 1, 1), mode="replicate"), 3, 1)
    out = out + (soft - out) * draw(-0.5, 0.6, size)
    noise = torch.from_numpy(rng.standard_normal(crops.shape, np.float32))
    out = out + noise * draw(0, 0.012, size)
    return out.clamp(1 / 255, 1) * seen


def drop_half_planes(rng, crops, share=0.12):
    """Black out one side of a random line in some crops, as at the border of a swath (in place)."""
    steps = torch.arange(CROP) + 0.5 - CROP / 2
    for crop in crops:
        if rng.random() < share:
            angle, shift = rng.uniform(0, 2 * np.pi), rng.uniform(-10, 40)
            side = steps[None, :] * np.cos(angle) + steps[:, None] * np.sin(angle)
            crop.mul_((side < shift).float())


def describe(tiles, views, crops):
    """The `Targets` of a batch; kilns whose centre is blacked out do not count."""
    steps = np.arange(CROP) + 0.5
    heatmap = np.zeros((len(tiles), CROP, CROP), np.float32)
    weight = np.ones_like(heatmap)
    rows = []
    for i, (tile, view) in enumerate(zip(tiles, views, strict=True)):
        for x0, y0, x1, y1 in tile.ignore:
            box = np.array([(x0, y0), (x1, y1)], float)
            points = view.to_crop(box)
            (left, top), (right, bottom) = points.min(0), points.max(0)
            inside = (steps[None, :] > left) & (steps[None, :] < right)
            weight[i][inside & (steps[:, None] > top) & (steps[:, None] < bottom)] = 0
        for centre, size_xy, box, kind in _objects(tile, view):
            x, y = int(np.floor(centre[0])), int(np.floor(centre[1]))
            inside = 0 <= x < CROP and 0 <= y < CROP
            if inside and not crops[i, :, y, x].any():
                continue
            top, left = max(0, y - BUMP_REACH), max(0, x - BUMP_REACH)
            part = heatmap[i, top : max(0, y + BUMP_REACH + 1), left : max(0, x + BUMP_REACH + 1)]
            if not part.size:
                continue
            dx = steps[left : left + part.shape[1]] - centre[0]
            dy = steps[top : top + part.shape[0], None] - centre[1]
            spread = 0.16 * np.sqrt(np.prod(size_xy))
            bump = np.exp(-(dx**2 + dy**2) / (2 * spread**2)).astype(np.float32)
            if inside:
                bump[y - top, x - left] = 1
            owned = (bump > 0.35) & (bump > part)
            np.maximum(part, bump, out=part)
            for v, u in zip(*np.nonzero(owned), strict=True):
                offset = centre - (left + u + 0.5, top + v + 0.5)
                truth = (*offset, *size_xy, *box, tile.oriented, kind)
                rows.append((i, top + v, left + u, bump[v, u], *truth))
    table = torch.tensor(np.array(rows, np.float32).reshape(-1, 13))
    return Targets(
        heatmap=torch.from_numpy(heatmap),
        weight=torch.from_numpy(weight),
        where=table[:, :3].long(),
        near=table[:, 3],
        offset=table[:, 4:6],
        size_xy=table[:, 6:8],
        box=table[:, 8:11],
        oriented=table[:, 11] > 0,
        kind=table[:, 12].long(),
    )


def _objects(tile, view):
    """Centre, (width, height), (length, width, t) and kind of each kiln, in crop pixels."""
    zoom = 1 / np.sqrt(abs(np.linalg.det(view.matrix)))
    inverse = np.linalg.inv(view.matrix)
    kinds = tile.kinds or [None] * len(tile.boxes)
    for box, kind in zip(tile.boxes, kinds, strict=True):
        centre = view.to_crop(box[:2])
        axis = inverse @ (np.cos(box[4]), np.sin(box[4]))
        t = np.arctan2(axis[1], axis[0])
        turned = (*centre, box[2] * zoom, box[3] * zoom, t)
        x0, y0, x1, y1 = envelopes(turned)[0]
        yield centre, np.array([x1 - x0, y1 - y0]), turned[2:], TYPES.index(kind) if kind else -1


def batch(rng, tiles):
    """A batch of one random crop per tile: (image B x 3 x CROP x CROP, `Targets`)."""
    views = [random_view(rng, tile) for tile in tiles]
    crops = cut(tiles, views)
    drop_half_planes(rng, crops)
    targets = describe(tiles, views, crops)
    return recolour(rng, crops), targets
