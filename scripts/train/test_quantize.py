"""Int8 copies of a network on small cases; skipped where torch is missing."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")
pytest.importorskip("onnxruntime.quantization")

import onnx
import torch

import quantize
from network import KilnNet
from synthetic import synthetic_tile

NO_BACKGROUND = np.zeros((0, 3, 32, 32), np.uint16)


def test_an_int8_network_says_nearly_what_the_float32_one_says():
    torch.manual_seed(0)
    net = KilnNet().eval()
    tiles = [synthetic_tile(seed) for seed in (1, 2, 3)]
    made = quantize.of_fold(net, "oriented", tiles, NO_BACKGROUND)
    assert tuple(made) == quantize.RUNGS
    whole, small = made["float32"], made["int8"]
    image = torch.from_numpy(synthetic_tile(4).pixels[None].astype(np.float32) / 255)
    assert small.names == whole.names == ["heatmap", "size", "offset", "angle", "type"]
    for name, one, other in zip(whole.names, whole(image), small(image), strict=True):
        assert one.shape == other.shape
        assert not torch.equal(one, other), name
        assert (one - other).abs().mean() < 0.1 * one.abs().mean() + 0.01, name
    assert all(taken > 0 for taken in quantize.milliseconds([whole, small], 64, rounds=2))


def test_convolutions_are_integers_and_files_are_the_same_each_time(tmp_path):
    torch.manual_seed(0)
    source = tmp_path / "float32.onnx"
    quantize.write_model(quantize.Detector(KilnNet().eval(), "oriented"), source)
    chips = quantize.calibration_chips([synthetic_tile(1)], NO_BACKGROUND)
    for name in ("one.onnx", "other.onnx"):
        quantize.quantize(source, tmp_path / name, chips)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "other.onnx").read_bytes()
    graph = onnx.load(tmp_path / "one.onnx").graph
    made = {output: node for node in graph.node for output in node.output}
    weights = [n.input[1] for n in graph.node if n.op_type == "Conv"]
    assert len(weights) > 10
    assert all(made[name].op_type == "DequantizeLinear" for name in weights[:-1])
    # The heads, and what keeps divisors off zero, are not.
    assert weights[-1] not in made
    divided = [n.input[1] for n in graph.node if n.op_type == "Div"]
    divisors = [made[name] for name in divided if name in made]
    assert divisors
    assert all(node.op_type != "DequantizeLinear" for node in divisors)


def test_where_nothing_is_seen_all_is_a_number(tmp_path):
    torch.manual_seed(0)
    net = KilnNet().eval()
    with torch.no_grad():
        # Scores so low that a step of eight bits rounds them to nothing.
        net.heads.bias[:4] = -12
    small = quantize.of_fold(net, "oriented", [synthetic_tile(1)], NO_BACKGROUND)["int8"]
    for name, values in zip(small.names, small(torch.zeros(1, 3, 64, 64)), strict=True):
        assert values.isfinite().all(), name


@pytest.mark.parametrize(("fall", "good"), [(0.0, True), (0.01, True), (0.02, False)])
def test_what_loses_too_much_is_not_shipped(fall, good):
    def pooled(at_50):
        return {"pooled": {"ap_iou_30": {"value": 0.8}, "ap_iou_50": {"value": at_50}}}

    assert quantize.is_good(pooled(0.7), pooled(0.7 - fall + 1e-9)) == good
    accuracy = {"oriented": pooled(0.7), "plain": pooled(0.7), "int8": pooled(0.7 - fall + 1e-9)}
    assert quantize.is_shipped(accuracy, "oriented") == good
    assert not quantize.is_shipped(accuracy, "plain")
