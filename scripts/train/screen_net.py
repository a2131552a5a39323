"""The screen network: fully convolutional, on a quarter of the detector's pixels.

It sees the picture as it is, the detector at twice its size. It says for each cell of `CELL` pixels
how likely the centre of a kiln lies in it. The scanner keeps the highest of a chip, and shows the
detector only chips where that is high enough; so it has to be cheap, and to miss nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from encoder import CHANNELS, SIZE_MULTIPLE, Encoder
from network import Up, conv, with_contrast

FACTOR = 1
"""Pixels of the detector a side that are averaged into one of the screen."""

CELL = 4
"""Side of a cell of the output in pixels."""

DETAIL = 2
"""Pixels a side that are averaged before contrast is taken, which is of broad things."""


def averaged(image):
    """N x 3 x H x W averaged by `DETAIL` without what is no data (0 in all bands)."""
    seen = (image.amax(1, keepdim=True) > 0).to(image.dtype)
    share = F.avg_pool2d(seen, DETAIL)
    return F.avg_pool2d(image * seen, DETAIL) / share.clamp(min=1e-6)


class ScreenNet(nn.Module):
    """Maps N x 3 x H x W (0..1; H and W multiples of `SIZE_MULTIPLE`) to logits N x 1 x H/4 x W/4.

    Like the detector (`network.KilnNet`), on a quarter of the pixels.
    """

    def __init__(self, widths=(32, 48)):
        super().__init__()
        quarter, eighth = widths
        _, seen4, seen8, seen16 = CHANNELS
        self.encoder = Encoder()
        self.detail = conv(9, quarter, stride=2, kernel=5)
        self.skip8, self.skip4 = conv(seen8, eighth, kernel=1), conv(seen4, quarter, kernel=1)
        self.up8, self.up4 = Up(seen16, eighth), Up(eighth, quarter)
        self.last = nn.Conv2d(quarter, 1, 1)
        with torch.no_grad():
            # From "no kiln anywhere": the focal loss diverges otherwise.
            self.last.weight.mul_(0.1)
            self.last.bias.fill_(-4.0)

    def load_pretrained(self, state):
        """Take the encoder's weights from a state of the whole EfficientNet-Lite0."""
        self.encoder.load_pretrained(state)
        self.encoder.fold_scaling()

    def forward(self, image):
        """Image to logits."""
        _, x4, x8, x16 = self.encoder(image)
        detail = self.detail(with_contrast(averaged(image), 8 // DETAIL))
        x = self.up8(x16, self.skip8(x8))
        return self.last(self.up4(x, self.skip4(x4) + detail))


class Screen(nn.Module):
    """The network as it is exported: probabilities, for sides that it fills up to its multiple."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        """Image to probabilities N x 1 x H/4 x W/4, with H and W rounded up to the multiple."""
        height, width = image.shape[2:]
        image = F.pad(image, (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE))
        return self.net(image).sigmoid()


@torch.no_grad()
def probabilities(screen, pixels):
    """Map of probabilities, one a cell, of 3 x H x W uint8 of any size; `screen` is a `Screen`."""
    return screen(torch.from_numpy(pixels.astype(np.float32))[None] / 255)[0, 0].numpy()
