"""Leave-one-region-out figures of the training recipe, written to a JSON file.

Each region in turn is held out: a network is trained on the other regions, on synthetic scenes and
on five sixths of the background, then judged on the region and on the background left out. The
figures are pooled over all held-out tiles, so every tile is judged by a network that never saw its
district. Nothing that names or places a tile is written.
"""

import argparse
import json
import multiprocessing
import warnings
from pathlib import Path

import torch

import curves
import data
import labels
import losses
import quantize
import split
from baseline import red_blobs
from figures import all_figures, groups, judge
from network import KilnNet
from predict import STYLES, Detector
from synthetic import synthetic_tiles
from train import Settings, add_data_arguments, add_recipe_arguments, background_of, train


def load_tiles(arguments):
    """All labelled tiles, each with a region: the district it names, or one made from its place."""
    tiles = labels.load(arguments.data, arguments.format, arguments.names)
    split.name_regions(tiles)
    return tiles


def train_fold(job):
    """Train without one region, or load what an earlier run kept of it, the part of a training too.

    `job` is (fold, region, arguments). Returns weights, and the rows of the training's log.
    """
    fold, region, arguments = job
    kept = arguments.keep / f"fold-{fold}.pt"
    if kept.exists():
        return torch.load(kept)
    torch.set_num_threads(arguments.threads)
    tiles = split.without(load_tiles(arguments), region, arguments.buffer)
    pixels, folds = background_of(arguments)
    net, rows = train(
        tiles,
        pixels[folds != fold % data.BACKGROUND_FOLDS],
        synthetic_tiles(arguments.synthetic),
        Settings(steps=arguments.steps),
        start=torch.load(arguments.start, weights_only=True),
        log=lambda line: print(f"{region}: {line}", flush=True),
        keep=kept.with_suffix(".checkpoint"),
    )
    result = {"weights": net.state_dict(), "rows": rows}
    torch.save(result, kept)
    kept.with_suffix(".checkpoint").unlink(missing_ok=True)
    curves.write_log(rows, kept.with_suffix(".csv"), losses.TERMS)
    return result


def ladder_figures(nets, buffer, tiles, pixels, folds):
    """Figures of `quantize.RUNGS` but for float32, and the times that a chip takes on each."""
    rungs = {name: {} for name in quantize.RUNGS}
    times = []
    for fold, (region, net) in enumerate(nets.items()):
        known = pixels[folds != fold % data.BACKGROUND_FOLDS]
        seen = split.without(tiles, region, buffer)
        own = quantize.of_fold(net, STYLES[0], seen, known)
        times.append(quantize.milliseconds(own.values()))
        for name, detector in own.items():
            rungs[name][region] = detector
    by_rung = zip(quantize.RUNGS, zip(*times, strict=True), strict=True)
    return {
        "one_way": all_figures(rungs["one_way"], tiles, pixels, folds),
        "int8": all_figures(rungs["int8"], tiles, pixels, folds),
        "milliseconds": {name: sorted(taken) for name, taken in by_rung},
        "vnni": quantize.has_vnni(),
    }


def main():
    """Run all folds and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the folds' weights")
    add_recipe_arguments(parser)
    parser.add_argument("--workers", type=int, default=2, help="folds trained at a time")
    parser.add_argument(
        "--buffer", type=float, default=split.BUFFER_M, help="metres kept free round held-out tiles"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", category=UserWarning)

    tiles = load_tiles(arguments)
    pixels, folds = background_of(arguments)
    regions = split.regions(tiles)
    jobs = [(fold, region, arguments) for fold, region in enumerate(regions)]
    with multiprocessing.get_context("spawn").Pool(arguments.workers) as pool:
        results = pool.map(train_fold, jobs, chunksize=1)
    nets = {}
    for region, result in zip(regions, results, strict=True):
        nets[region] = KilnNet().eval()
        nets[region].load_state_dict(result["weights"])

    figures = {
        "steps": arguments.steps,
        "synthetic_tiles": arguments.synthetic,
        "training_seconds": {
            r: round(x["rows"][-1][1]) for r, x in zip(regions, results, strict=True)
        },
    }
    for style in STYLES:
        detectors = {region: Detector(net, style) for region, net in nets.items()}
        figures[style] = all_figures(detectors, tiles, pixels, folds)
        print(style, json.dumps(figures[style]["pooled"]))
    figures |= ladder_figures(nets, arguments.buffer, tiles, pixels, folds)
    for name in ("one_way", "int8"):
        print(name, json.dumps(figures[name]["pooled"]))
    print(figures["milliseconds"])
    blobs = {tile.number: red_blobs(tile.pixels) for tile in tiles}
    figures["red_blob_rule"] = {
        "pooled": judge(tiles, blobs)[0],
        "groups": {name: judge(some, blobs)[0] for name, some in groups(tiles).items()},
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")
    logs = {region: result["rows"] for region, result in zip(regions, results, strict=True)}
    curves.draw_losses(logs, arguments.out.with_name("losses.png"), losses.TERMS)
    curves.draw_validation(figures[STYLES[0]], arguments.out.with_name("validation.png"))


if __name__ == "__main__":
    main()
