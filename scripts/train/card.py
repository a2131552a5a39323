"""The two cards of the model: `model.json` for programs, `CARD.md` for people."""

import hashlib
from pathlib import Path

from cross_validate import LOW_SCORE, STRETCH_PERCENTILES
from network import SIZE_MULTIPLE

VERSION = "1.0.0"
REFLECTANCE = (0.02, 0.3)
"""Reflectances that go to the ends of the input's range. Taken as reflectance x 10,000, the
background tiles then have their median at 0.30 and their 98th percentile at 0.60 of the range; the
labelled tiles, stretched by their source, have them at about 0.2 and 0.6."""
COLUMNS = (
    *("district", "tiles", "kilns", "AP within 50 m", "AP@0.3", "AP@0.5"),
    *("recall", "precision", "F1", f"recall at {LOW_SCORE}"),
)
FIGURES = (
    *("ap_within_50m", "ap_iou_30", "ap_iou_50"),
    *("recall_at_min_score", "precision_at_min_score", "f1_at_min_score", "recall_at_low_score"),
)
ATTRIBUTION = (
    "SentinelKilnDB, Mondal et al., CC BY-NC 4.0; contains modified Copernicus Sentinel data "
    "2023-2024; hand-drawn boxes added.",
    "Contains modified Copernicus Sentinel data.",
)


def model_card(style, min_score, parameters, model_path):
    """The card as a JSON object: keys of STAC MLM 1.5 and, under `kilnsight:`, the scanner's."""
    return {
        "kilnsight:card_version": 1,
        "mlm:name": "kiln-s2",
        "version": VERSION,
        "description": (
            "Finds brick kilns in Sentinel-2 RGB at 10 m: a centre heat map with one box a kiln. "
            "A detection is a place to look at; a kiln is not proof of slavery."
        ),
        "license": "CC-BY-NC-4.0",
        "mlm:architecture": "U-shaped fully convolutional network, centre heat map",
        "mlm:tasks": ["object-detection"],
        "mlm:framework": "ONNX",
        "mlm:total_parameters": parameters,
        "mlm:input": [
            {
                "name": "image",
                "bands": ["red", "green", "blue"],
                "input": {
                    "shape": [-1, 3, -1, -1],
                    "dim_order": ["batch", "bands", "height", "width"],
                    "data_type": "float32",
                },
                "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}],
            }
        ],
        "mlm:output": [
            {
                "name": "detections",
                "tasks": ["object-detection"],
                "result": {
                    "shape": [-1, 1, -1, -1],
                    "dim_order": ["batch", "classes", "height", "width"],
                    "data_type": "float32",
                },
                "classification:classes": [
                    {"value": 0, "name": "kiln", "description": "brick kiln (visual)"}
                ],
            }
        ],
        "kilnsight:head": "center",
        "kilnsight:center": {
            "heatmap": "heatmap",
            "size": "size",
            "offset": "offset",
            "angle": "angle" if style == "oriented" else None,
            "type": None,
        },
        "kilnsight:gsd_m": 10,
        "kilnsight:chip_px": 256,
        "kilnsight:size_multiple": SIZE_MULTIPLE,
        "kilnsight:overlap_m": 320,
        "kilnsight:nms_iou": 0.3,
        "kilnsight:min_score": min_score,
        "kilnsight:reflectance": list(REFLECTANCE),
        "kilnsight:stretch": {"percentiles": list(STRETCH_PERCENTILES)},
        "kilnsight:calibration": None,
        "kilnsight:sha256": hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
    }


def card_text(facts, parameters):
    """The text of `CARD.md`; every figure comes from `facts`, the contents of `accuracy.json`."""
    training, measured = facts["training"], facts["cross_validation"]
    chosen, other = measured[facts["style"]], measured[_other(facts["style"])]
    rule, background, demo = measured["red_blob_rule"], chosen["background"], facts["demo"]
    least, pale = chosen["min_score"], chosen["groups"]["IN-UP"]
    oriented = measured["oriented"]["oriented_truth"]
    seconds = measured["training_seconds"].values()
    return f"""# kiln-s2

Finds brick kilns in Sentinel-2 RGB at 10 m per pixel. {parameters:,} parameters, float32 ONNX.
Every figure below is from `accuracy.json` beside this file, which the programs in
`scripts/train/` write; 95 % intervals in brackets are bootstrapped over tiles.

**A kiln is not proof of slavery.** A detection is a place where something looks like a brick kiln
(visual). It says nothing about who works there, how, or whether the kiln is lawful or in use. Say
*site* or *detection*, never *slavery site*, *illegal kiln* or *offender*. "Not detected" is not "no
kiln".

## Licence

**Non-commercial.** The labels are CC BY-NC 4.0 (one repository of the source says CC BY-NC-SA 4.0:
treat as the stricter), so these weights are CC BY-NC 4.0 as well. The code is under the project's
licence. Attribution:

- {ATTRIBUTION[0]}
- Background: {ATTRIBUTION[1]}

## Trained on

- {training["tiles"]} Sentinel-2 tiles of 1.28 km in six districts of India and Bangladesh with
  {training["kilns"]} kilns and {training["ignore_regions"]} ignore regions. 38 kilns (2 tiles)
  carry the source's oriented boxes; 71 (40 tiles) were drawn by one person in a single pass,
  axis-aligned, to 1-2 pixels, and **some kilns are missing** from them.
- {training["background_tiles"]:,} kiln-free tiles of 320 m round one South American city.
- {training["synthetic_tiles"]} synthetic tiles with {training["synthetic_kilns"]:,} drawn kilns
  (`scripts/make_demo_scene.py`, never the demo scene's seed).

SHA-256 of the sorted list of training files: `{facts["training_list_sha256"]}`.
{training["steps"]} steps. The final training took {training["seconds"]} s and each fold of the
validation {min(seconds)}-{max(seconds)} s, on one thread each of a machine busy with other work.

## Measured: districts never seen

Leave one district out: each row is judged by a network trained without that district (the shipped
weights saw all of them and cannot be measured there). A detection is right within 50 m of a kiln's
centre, or where its axis-aligned envelope overlaps the kiln's by IoU 0.3 or 0.5. Recall, precision
and F1 are within 50 m at the default score of {least}, chosen for the best F1 on these same
detections, so precision and recall are a little flattered.

{_row_of(*COLUMNS)}
{_row_of(*["---"] * len(COLUMNS))}
{_row("**all**", chosen["pooled"])}
{_lines(_row(name, figures) for name, figures in chosen["groups"].items())}
{_row("*all, stretched anew*", chosen["pooled_restretched"])}
{_row("*red-blob rule, all*", rule["pooled"])}
{_row("*red-blob rule, official*", rule["groups"]["official"])}
{_row("*red-blob rule, hand_drawn*", rule["groups"]["hand_drawn"])}

- *official* are the two tiles with the source's boxes (IN-*), *hand_drawn* the other four
  districts. With one tile each, IN-UP and IN-Bihar have no interval, and 10 to 22 kilns a district
  bear no fine comparison. These figures cannot be compared with published mAP.
- The recipe was settled after looking at the two IN-* districts (five variants tried), and the
  synthetic scenes were tuned by eye on tiles of all districts: "never seen" holds for the weights,
  not for their makers, and the IN-* figures are optimistic. One seed was trained; another moves
  all figures by some points.
- *stretched anew*: tiles stretched as the scanner stretches a 16-bit scene (percentiles
  {STRETCH_PERCENTILES[0]} and {STRETCH_PERCENTILES[1]}).
- *red-blob rule*: no learning, just the reddest blobs with a fixed box
  (`scripts/train/baseline.py`), its threshold chosen for its own best F1 in each row. It comes
  close where kilns are much redder than all else: colour carries much of what is measured here.
- Boxes: {_boxes_text(facts["style"], chosen, other)}
- Oriented boxes against the official ones: median rotated IoU {oriented["median_rotated_iou"]},
  median error of direction {oriented["median_direction_error_deg"]} degrees
  ({oriented["kilns"]} kilns found).

False detections on {background["area_km2"]} km2 of held-out kiln-free background, one city with
its surroundings: **{background["false_per_1000_km2_at_min_score"]} per 1,000 km2** at the default
score ({_background_text(background)}).
Each tile lies alone among no data, which is harder than a whole scene, and the city is on another
continent: expect other numbers elsewhere.

## Measured: demo scene

On the synthetic demo scene ({demo["kilns"]} kilns), at the default score: recall within 50 m
{demo["recall_within_50m"]}, precision {demo["precision_within_50m"]}, AP within 50 m
{demo["ap_within_50m"]}, AP@0.3 {demo["ap_iou_30"]}, AP@0.5 {demo["ap_iou_50"]}. Training saw
other scenes by the same program: this shows that the parts fit together, not accuracy.

## Not good for

- Counting: no figure above supports a count without human verification and a sample of what was
  not detected.
- Kilns out of season or abandoned, clamps without a chimney, kilns under haze or cloud.
- Dense fields of pale kilns in pale yards, where neighbours melt into each other and scores are
  low: in IN-UP the default score keeps {pale["recall_at_min_score"]["value"]:.0%} of the kilns,
  {LOW_SCORE} keeps {pale["recall_at_low_score"]["value"]:.0%}. There, lower the score.
- Places unlike the Ganges plain and delta.
- Other ground resolutions than 10 m, other bands than red, green, blue.
- Scenes whose reflectance is known are read through the range of reflectance in `model.json`,
  others of 16 bits through its stretch. The range was set on the background tiles; it has not been
  measured on scenes with labelled kilns, since the labelled tiles are stretched by their source.
- Telling the type of a kiln: it is not predicted.
- Scores are not probabilities: they are not calibrated.
"""


def _other(style):
    return {"oriented": "plain", "plain": "oriented"}[style]


def _lines(rows):
    return "\n".join(rows)


def _value(figure):
    if "interval_95" not in figure:
        return f"{figure['value']:.2f}"
    low, high = figure["interval_95"]
    return f"{figure['value']:.2f} [{low:.2f}, {high:.2f}]"


def _row_of(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def _row(name, figures):
    values = [_value(figures[figure]) for figure in FIGURES]
    return _row_of(name, figures["tiles"], figures["kilns"], *values)


def _boxes_text(style, chosen, other):
    ours, theirs = chosen["pooled"], other["pooled"]
    return (
        f"the {style} head is shipped; the {_other(style)} head of the same networks reached "
        f"AP@0.3 {theirs['ap_iou_30']['value']:.2f} and AP@0.5 {theirs['ap_iou_50']['value']:.2f}, "
        f"this one {ours['ap_iou_30']['value']:.2f} and {ours['ap_iou_50']['value']:.2f}."
    )


def _background_text(background):
    rates = background["false_per_1000_km2"]
    return ", ".join(f"{rate} at {name.removeprefix('at_')}" for name, rate in rates.items())
