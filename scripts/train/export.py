"""Writing a trained network as ONNX with its cards, and checking that the file says the same."""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import agree
import card
import labels
import metrics
import quantize
import screen_card
from boxes import envelopes
from calibration import Calibration
from data import Tile, training_list_hash
from decode import detections
from graph import TOLERANCE, write_model
from network import KilnNet
from predict import STYLES, Detector
from synthetic import as_boxes, make_demo_scene
from thresholds import LOW_SCORE
from train import background_of

DEMO_SEED = 7


def measure_demo(path, line, scores):
    """Figures of the exported model on the demo scene, read by ONNX Runtime as one chip.

    `line` is the `Calibration` of its scores, `scores` are those to give recall and precision at.
    """
    pixels, whole, part = make_demo_scene.demo(DEMO_SEED)
    boxes = as_boxes(whole)
    scene = Tile(pixels, boxes, envelopes(boxes), oriented=True, ignore=envelopes(as_boxes(part)))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    maps = session.run(None, {"image": pixels[None].astype(np.float32) / 255})
    named = {name: values[0] for name, values in zip(names, maps, strict=True)}
    boxes, said, _ = detections(named)
    said = line.apply(said)
    shown = said >= LOW_SCORE
    matched = {r: [metrics.match(r, scene, boxes[shown], said[shown])] for r in metrics.RULES}
    figures = {"kilns": len(whole), "at_scores": []}
    for rule, matches in matched.items():
        figures[f"ap_{rule}"] = round(metrics.average_precision(matches), 3)
    for score in scores:
        recall, precision, _ = metrics.at_score(matched["within_50m"], score)
        row = {"score": score, "recall": round(recall, 3), "precision": round(precision, 3)}
        figures["at_scores"].append(row)
    return figures


def tells_types(types):
    """Whether types were told better than by always saying the commonest (`type_figures`)."""
    return types is not None and types["accuracy"] > types["accuracy_of_the_commonest"]


def main():
    """Write `model.onnx`, `model.json`, `accuracy.json` and `CARD.md`, and compare with a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled tiles")
    parser.add_argument("--weights", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--format", choices=labels.READERS, default="coco", help="of the labels")
    parser.add_argument("--names", nargs="+", help="class names, as for train.py")
    parser.add_argument("--background", type=Path, help="folder of kiln-free tiles, if any")
    parser.add_argument("--accuracy", type=Path, required=True, help="what cross_validate.py wrote")
    parser.add_argument("--style", choices=STYLES, default="oriented", help="kind of box")
    parser.add_argument("--screen", type=Path, help="what screen.py wrote (its --out), if anything")
    parser.add_argument("--name", help="name of the model (default: that of its folder)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)

    trained = torch.load(arguments.weights)
    accuracy = json.loads(arguments.accuracy.read_text())
    net = KilnNet().eval()
    net.load_state_dict(trained["weights"])
    parameters = sum(p.numel() for p in net.parameters())
    typed = tells_types(accuracy["oriented"]["types"])
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "model.onnx"
    exported = Detector(net, arguments.style, typed)
    worst = write_model(exported, path)
    print(f"PyTorch and ONNX Runtime differ by at most {worst:.1e}")
    if worst >= TOLERANCE:
        raise SystemExit(f"they may differ by at most {TOLERANCE:.0e}: not a faithful export")
    is_small = quantize.is_shipped(accuracy, arguments.style)
    if is_small:
        tiles = labels.load(arguments.data, arguments.format, arguments.names)
        chips = quantize.calibration_chips(tiles, background_of(arguments)[0])
        quantize.quantize(path, path, chips)
        exported = quantize.OnnxDetector(path)

    facts = {
        "name": arguments.name or arguments.out.resolve().name,
        "style": arguments.style,
        "precision": "int8" if is_small else "float32",
        "typed": typed,
        "training": trained["training"],
        "training_list_sha256": training_list_hash(arguments.data),
        "cross_validation": accuracy,
        "screen": screen_card.take(arguments.screen, arguments.out),
    }
    chosen = card.shipped(facts)
    line = Calibration(chosen["calibration"]["slope"], chosen["calibration"]["shift"])
    scores = chosen["min_score"], chosen["balanced_score"]
    facts["demo"] = measure_demo(path, line, sorted(set(scores), reverse=True))
    text = json.dumps(card.model_card(facts, parameters, path), indent=2)
    (arguments.out / "model.json").write_text(text + "\n")
    (arguments.out / "accuracy.json").write_text(json.dumps(facts, indent=1) + "\n")
    (arguments.out / "CARD.md").write_text(card.card_text(facts, parameters))
    print(f"demo scene: {facts['demo']}")
    if (program := agree.binary()) is None:
        print("not compared with `kilnsight scan`: build it, or name it in KILNSIGHT")
    else:
        agreed = agree.check(program, arguments.out, exported, line)
        print(f"Python and kilnsight scan agree: {agreed}")


if __name__ == "__main__":
    main()
