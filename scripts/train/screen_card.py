"""What the cards of a model say of its screen."""

import json
import shutil

MOST_LOST = 0.01
"""A screen is shipped if it loses at most this share of kilns that stand alone on their chip ..."""

MOST_PASSED = 0.2
"""... and lets at most this share of kiln-free chips pass, of the size that a scan has."""


def take(folder, out):
    """Copy what `screen.py` wrote in `folder` beside the model, if it is good enough.

    Returns its figures either way, with `shipped`; None without a folder.
    """
    (out / "screen.onnx").unlink(missing_ok=True)
    if folder is None:
        return None
    screen = json.loads((folder / "screen.json").read_text())
    screen["shipped"] = is_good(screen)
    if screen["shipped"]:
        shutil.copyfile(folder / "screen.onnx", out / "screen.onnx")
    return screen


def is_good(screen):
    """Whether a screen saves enough and loses little enough, by its figures."""
    lost = screen["kilns_lost_if_each_stood_alone"] / max(screen["kilns"], 1)
    if not screen["kiln_free_chips"]:
        return False
    return lost <= MOST_LOST and passed(screen) <= MOST_PASSED


def passed(screen):
    """Share of kiln-free chips that pass, of the largest size that was measured: a scan's."""
    return screen["kiln_free_chips"][max(screen["kiln_free_chips"], key=int)]["passed"]


def rung(measured):
    """What a row of the table of precisions says, of the figures of one."""
    return {
        "lost_if_each_stood_alone": measured["kilns_lost_if_each_stood_alone"],
        "passed": passed(measured) if measured["kiln_free_chips"] else None,
    }


def keys(screen):
    """The keys of `model.json` for the figures of a screen."""
    if screen is None or not screen["shipped"]:
        return {}
    named = {key: screen[key] for key in ("sha256", "factor", "threshold")}
    return {"kilnsight:screen": {"onnx": "screen.onnx", "output": "kiln", **named}}


def text(screen):
    """The section of `CARD.md`."""
    if screen is None:
        return ""
    found = "kilns that the detector finds at the balanced score"
    kilns = {"found by the detector": found}.get(screen["kilns_are"], "labelled kilns")
    metres = screen["factor"] * 10
    chips = "".join(
        f"- Of {part['chips']} kiln-free chips of {side} x {side} pixels, of tiles held out,\n"
        f"  {part['passed']:.0%} pass.\n"
        for side, part in screen["kiln_free_chips"].items()
    )
    rows = "\n".join(
        f"| {' | '.join(str(value) for value in row.values())} |" for row in screen["curve"]
    )
    rungs = "\n".join(
        f"| {'**' * (name == screen['precision'])}{name}{'**' * (name == screen['precision'])} "
        f"| {row['share_of_time']:.1%} | {row['lost_if_each_stood_alone']} "
        f"| {'-' if row['passed'] is None else format(row['passed'], '.1%')} |"
        for name, row in screen["ladder"].items()
    )
    heads = [name.replace("_", " ") for name in screen["curve"][0]]
    if screen["shipped"]:
        verdict = f"""`screen.onnx` ({screen["parameters"]:,} parameters, pixels of {metres} m,
{screen["precision"]}) sees each chip first, and the detector what scores {screen["threshold"]} or
more."""
    else:
        verdict = f"""**No screen is shipped.** One of {screen["parameters"]:,} parameters on pixels
of {metres} m, with a threshold of {screen["threshold"]}, was trained to drop chips before the
detector sees them. It would have to lose at most {MOST_LOST:.0%} of the kilns that stand alone, and
to let at most {MOST_PASSED:.0%} of kiln-free chips pass."""
    return f"""
## Screen

{verdict} Measured like the detector, each district by
a screen that never saw it, on tiles of 128 x 128 pixels; a kiln is lost with its tile.

- Of {screen["kilns"]} {kilns},
  {screen["kilns_lost"]} are lost.
- Many of these kilns stand together. If each stood alone on its tile,
  {screen["kilns_lost_if_each_stood_alone"]} would be lost. The threshold was chosen for that, on
  these same kilns; with thresholds chosen on the other districts,
  {screen["kilns_lost_by_thresholds_of_other_districts"]} would be.
{chips}
| {" | ".join(heads)} |
| {" | ".join("---" for _ in heads)} |
{rows}

Each precision with a threshold of its own (**bold**: the cheapest for a kiln-free chip, of those
good enough), its time as a share of a float32 detector's, and the largest kiln-free chips:

| precision | time | kilns lost if alone | kiln-free chips that pass |
| --- | --- | --- | --- |
{rungs}

Kiln-free tiles are 32 x 32 pixels, from one city and its surroundings; larger chips are mosaics of
them. Expect other shares elsewhere.
"""
