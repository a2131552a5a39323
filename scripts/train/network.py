"""The kiln network: U-shaped, fully convolutional, on an encoder that learned from photographs.

Shapes below are N x C x H x W; H and W are multiples of `SIZE_MULTIPLE`. The input is RGB scaled to
0..1 (DN / 255); 0 in every band is "no data" and is also what the first convolutions pad with, so
that the border of a chip looks to the net like the border of a swath.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import encoder
from data import TYPES

ZOOM = 2
"""How many times its size the encoder sees the picture: a kiln of ten pixels is too small for
filters that learned from photographs."""

SIZE_MULTIPLE = encoder.SIZE_MULTIPLE // ZOOM
"""Input height and width must be multiples of this."""

HEADS = {"heatmap": 1, "offset": 2, "size_xy": 2, "size_lw": 2, "angle": 2, "type": len(TYPES)}
"""Channels of each output map. `size_xy` is ln(width, height) of the axis-aligned box, `size_lw`
ln(length, width) of the oriented one, `angle` (cos 2t, sin 2t), `offset` pixels, all in input
pixels; `type` logits. Both kinds of box are learned, so that they can be compared; export writes
one."""

TYPICAL_SIZE_XY = (10.0, 9.0)
TYPICAL_SIZE_LW = (11.5, 5.6)
"""Pixels; where the size heads start, so that training only learns the difference."""


CONTEXT = 9
"""Side of the window of local statistics, in cells: 720 m, if a cell is of 80 m."""


def with_contrast(image, cell=8):
    """Append the log bands and their contrast with the surroundings: N x 3 -> N x 9.

    Tiles differ mostly by a gain per band; on a log scale a gain is a shift, which a convolution
    can ignore. The contrast is the log band less its mean within `CONTEXT` cells, over the spread
    there, the same for all bands: a gain vanishes, a gamma nearly does, and "redder than all else
    round here" is said as such. Means skip no data and vary smoothly from cell to cell, so that a
    kiln looks much the same wherever it lies on a chip. Zero stays zero.
    """
    seen = (image.amax(1, keepdim=True) > 0).to(image.dtype)
    log = torch.log1p(image * 30.0) / 3.4

    def mean(values):
        return F.avg_pool2d(F.avg_pool2d(values, cell), CONTEXT, 1, CONTEXT // 2)

    def grown(values):
        return F.interpolate(values, scale_factor=float(cell), mode="bilinear", align_corners=False)

    share = mean(seen) + 1e-4
    middle = mean(log * seen) / share
    spread = (mean(log.square() * seen) / share - middle.square()).clamp(min=0).add(1e-3).sqrt()
    contrast = (log - grown(middle)) / grown(spread.mean(1, keepdim=True)) * seen
    return torch.cat([image, log, contrast * 0.25], dim=1)


def conv(inputs, outputs, stride=1, kernel=3):
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Up(nn.Module):
    """Project, double the size, add the skip connection, convolve."""

    def __init__(self, inputs, outputs, convolutions=1):
        super().__init__()
        self.project = conv(inputs, outputs, kernel=1)
        self.mix = nn.Sequential(*(conv(outputs, outputs) for _ in range(convolutions)))

    def forward(self, below, skip):
        """N x C x H x W from below and its skip connection of twice the size."""
        grown = F.interpolate(self.project(below), scale_factor=2.0, mode="nearest")
        return self.mix(grown + skip)


class KilnNet(nn.Module):
    """Maps an image N x 3 x H x W to raw head outputs, each N x C x H x W (see `HEADS`).

    The encoder sees the picture alone, enlarged; what is redder than all else round it comes along
    a short path of its own (`with_contrast`), since no photograph taught the encoder that. The last
    layer is at half the resolution and answers for the four pixels of each of its cells: layers at
    full resolution would double the time and gain little.
    """

    def __init__(self, widths=(48, 64)):
        super().__init__()
        half, quarter = widths
        _, seen2, seen4, seen8 = encoder.CHANNELS
        self.encoder = encoder.Encoder()
        self.detail = nn.Sequential(conv(9, half, stride=2, kernel=5), conv(half, half))
        self.skip4, self.skip2 = conv(seen4, quarter, kernel=1), conv(seen2, half, kernel=1)
        self.up4, self.up2 = Up(seen8, quarter), Up(quarter, half)
        self.last = conv(half, 2 * half)
        self.heads = nn.Conv2d(2 * half, 4 * sum(HEADS.values()), 1)
        self._start_heads()

    def load_pretrained(self, state):
        """Take the encoder's weights from a state of the whole EfficientNet-Lite0."""
        self.encoder.load_pretrained(state)
        self.encoder.fold_scaling()

    def _start_heads(self):
        """Start from "no kiln anywhere, of typical size": the focal loss diverges otherwise."""
        start = {
            "heatmap": [-4.0],
            "offset": [0.0, 0.0],
            "size_xy": np.log(TYPICAL_SIZE_XY),
            "size_lw": np.log(TYPICAL_SIZE_LW),
            "angle": [0.0, 0.0],
            "type": [0.0] * len(TYPES),
        }
        values = np.concatenate([start[name] for name in HEADS])
        with torch.no_grad():
            self.heads.weight.mul_(0.1)
            self.heads.bias.copy_(torch.from_numpy(values).repeat_interleave(4))

    def forward(self, image):
        """Image N x 3 x H x W to raw maps by head name, each N x C x H x W."""
        large = F.interpolate(image, scale_factor=ZOOM, mode="bilinear", align_corners=False)
        _, x2, x4, x8 = self.encoder(large)
        x = self.up4(x8, self.skip4(x4))
        x = self.up2(x, self.skip2(x2) + self.detail(with_contrast(image)))
        maps = F.pixel_shuffle(self.heads(self.last(x)), 2).split(list(HEADS.values()), dim=1)
        return dict(zip(HEADS, maps, strict=True))
