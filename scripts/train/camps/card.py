"""The two cards of the model: `model.json` for programs, `CARD.md` for people."""

import hashlib
from pathlib import Path

import mlm
from calibration import Calibration
from camps.settle import MOST_FLAGGED
from encoder import SIZE_MULTIPLE

VERSION = "1.0.1"
CLASS = "camp-like"
STRUCTURE_M2 = (25, 420)
"""Ground a structure takes, least and most: see `counted` in the text of the card."""
STRETCH_PERCENTILES = (1, 99)
"""For 16-bit scenes; measured in `robustness.py`."""
KINDS = {
    "mobilehomepark": "mobile-home parks (should be flagged)",
    "denseresidential": "dense planned housing",
    "buildings": "large buildings",
    "storagetanks": "storage tanks",
    "agricultural": "fields",
}


def model_card(facts, parameters, model_path):
    """The card as a JSON object: keys of STAC MLM 1.5 and, under `kilnsight:`, the scanner's.

    `facts` are the contents of `accuracy.json`.
    """
    measured = facts["cross_validation"]
    line = Calibration(measured["calibration"]["slope"], measured["calibration"]["shift"])
    return {
        "kilnsight:card_version": 1,
        "mlm:name": facts["name"],
        "version": VERSION,
        "description": (
            "Outlines camp-like ground in RGB of 0.3 to 1 m: dense, small, similar roofs. A "
            "stand-in: informal settlements and mobile-home parks; no labelled labour camp was "
            "available. An area is a place to look at; it is not proof of anything."
        ),
        "license": "CC-BY-NC-SA-4.0",
        "mlm:architecture": "EfficientNet-Lite0 (first stages) with a small decoder",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:framework": "ONNX",
        "mlm:total_parameters": parameters,
        "mlm:input": mlm.rgb_input(),
        "mlm:output": mlm.map_output(
            "probability",
            "semantic-segmentation",
            CLASS,
            "dense small roofs, as in a settlement or a park (visual)",
        ),
        "kilnsight:head": "mask",
        "kilnsight:mask": {
            "output": "probability",
            "threshold": measured["threshold"],
            "min_area_m2": measured["min_area_m2"],
            "structure_m2": list(STRUCTURE_M2),
        },
        "kilnsight:gsd_m": measured["gsd_m"],
        "kilnsight:chip_px": 512,
        "kilnsight:size_multiple": SIZE_MULTIPLE,
        "kilnsight:overlap_m": 160,
        "kilnsight:nms_iou": 0.5,
        "kilnsight:min_score": measured["min_score"],
        "kilnsight:stretch": {"percentiles": list(STRETCH_PERCENTILES)},
        "kilnsight:calibration": {
            "method": "piecewise-linear",
            "points": line.points(),
            "expected_error": measured["calibration"]["expected_error"],
        },
        "kilnsight:sha256": hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
    }


def card_text(facts, parameters):
    """The text of `CARD.md`; every figure comes from `facts`, the contents of `accuracy.json`."""
    measured, training = facts["cross_validation"], facts["training"]
    chips = ", ".join(f"{count} {kind}" for kind, count in training["chips"].items())
    crossed = measured["rule_chosen_on_other_folds"]
    return f"""# {facts["name"]}

Outlines camp-like ground in red, green, blue imagery of 0.3 to 1 m: dense, small, similar roofs in
rows or clumps, without the street pattern of planned housing. {parameters:,} parameters, float32
ONNX; scenes are read at {measured["gsd_m"]:g} m. Every figure below is from `accuracy.json` beside
this file, which the programs in `scripts/train/camps/` write; 95 % intervals in brackets are
bootstrapped over scenes or chips.

**A stand-in.** No labelled imagery of labour camps, tents or fish camps was available. The model
learned informal settlements of one Indian city and mobile-home parks of the United States. It finds
ground that looks like these; how well it finds camps is not known, and nothing below says so. Try
it on camps you know before you rely on it.

**An area is a place to look at.** It says nothing about who lives there or under what conditions.
Millions of people live in dense small houses by choice, or for want of others, and most are no
victims of anything. "Not detected" is not "no camp".

## Licence

**Non-commercial.** The masks and scenes are CC BY-NC-SA 4.0 (their text; a link there points to
CC BY 4.0: treat as the stricter), so these weights are CC BY-NC-SA 4.0 as well. The code is under
the project's licence. Attribution:

- Mumbai Semantic Segmentation Dataset, geoai4cities (Mendeley Data xj2v49zt26,
  doi 10.1007/s00521-023-08320-7), CC BY-NC-SA 4.0; imagery © Airbus.
- UC Merced Land Use Dataset, Yang and Newsam 2010; imagery USGS, public domain.
- The encoder starts from EfficientNet-Lite0 weights trained on ImageNet (Apache-2.0).

## Trained on

- {training["scenes"]} scenes of 300 m at 0.5 m, Pleiades, one day of 2017 over one city
  ({training["area_km2"]} km2), with masks of informal settlements: {training["settlement_km2"]} km2
  in {training["scenes_with_settlement"]} of them.
- {sum(training["chips"].values())} chips of about 77 m at 0.3 m, aerial, United States, of which
  only the class is known: {chips}. A chip of a park counts as camp-like but for its fifth that
  fits worst; all others hold nothing camp-like.

SHA-256 of the sorted list of training files: `{training["training_list_sha256"]}`.
{training["steps"]} steps; training took {training["seconds"]} s, on one thread of a busy machine.
{_held_out_text(training["held_out_fold"])}

## Measured: scenes and chips never seen

Three folds: scenes that may be neighbours are held out together, chips by blocks of their numbers.
Each row is judged by a network trained without that fold, at the threshold of
{measured["threshold"]} a pixel, areas from {measured["min_area_m2"]:g} m2, score from
{measured["min_score"]}. Pixels are those of the masks, 0.5 m.

{_scene_table(measured)}

- The folds are places of one city in one picture. Elsewhere the figures will be lower; by how much
  is not known. The third fold holds few settlements.
- Threshold and calibration were chosen on these same scenes (best IoU with at most
  {MOST_FLAGGED:.0%} of the chips of fields, tanks and large buildings flagged). Chosen for each
  fold on the other folds: IoU {_with(crossed, "iou")}, F1 {_with(crossed, "f1")}.
- Bare scenes are those without any settlement in the mask.
- The recipe was settled on the first fold: its figures are optimistic by a little.

Chips with any area, at the default score:

{_chip_table(measured)}

All chips of fields, tanks and large buildings together: **{measured["bare_chips_flagged"]:.1%}**
flagged. A chip is shown alone, among nothing, which is harder than a whole scene.

## Measured: scores

{_calibration_text(measured["calibration"])}

## Measured: other pictures of the same places

The same networks and the same rule, on held-out scenes and chips changed.

{_robustness_table(measured["robustness"])}

## Number of structures

{_structures_text()}

{Path(__file__).with_name("failures.md").read_text().strip()}

{Path(__file__).with_name("variants.md").read_text().strip()}

## Not good for

- Saying that a place is a labour camp, or who lives there.
- Counting: `structures_min` and `structures_max` span what such ground can hold.
- Single tents or sheds, and groups below {measured["min_area_m2"]:g} m2.
- Resolutions coarser than 1 m, single-band or infrared pictures, snow, dense smoke or haze.
- Scenes of 16 bits as they come: they are stretched by their percentiles, and the last row of the
  table above shows what that does to pictures of little contrast, such as fields alone.
- Countries, building materials and seasons unlike those above, until tried there.
- Targeting people: the outline of a settlement can harm those who live in it. Share areas as you
  would share an address.
"""


def _held_out_text(fold):
    if fold is None:
        return """The shipped weights saw all scenes and chips, so they cannot be measured on
them: the figures below are of networks trained the same way with one fold left out."""
    return f"""The shipped weights are those of fold {fold + 1} below: they never saw it, and its
row is their own. The other rows are of networks trained the same way with another fold left out."""


def _structures_text():
    low, high = STRUCTURE_M2
    return f"""Detections and sites carry `structures_min` and `structures_max`: their area over
{high} and over {low} m2. That is what was counted by eye, rounded outwards: in eight windows of
40 m in eight settlement scenes some 20 to 60 roofs, 27 to 80 m2 a roof with its share of lanes; in
eight chips of parks some 14 to 34 homes, 175 to 420 m2 a home. It was counted once; adjoining roofs
of one colour cannot be told apart at 0.5 m, in one window hardly any, so the counts are rough, and
the range is wide because the two kinds of place are."""


def _with(figures, name):
    low, high = figures[f"{name}_interval"]
    return f"{figures[name]:.2f} [{low:.2f}, {high:.2f}]"


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _scene_table(measured):
    def row(name, figures):
        values = [_with(figures, key) for key in ("iou", "f1", "precision", "recall")]
        bare = f"{figures['bare_scenes_flagged']} of {figures['bare_scenes']}"
        return [name, figures["scenes"], figures["with_settlement"], *values, bare]

    head = ["fold", "scenes", "with settlement", "pixel IoU", "pixel F1", "precision", "recall"]
    folds = [row(i + 1, fold["scenes"]) for i, fold in enumerate(measured["folds"])]
    return _table([*head, "bare scenes flagged"], [row("**all**", measured["scenes"]), *folds])


def _chip_table(measured):
    rows = []
    for kind, name in KINDS.items():
        count = measured["chips"][kind]
        low, high = count["share_interval"]
        share = f"{count['flagged'] / count['chips']:.1%} [{low:.1%}, {high:.1%}]"
        by_fold = ", ".join(str(fold["chips"][kind]["flagged"]) for fold in measured["folds"])
        rows.append([name, count["chips"], count["flagged"], share, by_fold])
    return _table(["class", "chips", "flagged", "share", "by fold"], rows)


def _calibration_text(calibrated):
    rows = [[n, f"{said:.2f}", f"{right:.2f}"] for n, said, right in calibrated["curve"]]
    table = _table(["areas", "mean score", "share right"], rows)
    return f"""The score of an area is the mean probability of its pixels, corrected by a line on
its logit (slope {calibrated["slope"]}, shift {calibrated["shift"]}) that was fitted on the held-out
areas; it stands in `model.json` as a curve. An area is right where most of it is settlement, on a
chip where the chip is of a park ({calibrated["right"]} of {calibrated["areas"]}). With each fold
corrected by a line fitted on the others, the expected calibration error is
**{calibrated["expected_error"]}** (before correction {calibrated["expected_error_raw"]}):

{table}

{_verdict(calibrated)} Camps are rare: elsewhere fewer of the areas of a score will be right."""


def _verdict(calibrated):
    if calibrated["expected_error"] < calibrated["expected_error_raw"]:
        return "The correction carries over from fold to fold."
    return (
        "**The correction does not carry over from fold to fold: take scores for an order, not for "
        "probabilities.**"
    )


def _robustness_table(table):
    rows = []
    for name, changed in table.items():
        scenes, chips = changed["scenes"], changed["chips"]
        bare = [chips[k] for k in ("buildings", "storagetanks", "agricultural")]
        share = sum(c["flagged"] for c in bare) / sum(c["chips"] for c in bare)
        parks = chips["mobilehomepark"]
        values = [f"{scenes[key]:.2f}" for key in ("iou", "precision", "recall")]
        rows.append([name, *values, f"{parks['flagged'] / parks['chips']:.0%}", f"{share:.1%}"])
    head = ["change", "pixel IoU", "precision", "recall", "parks flagged"]
    return _table([*head, "fields, tanks, buildings flagged"], rows)
