"""A network in PyTorch as an ONNX file that says the same."""

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from network import SIZE_MULTIPLE

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference allowed between PyTorch and ONNX Runtime, in output units."""


def fuse(module):
    """Fold every batch norm into the convolution before it, in place."""
    for child in module.children():
        fuse(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 1):
            if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                module[i] = fuse_conv_bn_eval(module[i], module[i + 1])
                module[i + 1] = nn.Identity()


def write_model(detector, path, multiple=SIZE_MULTIPLE):
    """Write a `Detector` (in evaluation mode; batch norms are folded) to `path` as float32 ONNX.

    Sizes of its input are multiples of `multiple`. Returns the largest difference between PyTorch
    and ONNX Runtime over several chip sizes.
    """
    detector = detector.eval().to(memory_format=torch.contiguous_format)
    size = (16 * multiple, 12 * multiple)
    example = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = detector(example)
        fuse(detector)
        torch.onnx.export(
            detector,
            (example,),
            path,
            input_names=["image"],
            output_names=detector.names,
            opset_version=OPSET,
            dynamic_axes={
                name: {0: "batch", 2: "height", 3: "width"} for name in ["image", *detector.names]
            },
            dynamo=False,
        )
    clean(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = _difference(before, session.run(None, {"image": example.numpy()}))
    for count, rows, columns in ((1, 32, 32), (1, 1, 1), (3, 8, 25)):
        shape = (count, 3, rows * multiple, columns * multiple)
        image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = detector(image)
        worst = max(worst, _difference(expected, session.run(None, {"image": image.numpy()})))
    return worst


def _difference(expected, actual):
    pairs = zip(expected, actual, strict=True)
    return max(float(np.abs(e.numpy() - a).max()) for e, a in pairs)


def clean(path):
    """Drop what exporting leaves behind: names of source files and of the exporter's scopes."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.name = ""
        node.doc_string = ""
        del node.metadata_props[:]
    model.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
