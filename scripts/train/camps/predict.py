"""From an image to areas, as the scanner does it."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from calibration import Calibration
from camps.network import STRIDE
from encoder import SIZE_MULTIPLE


@dataclass
class Rule:
    """What becomes an area: the card's threshold, smallest area, scores and lowest score."""

    threshold: float = 0.5
    min_area_m2: float = 300.0
    min_score: float = 0.0
    line: Calibration = field(default_factory=Calibration)


class Probabilities(nn.Module):
    """The network as it is exported: probabilities in cells of `STRIDE` pixels."""

    names: ClassVar = ["probability"]

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        """Image N x 3 x H x W in 0..1 to N x 1 x H/2 x W/2, the only output."""
        return (self.net(image).sigmoid(),)


@torch.no_grad()
def probabilities(net, pixels):
    """Probability of each cell of 3 x H x W uint8 of any size at the model's ground size."""
    rows, columns = (-(-side // STRIDE) for side in pixels.shape[1:])
    padding = (0, -pixels.shape[2] % SIZE_MULTIPLE, 0, -pixels.shape[1] % SIZE_MULTIPLE)
    image = F.pad(torch.from_numpy(pixels.astype(np.float32))[None] / 255, padding)
    return net(image).sigmoid()[0, 0, :rows, :columns].numpy()


def labelled(cells):
    """Numbers of the regions of True `cells` that hang together by edges, 0 elsewhere."""
    numbers = np.zeros(cells.shape, int)
    parent = [0]

    def root(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    above = []
    for y, row in enumerate(cells):
        steps = np.diff(np.concatenate([[0], row.astype(np.int8), [0]]))
        runs = []
        ends = np.flatnonzero(steps == -1)
        for start, end in zip(np.flatnonzero(steps == 1), ends, strict=True):
            touching = [root(n) for s, e, n in above if s < end and start < e]
            if touching:
                number = min(touching)
                for other in touching:
                    parent[other] = number
            else:
                number = len(parent)
                parent.append(number)
            numbers[y, start:end] = number
            runs.append((start, end, number))
        above = runs
    return np.array([root(i) for i in range(len(parent))])[numbers]


def areas(probability, rule, cell_m2):
    """Areas in a map of probabilities: a list of (cells H x W bool, mean probability).

    Those too small or scoring too low for the `Rule` are left out.
    """
    numbers = labelled(probability >= rule.threshold).ravel()
    counts = np.bincount(numbers)
    means = np.bincount(numbers, probability.ravel()) / np.maximum(counts, 1)
    fits = (counts * cell_m2 >= rule.min_area_m2) & (rule.line.apply(means) >= rule.min_score)
    return [
        ((numbers == n).reshape(probability.shape), float(means[n]))
        for n in np.flatnonzero(fits & (counts > 0))
        if n
    ]


def covered(probability, rule, cell_m2):
    """Cells in any area, H x W bool."""
    found = [cells for cells, _ in areas(probability, rule, cell_m2)]
    return np.any(found, axis=0) if found else np.zeros(probability.shape, bool)
