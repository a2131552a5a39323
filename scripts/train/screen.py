"""Trains the screen that drops chips before the detector, and chooses its threshold.

Each region in turn is held out, as in `cross_validate.py`, whose networks say which kilns the
detector finds there; the threshold is the highest at which at most one in a hundred of these would
be dropped if it stood alone on its chip. The screen that is written was trained on all regions.
Where it is good enough to be shipped, less is false than without it: the detector's figures are
written once more, with the default score that this allows.
"""

import argparse
import hashlib
import json
import multiprocessing
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import data
import quantize
import screen_card
import screen_figures
import split
from calibration import Calibration
from cross_validate import load_tiles
from encoder import pretrained_state
from figures import all_figures, find
from graph import OPSET, TOLERANCE, clean, fuse, write_model
from network import SIZE_MULTIPLE, KilnNet
from predict import STYLES, Detector
from screen_net import FACTOR, Screen, ScreenNet
from screen_train import Settings, train
from synthetic import synthetic_tiles
from train import add_data_arguments, background_of


def train_one(job):
    """Train without one region (None: with all), or load what an earlier run kept.

    `job` is (fold, region, arguments). Returns weights and the seconds that training took.
    """
    fold, region, arguments = job
    kept = arguments.out / f"screen-{'all' if region is None else fold}.pt"
    if kept.exists():
        return torch.load(kept)
    torch.set_num_threads(1)
    tiles = load_tiles(arguments)
    pixels, folds = background_of(arguments)
    if region is not None:
        tiles = split.without(tiles, region, arguments.buffer)
        pixels = pixels[folds != fold % data.BACKGROUND_FOLDS]
    net, rows = train(
        tiles,
        pixels,
        synthetic_tiles(arguments.synthetic),
        Settings(steps=arguments.steps),
        pretrained=pretrained_state(),
        log=lambda line: print(f"{region or 'all regions'}: {line}", flush=True),
        keep=kept.with_suffix(".checkpoint"),
    )
    result = {"weights": net.state_dict(), "seconds": rows[-1][1]}
    torch.save(result, kept)
    kept.with_suffix(".checkpoint").unlink(missing_ok=True)
    return result


def network(result):
    """The network of what `train_one` returned."""
    net = ScreenNet().eval()
    net.load_state_dict(result["weights"])
    return net


def shipped_detectors(arguments, accuracy, tiles, pixels, folds):
    """{region: detector that never saw it}, int8 if that ships, and the line that corrects scores.

    Of the networks of `cross_validate.py --keep`; `accuracy` is what it wrote.
    """
    is_small = quantize.is_shipped(accuracy, arguments.style)
    detectors = {}
    for fold, region in enumerate(split.regions(tiles)):
        net = KilnNet().eval()
        net.load_state_dict(torch.load(arguments.folds / f"fold-{fold}.pt")["weights"])
        known = pixels[folds != fold % data.BACKGROUND_FOLDS]
        seen = split.without(tiles, region, arguments.buffer)
        detectors[region] = (
            quantize.of_fold(net, arguments.style, seen, known)[1]
            if is_small
            else Detector(net, arguments.style)
        )
    calibrated = accuracy["int8" if is_small else arguments.style]["calibration"]
    return detectors, Calibration(calibrated["slope"], calibrated["shift"])


def found_kilns(tiles, found, least):
    """{tile number: boxes of the kilns near a detection of `found` that scores `least` or more}."""
    wanted = {}
    for tile in tiles:
        boxes, scores = found[tile.number][:2]
        gaps = np.linalg.norm(tile.boxes[:, None, :2] - boxes[None, scores >= least, :2], axis=2)
        wanted[tile.number] = tile.boxes[(gaps * tile.gsd_m <= 50).any(1)]
    return wanted


def write_onnx(net, path):
    """Write the screen to `path`; what ONNX Runtime makes of it must be what PyTorch does."""
    screen = Screen(net).eval()
    fuse(screen)
    example = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    torch.onnx.export(
        screen,
        (example,),
        path,
        input_names=["image"],
        output_names=["kiln"],
        opset_version=OPSET,
        dynamic_axes={
            "image": {0: "batch", 2: "height", 3: "width"},
            "kiln": {0: "batch", 2: "rows", 3: "columns"},
        },
        dynamo=False,
    )
    clean(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # The detector takes sides that the screen has to fill up.
    for shape in ((2, 3, 64, 48), (1, 3, 128, 128), (1, 3, SIZE_MULTIPLE, 3 * SIZE_MULTIPLE)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = screen(image).numpy()
        (actual,) = session.run(None, {"image": image.numpy()})
        if np.abs(expected - actual).max() >= TOLERANCE:
            raise SystemExit(f"PyTorch and ONNX Runtime differ by {TOLERANCE:.0e} and more")


def share_of_time(path, style):
    """Time that the screen at `path` takes for a chip, as a share of a float32 detector's."""
    with tempfile.TemporaryDirectory() as folder:
        detector = Path(folder) / "model.onnx"
        write_model(Detector(KilnNet().eval(), style), detector)
        pair = quantize.OnnxDetector(path), quantize.OnnxDetector(detector)
        screen, whole = quantize.milliseconds(pair)
    return round(screen / whole, 3)


def main():
    """Write `screen.onnx`, `screen.json`, and with `--accuracy` the `figures.json` to ship."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for screen and weights")
    parser.add_argument("--folds", type=Path, help="what cross_validate.py kept (its --keep)")
    parser.add_argument("--accuracy", type=Path, help="what cross_validate.py wrote (its --out)")
    parser.add_argument("--style", choices=STYLES, default="oriented", help="kind of box")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--synthetic", type=int, default=100, help="number of synthetic tiles")
    parser.add_argument("--workers", type=int, default=2, help="networks trained at a time")
    parser.add_argument(
        "--buffer", type=float, default=split.BUFFER_M, help="metres kept free round held-out tiles"
    )
    arguments = parser.parse_args()
    if (arguments.folds is None) != (arguments.accuracy is None):
        parser.error("--folds and --accuracy belong together")
    warnings.filterwarnings("ignore", category=UserWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    arguments.out.mkdir(parents=True, exist_ok=True)

    tiles = load_tiles(arguments)
    pixels, folds = background_of(arguments)
    regions = split.regions(tiles)
    jobs = [(fold, region, arguments) for fold, region in enumerate([*regions, None])]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        *results, last = pool.map(train_one, jobs, chunksize=1)
    nets = {region: network(r) for region, r in zip(regions, results, strict=True)}
    wanted = {tile.number: tile.boxes for tile in tiles}
    if arguments.folds is not None:
        accuracy = json.loads(arguments.accuracy.read_text())
        shipped = "int8" if quantize.is_shipped(accuracy, arguments.style) else arguments.style
        detectors, line = shipped_detectors(arguments, accuracy, tiles, pixels, folds)
        balanced = accuracy[shipped]["balanced_score"]
        wanted = found_kilns(tiles, find(detectors, tiles, line), balanced)
    path = arguments.out / "screen.onnx"
    write_onnx(network(last), path)
    facts = {
        "kilns_are": "all labelled" if arguments.folds is None else "found by the detector",
        "factor": FACTOR,
        "share_of_time": share_of_time(path, arguments.style),
        "parameters": sum(p.numel() for p in network(last).parameters()),
        "steps": arguments.steps,
        "training_seconds": round(last["seconds"]),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **screen_figures.measure(nets, tiles, wanted, pixels, folds),
    }
    (arguments.out / "screen.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({k: v for k, v in facts.items() if k != "curve"}))
    if arguments.folds is not None:
        if screen_card.is_good(facts):
            behind = screen_figures.false_behind(
                detectors, line, nets, facts["threshold"], pixels, folds
            )
            accuracy[shipped] = all_figures(detectors, tiles, pixels, folds, behind)
        (arguments.out / "figures.json").write_text(json.dumps(accuracy, indent=2) + "\n")


if __name__ == "__main__":
    main()
