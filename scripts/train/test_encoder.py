"""Weights of the encoder: how they are taken over; skipped where torch is missing."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from encoder import CHANNELS, Encoder, scaled


def pretrained(seed=0):
    """A made-up state of EfficientNet-Lite0: what `Encoder` takes of it."""
    torch.manual_seed(seed)
    state = {}

    def add(conv, norm, layer):
        state[f"{conv}.weight"] = torch.randn_like(layer.weight) * 0.1
        count = len(layer.weight)
        state[f"{norm}.weight"] = torch.rand(count) + 0.5
        state[f"{norm}.bias"] = torch.randn(count) * 0.1
        state[f"{norm}.running_mean"] = torch.randn(count) * 0.1
        state[f"{norm}.running_var"] = torch.rand(count) + 0.5

    encoder = Encoder()
    add("_conv_stem", "_bn0", encoder.stem[0])
    for i, block in enumerate(encoder.blocks):
        layers = [layer for layer in block.layers if isinstance(layer, nn.Conv2d)]
        names = ["_expand_conv", "_depthwise_conv", "_project_conv"][3 - len(layers) :]
        for number, (name, layer) in enumerate(zip(names, layers, strict=True), 3 - len(layers)):
            add(f"_blocks.{i}.{name}", f"_blocks.{i}._bn{number}", layer)
    return state


def test_pretrained_weights_are_folded_as_the_norms_would_act():
    state = pretrained()
    encoder = Encoder()
    encoder.load_pretrained(state)
    norm = nn.BatchNorm2d(32, eps=1e-3).eval()
    norm.load_state_dict(
        {k.removeprefix("_bn0."): v for k, v in state.items() if k.startswith("_bn0.")},
        strict=False,
    )
    image = torch.rand(1, 3, 32, 32)
    plain = nn.functional.conv2d(image, state["_conv_stem.weight"], stride=2, padding=1)
    assert torch.allclose(encoder.stem(image), norm(plain).clamp(0, 6), atol=1e-5)


def test_maps_get_coarser_by_half_and_are_of_the_channels_that_are_said():
    maps = Encoder()(scaled(torch.rand(2, 3, 48, 64)))
    sides = [(48 // cell, 64 // cell) for cell in (2, 4, 8, 16)]
    assert [(m.shape[1], tuple(m.shape[2:])) for m in maps] == list(
        zip(CHANNELS, sides, strict=True)
    )
