"""Writing a trained network as ONNX with its cards, and checking that the file says the same."""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import agree
import card
import metrics
from boxes import envelopes
from calibration import Calibration
from data import Tile, training_list_hash
from decode import detections
from figures import LOW_SCORE
from network import SIZE_MULTIPLE, KilnNet
from predict import STYLES, Detector
from synthetic import as_boxes, make_demo_scene

OPSET = 17
DEMO_SEED = 7
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


def write_model(detector, path):
    """Write a `Detector` (in evaluation mode; batch norms are folded) to `path` as float32 ONNX.

    Returns the largest difference between PyTorch and ONNX Runtime over several chip sizes.
    """
    detector = detector.eval().to(memory_format=torch.contiguous_format)
    example = torch.rand(2, 3, 128, 96, generator=torch.Generator().manual_seed(1))
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
    _clean(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = _difference(before, session.run(None, {"image": example.numpy()}))
    for shape in ((1, 3, 256, 256), (1, 3, SIZE_MULTIPLE, SIZE_MULTIPLE), (3, 3, 64, 200)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = detector(image)
        worst = max(worst, _difference(expected, session.run(None, {"image": image.numpy()})))
    return worst


def _difference(expected, actual):
    pairs = zip(expected, actual, strict=True)
    return max(float(np.abs(e.numpy() - a).max()) for e, a in pairs)


def _clean(path):
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


def measure_demo(path, line, min_score):
    """Figures of the exported model on the demo scene, read by ONNX Runtime as one chip.

    `line` is the `Calibration` of its scores.
    """
    pixels, whole, part = make_demo_scene.demo(DEMO_SEED)
    boxes = as_boxes(whole)
    scene = Tile(pixels, boxes, envelopes(boxes), oriented=True, ignore=envelopes(as_boxes(part)))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    maps = session.run(None, {"image": pixels[None].astype(np.float32) / 255})
    named = {name: values[0] for name, values in zip(names, maps, strict=True)}
    boxes, scores, _ = detections(named)
    scores = line.apply(scores)
    shown = scores >= LOW_SCORE
    figures = {"kilns": len(whole)}
    for rule in metrics.RULES:
        matched = [metrics.match(rule, scene, boxes[shown], scores[shown])]
        figures[f"ap_{rule}"] = round(metrics.average_precision(matched), 3)
        recall, precision, _ = metrics.at_score(matched, min_score)
        figures[f"recall_{rule}"] = round(recall, 3)
        figures[f"precision_{rule}"] = round(precision, 3)
    return figures


def tells_types(types):
    """Whether types were told better than by always saying the commonest (`type_figures`)."""
    return types is not None and types["accuracy"] > types["accuracy_of_the_commonest"]


def main():
    """Write `model.onnx`, `model.json`, `accuracy.json` and `CARD.md`, and compare with a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled tiles")
    parser.add_argument("--weights", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--accuracy", type=Path, required=True, help="what cross_validate.py wrote")
    parser.add_argument("--style", choices=STYLES, default="oriented", help="kind of box")
    parser.add_argument("--name", help="name of the model (default: that of its folder)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)

    trained = torch.load(arguments.weights)
    accuracy = json.loads(arguments.accuracy.read_text())
    chosen = accuracy[arguments.style]
    net = KilnNet().eval()
    net.load_state_dict(trained["weights"])
    parameters = sum(p.numel() for p in net.parameters())
    line = Calibration(chosen["calibration"]["slope"], chosen["calibration"]["shift"])
    typed = tells_types(accuracy["oriented"]["types"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "model.onnx"
    exported = Detector(net, arguments.style, typed)
    worst = write_model(exported, path)
    print(f"PyTorch and ONNX Runtime differ by at most {worst:.1e}")
    if worst >= TOLERANCE:
        raise SystemExit(f"they may differ by at most {TOLERANCE:.0e}: not a faithful export")

    facts = {
        "name": arguments.name or arguments.out.resolve().name,
        "style": arguments.style,
        "typed": typed,
        "training": trained["training"],
        "training_list_sha256": training_list_hash(arguments.data),
        "demo": measure_demo(path, line, chosen["min_score"]),
        "cross_validation": accuracy,
    }
    text = json.dumps(card.model_card(facts, parameters, path), indent=2)
    (arguments.out / "model.json").write_text(text + "\n")
    (arguments.out / "accuracy.json").write_text(json.dumps(facts, indent=1) + "\n")
    (arguments.out / "CARD.md").write_text(card.card_text(facts, parameters))
    print(f"demo scene: {facts['demo']}")
    if (program := agree.binary()) is None:
        print("not compared with `kilnsight scan`: build it, or name it in KILNSIGHT")
    else:
        print(f"PyTorch and kilnsight scan agree: {agree.check(program, arguments.out, exported, line)}")


if __name__ == "__main__":
    main()
