#!/usr/bin/env python3
"""Writes the tiny models that the integration tests scan with, into tests/data/.

They are not trained. They find bright blobs by arithmetic that can be followed by hand, so that a
test can say where every box has to be: blur, logistic function, and the top of a parabola through
three pixels.

| model      | chips             | head                                  |
| ---------- | ----------------- | ------------------------------------- |
| blob       | any multiple of 8 | heat map, size, offset, angle         |
| blob-typed | exactly 64        | the same, and a type: bright or dim   |

And screens for them, which look at single pixels of whatever size:

| screen | output                                                    |
| ------ | --------------------------------------------------------- |
| map    | batch x 1 x rows x columns: probability that it is bright |
| whole  | batch x 1: the highest of these                           |
| logits | the map before the logistic function: to be refused       |
| fixed  | the map, of exactly 32 x 32 pixels                        |

Needs onnx and numpy: python3 scripts/make_test_model.py
The files are committed; run it again only to change them.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).resolve().parent.parent / "tests" / "data"

OPSET = 17
IR_VERSION = 8
CHIP_PX = 64
GSD_M = 10
OVERLAP_M = 320
BLUR_SIDE = 9
BLUR_SIGMA = 2.0
BAND_WEIGHTS = (0.5, 0.3, 0.2)
"""Of red, green and blue. They differ, so that bands in the wrong order give other scores."""
STEEPNESS = 20.0
THRESHOLD = 0.55
"""The blurred grey value (0 to 1) that scores one half."""
TYPE_THRESHOLD = 0.62
"""The blurred grey value above which a blob is `bright`."""
LENGTH_PX, WIDTH_PX, ANGLE_DEG = 12.0, 6.0, 30.0
"""The box, the same for every blob. The angle runs from the image's +x towards its +y (down)."""


def blur_weights():
    """Weights of a convolution that mixes the bands and blurs them, summing to 1."""
    at = np.arange(BLUR_SIDE) - BLUR_SIDE // 2
    line = np.exp(-(at**2) / (2 * BLUR_SIGMA**2))
    kernel = np.outer(line, line)
    return np.array(BAND_WEIGHTS)[None, :, None, None] * (kernel / kernel.sum())[None, None]


def difference_weights(line):
    """Weights of a convolution with `line` along x (first channel) and along y (second)."""
    weights = np.zeros((2, 1, 3, 3))
    weights[0, 0, 1, :] = line
    weights[1, 0, :, 1] = line
    return weights


def graph(typed):
    """The network as an ONNX graph."""
    constants = {
        "blur_weights": blur_weights(),
        "slope_weights": difference_weights([-0.5, 0.0, 0.5]),
        "curve_weights": difference_weights([1.0, -2.0, 1.0]),
        "steepness": STEEPNESS,
        "threshold": THRESHOLD,
        "zero": 0.0,
        "barely_curved": -1e-6,
        "half_back": -0.5,
        "half_on": 0.5,
        "log_sides": np.log([LENGTH_PX, WIDTH_PX]).reshape(1, 2, 1, 1),
        "direction": np.array(
            [np.cos(2 * np.radians(ANGLE_DEG)), np.sin(2 * np.radians(ANGLE_DEG))]
        ).reshape(1, 2, 1, 1),
        "type_threshold": TYPE_THRESHOLD,
        "type_signs": np.array([STEEPNESS, -STEEPNESS]).reshape(1, 2, 1, 1),
    }
    node = helper.make_node
    margin = BLUR_SIDE // 2
    nodes = [
        node("Conv", ["image", "blur_weights"], ["grey"], pads=[margin] * 4),
        node("Sub", ["grey", "threshold"], ["above"]),
        node("Mul", ["above", "steepness"], ["logit"]),
        node("Sigmoid", ["logit"], ["heatmap"]),
        # Sides and direction are the same everywhere: zeros of the map's shape, plus a constant.
        node("Mul", ["heatmap", "zero"], ["zeros"]),
        node("Add", ["zeros", "log_sides"], ["size"]),
        node("Add", ["zeros", "direction"], ["angle"]),
        # The top of the parabola through a pixel and its neighbours lies at −slope / curve.
        node("Conv", ["grey", "slope_weights"], ["slope"], pads=[1] * 4),
        node("Conv", ["grey", "curve_weights"], ["curve"], pads=[1] * 4),
        node("Min", ["curve", "barely_curved"], ["downward"]),
        node("Div", ["slope", "downward"], ["back"]),
        node("Neg", ["back"], ["top"]),
        node("Clip", ["top", "half_back", "half_on"], ["offset"]),
    ]
    outputs = {"heatmap": 1, "size": 2, "offset": 2, "angle": 2}
    if typed:
        nodes += [
            node("Sub", ["grey", "type_threshold"], ["brightness"]),
            node("Mul", ["brightness", "type_signs"], ["type"]),
        ]
        outputs["type"] = 2
    else:
        constants = {name: v for name, v in constants.items() if not name.startswith("type_")}
    sides = ["batch", CHIP_PX, CHIP_PX] if typed else ["batch", "height", "width"]

    def tensor(name, channels):
        return helper.make_tensor_value_info(
            name, TensorProto.FLOAT, [sides[0], channels, *sides[1:]]
        )

    return helper.make_graph(
        nodes,
        "blob",
        [tensor("image", len(BAND_WEIGHTS))],
        [tensor(name, channels) for name, channels in outputs.items()],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in constants.items()],
    )


def screen_graph(name):
    """A screen as an ONNX graph."""
    constants = {
        "mix": np.array(BAND_WEIGHTS).reshape(1, -1, 1, 1),
        "steepness": STEEPNESS,
        "threshold": THRESHOLD,
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["pixels", "mix"], ["grey"]),
        node("Sub", ["grey", "threshold"], ["above"]),
        node("Mul", ["above", "steepness"], ["logits"]),
        node("Sigmoid", ["logits"], ["map"]),
        node("ReduceMax", ["map"], ["whole"], axes=[2, 3], keepdims=0),
    ]
    output = "map" if name == "fixed" else name
    last = next(i for i, made in enumerate(nodes) if made.output[0] == output)
    sides = [CHIP_PX // 2] * 2 if name == "fixed" else ["height", "width"]

    def tensor(of, channels, *sides):
        return helper.make_tensor_value_info(of, TensorProto.FLOAT, ["batch", channels, *sides])

    return helper.make_graph(
        nodes[: last + 1],
        "screen",
        [tensor("pixels", len(BAND_WEIGHTS), *sides)],
        [tensor(output, 1) if output == "whole" else tensor(output, 1, *sides)],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in constants.items()],
    )


def card(name, typed, sha256):
    """The model card."""
    side = CHIP_PX if typed else -1
    text = {
        "kilnsight:card_version": 1,
        "mlm:name": name,
        "version": "1.0.0",
        "description": "Finds bright blobs. For tests; knows nothing of kilns.",
        "license": "Apache-2.0",
        "mlm:architecture": "Gaussian blur and a logistic function",
        "mlm:tasks": ["object-detection"],
        "mlm:framework": "ONNX",
        "mlm:input": [
            {
                "name": "image",
                "bands": ["red", "green", "blue"],
                "input": {
                    "shape": [-1, len(BAND_WEIGHTS), side, side],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}],
            }
        ],
        "mlm:output": [
            {
                "name": "detections",
                "tasks": ["object-detection"],
                "classification:classes": [{"value": 0, "name": "blob"}],
            }
        ],
        "kilnsight:head": "center",
        "kilnsight:center": {
            "heatmap": "heatmap",
            "size": "size",
            "offset": "offset",
            "angle": "angle",
            "type": "type" if typed else None,
        },
        "kilnsight:gsd_m": GSD_M,
        "kilnsight:chip_px": CHIP_PX,
        "kilnsight:overlap_m": OVERLAP_M,
        "kilnsight:nms_iou": 0.3,
        "kilnsight:min_score": 0.4,
        "kilnsight:calibration": None,
        "kilnsight:sha256": sha256,
    }
    if typed:
        text["kilnsight:types"] = ["bright", "dim"]
    else:
        text["kilnsight:size_multiple"] = 8
    return text


def serialized(graph):
    """The bytes of an ONNX file."""
    model = helper.make_model(
        graph,
        producer_name="kilnsight",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def write(name, typed):
    """Write one model with its card."""
    content = serialized(graph(typed))
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    (folder / "model.json").write_text(json.dumps(card(name, typed, sha256), indent=2) + "\n")
    print(f"wrote {folder.relative_to(OUT.parent.parent)}: {len(content)} bytes")


def write_screen(name):
    """Write one screen."""
    path = OUT / "screens" / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = serialized(screen_graph(name))
    path.write_bytes(content)
    print(f"wrote {path.relative_to(OUT.parent.parent)}: {len(content)} bytes")


if __name__ == "__main__":
    write("blob", typed=False)
    write("blob-typed", typed=True)
    for screen in ("map", "whole", "logits", "fixed"):
        write_screen(screen)
