"""The same places in other pictures: light, haze, blur, and a ground size that is not as told."""

import numpy as np
import torch
import torch.nn.functional as F

from robustness import brighter, hazy


def coarse(pixels, factor):
    """Pixels as a sensor sees them whose own are `factor` as large."""
    values = torch.from_numpy(pixels.astype(np.float32))[None]
    size = [round(side / factor) for side in pixels.shape[1:]]
    small = F.interpolate(values, size, mode="bilinear", antialias=True)
    back = F.interpolate(small, pixels.shape[1:], mode="bilinear")[0].numpy()
    return np.clip(np.round(back), 1, 255).astype(np.uint8)


def stretched(pixels, percentiles=(1, 99)):
    """Each band stretched anew between percentiles of this picture alone."""
    flat = pixels.reshape(3, -1).astype(np.float32)
    low, high = (v[:, None, None] for v in np.percentile(flat, percentiles, axis=1))
    values = (pixels - low) / np.maximum(high - low, 1) * 255
    return np.clip(np.round(values), 1, 255).astype(np.uint8)


CHANGES = {
    "as it is": (1.0, None),
    "things look 0.6 times as large": (0.6, None),
    "things look 1.6 times as large": (1.6, None),
    "20 % darker": (1.0, lambda pixels: brighter(pixels, 0.8)),
    "20 % brighter": (1.0, lambda pixels: brighter(pixels, 1.2)),
    "haze of 20 %": (1.0, lambda pixels: hazy(pixels, 0.2)),
    "blurred, as by pixels of 2 m": (1.0, lambda pixels: coarse(pixels, 2.0)),
    "stretched anew, percentiles 1 and 99": (1.0, stretched),
}
"""By name: how large things look, and what is done to the pixels."""
