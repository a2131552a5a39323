"""Leave-one-region-out figures of the training recipe, written to a JSON file.

Each region in turn is held out: a network is trained on the other regions, on synthetic scenes and
on five sixths of the background, then judged on the region and on the background left out. The
figures are pooled over all held-out tiles, so every tile is judged by a network that never saw its
district. Nothing that names or places a tile is written.
"""

import argparse
import json
import multiprocessing
import time
import warnings
from pathlib import Path

import numpy as np
import torch

import data
import metrics
from baseline import red_blobs
from boxes import oriented_iou
from network import KilnNet
from predict import STYLES, Detector, predict
from synthetic import synthetic_tiles
from train import Settings, train

STRETCH_PERCENTILES = (0.1, 99.8)
"""Stretch of a 16-bit scene that makes it look like the labelled tiles. Over the whole background
area it puts the median and the 98th percentile where they lie in the labelled tiles (about 0.2 and
0.6 of the range)."""

LOW_SCORE = 0.05
"""Recall is also given at this score: what a person could still be shown."""


def train_fold(job):
    """Train without one region, or load the weights where an earlier run kept them.

    `job` is (fold, region, arguments). Returns weights and the seconds that training took.
    """
    fold, region, arguments = job
    kept = arguments.keep / f"fold-{region}.pt"
    if kept.exists():
        return torch.load(kept)
    torch.set_num_threads(arguments.threads)
    tiles = [t for t in data.load_kilns(arguments.data) if t.region != region]
    pixels, folds = data.load_background(arguments.background)
    started = time.monotonic()
    net = train(
        tiles,
        pixels[folds != fold],
        synthetic_tiles(arguments.synthetic),
        Settings(steps=arguments.steps),
        log=lambda line: print(f"{region}: {line}", flush=True),
    )
    result = {"weights": net.state_dict(), "seconds": time.monotonic() - started}
    torch.save(result, kept)
    return result


def background_chips(pixels):
    """Background tiles, stretched over the whole area, as chips 3 x 64 x 64 among no data.

    That is how the scanner meets them: the tiles are strewn over a large empty raster.
    """
    band_values = pixels.transpose(1, 0, 2, 3).reshape(3, -1)
    low, high = np.percentile(band_values, STRETCH_PERCENTILES, axis=1)
    for tile in pixels:
        chip = np.zeros((3, 64, 64), np.uint8)
        chip[:, 16:48, 16:48] = data.stretch(tile, low, high)
        yield chip


def restretched(pixels):
    """A labelled tile 3 x H x W stretched anew, as if it were a scene of its own."""
    low, high = np.percentile(pixels.reshape(3, -1), STRETCH_PERCENTILES, axis=1)
    return data.stretch(pixels, low, high)


def judge(tiles, found, least=None):
    """Figures of `found` {tile number: (boxes, scores)} on `tiles`, with intervals over tiles.

    `least` is the score threshold of the default; without it the best is chosen. Returned too.
    """
    parts = {
        rule: [metrics.match(rule, tile, *found[tile.number]) for tile in tiles]
        for rule in metrics.RULES
    }
    near = parts["within_50m"]
    least = least if least is not None else metrics.best_score(near)
    figures = {"tiles": len(tiles), "kilns": sum(p.truths for p in near)}
    for rule, matches in parts.items():
        figures[f"ap_{rule}"] = _figure(matches, metrics.average_precision)
    for i, name in enumerate(("recall", "precision", "f1")):
        figures[f"{name}_at_min_score"] = _figure(
            near, lambda m, i=i: metrics.at_score(m, least)[i]
        )
    figures["recall_at_low_score"] = _figure(near, lambda m: metrics.at_score(m, LOW_SCORE)[0])
    return figures, least


def _figure(parts, figure):
    value = round(figure(parts), 3)
    if len(parts) < 3:  # too few tiles to draw from
        return {"value": value}
    return {"value": value, "interval_95": [round(v, 3) for v in metrics.interval(parts, figure)]}


def oriented_figures(tiles, found):
    """Rotated IoU and direction error of detections near kilns, on tiles with oriented truth."""
    overlaps, turns = [], []
    for tile in (t for t in tiles if t.oriented):
        boxes, _ = found[tile.number]
        for truth in tile.boxes:
            gaps = np.hypot(*(boxes[:, :2] - truth[:2]).T)
            if len(gaps) and gaps.min() <= 5:
                box = boxes[gaps.argmin()]
                overlaps.append(oriented_iou(box, truth))
                if truth[2] > 1.3 * truth[3]:
                    turn = np.degrees(box[4] - truth[4]) % 180
                    turns.append(min(turn, 180 - turn))
    return {
        "kilns": len(overlaps),
        "median_rotated_iou": round(float(np.median(overlaps)), 3),
        "median_direction_error_deg": round(float(np.median(turns)), 1),
    }


def groups(tiles):
    """Tiles by kind of label and by region."""
    out = {
        "official": [t for t in tiles if t.oriented],
        "hand_drawn": [t for t in tiles if not t.oriented],
    }
    for region in sorted({t.region for t in tiles}):
        out[region] = [t for t in tiles if t.region == region]
    return out


def style_figures(style, nets, tiles, pixels, folds):
    """All figures of one box style; `nets` {region: network}, in order of the folds."""
    found, again, background = {}, {}, []
    for fold, (region, net) in enumerate(nets.items()):
        detector = Detector(net, style)
        for tile in (t for t in tiles if t.region == region):
            found[tile.number] = predict(detector, tile.pixels)
            again[tile.number] = predict(detector, restretched(tile.pixels))
        chips = background_chips(pixels)
        held = (chip for chip, own in zip(chips, folds == fold, strict=True) if own)
        background += [predict(detector, chip)[1] for chip in held]
    pooled, least = judge(tiles, found)
    scores = np.concatenate(background)
    area_km2 = len(pixels) * (data.BACKGROUND_GRID_M / 1000) ** 2
    figures = {
        "min_score": least,
        "pooled": pooled,
        "groups": {name: judge(some, found, least)[0] for name, some in groups(tiles).items()},
        "pooled_restretched": judge(tiles, again, least)[0],
        "background": {
            "area_km2": round(area_km2, 1),
            "false_per_1000_km2": {
                f"at_{s}": round((scores >= s).sum() / area_km2 * 1000, 1)
                for s in sorted({LOW_SCORE, 0.2, 0.5, least})
            },
            "false_per_1000_km2_at_min_score": round((scores >= least).sum() / area_km2 * 1000, 1),
        },
    }
    if style == "oriented":
        figures["oriented_truth"] = oriented_figures(tiles, found)
    return figures


def main():
    """Run all folds and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled tiles")
    parser.add_argument("--background", type=Path, required=True, help="folder of kiln-free tiles")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the folds' weights")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--synthetic", type=int, default=300, help="number of synthetic tiles")
    parser.add_argument("--workers", type=int, default=2, help="folds trained at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of each")
    arguments = parser.parse_args()
    arguments.keep.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore", category=UserWarning)

    tiles = data.load_kilns(arguments.data)
    pixels, folds = data.load_background(arguments.background)
    regions = sorted({t.region for t in tiles})
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
        "training_seconds": {r: round(x["seconds"]) for r, x in zip(regions, results, strict=True)},
    }
    for style in STYLES:
        figures[style] = style_figures(style, nets, tiles, pixels, folds)
        print(style, json.dumps(figures[style]["pooled"]))
    blobs = {tile.number: red_blobs(tile.pixels) for tile in tiles}
    figures["red_blob_rule"] = {
        "pooled": judge(tiles, blobs)[0],
        "groups": {name: judge(some, blobs)[0] for name, some in groups(tiles).items()},
    }
    arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
