"""The network: the first stages of EfficientNet-Lite0, pretrained on ImageNet, and a small decoder.

The input is N x 3 x H x W in 0..1; no data are black. Height and width are multiples of
`encoder.SIZE_MULTIPLE`. The output is a logit for each cell of `STRIDE` pixels, N x 1 x H/2 x W/2.
"""

import torch
import torch.nn.functional as F
from torch import nn

from encoder import Encoder, encoder_slower, scaled
from network import Up, conv

STRIDE = 2

FROZEN = 3
"""Blocks after the stem that keep their weights: edges and colours are the same everywhere."""

CONTEXT = 9
"""Side of the window of surroundings, in cells of `encoder.SIZE_MULTIPLE` pixels."""


class CampNet(nn.Module):
    """Maps an image to logits of "camp-like"."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.wide = nn.Conv2d(112, 112, 1)
        self.skip8, self.skip4 = conv(40, 64, kernel=1), conv(24, 48, kernel=1)
        self.up8, self.up4 = Up(112, 64), Up(64, 48)
        self.head = nn.Conv2d(48, STRIDE * STRIDE, 1)
        # Start from the encoder's features alone; what the surroundings add is learned.
        with torch.no_grad():
            self.wide.weight.mul_(0.1)

    def forward(self, image):
        """N x 3 x H x W to logits N x 1 x H/2 x W/2."""
        _, x4, x8, x16 = self.encoder(scaled(image))
        around = F.avg_pool2d(x16, CONTEXT, 1, CONTEXT // 2, count_include_pad=False)
        x = self.up8(x16 + self.wide(around), self.skip8(x8))
        return F.pixel_shuffle(self.head(self.up4(x, self.skip4(x4))), STRIDE)

    def parameter_groups(self, rate):
        """What is trained, and how fast."""
        for module in (self.encoder.stem, *self.encoder.blocks[:FROZEN]):
            module.requires_grad_(False)
        return encoder_slower(self, rate)
