"""Running a network on whole images."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from decode import STORE_SCORE, detections
from network import SIZE_MULTIPLE

STYLES = ("oriented", "plain")


class Detector(nn.Module):
    """The network as it is exported: named maps that a decoder can read as they are.

    With `turned`, the picture is also seen turned by 180 degrees, and both answers are averaged:
    what looks like a kiln by chance seldom does so both ways. That turn leaves the directions of
    boxes as they are. It takes twice the time.

    Boxes are averaged over the 3 x 3 pixels round each pixel, weighted by the heat map: all of
    them learned to describe the same kiln, so their mean is steadier than one of them.
    `style` is `oriented` (length, width, angle) or `plain` (size along x, size along y); with
    `typed`, logits of the types are the last output.
    """

    def __init__(self, net, style, typed=True, turned=True):
        super().__init__()
        self.net = net
        self.style = style
        self.typed = typed
        self.turned = turned

    @property
    def names(self):
        """Names of the outputs, in order."""
        angle = ["angle"] if self.style == "oriented" else []
        return ["heatmap", "size", "offset", *angle, *(["type"] if self.typed else [])]

    def forward(self, image):
        """N x 3 x H x W in 0..1 to the maps of `names`, each N x C x H x W."""
        maps = self._seen(image)
        heat = maps["heatmap"]
        weight = heat + 1e-4
        total = F.avg_pool2d(weight, 3, 1, 1)

        def steady(values):
            return F.avg_pool2d(values * weight, 3, 1, 1) / total

        out = [heat]
        if self.style == "plain":
            out += [steady(maps["size_xy"]), steady(maps["offset"])]
        else:
            out += [steady(maps["size_lw"]), steady(maps["offset"]), steady(maps["angle"])]
        return tuple(out + ([steady(maps["type"])] if self.typed else []))

    def _seen(self, image):
        """Maps of the network, `heatmap` as a probability; the mean of both ways up if `turned`."""
        count = image.shape[0]
        maps = self.net(torch.cat([image, image.flip(2, 3)]) if self.turned else image)
        maps = maps | {"heatmap": maps["heatmap"].sigmoid()}
        if not self.turned:
            return maps
        # Turned back, an offset points the other way.
        signs = {name: -1 if name == "offset" else 1 for name in maps}
        return {
            name: (values[:count] + signs[name] * values[count:].flip(2, 3)) / 2
            for name, values in maps.items()
        }


@torch.no_grad()
def predict(detector, pixels, store=STORE_SCORE):
    """Boxes N x 5, scores N and types N x T (see `detections`) of 3 x H x W uint8 of any size."""
    height, width = pixels.shape[1:]
    padding = (0, -width % SIZE_MULTIPLE, 0, -height % SIZE_MULTIPLE)
    image = F.pad(torch.from_numpy(pixels.astype(np.float32))[None] / 255, padding)
    maps = [m[0, :, :height, :width].numpy() for m in detector(image)]
    return detections(dict(zip(detector.names, maps, strict=True)), store=store)
