"""A float32 model as an int8 one, and what that gains and costs.

Static quantization (QDQ): weights per channel, activations per tensor, their ranges taken from
real chips without the outermost values, for whose sake all others would be told less finely. What
comes before the first convolutions (logarithms, contrast, enlarging) and after the last hidden one
(the heads, and the weighted means over heat, where a small term that is added keeps a divisor off
zero) stays float32: a step of eight bits is too coarse there. Weights use seven of the eight bits,
since processors without VNNI add pairs of 8-bit products in 16 bits and would overflow.
"""

import contextlib
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

import background
from graph import clean, write_model
from network import SIZE_MULTIPLE
from predict import STYLES, Detector

CHIPS = 32
"""Chips that the ranges of activations are taken from; 8 GB of memory hold what they make."""

PERCENTILE = 99.99
"""Share of an activation's values that lies within its range, in percent."""

MAX_LOSS = 0.01
"""An int8 model is shipped if AP@0.3 and AP@0.5 fall by no more."""

QUANTIZED = ("Conv", "Relu", "Clip", "Add", "Resize")
"""Kinds of operations that are done on integers."""


RUNGS = ("one_way", "float32", "int8")
"""Of the ladder of speed: float32 without the turned picture, float32 and int8 with it."""


class _Chips(CalibrationDataReader):
    def __init__(self, chips):
        self.chips = iter(chips)

    def get_next(self):
        """The next input, or None."""
        chip = next(self.chips, None)
        return None if chip is None else {"image": chip}


def calibration_chips(tiles, pixels):
    """Chips 1 x 3 x H x W in 0..1: labelled tiles and mosaics of kiln-free `pixels` in turn."""
    rng = np.random.default_rng(0)
    chips = []
    for i in range(CHIPS):
        tile = tiles[i // 2 % len(tiles)]
        if len(pixels) and i % 2:
            tile = background.mosaic(rng, pixels)
        height, width = (side // SIZE_MULTIPLE * SIZE_MULTIPLE for side in tile.pixels.shape[1:])
        chips.append(tile.pixels[None, :, :height, :width].astype(np.float32) / 255)
    return chips


def quantize(source, target, chips):
    """Write the model `source` to `target` with int8 convolutions, ranges taken from `chips`."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        outside = _name_nodes(prepared)
        with contextlib.redirect_stdout(io.StringIO()):  # it talks
            quantize_static(
                prepared,
                target,
                _Chips(chips),
                quant_format=QuantFormat.QDQ,
                nodes_to_exclude=outside,
                op_types_to_quantize=list(QUANTIZED),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": PERCENTILE},
            )
    clean(target)


def _name_nodes(path):
    """Name the nodes of a model, in place; returns the names of those that stay float32.

    What depends on no convolution comes before the hidden layers; the last convolution, on which no
    other depends, and all that depends on it come after them. (The order of the nodes says less:
    what is before may stand anywhere.)
    """
    model = onnx.load(path)
    before = {}  # by name of a value: the convolutions that it comes from
    for number, node in enumerate(model.graph.node):
        node.name = f"node {number}"
        own = {node.name} if node.op_type == "Conv" else set()
        own = own.union(*(before.get(name, set()) for name in node.input))
        before.update(dict.fromkeys(node.output, own))
    onnx.save(model, path)
    last = max(
        (node for node in model.graph.node if node.op_type == "Conv"),
        key=lambda node: len(before[node.output[0]]),
    )
    return [
        node.name
        for node in model.graph.node
        if not (own := before[node.output[0]]) or last.name in own
    ]


class OnnxDetector:
    """An ONNX file that answers as a `predict.Detector` does, on one thread."""

    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, image):
        """N x 3 x H x W in 0..1 to the maps of `names`, each N x C x H x W."""
        maps = self.session.run(None, {"image": image.numpy()})
        return tuple(torch.from_numpy(values) for values in maps)


def of_fold(net, style, tiles, pixels):
    """`OnnxDetector`s of a network by name of `RUNGS`; ranges come from what it was trained on."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.onnx" for name in RUNGS}
        write_model(Detector(net, style, turned=False), paths["one_way"])
        write_model(Detector(net, style), paths["float32"])
        quantize(paths["float32"], paths["int8"], calibration_chips(tiles, pixels))
        return {name: OnnxDetector(path) for name, path in paths.items()}


def milliseconds(detectors, side=256, rounds=30):
    """Median processor time of each of `detectors` for a chip of `side` pixels, taken in turn."""
    chip = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(3))
    times = [[] for _ in detectors]
    for _ in range(rounds):
        for detector, taken in zip(detectors, times, strict=True):
            started = time.process_time()
            detector(chip)
            taken.append((time.process_time() - started) * 1000)
    return [round(float(np.median(taken)), 2) for taken in times]


def has_vnni():
    """Whether the processor has instructions for the products that int8 needs, as Linux tells."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def is_good(whole, small):
    """Whether the int8 figures (`figures.all_figures`) are as good as the float32 ones."""
    falls = (
        whole["pooled"][name]["value"] - small["pooled"][name]["value"]
        for name in ("ap_iou_30", "ap_iou_50")
    )
    return max(falls) <= MAX_LOSS


def is_shipped(accuracy, style):
    """Whether the int8 networks ship, by the figures of `cross_validate.py` and the kind of box."""
    return style == STYLES[0] and is_good(accuracy[style], accuracy["int8"])
