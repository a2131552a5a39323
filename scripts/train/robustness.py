"""What detection keeps when the picture changes in ways that happen: shift, light, scale, haze."""

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from boxes import envelopes
from data import stretch

STRETCH_PERCENTILES = (0.1, 99.8)
"""Stretch of a 16-bit scene that makes it look like the labelled tiles. Over the whole background
area it puts the median and the 98th percentile where they lie in the labelled tiles (about 0.2 and
0.6 of the range)."""

REFLECTANCE_LEVELS = (0.30, 0.60)
"""Where the median and the 98th percentile of background tiles lie in the range 0..1 when they are
read as reflectance, through the range in the card."""

HAZE_DN = 205
"""Brightness of haze, of 255."""


def as_a_scene(pixels):
    """Tiles of one scene, 3 x ..., stretched to 8 bits as the scanner does.

    One range for all bands, so that colours keep their relation; no data count for nothing.
    """
    ends = np.percentile(pixels[:, pixels.any(0)], STRETCH_PERCENTILES)
    return stretch(pixels, *(np.repeat(end, 3) for end in ends))


def as_reflectance(pixels):
    """A tile with its levels where reflectance would put them: one gain and shift for all bands."""
    middle, bright = np.percentile(pixels, (50, 98))
    gain = (REFLECTANCE_LEVELS[1] - REFLECTANCE_LEVELS[0]) * 255 / max(bright - middle, 1)
    return _kept(pixels, (pixels - middle) * gain + REFLECTANCE_LEVELS[0] * 255)


def brighter(pixels, gain):
    """A tile with all values multiplied."""
    return _kept(pixels, pixels * gain)


def hazy(pixels, share):
    """A tile seen through even, whitish haze of that share."""
    return _kept(pixels, pixels * (1 - share) + HAZE_DN * share)


def _kept(pixels, values):
    return np.where(pixels.any(0), np.clip(np.round(values), 1, 255), 0).astype(np.uint8)


def resampled(tile, zoom=1.0, shift=0.0):
    """A `Tile` on a grid of `zoom` as many pixels a side, moved by `shift` old pixels in x and y.

    Finer and as coarse grids are bicubic, coarser ones averaged over what they cover. Labels move
    along; what a moved grid does not see of the tile is no data.
    """
    height, width = (round(side * zoom) for side in tile.pixels.shape[1:])
    pixels = torch.from_numpy(tile.pixels.astype(np.float32))[None]
    if shift:
        steps = [(torch.arange(s) + 0.5 + shift) / s * 2 - 1 for s in pixels.shape[2:]]
        places = torch.stack(torch.meshgrid(steps[1], steps[0], indexing="xy"), -1)[None]
        made = F.grid_sample(
            pixels, places.float(), mode="bicubic", padding_mode="border", align_corners=False
        )
    else:
        made = F.interpolate(
            pixels, (height, width), mode="bicubic", antialias=True, align_corners=False
        )
    scale = np.array([width / tile.pixels.shape[2], height / tile.pixels.shape[1]])
    boxes = tile.boxes.copy()
    boxes[:, :2] = (boxes[:, :2] - shift) * scale
    boxes[:, 2:4] *= zoom

    def moved(spans):
        return (spans - shift) * np.tile(scale, 2)

    return dataclasses.replace(
        tile,
        pixels=np.clip(np.round(made[0].numpy()), 1, 255).astype(np.uint8),
        boxes=boxes,
        envelopes=envelopes(boxes) if tile.oriented else moved(tile.envelopes),
        ignore=moved(tile.ignore),
        gsd_m=tile.gsd_m / zoom,
    )


def recoloured(change, *arguments):
    """A change of a tile that leaves its geometry alone."""
    return lambda tile: dataclasses.replace(tile, pixels=change(tile.pixels, *arguments))


CHANGES = {
    "as it is": lambda tile: tile,
    "shifted by 0.25 px": lambda tile: resampled(tile, shift=0.25),
    "shifted by 0.5 px": lambda tile: resampled(tile, shift=0.5),
    "20 % darker": recoloured(brighter, 0.8),
    "20 % brighter": recoloured(brighter, 1.2),
    "resolution x 0.67 (15 m)": lambda tile: resampled(tile, zoom=0.67),
    "resolution x 0.8 (12.5 m)": lambda tile: resampled(tile, zoom=0.8),
    "resolution x 1.25 (8 m)": lambda tile: resampled(tile, zoom=1.25),
    "resolution x 1.5 (6.7 m)": lambda tile: resampled(tile, zoom=1.5),
    "haze, 15 %": recoloured(hazy, 0.15),
    "haze, 30 %": recoloured(hazy, 0.3),
    "stretched anew (8 bits)": recoloured(as_a_scene),
    "levels of reflectance": recoloured(as_reflectance),
}
"""By name: a function from `Tile` to the changed `Tile`."""
