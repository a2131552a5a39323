#!/usr/bin/env python3
"""Writes tiny models for every output head into tests/data/heads/, and what they must find.

None is trained. Every cell of 8 × 8 pixels makes one candidate box from the means of its bands, so
that the answer changes with the image. `expected.json` holds what each model finds in `scene.png`:
the raw tensors come from ONNX Runtime, and are decoded here, with NumPy, by code that shares
nothing with the program under test.

Most carry the metadata that Ultralytics or Deepness write into an export, and no card.

Needs numpy, onnx, onnxruntime and rasterio: python3 scripts/make_test_heads.py
The files are committed; run it again only to change them.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import rasterio
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "heads"

OPSET = 17
IR_VERSION = 8
SIDE = 64
CELL = 8
EDGE = 30
"""Side of a scene that ends within a cell, smaller than the input of any model."""
GREY = 114
"""What Ultralytics fills images up with while it trains."""
NAMES = ["kiln", "camp"]
MIN_SCORE = 0.25
ULTRALYTICS = {
    "description": "Ultralytics YOLO11n model trained on squares.yaml",
    "author": "Ultralytics",
    "version": "8.3.0",
    "license": "AGPL-3.0",
    "stride": "32",
    "batch": "1",
    "imgsz": f"[{SIDE}, {SIDE}]",
    "names": str(dict(enumerate(NAMES))),
    "args": "{'batch': 1, 'half': False, 'dynamic': False, 'nms': False}",
}
"""As an export writes them: Python literals. The weights here are ours and free."""


def draw_scene():
    """A smooth picture of three bands that differ, without zeros."""
    row, column = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    waves = [
        np.sin(column / 7.0) * np.cos(row / 9.0),
        np.cos(column / 5.0 + 1) * np.sin(row / 11.0),
        np.sin((column + row) / 13.0),
    ]
    return np.stack([np.round(128 + 110 * w) for w in waves]).astype(np.uint8)


class Graph:
    """Nodes of a network, one after the other."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, value, kind=np.float32):
        """Name of a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def node(self, kind, *inputs, out=None, **attributes):
        """Adds a node and names its output."""
        name = out or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def means(self, weights, bias, image):
        """Weighted means of the bands over cells: one map per row of `weights`."""
        kernel = np.asarray(weights)[:, :, None, None] * np.full((1, 1, CELL, CELL), 1 / CELL**2)
        return self.node(
            "Conv", image, self.constant(kernel), self.constant(bias), strides=[CELL, CELL]
        )

    def split(self, maps, count):
        """Single maps of a tensor."""
        return [
            self.node(
                "Slice",
                maps,
                self.constant([i], np.int64),
                self.constant([i + 1], np.int64),
                self.constant([1], np.int64),
            )
            for i in range(count)
        ]

    def join(self, maps):
        """Batch × attributes × candidates."""
        joined = self.node("Concat", *maps, axis=1)
        shape = self.constant([0, len(maps), -1], np.int64)
        return self.node("Reshape", joined, shape)

    def turned(self, table, out):
        """Batch × candidates × attributes."""
        return self.node("Transpose", table, perm=[0, 2, 1], out=out)


WEIGHTS = [
    [0.5, -0.5, 0.0],  # centre x, off the middle of the cell in pixels
    [0.0, 0.5, -0.5],  # centre y
    [1.5, 0.0, 0.5],  # width
    [0.0, 1.0, 0.5],  # height
    [9.0, 1.0, -4.0],  # logit of the first class
    [-4.0, 1.0, 9.0],  # and of the second
    [2.0, -1.0, 1.0],  # direction of the width, radians
    [1.0, 2.0, 3.0],  # logit of anything at all
]
BIAS = [0.0, 0.0, 4.0, 3.0, -6.0, -6.0, -1.0, -1.0]


def candidates(graph, image):
    """Maps of a candidate: x, y, width, height, score, score, angle, objectness."""
    maps = graph.split(graph.means(WEIGHTS, BIAS, image), len(BIAS))
    zero, one = graph.constant(0.0), graph.constant(1.0)
    ones = graph.node("Add", graph.node("Mul", maps[0], zero), one)
    for i, axis in ((0, 3), (1, 2)):
        count = graph.node("CumSum", ones, graph.constant(axis, np.int64))
        middle = graph.node("Sub", count, graph.constant(0.5))
        at = graph.node("Mul", middle, graph.constant(float(CELL)))
        maps[i] = graph.node("Add", maps[i], at)
    for i in (4, 5, 7):
        maps[i] = graph.node("Sigmoid", maps[i])
    return maps


def edges(graph, maps):
    """Left, upper, right and lower edge of a candidate."""
    half = graph.constant(0.5)
    sides = [graph.node("Mul", maps[i], half) for i in (2, 3)]
    low = [graph.node("Sub", maps[i], sides[i]) for i in (0, 1)]
    high = [graph.node("Add", maps[i], sides[i]) for i in (0, 1)]
    return [*low, *high]


def best(graph, maps):
    """Score and number of the best class."""
    both = graph.node("Concat", maps[4], maps[5], axis=1)
    score = graph.node("ReduceMax", both, axes=[1], keepdims=1)
    number = graph.node("ArgMax", both, axis=1, keepdims=1)
    return [score, graph.node("Cast", number, to=TensorProto.FLOAT)]


def shares(graph, maps):
    """Centre and sides as shares of the input."""
    share = graph.constant(1 / SIDE)
    return [graph.node("Mul", maps[i], share) for i in range(4)]


def yolo_v8(graph, image):
    """Batch × (4 + classes) × candidates."""
    graph.node("Identity", graph.join(candidates(graph, image)[:6]), out="output0")
    return {"output0": (4 + len(NAMES), None)}


def yolo_v5(graph, image):
    """Batch × candidates × (5 + classes)."""
    maps = candidates(graph, image)
    graph.turned(graph.join([*maps[:4], maps[7], *maps[4:6]]), "output0")
    return {"output0": (None, 5 + len(NAMES))}


def yolo_obb(graph, image):
    """Batch × (4 + classes + 1) × candidates."""
    graph.node("Identity", graph.join(candidates(graph, image)[:7]), out="output0")
    return {"output0": (5 + len(NAMES), None)}


def end2end(graph, image):
    """Batch × boxes × 6."""
    maps = candidates(graph, image)
    graph.turned(graph.join([*edges(graph, maps), *best(graph, maps)]), "output0")
    return {"output0": (None, 6)}


def end2end_obb(graph, image):
    """Batch × boxes × 7."""
    maps = candidates(graph, image)
    graph.turned(graph.join([*maps[:4], *best(graph, maps), maps[6]]), "output0")
    return {"output0": (None, 7)}


def rt_detr(graph, image):
    """Batch × boxes × (4 + classes), shares of the input."""
    maps = candidates(graph, image)
    graph.turned(graph.join([*shares(graph, maps), *maps[4:6]]), "output0")
    return {"output0": (None, 4 + len(NAMES))}


def rf_detr(graph, image):
    """Boxes as shares, and logits with one class too many."""
    maps = candidates(graph, image)
    graph.turned(graph.join(shares(graph, maps)), "dets")
    logits = graph.split(graph.means(WEIGHTS[4:6] + WEIGHTS[4:5], [*BIAS[4:6], 5.0], image), 3)
    graph.turned(graph.join(logits), "labels")
    return {"dets": (None, 4), "labels": (None, len(NAMES) + 1)}


def mask(graph, image):
    """Probabilities of background and field for each pixel."""
    kernel = np.array([[0.0, 0.0, 0.0], [6.0, 4.0, 2.0]])[:, :, None, None]
    logits = graph.node("Conv", image, graph.constant(kernel), graph.constant([0.0, -7.0]))
    graph.node("Softmax", logits, axis=1, out="output0")
    return {"output0": (2, None, None)}


def classifier(graph, image):
    """Probabilities of the classes for the whole input."""
    mean = graph.node("GlobalAveragePool", image)
    row = graph.node("Reshape", mean, graph.constant([0, -1], np.int64))
    weights = graph.constant(np.array([[20.0, -5.0], [5.0, 0.0], [-5.0, 0.0]]))
    logits = graph.node("Add", graph.node("MatMul", row, weights), graph.constant([-10.0, 0.0]))
    graph.node("Softmax", logits, axis=1, out="output0")
    return {"output0": (len(NAMES),)}


def build(make, metadata, batch="batch", side=SIDE, element=TensorProto.FLOAT, quantized=False):
    """A model of a head: `element` is the type of its input."""
    graph = Graph()
    image = "images"
    if element != TensorProto.FLOAT:
        image = graph.node("Cast", image, to=TensorProto.FLOAT)
    if element == TensorProto.UINT8:
        image = graph.node("Mul", image, graph.constant(1 / 255))
    if quantized:
        steps = [graph.constant(1 / 255), graph.constant(0, np.uint8)]
        image = graph.node("QuantizeLinear", image, *steps)
        image = graph.node("DequantizeLinear", image, *steps)
    outputs = make(graph, image)
    kind = TensorProto.FLOAT16 if element == TensorProto.FLOAT16 else TensorProto.FLOAT
    if kind == TensorProto.FLOAT16:
        last = graph.nodes[-1]
        last.output[0] = "wide"
        graph.node("Cast", "wide", to=kind, out="output0")
    if isinstance(side, tuple):
        sides = side
    else:
        sides = ["height", "width"] if side is None else [side, side]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "head",
            [helper.make_tensor_value_info("images", element, [batch, 3, *sides])],
            [helper.make_tensor_value_info(n, kind, [batch, *s]) for n, s in outputs.items()],
            graph.constants,
        ),
        producer_name="kilnsight",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


class Chips(quantization.CalibrationDataReader):
    """What a model is shown to find the ranges of its numbers."""

    def __init__(self, images):
        self.left = list(images)

    def get_next(self):
        """The next input, until there is none."""
        return {"images": self.left.pop(0)} if self.left else None


def quantized(content, image):
    """A model with the weights and activations of its convolutions in eight bits."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder, name)) for name in ("float.onnx", "bytes.onnx")]
        Path(paths[0]).write_bytes(content)
        quantization.quantize_static(
            *paths,
            # Black and white make a step of the input one of the image: none falls between two.
            Chips([chip[None] / np.float32(255) for chip in (image, 0 * image, 0 * image + 255)]),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            # Seven bits of weights: sums do not run over on processors without instructions for it.
            reduce_range=True,
            op_types_to_quantize=["Conv"],
        )
        model = onnx.load(paths[1])
    kinds = {node.op_type for node in model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds, "nothing was quantized"
    return model.SerializeToString(deterministic=True)


def filled(image, sides):
    """The upper left of an image, as a model sees a scene of that size: grey beyond its edge."""
    whole = np.full((3, *sides), GREY, np.uint8)
    whole[:, :EDGE, :EDGE] = image[:, :EDGE, :EDGE]
    return whole


def on_scene(found):
    """Boxes whose middle lies on the small scene."""
    middle = [np.mean(f["corners"], axis=0) for f in found]
    return [f for f, m in zip(found, middle, strict=True) if max(m) < EDGE]


def run(content, image, batch=1, element=np.float32):
    """Raw outputs of one chip, by name, without the batch."""
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    scaled = image if element == np.uint8 else (image / np.float32(255)).astype(element)
    tensor = np.zeros((batch, *image.shape), element)
    tensor[0] = scaled
    values = session.run(None, {"images": tensor})
    return {
        o.name: v[0].astype(np.float64) for o, v in zip(session.get_outputs(), values, strict=True)
    }


def corners(x, y, width, height, angle=0.0):
    """Corners of a box whose width lies along `angle` (from right towards down)."""
    along = np.array([np.cos(angle), np.sin(angle)]) * width / 2
    across = np.array([-np.sin(angle), np.cos(angle)]) * height / 2
    middle = np.array([x, y])
    signs = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    return [(middle + a * along + b * across).round(6).tolist() for a, b in signs]


def boxes(rows):
    """Rows of (x, y, width, height, angle, scores): those of a score that counts."""
    found = []
    for *box, scores in rows:
        score = float(np.max(scores))
        if score >= MIN_SCORE:
            name = NAMES[int(np.argmax(scores))]
            found.append({"class": name, "score": round(score, 7), "corners": corners(*box)})
    return sorted(found, key=lambda f: -f["score"])


def sigmoid(x):
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def one_hot(score, number):
    """Scores of all classes where only the best is told."""
    scores = np.zeros(len(NAMES))
    scores[int(number)] = score
    return scores


DECODERS = {
    "yolo-v8": lambda o: boxes((*c[:4], 0.0, c[4:]) for c in o["output0"].T),
    "yolo-v5": lambda o: boxes((*c[:4], 0.0, c[4] * c[5:]) for c in o["output0"]),
    "yolo-obb": lambda o: boxes((*c[:4], c[6], c[4:6]) for c in o["output0"].T),
    "end2end": lambda o: boxes(
        ((c[0] + c[2]) / 2, (c[1] + c[3]) / 2, c[2] - c[0], c[3] - c[1], 0.0, one_hot(c[4], c[5]))
        for c in o["output0"]
    ),
    "end2end-obb": lambda o: boxes((*c[:4], c[6], one_hot(c[4], c[5])) for c in o["output0"]),
    "rt-detr": lambda o: boxes((*(c[:4] * SIDE), 0.0, c[4:]) for c in o["output0"]),
    "rf-detr": lambda o: boxes(
        (*(b * SIDE), 0.0, sigmoid(s[: len(NAMES)]))
        for b, s in zip(o["dets"], o["labels"], strict=True)
    ),
}


def areas(outputs):
    """Pixels of each area of a mask, largest first, with the mean probability."""
    probability = outputs["output0"][1]
    left = probability >= 0.5
    found = []
    while left.any():
        waiting = [tuple(np.argwhere(left)[0])]
        left[waiting[0]] = False
        pixels = []
        while waiting:
            r, c = waiting.pop()
            pixels.append((r, c))
            for near in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if all(0 <= v < SIDE for v in near) and left[near]:
                    left[near] = False
                    waiting.append(near)
        scores = [probability[p] for p in pixels]
        found.append({"pixels": len(pixels), "score": float(np.mean(scores))})
    return sorted(found, key=lambda a: -a["pixels"])


def main():
    """Writes the models, the scene and what is found in it."""
    OUT.mkdir(parents=True, exist_ok=True)
    image = draw_scene()
    profile = {"driver": "PNG", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8"}
    with rasterio.open(OUT / "scene.png", "w", **profile) as picture:
        picture.write(image)
    detect = ULTRALYTICS | {"task": "detect"}
    old = {key: ULTRALYTICS[key] for key in ("stride", "names")}
    oriented = ULTRALYTICS | {"task": "obb"}
    field = {
        "model_type": '"Segmentor"',
        "class_names": json.dumps({"0": "background", "1": "field"}),
        "resolution": "1000",
        "tiles_size": str(SIDE),
        "tiles_overlap": "25",
        "seg_thresh": "0.5",
    }
    half, byte = TensorProto.FLOAT16, TensorProto.UINT8
    # Name, the decoder's name, the network, its metadata, how it is built, and how it is fed here.
    models = [
        ("yolo-v8", "yolo-v8", yolo_v8, detect, {"side": None}, {}),
        ("yolo-v5", "yolo-v5", yolo_v5, old, {}, {}),
        ("yolo-obb", "yolo-obb", yolo_obb, oriented, {"side": None}, {}),
        ("end2end", "end2end", end2end, detect | {"end2end": "True"}, {}, {}),
        ("end2end-obb", "end2end-obb", end2end_obb, oriented | {"end2end": "True"}, {}, {}),
        ("rt-detr", "rt-detr", rt_detr, detect | {"description": "Ultralytics rtdetr-l"}, {}, {}),
        ("rf-detr", "rf-detr", rf_detr, {}, {}, {}),
        ("batch-of-three", "yolo-v5", yolo_v5, old, {"batch": 3}, {"batch": 3}),
        ("half", "yolo-v8", yolo_v8, detect, {"element": half}, {"element": np.float16}),
        ("bytes", "yolo-v8", yolo_v8, detect, {"element": byte}, {"element": np.uint8}),
        ("quantized", "yolo-v8", yolo_v8, detect, {"quantized": True}, {}),
    ]
    expected = {}
    for name, decoder, make, metadata, how, fed in models:
        content = build(make, metadata, **how)
        (OUT / f"{name}.onnx").write_bytes(content)
        expected[name] = DECODERS[decoder](run(content, image, **fed))
        print(f"{name}: {len(content)} bytes, {len(expected[name])} boxes")
    # Eight bits throughout, not only at the input.
    content = quantized(build(yolo_v8, detect), image)
    (OUT / "qdq.onnx").write_bytes(content)
    expected["qdq"] = DECODERS["yolo-v8"](run(content, image))
    print(f"qdq: {len(content)} bytes, {len(expected['qdq'])} boxes")
    # A scene smaller than the input, and an input that is no square.
    whole = (SIDE, SIDE)
    expected["edge"] = on_scene(DECODERS["yolo-v5"](run(build(yolo_v5, old), filled(image, whole))))
    wide = (48, SIDE)
    content = build(yolo_obb, oriented | {"imgsz": str(list(wide))}, side=wide)
    (OUT / "wide.onnx").write_bytes(content)
    expected["wide"] = on_scene(DECODERS["yolo-obb"](run(content, filled(image, wide))))
    print(f"edge: {len(expected['edge'])} boxes, wide: {len(expected['wide'])}")
    content = build(mask, field, side=None)
    (OUT / "mask.onnx").write_bytes(content)
    expected["mask"] = areas(run(content, image))
    classify = ULTRALYTICS | {"task": "classify", "imgsz": f"[{SIDE // 4}, {SIDE // 4}]"}
    content = build(classifier, classify, side=SIDE // 4)
    (OUT / "classifier.onnx").write_bytes(content)
    quarter = SIDE // 4
    expected["classifier"] = [
        [
            run(content, image[:, r : r + quarter, c : c + quarter])["output0"].tolist()
            for c in range(0, SIDE, quarter)
        ]
        for r in range(0, SIDE, quarter)
    ]
    print(f"mask: {len(expected['mask'])} areas; classifier: {quarter} pixels a chip")
    # What is refused, by name.
    for name, metadata, last in (
        ("pose", ULTRALYTICS | {"task": "pose"}, False),
        ("silent", {}, False),
        ("bands-last", detect, True),
    ):
        model = onnx.load_from_string(build(mask, metadata, batch=1))
        if last:
            sides = model.graph.input[0].type.tensor_type.shape.dim
            for axis, side in zip(sides, (1, SIDE, SIDE, 3), strict=True):
                axis.dim_value = side
            first = helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2])
            model.graph.node[0].input[0] = "first"
            model.graph.node.insert(0, first)
        (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    lines = [
        f" {json.dumps(k)}: [\n  " + ",\n  ".join(map(json.dumps, v)) for k, v in expected.items()
    ]
    (OUT / "expected.json").write_text("{\n" + "\n ],\n".join(lines) + "\n ]\n}\n")


if __name__ == "__main__":
    main()
