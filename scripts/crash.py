"""Stop scans in every way that happens, go on, and compare the bytes: `python scripts/crash.py`.

Three pieces of the demo scene are scanned with the tests' small model; that result is the
reference. Then scans are killed at seeded random moments, interrupted, starved of disk, robbed of
their scenes and so on, and the same command is given again. What it writes must equal the reference
to the last byte, but for the part of `run.json` that tells of the execution. Prints two Markdown
tables; exits with 1 when a row is not as expected.

Needs the built program, gdal-bin and strace (Debian packages); faketime and the right to mount a
tmpfs (root) are used where they are there, and the rows that need them are skipped elsewhere.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
LAYERS = ["detections", "sites", "clusters", "coverage"]
PIECES = {"a.tif": (0, 0, 900, 760), "b.tif": (600, 500, 820, 700), "c.tif": (300, 900, 700, 600)}
"""Scenes cut out of the demo scene: first column, first row, columns, rows."""
TRACED = "openat,mkdir,flock,pwrite64,fdatasync,fsync,unlink,renameat,write"
"""System calls of the main thread at which a scan may be killed."""
STAGES = {"opening": 7, "ledger made": 7, "scanning": 8, "writing layers": 8, "renaming": 6}
"""Share of the moments at system calls of each stage; the rest are moments in time."""
PATIENCE = 120
"""Seconds after which a scan counts as hanging."""


@dataclass
class Ended:
    """How a process ended: `code` as the shell shows it (137: SIGKILL)."""

    code: int
    said: str


@dataclass
class Row:
    """One thing that was tried."""

    what: str
    ended: Ended
    wanted: tuple[int, ...]
    equal: str
    note: str = ""

    @property
    def good(self):
        """Whether all is as it should be."""
        return self.ended.code in self.wanted and self.equal == "yes"


class Bench:
    """A folder with scenes, a model and the reference run, and ways to run the program in it."""

    def __init__(self, folder, program):
        self.folder = folder
        self.program = program
        (folder / "blob").symlink_to(REPO / "tests/data/blob")
        for name, window in PIECES.items():
            command = ["gdal_translate", "-q", "-srcwin", *map(str, window)]
            subprocess.run([*command, REPO / "data/demo/scene.tif", folder / name], check=True)
        self.whole = {name: (folder / name).read_bytes() for name in PIECES}
        ended = self.run("whole")
        if ended.code != 0:
            sys.exit(f"crash.py: the reference scan fails ({ended.code}): {ended.said}")
        self.reference = self.bytes_of("whole")
        self.calls = traced_calls(self)
        self.chips = json.loads((folder / "whole/run.json").read_text())["counts"]["chips"]

    def arguments(self, out, *more):
        """The scan command, the same each time but for the folder it writes."""
        scan = [*PIECES, "--model", "blob", "--workers", "2", "--overview", "--out", str(out)]
        score = [] if "--min-score" in more else ["--min-score", "0.3"]
        return [str(self.program), "scan", *scan, *score, *more]

    def start(self, out, *more, before=(), **settings):
        """Start a scan, behind the command `before` where one is given."""
        return subprocess.Popen(
            [*before, *self.arguments(out, *more)],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | settings,
        )

    def run(self, out, *more, before=(), **settings):
        """Scan to the end."""
        return self.wait(self.start(out, *more, before=before, **settings))

    def wait(self, process):
        """Wait for the end of a scan; one that hangs is killed and counts as 124."""
        try:
            said = process.communicate(timeout=PATIENCE)[1] or ""
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Ended(124, "hangs")
        code = process.returncode
        return Ended(128 - code if code < 0 else code, said.strip())

    def bytes_of(self, out):
        """Digests of all that a run wrote, the record without its execution; no more, no less."""
        folder = self.folder / out
        found = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = str(path.relative_to(folder))
            if name in (".lock", "ledger.sqlite"):
                continue
            content = path.read_bytes()
            if name == "run.json":
                record = json.loads(content)
                del record["execution"]
                content = json.dumps(record).encode()
            found[name] = hashlib.sha256(content).hexdigest()
        return found

    def same(self, out):
        """Whether a run equals the reference, or in what it differs."""
        found = self.bytes_of(out)
        names = set(found) | set(self.reference)
        differ = sorted(n for n in names if found.get(n) != self.reference.get(n))
        return "yes" if not differ else f"no: {', '.join(differ)}"

    def whole_files_only(self, out):
        """Make sure that what a stopped scan left is good: each file whole, a record only last."""
        folder = self.folder / out
        for path in folder.glob("*.geojson"):
            json.loads(path.read_bytes())
        if (folder / "run.json").exists():
            assert self.same(out) == "yes", f"{out} has a record and {self.same(out)}"
        if (folder / "ledger.sqlite").exists():
            with closing(sqlite3.connect(folder / "ledger.sqlite", timeout=30)) as ledger:
                assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)

    def recorded(self, out):
        """Chips in the ledger of a run; 0 where there is none yet."""
        path = self.folder / out / "ledger.sqlite"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
                return ledger.execute("SELECT count(*) FROM chip").fetchone()[0]
        except sqlite3.Error:
            return 0

    def until_recorded(self, process, out, share):
        """Wait until a share of the chips is in the ledger. Whether that came before the end."""
        wanted = share * self.chips["planned"]
        while process.poll() is None:
            if self.recorded(out) >= wanted:
                return True
            time.sleep(0.003)
        return False

    def go_on(self, what, ended, wanted, out, note=""):
        """Give the command again and say what came of both."""
        again = self.run(out)
        equal = self.same(out) if again.code == 0 else f"no: exit {again.code}, {again.said}"
        return Row(what, ended, wanted, equal, note)


# --- Killed ------------------------------------------------------------------------------------


def traced_calls(bench):
    """System calls of a whole scan by stage: `(name, how manyeth of its name)`."""
    log = bench.folder / "trace"
    bench.run("traced", before=["strace", "-o", str(log), "-e", f"trace={TRACED}"])
    calls = {stage: [] for stage in STAGES}
    seen = Counter()
    journals = 0
    stage = None
    for line in log.read_text().splitlines():
        found = re.match(r"(\w+)\((.*)", line)
        if not found:
            continue
        name, rest = found.groups()
        seen[name] += 1
        # The ledger is there once its journal has gone a third time: schema, plan, first chips.
        journals += name == "unlink" and "-journal" in rest
        if stage is None and '"a.tif"' in rest:
            stage = "opening"
        elif stage == "opening" and "/.lock" in rest:
            stage = "ledger made"
        elif stage == "ledger made" and journals == 3:
            stage = "scanning"
        elif stage == "scanning" and "O_EXCL" in rest and ".kilnsight-" in rest:
            stage = "writing layers"
        if stage:
            calls["renaming" if name == "renameat" else stage].append((name, seen[name]))
    return calls


def moments(bench, count, chance):
    """Moments to kill a scan at: `(stage, name of the call, its number)` or `(stage, seconds)`."""
    calls = bench.calls
    began = time.monotonic()
    bench.run("timed")
    lasts = time.monotonic() - began
    drawn = []
    for stage, share in STAGES.items():
        for _ in range(round(share * count / 50)):
            drawn.append((stage, *chance.choice(calls[stage])))
    while len(drawn) < count:
        drawn.append(("any time", chance.uniform(0, lasts)))
    return drawn


def kill(bench, number, moment):
    """Kill a scan at a moment, look at what it left, go on."""
    out = f"killed-{number}"
    stage, *when = moment
    if stage == "any time":
        process = bench.start(out)
        time.sleep(when[0])
        process.kill()
        at = f"{when[0]:.2f} s after the start"
    else:
        name, nth = when
        at = f"{name} no. {nth}"
        inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=SIGKILL:when={nth}"]
        process = bench.start(out, before=["strace", "-o", "/dev/null", *inject])
    ended = bench.wait(process)
    bench.whole_files_only(out)
    chips = bench.recorded(out)
    # A moment in time may come after the end, and a batch fewer makes a call come never.
    row = bench.go_on(f"{stage}: {at}", ended, (137, 0), out, f"{chips} chips in the ledger")
    shutil.rmtree(bench.folder / out)
    return row


# --- Everything else ---------------------------------------------------------------------------


def interrupt(bench, name):
    """A signal that asks to stop."""
    out = f"signal-{name}"
    process = bench.start(out)
    bench.until_recorded(process, out, 0.3)
    process.send_signal(getattr(signal, name))
    ended = bench.wait(process)
    assert "the same command goes on" in ended.said, ended
    return bench.go_on(f"{name} while scanning", ended, (130,), out)


def interrupt_twice(bench):
    """An impatient user."""
    process = bench.start("twice")
    bench.until_recorded(process, "twice", 0.3)
    process.send_signal(signal.SIGINT)
    time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    return bench.go_on("SIGINT twice", bench.wait(process), (130,), "twice")


def suspended(bench):
    """A laptop that sleeps."""
    process = bench.start("asleep")
    bench.until_recorded(process, "asleep", 0.3)
    process.send_signal(signal.SIGSTOP)
    time.sleep(3)
    process.send_signal(signal.SIGCONT)
    ended = bench.wait(process)
    return Row("stopped for 3 s (SIGSTOP), then continued", ended, (0,), bench.same("asleep"))


def slow_storage(bench):
    """Reads that take a fifth of a second each, as from a network drive in trouble."""
    delay = ["-e", "trace=pread64,read", "-e", "inject=pread64,read:delay_enter=200000:when=40+40"]
    before = ["strace", "-f", "-o", "/dev/null", *delay]
    ended = bench.run("slow", before=before)
    return Row("every 40th read stalls for 0.2 s", ended, (0,), bench.same("slow"))


def failing_sync(bench, what, stage, number):
    """A disk that fails when content is to be written to it for good."""
    syncs = [call for call in bench.calls[stage] if call[0] in ("fsync", "fdatasync")]
    return failing_call(bench, what, syncs[number][0], "EIO", syncs[number][1], (75,))


def failing_call(bench, what, call, error, nth, wanted=(1,)):
    """A system call of the main thread that fails from its nth time on."""
    out = f"{call}-{error}-{nth}"
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}+"]
    ended = bench.run(out, before=["strace", "-o", "/dev/null", *inject])
    return bench.go_on(what, ended, wanted, out, last_line(ended))


@contextmanager
def mounted(bench, name, size):
    """A small disk of its own, where this process may mount one."""
    folder = bench.folder / name
    folder.mkdir()
    tmpfs = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(tmpfs, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield lambda options: subprocess.run(
            ["mount", "-o", f"remount,{options}", folder], check=True
        )
    finally:
        subprocess.run(["umount", folder], check=True)


def full_disk(bench, what, name, size):
    """A disk too small for the run, then one large enough."""
    with mounted(bench, name, size) as remount:
        if remount is None:
            return skipped(what, "no right to mount")
        ended = bench.run(f"{name}/run")
        bench.whole_files_only(f"{name}/run")
        remount("size=64m")
        return bench.go_on(what, ended, (1,), f"{name}/run", last_line(ended))


def read_only(bench):
    """A folder that cannot be written."""
    with mounted(bench, "frozen", "64m") as remount:
        if remount is None:
            return skipped("read-only disk", "no right to mount")
        remount("ro")
        ended = bench.run("frozen/run")
        remount("rw")
        return bench.go_on("read-only disk", ended, (1,), "frozen/run", last_line(ended))


def scene_goes_bad(bench):
    """A scene cut short while it is scanned, and whole again afterwards."""
    process = bench.start("bad")
    bench.until_recorded(process, "bad", 0.02)
    os.truncate(bench.folder / "b.tif", len(bench.whole["b.tif"]) // 3)
    ended = bench.wait(process)
    record = json.loads((bench.folder / "bad/run.json").read_text())
    assert record["failures"] and {f["scene"] for f in record["failures"]} == {"b"}, record
    coverage = json.loads((bench.folder / "bad/coverage.geojson").read_text())
    failed = [f for f in coverage["features"] if f["properties"]["status"] == "failed"]
    assert failed and {f["properties"]["scene"] for f in failed} == {"b"}
    (bench.folder / "b.tif").write_bytes(bench.whole["b.tif"])
    chips = f"{record['counts']['chips']['failed']} chips failed, the other scenes complete"
    return bench.go_on("a scene truncated while scanning", ended, (3,), "bad", chips)


def scene_changes_between(bench):
    """A scene replaced between two executions."""
    process = bench.start("other")
    bench.until_recorded(process, "other", 0.3)
    process.kill()
    process.communicate()
    (bench.folder / "b.tif").write_bytes(bench.whole["c.tif"])
    ended = bench.run("other")
    (bench.folder / "b.tif").write_bytes(bench.whole["b.tif"])
    return bench.go_on(
        "a scene replaced between two executions", ended, (1,), "other", last_line(ended)
    )


def locked_ledger(bench):
    """Another program that reads the ledger and does not let go."""
    process = bench.start("locked")
    bench.until_recorded(process, "locked", 0.3)
    path = bench.folder / "locked/ledger.sqlite"
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as other:
        # Someone who looks: nothing can be committed until he closes it.
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM chip").fetchone()
        ended = bench.wait(process)
    return bench.go_on("another program holds the ledger", ended, (75,), "locked", last_line(ended))


def killed_rewrite(bench):
    """Layers replaced by those of another score, the process killed between two renames."""
    shutil.copytree(bench.folder / "whole", bench.folder / "rewritten")
    inject = ["-e", "trace=renameat", "-e", "inject=renameat:signal=SIGKILL:when=3"]
    before = ["strace", "-o", "/dev/null", *inject]
    ended = bench.run("rewritten", "--rewrite", "--min-score", "0.9", before=before)
    record = (bench.folder / "rewritten/run.json").exists()
    assert not record, "the record says that layers of two scans belong together"
    again = bench.run("rewritten", "--rewrite")
    equal = bench.same("rewritten") if again.code == 0 else f"no: exit {again.code}"
    return Row("killed between two renames of a `--rewrite`", ended, (137,), equal)


def two_at_once(bench):
    """The same command twice at once."""
    first = bench.start("shared")
    bench.until_recorded(first, "shared", 0.1)
    second = bench.run("shared")
    assert bench.wait(first).code == 0
    what = "a second process in the same directory"
    return Row(what, second, (75,), bench.same("shared"), last_line(second))


def directory_deleted(bench):
    """The run directory removed under a running scan."""
    process = bench.start("removed")
    bench.until_recorded(process, "removed", 0.3)
    shutil.rmtree(bench.folder / "removed")
    ended = bench.wait(process)
    what = "run directory deleted while scanning"
    return bench.go_on(what, ended, (1,), "removed", last_line(ended))


def clock_jumps(bench):
    """A clock that is set a year ahead, then a year back."""
    if not shutil.which("faketime"):
        return skipped("the clock jumps", "faketime is not installed")
    process = bench.start("clock", before=["faketime", "-f", "+400d"])
    bench.until_recorded(process, "clock", 0.3)
    process.kill()
    ended = bench.wait(process)
    again = bench.run("clock", before=["faketime", "-f", "-400d"])
    equal = bench.same("clock") if again.code == 0 else f"no: exit {again.code}, {again.said}"
    return Row("clock 400 days ahead, killed, then 400 days back", ended, (137,), equal)


def full_standard_output(bench):
    """Results that cannot be printed."""
    with open("/dev/full", "w") as full:
        ended = bench.run("mute", stdout=full)
    return bench.go_on("standard output full", ended, (1,), "mute", last_line(ended))


def damaged_ledger(bench):
    """A ledger that lost its second half: never mended in silence."""
    bench.run("torn")
    path = bench.folder / "torn/ledger.sqlite"
    os.truncate(path, path.stat().st_size // 2)
    ended = bench.run("torn")
    again = bench.run("torn", "--fresh")
    equal = bench.same("torn") if again.code == 0 else f"no: exit {again.code}, {again.said}"
    return Row("ledger cut in half (then `--fresh`)", ended, (1,), equal, last_line(ended))


def last_line(ended):
    """What the user reads last, cut to fit a table."""
    lines = ended.said.splitlines() or [""]
    return lines[-1] if len(lines[-1]) < 200 else lines[-1][:200] + "…"


def skipped(what, why):
    """A row for what cannot be tried here."""
    return Row(what, Ended(0, ""), (0,), "yes", f"skipped: {why}")


def others(bench):
    """All that is not a kill, one row each."""
    ledger_bytes = (bench.folder / "whole/ledger.sqlite").stat().st_size
    yield from (interrupt(bench, name) for name in ("SIGINT", "SIGTERM", "SIGHUP"))
    yield interrupt_twice(bench)
    yield suspended(bench)
    yield slow_storage(bench)
    yield full_disk(bench, "disk full while scanning", "small", ledger_bytes // 2)
    yield full_disk(bench, "disk full while writing layers", "tight", ledger_bytes + 65536)
    yield failing_sync(bench, "the disk fails under the ledger", "scanning", 5)
    yield failing_sync(bench, "the disk fails under a layer", "writing layers", 2)
    yield failing_call(bench, "no rename", "renameat", "EACCES", 3)
    yield scene_goes_bad(bench)
    yield scene_changes_between(bench)
    yield locked_ledger(bench)
    yield two_at_once(bench)
    yield killed_rewrite(bench)
    yield read_only(bench)
    yield directory_deleted(bench)
    yield clock_jumps(bench)
    yield full_standard_output(bench)
    yield damaged_ledger(bench)


# --- Tables ------------------------------------------------------------------------------------


def print_rows(title, rows):
    """Print rows as they come; returns those that are not as they should be."""
    print(f"\n| {title} | exit | same bytes after going on | |\n| --- | --- | --- | --- |")
    bad = []
    for row in rows:
        note = row.note if row.good else f"{row.note} NOT AS EXPECTED ({row.ended.said})"
        cells = (row.what, row.ended.code, row.equal, note)
        print("| " + " | ".join(str(c).replace("|", "\\|") for c in cells) + " |", flush=True)
        if not row.good:
            bad.append(row)
    return bad


def main():
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=50, help="moments to kill at")
    parser.add_argument("--seed", type=int, default=1, help="chooses the moments")
    parser.add_argument("--program", type=Path, default=REPO / "target/debug/kilnsight")
    parser.add_argument("--keep", action="store_true", help="keep the folder and name it")
    options = parser.parse_args()
    for tool in ("strace", "gdal_translate"):
        if not shutil.which(tool):
            parser.error(f"{tool} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="kilnsight-crash-"))
    try:
        bench = Bench(folder, options.program.resolve())
        chance = random.Random(options.seed)
        drawn = moments(bench, options.moments, chance)
        rows = (kill(bench, i, moment) for i, moment in enumerate(drawn))
        bad = print_rows("killed (SIGKILL) at", rows)
        bad += print_rows("what happened", others(bench))
    finally:
        if options.keep:
            print(f"\nkept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)
    if bad:
        sys.exit(f"crash.py: {len(bad)} rows are not as expected")


if __name__ == "__main__":
    main()
