"""The screen network: small, fully convolutional, on pixels averaged by `FACTOR`.

It says for each cell of `CELL` pixels of the detector how likely the centre of a kiln lies in it.
The scanner keeps the highest of a chip, and shows the detector only chips where that is high
enough; so it has to be cheap, and to miss nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from encoder import CHANNELS, Encoder
from network import ZOOM, Up, conv, with_contrast

FACTOR = 2
"""Pixels of the detector a side that are averaged into one of the screen: 20 m."""

CELL = 4
"""Side of a cell of the output in pixels of the detector."""

SIZE_MULTIPLE = 4
"""Height and width of the input must be multiples of this; in pixels of the detector, 8."""

CONTRAST_CELL = 4
"""Cells of `with_contrast`, so that they are of 80 m, as the detector's."""


def averaged(image):
    """N x 3 x H x W averaged by `FACTOR` without what is no data (0 in all bands)."""
    seen = (image.amax(1, keepdim=True) > 0).to(image.dtype)
    share = F.avg_pool2d(seen, FACTOR)
    return F.avg_pool2d(image * seen, FACTOR) / share.clamp(min=1e-6)


class ScreenNet(nn.Module):
    """Maps N x 3 x H x W (0..1, averaged) to logits N x 1 x H/2 x W/2.

    Like the detector (`network.KilnNet`), with fewer stages of the same encoder.
    """

    def __init__(self, width=32):
        super().__init__()
        _, seen2, seen4 = CHANNELS[:3]
        self.encoder = Encoder(stages=3)
        self.detail = conv(9, width, stride=2, kernel=5)
        self.skip2 = conv(seen2, width, kernel=1)
        self.up2 = Up(seen4, width)
        self.last = nn.Conv2d(width, 1, 1)
        with torch.no_grad():
            # From "no kiln anywhere": the focal loss diverges otherwise.
            self.last.weight.mul_(0.1)
            self.last.bias.fill_(-4.0)

    def load_pretrained(self, state):
        """Take the encoder's weights from a state of the whole EfficientNet-Lite0."""
        self.encoder.load_pretrained(state)
        self.encoder.fold_scaling()

    def forward(self, image):
        """Averaged image to logits."""
        large = F.interpolate(image, scale_factor=ZOOM, mode="bilinear", align_corners=False)
        _, x2, x4 = self.encoder(large)
        detail = self.detail(with_contrast(image, CONTRAST_CELL))
        return self.last(self.up2(x4, self.skip2(x2) + detail))


class Screen(nn.Module):
    """The network as it is exported: probabilities."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        """Averaged image to probabilities N x 1 x H/2 x W/2."""
        return self.net(image).sigmoid()


@torch.no_grad()
def probabilities(net, pixels):
    """Map of probabilities, one a cell, of 3 x H x W uint8 of any size."""
    height, width = pixels.shape[1:]
    multiple = FACTOR * SIZE_MULTIPLE
    padding = (0, -width % multiple, 0, -height % multiple)
    image = F.pad(torch.from_numpy(pixels.astype(np.float32))[None] / 255, padding)
    return Screen(net)(averaged(image))[0, 0].numpy()
