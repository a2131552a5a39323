"""Kiln-free ground: mosaics of its tiles, and which tiles are shown more often."""

import numpy as np
import torch
import torch.nn.functional as F

from data import Tile, stretch
from loop import device, fast
from robustness import as_a_scene

MARGIN = 8
"""Pixels of no data round a kiln-free tile that `Mining` looks at."""

ONE_RANGE = 0.67
"""Share of the mosaics whose bands are stretched over one range, as the scanner does. The rest are
stretched band by band, since scenes also come stretched by others."""


def mosaic(rng, pixels, chance=None):
    """A 128 x 128 `Tile` of 16 random kiln-free tiles (N x 3 x 32 x 32 uint16), stretched.

    `chance` is that of each tile to be drawn (N; default: the same for all). Some mosaics lack
    tiles, down to a few alone: the border of what is seen must not look like a kiln.
    """
    picked = pixels[rng.choice(len(pixels), size=(4, 4), p=chance)]
    missing = rng.random((4, 4)) < rng.choice([0, 0.4, 0.8])
    missing[tuple(rng.integers(4, size=2))] = False
    picked[missing] = 0
    whole = picked.transpose(2, 0, 3, 1, 4).reshape(3, 128, 128).astype(np.float32)
    # A scene is stretched over all of it, so a stretch over other tiles must be fine, too.
    wider = pixels[rng.integers(len(pixels), size=30)].transpose(1, 0, 2, 3).reshape(3, -1)
    flat = wider if rng.random() < 0.5 else whole[:, whole.any(0)]
    nothing = np.zeros((0, 5)), np.zeros((0, 4))
    return Tile(stretch(whole, *_ends(rng, flat)), *nothing, oriented=True, region="background")


def _ends(rng, pixels):
    """Values 3 x ... to stretch between: low and high end of each band."""
    if rng.random() < ONE_RANGE:
        low = np.percentile(pixels, rng.uniform(0, 1))
        # Of three bands together, the brightest holds most of the uppermost values.
        high = np.percentile(pixels, rng.uniform(99, 100))
        return np.repeat(low, 3), np.repeat(high, 3)
    low = np.percentile(pixels, rng.uniform(0, 1), axis=1)
    return low, np.percentile(pixels, rng.uniform(98, 100), axis=1)


class Mining:
    """The chance of each kiln-free tile to be drawn: more for those that score high.

    `pixels` are the tiles, N x 3 x 32 x 32; every `every` steps the network so far looks at all of
    them. `logits_of(net, image)` are its logits, B x ..., of a batch B x 3 x 48 x 48.
    """

    def __init__(self, pixels, every, logits_of):
        self.pixels, self.every, self.logits_of = pixels, every, logits_of
        self.chance = None

    def look(self, step, net):
        """Look with `net` if it is time; to be called at every step."""
        if len(self.pixels) and step > 1 and step % self.every == 1:
            scores = self._hardness(net)
            self.chance = 0.3 / len(self.pixels) + 0.7 * scores / scores.sum()

    @torch.no_grad()
    def _hardness(self, net, batch=64):
        """The best score on each tile, N.

        Tiles lie among no data and are stretched over all of them, as a validation meets them.
        """
        seen = as_a_scene(self.pixels.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)
        best = []
        for start in range(0, len(seen), batch):
            some = torch.from_numpy(seen[start : start + batch].astype(np.float32) / 255)
            image = F.pad(some, (MARGIN,) * 4)
            image = image.to(device(), memory_format=torch.channels_last)
            with fast():
                heat = self.logits_of(net, image).float().sigmoid()
            best.append(heat.flatten(1).amax(1).cpu().numpy())
        return np.concatenate(best)

    def state_dict(self):
        """For a checkpoint."""
        return {"chance": self.chance}

    def load_state_dict(self, state):
        """From a checkpoint."""
        self.chance = state["chance"]
