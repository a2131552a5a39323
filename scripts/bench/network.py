"""Writes a network of the size of YOLOv8n with random weights that answers like a trained one.

The benchmark needs the cost of such a network, not its knowledge. Every convolution is followed by
a batch normalisation measured on chips of the benchmark's raster and folded into its weights, so
that numbers neither vanish nor explode on their way through sixty layers; the last layer is set so
that about 0.4 % of the anchors score above 0.25, as in a scene with some objects in it.

usage: network.py FOLDER RASTER
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import rasterio
from onnx import TensorProto, helper, numpy_helper
from rasterio.windows import Window

CLASSES = ["kiln", "camp", "pond"]
CHIP_PX = 640
GSD_M = 0.5
OVERLAP_PX = 64
OPSET = 17
IR_VERSION = 8
BINS = 16
"""Bins of a box side's distribution, as in distribution focal loss (arXiv 2006.04388)."""
PASSING_SHARE, PASSING_SCORE, LOGIT_SPREAD = 0.004, 0.25, 6.0


class Builder:
    """A graph that is computed while it is built, so that layers can be scaled by what they get."""

    def __init__(self, chips):
        self.random = np.random.default_rng(8)
        self.nodes, self.constants = [], {}
        self.values = {"images": chips}

    def constant(self, array, kind=np.float32):
        """A constant tensor."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array, dtype=kind)
        return name

    def op(self, kind, inputs, outputs=1, **attributes):
        """Adds a node and computes its outputs."""
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, names, **attributes)
        self.nodes.append(node)
        feeds = {n: self.values[n] for n in dict.fromkeys(inputs) if n in self.values}
        graph = helper.make_graph(
            [node],
            "one",
            [
                helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape)
                for n, v in feeds.items()
            ],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names],
            [numpy_helper.from_array(self.constants[n], n) for n in inputs if n in self.constants],
        )
        session = ort.InferenceSession(model(graph).SerializeToString())
        self.values.update(zip(names, session.run(names, feeds), strict=True))
        return names[0] if outputs == 1 else names

    def plain_conv(self, x, channels, side, stride=1, scale=1.0):
        """A convolution whose channels have mean 0 and the standard deviation `scale`."""
        given = self.values[x].shape[1]
        weights = self.random.normal(
            0, (given * side * side) ** -0.5, (channels, given, side, side)
        )
        shape = {"kernel_shape": [side, side], "strides": [stride] * 2, "pads": [side // 2] * 4}
        w, b = self.constant(weights), self.constant(np.zeros(channels))
        out = self.op("Conv", [x, w, b], **shape)
        raw = self.values.pop(out)
        self.nodes.pop()
        mean, spread = raw.mean((0, 2, 3)), raw.std((0, 2, 3)) + 1e-6
        self.constants[w] = (weights * (scale / spread)[:, None, None, None]).astype(np.float32)
        self.constants[b] = (-mean * scale / spread).astype(np.float32)
        return self.op("Conv", [x, w, b], **shape)

    def shift(self, y, by):
        """Adds a number to the bias of the convolution that was added last and gave `y`."""
        self.constants[self.nodes[-1].input[2]] += np.float32(by)
        self.values[y] += np.float32(by)

    def conv(self, x, channels, side=3, stride=1):
        """Convolution, batch normalisation, SiLU."""
        y = self.plain_conv(x, channels, side, stride)
        return self.op("Mul", [y, self.op("Sigmoid", [y])])

    def c2f(self, x, channels, repeats, shortcut=True):
        """Cross-stage block with `repeats` bottlenecks."""
        half = channels // 2
        y = self.conv(x, channels, 1)
        parts = self.op("Split", [y, self.constant([half, half], np.int64)], outputs=2, axis=1)
        for _ in range(repeats):
            z = self.conv(self.conv(parts[-1], half), half)
            parts.append(self.op("Add", [parts[-1], z]) if shortcut else z)
        return self.conv(self.op("Concat", parts, axis=1), channels, 1)

    def pyramid_pooling(self, x, channels):
        """Three poolings of five pixels one after the other, together."""
        parts = [self.conv(x, channels // 2, 1)]
        for _ in range(3):
            pool = {"kernel_shape": [5, 5], "strides": [1, 1], "pads": [2] * 4}
            parts.append(self.op("MaxPool", [parts[-1]], **pool))
        return self.conv(self.op("Concat", parts, axis=1), channels, 1)

    def doubled(self, x):
        """Twice the size."""
        scales = self.constant([1, 1, 2, 2])
        return self.op("Resize", [x, "", scales], mode="nearest")

    def reshape(self, x, *shape):
        """Another shape."""
        return self.op("Reshape", [x, self.constant(shape, np.int64)])


def model(graph):
    """A graph as a model."""
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def features(b):
    """Backbone and neck: maps of stride 8, 16 and 32."""
    x = b.c2f(b.conv(b.conv("images", 16, 3, 2), 32, 3, 2), 32, 1)
    p3 = b.c2f(b.conv(x, 64, 3, 2), 64, 2)
    p4 = b.c2f(b.conv(p3, 128, 3, 2), 128, 2)
    p5 = b.pyramid_pooling(b.c2f(b.conv(p4, 256, 3, 2), 256, 1), 256)
    n4 = b.c2f(b.op("Concat", [b.doubled(p5), p4], axis=1), 128, 1, shortcut=False)
    n3 = b.c2f(b.op("Concat", [b.doubled(n4), p3], axis=1), 64, 1, shortcut=False)
    n4 = b.op("Concat", [b.conv(n3, 64, 3, 2), n4], axis=1)
    n4 = b.c2f(n4, 128, 1, shortcut=False)
    n5 = b.op("Concat", [b.conv(n4, 128, 3, 2), p5], axis=1)
    return [n3, n4, b.c2f(n5, 256, 1, shortcut=False)]


def head(b, maps):
    """Boxes and scores of all anchors."""
    sides, logits = [], []
    for x in maps:
        y = b.conv(b.conv(x, 64), 64)
        sides.append(b.plain_conv(y, 4 * BINS, 1))
        y = b.conv(b.conv(x, 64), 64)
        logit = b.plain_conv(y, len(CLASSES), 1, scale=LOGIT_SPREAD)
        highest = np.quantile(b.values[logit].max(1), 1 - PASSING_SHARE)
        b.shift(logit, np.log(PASSING_SCORE / (1 - PASSING_SCORE)) - highest)
        logits.append(logit)

    cells = [CHIP_PX // stride for stride in (8, 16, 32)]
    anchors = sum(side * side for side in cells)
    points, strides = [], []
    for side in cells:
        at = np.arange(side) + 0.5
        points.append(np.stack(np.meshgrid(at, at)).reshape(2, -1))
        strides.append(np.full(side * side, CHIP_PX / side))
    points = b.constant(np.concatenate(points, 1)[None])
    strides = b.constant(np.concatenate(strides)[None, None])

    flat = [b.reshape(s, 0, 4 * BINS, -1) for s in sides]
    bins = b.reshape(b.op("Concat", flat, axis=2), 0, 4, BINS, anchors)
    bins = b.op("Softmax", [b.op("Transpose", [bins], perm=[0, 2, 1, 3])], axis=1)
    weights = b.constant(np.arange(BINS).reshape(1, BINS, 1, 1))
    distances = b.reshape(b.op("Conv", [bins, weights]), 0, 4, anchors)
    split = b.constant([2, 2], np.int64)
    left_top, right_bottom = b.op("Split", [distances, split], outputs=2, axis=1)
    low = b.op("Sub", [points, left_top])
    high = b.op("Add", [points, right_bottom])
    center = b.op("Mul", [b.op("Add", [low, high]), b.constant(0.5)])
    box = b.op("Concat", [center, b.op("Sub", [high, low])], axis=1)
    box = b.op("Mul", [box, strides])
    scores = [b.reshape(x, 0, len(CLASSES), -1) for x in logits]
    scores = b.op("Sigmoid", [b.op("Concat", scores, axis=2)])

    return b.op("Concat", [box, scores], axis=1)


def card(digest):
    """The model card."""
    bands = ["red", "green", "blue"]
    dims = ["batch", "bands", "height", "width"]
    shape = [1, 3, CHIP_PX, CHIP_PX]
    return {
        "kilnsight:card_version": 1,
        "mlm:name": "benchmark",
        "version": "1.0.0",
        "description": "Random weights, for measuring speed only.",
        "license": "Apache-2.0",
        "mlm:architecture": "YOLOv8n-sized",
        "mlm:tasks": ["object-detection"],
        "mlm:framework": "ONNX",
        "mlm:input": [
            {
                "name": "images",
                "bands": bands,
                "input": {"shape": shape, "dim_order": dims, "data_type": "float32"},
                "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}],
            }
        ],
        "mlm:output": [
            {
                "name": "detections",
                "tasks": ["object-detection"],
                "classification:classes": [
                    {"value": i, "name": name} for i, name in enumerate(CLASSES)
                ],
            }
        ],
        "kilnsight:head": "yolo",
        "kilnsight:yolo": {"output": "output0"},
        "kilnsight:gsd_m": GSD_M,
        "kilnsight:chip_px": CHIP_PX,
        "kilnsight:overlap_m": OVERLAP_PX * GSD_M,
        "kilnsight:nms_iou": 0.45,
        "kilnsight:min_score": PASSING_SCORE,
        "kilnsight:sha256": digest,
    }


def write(folder, chips):
    """Writes the model folder. `chips` (n × 3 × 640 × 640, 0 to 1) stand for what it will see."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    b = Builder(chips.astype(np.float32))
    computed = head(b, features(b))
    b.nodes.append(helper.make_node("Identity", [computed], ["output0"]))
    used = {name for node in b.nodes for name in node.input}
    constants = {name: array for name, array in b.constants.items() if name in used}
    shapes = {"images": [1, 3, CHIP_PX, CHIP_PX], "output0": [1, *b.values[computed].shape[1:]]}
    tensors = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(
        b.nodes,
        "benchmark",
        [tensors["images"]],
        [tensors["output0"]],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    whole = model(graph)
    onnx.checker.check_model(whole)
    data = whole.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    text = json.dumps(card(hashlib.sha256(data).hexdigest()), indent=2)
    (folder / "model.json").write_text(text + "\n")
    parameters = sum(array.size for array in constants.values())
    passing = (b.values[computed][:, 4:].max(1) > PASSING_SCORE).mean()
    print(
        f"{parameters / 1e6:.2f} million parameters, {passing:.2%} of anchors above {PASSING_SCORE}"
    )


def main(folder, raster):
    """Writes the model for a raster, and prints what came of it."""
    with rasterio.open(raster) as scene:
        corners = range(CHIP_PX, scene.width - CHIP_PX, scene.width // 4)
        windows = [Window(at, at, CHIP_PX, CHIP_PX) for at in corners]
        write(folder, np.stack([scene.read(window=window) for window in windows]) / 255)


if __name__ == "__main__":
    main(*sys.argv[1:])
