"""Measures everything that docs/performance.md speaks of and prints it as Markdown.

usage: figures.py KILNSIGHT FIGURES FOLDER (scripts/bench.sh gives all three)
"""

import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import onnxruntime
import rasterio

REPEATS = 7
SIDES = [2048, 4096, 8192, 30_000]
MAIN, LARGE = 8192, 30_000
BOXES = [1_000, 10_000, 100_000]
DETECTIONS = [100_000, 300_000, 1_000_000]
HERE = Path(__file__).resolve().parent
LIBRARY = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))


class Run:
    """A program run to its end: wall and processor seconds, peak memory in MiB, what it printed."""

    def __init__(self, *command):
        environment = dict(os.environ, ORT_DYLIB_PATH=str(LIBRARY))
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command], stdout=subprocess.PIPE, env=environment
        )
        self.text = process.stdout.read().decode()
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(
                f"bench: {' '.join(map(str, command))} ended with {process.returncode}"
            )
        self.cpu = usage.ru_utime + usage.ru_stime
        self.mib = usage.ru_maxrss / 1024

    def json(self):
        """What it printed, parsed."""
        return json.loads(self.text)


def say(text):
    """Tells on standard error what is being measured."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def load():
    """Processes that want a core, over the last minute."""
    return os.getloadavg()[0]


def machine():
    """The machine, in words."""
    cpu = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {gib:.0f} GiB, {platform.system()} "
        f"{platform.machine()}; GDAL {rasterio.__gdal_version__} in Python, "
        f"ONNX Runtime {onnxruntime.__version__}"
    )


def slope(points):
    """Growth on double logarithmic axes: 1 is in proportion. Least squares."""
    x, y = zip(*((math.log(a), math.log(b)) for a, b in points), strict=True)
    mx, my = statistics.mean(x), statistics.mean(y)
    above = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    return above / sum((a - mx) ** 2 for a in x)


def table(head, rows):
    """Prints a table."""
    print(f"\n| {' | '.join(head)} |\n|{' --- |' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")


def median(runs, value):
    """The run in the middle by `value`."""
    return sorted(runs, key=value)[len(runs) // 2]


def ratio(runs, others):
    """The middle one of the ratios of runs to the others, each pair made one after the other.

    A machine that others use changes its pace from minute to minute: both of a pair met the same.
    """
    return statistics.median(one / other for one, other in zip(runs, others, strict=True))


def spread(runs, others):
    """The ratios of `ratio`, the least and the greatest."""
    ratios = [one / other for one, other in zip(runs, others, strict=True)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


class Bench:
    """The programs and files that are measured."""

    def __init__(self, kilnsight, figures, folder):
        self.kilnsight, self.program, self.folder = kilnsight, figures, Path(folder)
        self.model = self.folder / "model"
        self.workers = len(os.sched_getaffinity(0))

    def prepare(self):
        """Writes what is not there yet."""
        for side in SIDES:
            say(f"raster of {side} × {side} pixels")
            self.script("raster.py", self.scene(side), side)
        say("network")
        return self.script("network.py", self.model, self.scene(MAIN))

    def script(self, name, *words):
        """What a script of ours prints.

        It runs on its own: on Linux the peak memory of a program is at least that of its parent.
        """
        command = [sys.executable, HERE / name, *map(str, words)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def scene(self, side):
        """The raster of a size."""
        return self.folder / f"{side}.tif"

    def scan(self, side):
        """A whole scan: process start to layers on disk. Returns the run and its record."""
        out = self.folder / "run"
        shutil.rmtree(out, ignore_errors=True)
        say(f"scan of {side} × {side}")
        run = Run(
            self.kilnsight, "scan", self.scene(side), "--model", self.model, "--out", out,
            "--workers", self.workers, "--progress", "none",
        )  # fmt: skip
        return run, json.loads((out / "run.json").read_text())

    def figure(self, *words):
        """A figure of the bench program."""
        say(" ".join(map(str, words)))
        return Run(self.program, *words).json()

    def scans(self):
        """A scan against ONNX Runtime alone and against the plain loop, in turns."""
        scans, alone, loops = [], [], []
        for _ in range(REPEATS):
            scans.append(self.scan(MAIN))
            alone.append(self.figure("ort", LIBRARY, self.model, self.scene(MAIN), self.workers))
            say("plain Python loop")
            onnx = self.model / "model.onnx"
            loops.append(Run(sys.executable, HERE / "plain_loop.py", onnx, self.scene(MAIN)))
        scan, record = median(scans, lambda s: s[0].wall)
        floor = median(alone, lambda a: a["seconds"])
        loop = median(loops, lambda r: r.wall)
        chips = record["counts"]["chips"]["scanned"]
        assert chips == floor["chips"] == loop.json()["chips"], "not the same chips"
        print(
            f"\n### Scan of {MAIN} × {MAIN} × 3 bytes\n\n"
            f"{chips} chips, {self.workers} workers with one thread each."
        )
        wall, cpu = [s.wall for s, _ in scans], [s.cpu for s, _ in scans]
        floors = [a["seconds"] for a in alone], [a["cpu"] for a in alone]
        plain = [r.wall for r in loops], [r.cpu for r in loops]
        middle = statistics.median
        table(
            ["", "wall s", "CPU s", "peak MiB", "wall, scan against it", "from, to",
             "CPU, scan against it"],
            [
                ["kilnsight scan", f"{scan.wall:.2f}", f"{middle(cpu):.2f}", f"{scan.mib:.0f}",
                 "", "", ""],
                ["ONNX Runtime alone", f"{floor['seconds']:.2f}", f"{middle(floors[1]):.2f}", "",
                 f"**{ratio(wall, floors[0]):.2f}** (≤ 1.10)", spread(wall, floors[0]),
                 f"{ratio(cpu, floors[1]):.2f}"],
                ["plain Python loop", f"{middle(plain[0]):.2f}", f"{middle(plain[1]):.2f}",
                 f"{loop.mib:.0f}", f"**{ratio(wall, plain[0]):.2f}** (< 1)",
                 spread(wall, plain[0]), f"{ratio(cpu, plain[1]):.2f}"],
            ],
        )  # fmt: skip
        seconds = record["execution"]["seconds"]
        parts = ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items())
        print(f"\nOf the scan: {parts}; a session takes {floor['load']:.2f} s to load.")
        read = self.figure("read", self.model, self.scene(MAIN))
        print(
            f"Reading and cutting alone, one reader and one worker: {read['seconds']:.2f} s "
            f"({1000 * read['seconds'] / read['chips']:.1f} ms a chip)."
        )
        return scan, chips

    def growth(self, scan, chips):
        """Memory and time with the size of the scene."""
        points, rows = [], []
        for side in SIDES:
            if side == MAIN:
                run, count = scan, chips
            else:
                run, record = self.scan(side)
                count = record["counts"]["chips"]["scanned"]
            points.append((count, run.cpu))
            rows.append(
                [f"{side} × {side}", count, f"{run.wall:.1f}", f"{run.cpu:.1f}", f"{run.mib:.0f}"]
            )
            if side == LARGE:
                ratio = run.mib / scan.mib
        print("\n### Growth with the scene")
        table(["scene", "chips", "wall s", "CPU s", "peak MiB"], rows)
        print(
            f"\nPeak memory: **{scan.mib:.0f} MiB** at {MAIN} (≤ 250), **{ratio:.2f}** times that "
            f"at {LARGE} (≤ 1.2). CPU time grows with chips by the power "
            f"**{slope(points):.2f}** (≤ 1.1)."
        )

    def suppression(self):
        """Rotated suppression."""
        print("\n### Rotated suppression, exact polygon overlap, one thread")
        rows = []
        for plane in ("planar", "ground"):
            for spread in ("scattered", "crowded"):
                found = [self.figure("suppress", plane, spread, count) for count in BOXES]
                times = [f"{f['seconds']:.4f} s ({f['kept']} kept)" for f in found]
                growth = slope(list(zip(BOXES, (f["seconds"] for f in found), strict=True)))
                rows.append([f"{plane}, {spread}", *times, f"{growth:.2f}"])
        table(["boxes", *(f"{count:,}" for count in BOXES), "slope"], rows)
        print("\nTarget: 100,000 boxes in less than 1 s.")

    def sites(self):
        """Merging, clustering and writing."""
        print("\n### Sites and clusters, with sites written as GeoJSON")
        rows = []
        for spread in ("scattered", "crowded"):
            found = [self.figure("sites", spread, count) for count in DETECTIONS]
            growth = slope(list(zip(DETECTIONS, (f["seconds"] for f in found), strict=True)))
            for count, f in zip(DETECTIONS, found, strict=True):
                rows.append([
                    spread, f"{count:,}", f"{f['sites']:,}", f"{f['clusters']:,}",
                    f"{f['merge']:.2f}", f"{f['cluster']:.2f}", f"**{f['seconds']:.2f}**",
                    f"{f['mib_detections']:.0f}", f"{f['mib']:.0f}", f"{growth:.2f}",
                ])  # fmt: skip
        table(
            ["detections", "count", "sites", "clusters", "merge s", "cluster s", "all s",
             "MiB of detections", "peak MiB", "slope"],
            rows,
        )  # fmt: skip
        print("\nTarget: 1,000,000 detections in less than 30 s; slope ≤ 1.1.")


def main(kilnsight, figures, folder):
    """Runs all of it."""
    bench = Bench(kilnsight, figures, folder)
    model = bench.prepare()
    before = load()
    print(
        f"## {time.strftime('%Y-%m-%d %H:%M')}\n\n{machine()}.\n\n"
        f"Network: {model}. Warm page cache."
    )
    bench.growth(*bench.scans())
    bench.suppression()
    bench.sites()
    shutil.rmtree(bench.folder / "run", ignore_errors=True)
    print(f"\nLoad average {before:.1f} before, {load():.1f} after.")


if __name__ == "__main__":
    main(*sys.argv[1:])
