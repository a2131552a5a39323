"""The screen network: tiny, fully convolutional, on pixels averaged by `FACTOR`.

It says for each cell of `CELL` pixels of the detector how likely the centre of a kiln lies in it.
The scanner keeps the highest of a chip, and shows the detector only chips where that is high
enough; so it has to be cheap, and to miss nothing.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from network import conv, with_contrast

FACTOR = 2
"""Pixels of the detector a side that are averaged into one of the screen: 20 m."""

CELL = 4
"""Side of a cell of the output in pixels of the detector."""

SIZE_MULTIPLE = 4
"""Height and width of the input must be multiples of this; in pixels of the detector, 8."""


def averaged(image):
    """N x 3 x H x W averaged by `FACTOR` without what is no data (0 in all bands)."""
    seen = (image.amax(1, keepdim=True) > 0).to(image.dtype)
    share = F.avg_pool2d(seen, FACTOR)
    return F.avg_pool2d(image * seen, FACTOR) / share.clamp(min=1e-6)


class ScreenNet(nn.Module):
    """Maps N x 3 x H x W (0..1, averaged) to logits N x 1 x H/2 x W/2."""

    def __init__(self, widths=(12, 24, 24)):
        super().__init__()
        first, second, wide = widths
        self.near = nn.Sequential(
            conv(9, first), conv(first, second, stride=2), conv(second, second)
        )
        self.far = nn.Sequential(conv(second, wide, stride=2), conv(wide, wide))
        self.back = conv(wide, second, kernel=1)
        self.mix = conv(second, second)
        self.last = nn.Conv2d(second, 1, 1)
        with torch.no_grad():
            # From "no kiln anywhere": the focal loss diverges otherwise.
            self.last.weight.mul_(0.1)
            self.last.bias.fill_(-4.0)

    def forward(self, image):
        """Averaged image to logits."""
        near = self.near(with_contrast(image, SIZE_MULTIPLE))
        far = F.interpolate(self.back(self.far(near)), scale_factor=2.0, mode="nearest")
        return self.last(self.mix(near + far))


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
