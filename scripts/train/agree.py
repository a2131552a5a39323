"""Comparing what the scanner makes of an exported model with what the network in PyTorch says."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np

from predict import predict
from synthetic import make_demo_scene

SEED = 2_000_000
"""Seed of the scene that is scanned; nothing is trained on it."""

SIDE = 256
"""Its side in pixels: one chip, so that the scanner sees what the network is shown."""

COMPARED = 0.05
"""Detections from this score on must be in both: far enough from the lowest that are kept."""

LOWEST = 1e-3
"""What the network must keep, before calibration, to hold all that the scanner keeps after it."""

PIXELS, SCORE = 0.05, 5e-3
"""By how much positions, lengths and scores may differ: other kernels round differently, in int8 by
up to a step, and the curve on the card is made of straight pieces."""


def binary():
    """The scanner: `KILNSIGHT`, the newest build of this repository, or on the path; else None."""
    if named := os.environ.get("KILNSIGHT"):
        return named
    target = Path(__file__).resolve().parents[2] / "target"
    built = [target / kind / "kilnsight" for kind in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if built:
        return str(max(built, key=lambda path: path.stat().st_mtime))
    return shutil.which("kilnsight")


def scanned(program, model, pixels):
    """Boxes N x 5 and scores N, best first: what `program` finds in `pixels` (3 x H x W uint8)."""
    with tempfile.TemporaryDirectory() as folder:
        scene, run = Path(folder) / "scene.tif", Path(folder) / "run"
        make_demo_scene.write_scene(pixels, scene)
        command = [program, "scan", scene, "--model", model, "--out", run, "--progress", "none"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{program} scan failed: {done.stderr.strip()}")
        with closing(sqlite3.connect(run / "ledger.sqlite")) as ledger:
            rows = ledger.execute(
                "SELECT x, y, length, width, angle, score FROM detection ORDER BY score DESC"
            ).fetchall()
    table = np.array(rows).reshape(-1, 6)
    return table[:, :5], table[:, 5]


def difference(one, other):
    """How far detections (boxes N x 5, scores N) are from their nearest in another list.

    Of those that score at least `COMPARED`: (number, worst in pixels, worst in score). Where there
    is no counterpart at all both are infinite.
    """
    (boxes, scores), (others, their_scores) = one, other
    worst_pixels = worst_score = 0.0
    shown = scores >= COMPARED
    for box, score in zip(boxes[shown], scores[shown], strict=True):
        if not len(others):
            return int(shown.sum()), np.inf, np.inf
        near = np.hypot(*(others[:, :2] - box[:2]).T).argmin()
        worst_pixels = max(worst_pixels, np.abs(others[near, :4] - box[:4]).max())
        worst_score = max(worst_score, abs(their_scores[near] - score))
    return int(shown.sum()), float(worst_pixels), float(worst_score)


def check(program, model, detector, line):
    """Scan one drawn scene with `model` (a folder) and compare both ways; a text on how it went.

    `detector` is the network as exported, `line` its `Calibration`. They may differ by rounding;
    SystemExit says where they do not agree.
    """
    rng = np.random.default_rng(SEED)
    pixels, _ = make_demo_scene.sample_scene(rng, SIDE, kilns=8)
    boxes, scores, _ = predict(detector, pixels, LOWEST)
    # A scan leaves out what is centred beyond the edge of its scene.
    inside = ((boxes[:, :2] >= 0) & (boxes[:, :2] < SIDE)).all(1)
    told = boxes[inside], line.apply(scores[inside])
    found = scanned(program, model, pixels)
    count, *there = difference(told, found)
    _, *back = difference(found, told)
    far, off = np.maximum(there, back)
    text = f"{count} detections in a drawn scene, differing by {far:.4f} pixels and {off:.5f} score"
    if count == 0 or far > PIXELS or off > SCORE:
        raise SystemExit(f"PyTorch and the scanner do not agree: {text}")
    return text
