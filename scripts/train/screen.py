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
import shutil
import warnings
from pathlib import Path

import torch

import data
import screen_card
import screen_figures
import screen_onnx
import split
from cross_validate import load_tiles
from encoder import pretrained_state
from predict import STYLES
from screen_net import FACTOR, ScreenNet
from screen_onnx import PRECISIONS
from screen_train import Settings, train
from synthetic import synthetic_tiles
from train import add_data_arguments, background_of
from validated import Validated


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


def held_out(results, arguments, tiles, pixels, folds):
    """{precision: {region: screen that never saw it}} of what `train_one` returned by fold."""
    screens = {precision: {} for precision in PRECISIONS}
    for fold, (region, result) in enumerate(zip(split.regions(tiles), results, strict=True)):
        known = pixels[folds != fold % data.BACKGROUND_FOLDS]
        seen = split.without(tiles, region, arguments.buffer)
        for precision, made in screen_onnx.of_fold(network(result), seen, known).items():
            screens[precision][region] = made
    return screens


def cheapest(measured, shares, detector):
    """The precision to ship: that which takes least for a kiln-free chip, of the good ones.

    `measured` {precision: figures}, `shares` {precision: share of a float32 detector's time};
    `detector` is such a share, too. float32 where none is good enough.
    """
    good = [precision for precision in PRECISIONS if screen_card.is_good(measured[precision])]

    def cost(precision):
        return shares[precision] + screen_card.passed(measured[precision]) * detector

    return min(good, key=cost, default=PRECISIONS[0])


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
    screens = held_out(results, arguments, tiles, pixels, folds)
    detector, wanted = None, {tile.number: tile.boxes for tile in tiles}
    if arguments.folds is not None:
        detector = Validated(
            *(arguments.accuracy, arguments.folds, arguments.style, arguments.buffer),
            *(tiles, pixels, folds),
        )
        wanted = detector.found_kilns()
    measured = {
        precision: screen_figures.measure(nets, tiles, wanted, pixels, folds)
        for precision, nets in screens.items()
    }
    paths = screen_onnx.write_all(network(last), arguments.out, tiles, pixels)
    shares = screen_onnx.shares_of_time(paths, arguments.style)
    chosen = cheapest(measured, shares, detector.share_of_time() if detector else 1.0)
    path = arguments.out / "screen.onnx"
    shutil.copyfile(paths[chosen], path)
    facts = {
        "kilns_are": "found by the detector" if detector else "all labelled",
        "factor": FACTOR,
        "precision": chosen,
        "share_of_time": shares[chosen],
        "parameters": sum(p.numel() for p in network(last).parameters()),
        "steps": arguments.steps,
        "training_seconds": round(last["seconds"]),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        **measured[chosen],
        "ladder": {
            precision: {"share_of_time": shares[precision], **screen_card.rung(measured[precision])}
            for precision in PRECISIONS
        },
    }
    (arguments.out / "screen.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps({k: v for k, v in facts.items() if k != "curve"}))
    if detector is not None:
        if screen_card.is_good(facts):
            screen = screens[chosen], facts["threshold"]
            false = screen_figures.false_behind(
                detector.detectors, detector.line, *screen, pixels, folds
            )
            detector.put_behind(*screen, false)
        written = json.dumps(detector.accuracy, indent=2)
        (arguments.out / "figures.json").write_text(written + "\n")


if __name__ == "__main__":
    main()
