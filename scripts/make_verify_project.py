"""Makes a large verification project for load_verify.py and simulate_verify.py.

Draws a scene of bright blobs in fields of 1 to 300, scans it with the model of the tests, and turns
the run into a project. Nothing in it exists; the same seed gives the same scene.

usage: scripts/make_verify_project.py OUT [--tasks N] [--sample N] [--seed N] [--program FILE]
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

REPO = Path(__file__).resolve().parent.parent
MODEL = REPO / "tests/data/blob"
GSD_M = 10
GROUND = 70
# Widths of blobs, and between the blobs of a field, in pixels. Fields lie further apart than
# neighbours of a cluster do.
SIGMA = 3
SPACING = 26
GAP = 260
LARGEST_FIELD = 300
FIELDS_A_ROW = 6


def field(rng, count: int) -> np.ndarray:
    """Places of blobs in a square field, from its corner."""
    side = int(np.ceil(np.sqrt(count)))
    places = np.array([(i % side, i // side) for i in range(count)], float) * SPACING
    return places + rng.uniform(-4, 4, places.shape)


def blobs(rng, count: int) -> np.ndarray:
    """x, y and brightness of all blobs, field beside field."""
    step = SPACING * int(np.ceil(np.sqrt(LARGEST_FIELD))) + GAP
    found, number = [], 0
    while count > 0:
        # Most stand in large fields, some alone.
        size = min(count, int(np.ceil(LARGEST_FIELD * rng.uniform() ** 2)))
        corner = np.array((number % FIELDS_A_ROW, number // FIELDS_A_ROW)) * step + GAP / 2
        found.append(corner + field(rng, size))
        count, number = count - size, number + 1
    places = np.concatenate(found)
    return np.column_stack((places, rng.uniform(80, 160, len(places))))


def draw(rng, all_blobs: np.ndarray) -> np.ndarray:
    """The grey values of a scene that holds them."""
    columns, rows = (all_blobs[:, :2].max(axis=0) + GAP).astype(int)
    grey = GROUND + rng.uniform(-4, 4, (rows, columns)).astype(np.float32)
    reach = 5 * SIGMA
    for x, y, height in all_blobs:
        left, top = int(x) - reach, int(y) - reach
        at = np.arange(2 * reach + 1) + 0.5
        bump = np.exp(-((left + at - x) ** 2) / (2 * SIGMA**2))
        side = np.exp(-((top + at - y) ** 2) / (2 * SIGMA**2))
        grey[top : top + len(at), left : left + len(at)] += height * np.outer(side, bump)
    return np.clip(np.round(grey), 0, 255).astype(np.uint8)


def main() -> None:
    """Draws, scans, and makes the project."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--tasks", type=int, default=6000, help="blobs: tasks come to some fewer")
    parser.add_argument("--sample", type=int, default=100, help="random sample of each stratum")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", type=Path, default=REPO / "target/release/kilnsight")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    grey = draw(rng, blobs(rng, options.tasks))
    rows, columns = grey.shape
    with tempfile.TemporaryDirectory() as folder:
        scene, run = Path(folder) / "scene.tif", Path(folder) / "run"
        with rasterio.open(
            scene,
            "w",
            driver="GTiff",
            width=columns,
            height=rows,
            count=3,
            dtype="uint8",
            crs="EPSG:32631",
            transform=from_origin(500_000, 60_000, GSD_M, GSD_M),
            tiled=True,
        ) as dataset:
            for band in (1, 2, 3):
                dataset.write(grey, band)
            dataset.update_tags(TIFFTAG_DATETIME="2024:01:15 10:30:00")
        program = str(options.program)
        scan = ["scan", str(scene), "--model", str(MODEL), "--out", str(run)]
        subprocess.run([program, *scan], check=True)
        sample = ["--sample", str(options.sample), "--seed", str(options.seed)]
        subprocess.run([program, "verify", "init", str(options.out), str(run), *sample], check=True)


if __name__ == "__main__":
    main()
