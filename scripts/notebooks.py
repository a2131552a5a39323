"""Runs the notebooks in fresh kernels, and compares what comes out with what is stored in them.

Texts must be the same, but for the last digit of numbers with decimals: processors round
differently, and scores with them. Of pictures the kind must be the same. What goes to standard
error is not looked at, and neither is a cell with the tag `varies`, which may show what differs
from one machine to another.

usage: scripts/notebooks.py [--write] [NOTEBOOK...]

  --write   store what comes out, instead of comparing

The program is the one that the variable KILNSIGHT names, else the one that a notebook finds.
"""

import argparse
import difflib
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

REPO = Path(__file__).resolve().parent.parent
CELL_SECONDS = 600
"""How long one cell may take: with an unoptimised program, on a busy machine."""

PICTURES = ("image/png", "image/jpeg", "image/svg+xml")
LARGEST_PICTURE = 150 * 1024
"""In bytes: every version of a picture stays in the history of the repository."""

VARIES = "varies"
"""Tag of cells whose output is not compared."""

_DECIMAL = re.compile(r"\d+\.\d+")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def execute(notebook):
    """Run `notebook` in place, with nothing in it that differs from one run to the next."""
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as sockets:
        # Not over TCP: everybody on the machine could reach the kernel's ports.
        kernel = AsyncKernelManager(
            kernel_name="python3", transport="ipc", ip=str(Path(sockets, "kernel"))
        )
        client = NotebookClient(
            notebook,
            km=kernel,
            timeout=CELL_SECONDS,
            startup_timeout=CELL_SECONDS,
            resources={"metadata": {"path": str(REPO / "notebooks")}},
            record_timing=False,
            # Else the texts of a cell are cut where the kernel happened to send them.
            coalesce_streams=True,
        )
        client.execute(cleanup_kc=True)
    for cell in code_cells(notebook):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )


def code_cells(notebook):
    """The cells of `notebook` that hold code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """What `cell` shows, as lines of text; a picture is a line that says so."""
    lines = []
    for output in cell.outputs:
        if output.output_type == "stream":
            lines += output.text.splitlines() if output.name != "stderr" else []
            continue
        data = output.get("data", {})
        pictures = [f"({kind})" for kind in PICTURES if kind in data]
        lines += pictures or data.get("text/plain", "").splitlines()
    return lines


def same(one, other):
    """Whether two lines differ in nothing but the last digit of numbers with decimals."""
    if _DECIMAL.sub("#", one) != _DECIMAL.sub("#", other):
        return False
    pairs = zip(_DECIMAL.findall(one), _DECIMAL.findall(other), strict=True)
    return all(_close(a, b) for a, b in pairs)


def _close(one, other):
    places = len(one.split(".")[1])
    if places != len(other.split(".")[1]):
        return False
    return abs(int(one.replace(".", "")) - int(other.replace(".", ""))) <= 1


def differences(stored, made):
    """Where two notebooks with the same code show different things: a text for a person."""
    found = []
    cells = zip(code_cells(stored), code_cells(made), strict=True)
    for number, (before, now) in enumerate(cells, 1):
        if VARIES in now.metadata.get("tags", []):
            continue
        old, new = shown(before), shown(now)
        if len(old) == len(new) and all(map(same, old, new)):
            continue
        lines = difflib.unified_diff(old, new, "stored", "now", n=1, lineterm="")
        found.append(f"code cell {number}:\n" + "\n".join(lines))
    return "\n".join(found)


def too_large(notebook):
    """Sizes in bytes of the stored pictures that are too large."""
    outputs = [output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs]
    sizes = [len(data[kind]) * 3 // 4 for data in outputs for kind in PICTURES if kind in data]
    return [size for size in sizes if size > LARGEST_PICTURE]


def check(path, write):
    """Run the notebook at `path`; what is wrong with it, in words, or nothing."""
    stored = nbformat.read(path, as_version=4)
    made = nbformat.from_dict(stored)
    try:
        execute(made)
    except CellExecutionError as error:
        return _ESCAPES.sub("", error.traceback)
    if sizes := too_large(made):
        return f"pictures of {sizes} bytes, and {LARGEST_PICTURE} is the most: draw them smaller"
    if write:
        nbformat.write(made, path)
        return ""
    told = differences(stored, made)
    return told and f"{told}\nIf the change is meant, store it: scripts/notebooks.py --write"


def main():
    """Run all notebooks, or those named; 1 where one fails or shows something else."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="store what comes out")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK")
    options = parser.parse_args()
    wrong = 0
    for path in options.notebooks or sorted((REPO / "notebooks").glob("*.ipynb")):
        started = time.monotonic()
        problem = check(path, options.write)
        wrong += bool(problem)
        word = "FAILED" if problem else "stored" if options.write else "as stored"
        print(f"{path.name}: {word}, {time.monotonic() - started:.0f} s", flush=True)
        if problem:
            print(problem)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
