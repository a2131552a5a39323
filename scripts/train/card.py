"""The two cards of the model: `model.json` for programs, `CARD.md` for people."""

import hashlib
from pathlib import Path

import mlm
import provenance
import screen_card
from calibration import Calibration
from data import TYPES
from figures import PRECISION
from network import SIZE_MULTIPLE
from robustness import STRETCH_PERCENTILES
from thresholds import BEHIND, DENSITY, LOW_SCORE, MOST, SPARSE

VERSION = "1.4.0"
REFLECTANCE = (0.02, 0.3)
"""Reflectances that go to the ends of the input's range. Taken as reflectance x 10,000, the
background tiles then have their median at 0.30 and their 98th percentile at 0.60 of the range; the
labelled tiles, stretched by their source, have them at about 0.2 and 0.6."""
COLUMNS = (
    *("district", "tiles", "kilns", "AP within 50 m", "AP@0.3", "AP@0.5"),
    *("recall", "precision", "F1", f"recall at {LOW_SCORE}", f"recall at precision {PRECISION}"),
)
FIGURES = (
    *("ap_within_50m", "ap_iou_30", "ap_iou_50"),
    *("recall_at_min_score", "precision_at_min_score", "f1_at_min_score"),
    *("recall_at_low_score", "recall_at_precision"),
)


def shipped(facts):
    """The figures of what is shipped: those of the int8 networks, or of one kind of box."""
    measured = facts["cross_validation"]
    return measured["int8" if facts["precision"] == "int8" else facts["style"]]


def model_card(facts, parameters, model_path):
    """The card as a JSON object: keys of STAC MLM 1.5 and, under `kilnsight:`, the scanner's.

    `facts` are the contents of `accuracy.json`.
    """
    chosen = shipped(facts)
    line = Calibration(chosen["calibration"]["slope"], chosen["calibration"]["shift"])
    return {
        "kilnsight:card_version": 1,
        "mlm:name": facts["name"],
        "version": VERSION,
        "description": (
            "Finds brick kilns in Sentinel-2 RGB at 10 m: a centre heat map with one box a kiln. "
            "A detection is a place to look at; a kiln is not proof of slavery."
        ),
        "license": "CC-BY-NC-4.0" if provenance.is_kiln_s2(facts) else "other",
        "mlm:architecture": "EfficientNet-Lite0 encoder, U-shaped decoder, centre heat map",
        "mlm:tasks": ["object-detection"],
        "mlm:framework": "ONNX",
        "mlm:total_parameters": parameters,
        "mlm:input": mlm.rgb_input(),
        "mlm:output": mlm.map_output(
            "detections", "object-detection", "kiln", "brick kiln (visual)"
        ),
        "kilnsight:head": "center",
        "kilnsight:center": {
            "heatmap": "heatmap",
            "size": "size",
            "offset": "offset",
            "angle": "angle" if facts["style"] == "oriented" else None,
            "type": "type" if facts["typed"] else None,
        },
        **({"kilnsight:types": list(TYPES)} if facts["typed"] else {}),
        "kilnsight:gsd_m": 10,
        "kilnsight:chip_px": 256,
        "kilnsight:size_multiple": SIZE_MULTIPLE,
        "kilnsight:overlap_m": 320,
        "kilnsight:nms_iou": 0.3,
        "kilnsight:min_score": chosen["min_score"],
        "kilnsight:reflectance": list(REFLECTANCE),
        "kilnsight:stretch": {"percentiles": list(STRETCH_PERCENTILES)},
        "kilnsight:calibration": {
            "method": "piecewise-linear",
            "points": line.points(),
            "expected_error": chosen["calibration"]["expected_error"],
        },
        **screen_card.keys(facts.get("screen")),
        "kilnsight:sha256": hashlib.sha256(Path(model_path).read_bytes()).hexdigest(),
    }


def card_text(facts, parameters):
    """The text of `CARD.md`; every figure comes from `facts`, the contents of `accuracy.json`."""
    measured, demo = facts["cross_validation"], facts["demo"]
    chosen, rule = shipped(facts), measured["red_blob_rule"]
    return f"""# {facts["name"]}

Finds brick kilns in Sentinel-2 RGB at 10 m per pixel. {parameters:,} parameters,
{facts["precision"]} ONNX. The picture is seen twice, as it is and turned by 180 degrees.
Every figure below is from `accuracy.json` beside this file, which the programs in
`scripts/train/` write; 95 % intervals in brackets are bootstrapped over tiles.

**A kiln is not proof of slavery.** A detection is a place where something looks like a brick kiln
(visual). It says nothing about who works there, how, or whether the kiln is lawful or in use. Say
*site* or *detection*, never *slavery site*, *illegal kiln* or *offender*. "Not detected" is not "no
kiln".

## Licence

{provenance.licence(facts)}

## Trained on

{provenance.trained_on(facts)}

SHA-256 of the sorted list of training files: `{facts["training_list_sha256"]}`.
{_training_text(facts)}

## Measured: districts never seen

Leave one district out: each row is judged by a network trained without that district (the shipped
weights saw all of them and cannot be measured there). A detection is right within 50 m of a kiln's
centre, or where its axis-aligned envelope overlaps the kiln's by IoU 0.3 or 0.5. Recall, precision
and F1 are within 50 m at the default score of {_default_text(chosen)}.

{_row_of(*COLUMNS)}
{_row_of(*["---"] * len(COLUMNS))}
{_row("**all**", chosen["pooled"])}
{_lines(_row(name, figures) for name, figures in chosen["groups"].items())}
{_row("*red-blob rule, all*", rule["pooled"])}

{_lines("- " + text for text in provenance.remarks(facts))}
- *red-blob rule*: no learning, just the reddest blobs with a fixed box
  (`scripts/train/baseline.py`), its threshold chosen for its own best F1. It comes close where
  kilns are much redder than all else: colour carries much of what is measured here.
- Boxes: {_boxes_text(facts["style"], measured)}
{_oriented_text(chosen.get("oriented_truth"))}

## Which score to take

{_thresholds_text(chosen)}

## Measured: scores

{_calibration_text(chosen["calibration"])}

## Measured: types

{_types_text(facts["typed"], measured["oriented"]["types"])}

## Measured: other pictures of the same places

The same networks and the same default score, on the same tiles changed. At another resolution the
network saw the picture as it is, without the scanner's resampling to 10 m.

{_robustness_table(chosen.get("robustness") or measured["oriented"]["robustness"])}

- *stretched anew*: each tile by its own percentiles {STRETCH_PERCENTILES[0]} and
  {STRETCH_PERCENTILES[1]}, as the scanner stretches a 16-bit scene.
- *levels of reflectance*: median and 98th percentile moved to where the range of reflectance in
  `model.json` puts those of the background tiles. No labelled reflectance was at hand.

## Measured: speed and what it costs

{_ladder_text(facts)}

## Measured: demo scene

On the synthetic demo scene ({demo["kilns"]} kilns): AP within 50 m {demo["ap_within_50m"]}, AP@0.3
{demo["ap_iou_30"]}, AP@0.5 {demo["ap_iou_50"]}; {_demo_text(demo)}. Training
saw other scenes by the same program: this shows that the parts fit together, not accuracy.
{screen_card.text(facts.get("screen"))}{provenance.failures(facts)}{provenance.variants(facts)}
## Not good for

- Counting: no figure above supports a count without human verification and a sample of what was
  not detected.
- Kilns out of season or abandoned, clamps without a chimney, kilns under haze or cloud.
{_weakest_text(chosen["groups"])}
- Places unlike those trained on.
- Other ground resolutions than 10 m, other bands than red, green, blue.
- Scenes whose reflectance is known are read through the range of reflectance in `model.json`,
  others of 16 bits through its stretch. The range was set on the background tiles; it has not been
  measured on scenes with labelled kilns, since the labelled tiles are stretched by their source.
- Scores as probabilities elsewhere: they were calibrated on tiles that hold kilns. Where kilns are
  rarer, fewer of the detections of a score are right.
"""


def _training_text(facts):
    training, seconds = facts["training"], facts["cross_validation"]["training_seconds"].values()
    return (
        f"{training['steps']} steps. The final training took {training['seconds']} s and each fold "
        f"of the\nvalidation {min(seconds)}-{max(seconds)} s, on one thread each."
    )


def _demo_text(demo):
    return "; ".join(
        f"from a score of {at['score']} on, recall {at['recall']} and precision {at['precision']}"
        for at in demo["at_scores"]
    )


def _oriented_text(oriented):
    if oriented is None:
        return "- No label tells a direction: that of the boxes was not measured."
    return (
        f"- Oriented boxes against oriented labels: median rotated IoU "
        f"{oriented['median_rotated_iou']},\n  median error of direction "
        f"{oriented['median_direction_error_deg']} degrees ({oriented['kilns']} kilns found)."
    )


def _default_text(chosen):
    """What the default score is, and why."""
    least = chosen["min_score"]
    if chosen["background_km2"]:
        return f"{least}, which is\nmeant for a region (below)"
    return f"{least}: half\nthe best F1 on these detections, since no kiln-free ground was given"


def _thresholds_text(chosen):
    """Which score to take, as a table; the scores that are chosen by a rule stand out."""
    names = ("min", "balanced", "regional", "sparse")
    least, balanced, regional, sparse = (chosen[f"{name}_score"] for name in names)
    marks = {balanced: "*{}*", regional: "*{}*", sparse: "*{}*", least: "**{}**"}
    rows = _lines(
        _row_of(
            marks.get(row["score"], "{}").format(row["score"]),
            f"{row['recall']:.2f}",
            f"{row['precision']:.2f}",
            "-" if row["false_per_1000_km2"] is None else row["false_per_1000_km2"],
            *([row[BEHIND]] if BEHIND in row else []),
        )
        for row in chosen["thresholds"]
    )
    heads = ["score", "recall", "precision", "false / 1,000 km2"]
    area, is_screened = chosen["background_km2"], BEHIND in chosen["thresholds"][0]
    if is_screened:
        heads.append("behind the screen")
    if area:
        few = (
            f"- {marks[sparse].format(sparse)}: at most {SPARSE:.0f} false detections on 1,000 km2."
            if sparse is not None
            else f"- No score leaves only {SPARSE:.0f} false detections on 1,000 km2."
        )
        choices = f"""- *{balanced}* or less, where kilns are many or each detection will be
  looked at: half the best F1 on tiles that hold kilns, the best threshold of scores that are
  probabilities.
- {marks[regional].format(regional)}, for a region whose detections will be looked at: the best F2
  (recall counts twice) to be expected where {DENSITY} kilns stand on 1,000 km2, as in the South
  Asian brick belt (Boyd et al. 2018), with the false detections of kiln-free ground.
{few}

The one in bold is the default: that of few false detections if it keeps {MOST:.0%} of the kilns,
else that of the best F2."""
        ground = f"""False detections were counted on {area} km2 of held-out kiln-free background.
Each tile of it lies alone among no data, which is harder than a whole scene, and all come from one
city and its surroundings: expect other numbers elsewhere. One or two look-alikes decide what the
highest scores leave; the choices above rest on an exponential fitted to the logits of those from
0.5 on, or on the count where that is more."""
        if is_screened:
            ground += """

A scan shows the detector what the screen (below) lets through, so the last column counts, and the
choices rest on it: on the same tiles in chips as large as a scan's, dealt anew four times."""
    else:
        choices = f"""- **{least}**, the default: half the best F1 on tiles that hold kilns, the
  best threshold of scores that are probabilities. Where kilns are rare, a higher one is better."""
        ground = "No kiln-free ground was given: false detections there were not measured."
    return f"""The layers of a scan show detections from `--min-score` on; the run keeps many more,
and with `--rewrite` another score needs no second look at the picture. Take

{choices}

{_row_of(*heads)}
{_row_of(*["---"] * len(heads))}
{rows}

Recall and precision are of districts never seen, within 50 m, on tiles that hold kilns. {ground}"""


def _calibration_text(calibrated):
    rows = _lines(
        _row_of(n, f"{said:.2f}", f"{right:.2f}") for n, said, right in calibrated["curve"]
    )
    slope, shift = calibrated["slope"], calibrated["shift"]
    error, before = calibrated["expected_error"], calibrated["expected_error_raw"]
    count, chance = calibrated["detections"], calibrated["expected_error_by_chance"]
    return f"""Scores are calibrated: a line on their logit (slope {slope}, shift {shift}) was
fitted on the detections above, and stands in `model.json` as a curve. How well that carries over is
measured with each district corrected by a line fitted on the others: expected calibration error
**{error}** over {count} detections of a score of {LOW_SCORE} and more (before correction {before}).
With so few, scores that mean just what they say would show {chance} on average.

| detections | mean score | share right |
| --- | --- | --- |
{rows}"""


def _types_text(typed, types):
    if types is None:
        return "No label tells a type: types are not predicted."
    rows = _lines(
        _row_of(f"**{name}**", *row)
        for name, row in zip(types["types"], types["counts_true_by_told"], strict=True)
    )
    verdict = (
        "Types are given, each with its probability."
        if typed
        else "That is no better than saying the commonest: **types are not part of the model**."
    )
    right, common = types["accuracy"], types["accuracy_of_the_commonest"]
    return f"""Finding is one thing, typing another. Of {types["kilns"]} kilns found whose type is
known, {right:.0%} got the right one; always saying the commonest is right in {common:.0%}. Mean
confidence {types["mean_confidence"]:.0%}, expected calibration error {types["expected_error"]}.
{verdict}

{_row_of("true, told", *types["types"])}
{_row_of(*["---"] * (len(types["types"]) + 1))}
{rows}"""


def _robustness_table(table):
    names = ("AP within 50 m", "AP@0.3", "AP@0.5", "recall", "precision", f"recall at {LOW_SCORE}")
    keys = (*FIGURES[:5], "recall_at_low_score")
    rows = (
        _row_of(change, *(f"{figures[key]:.2f}" for key in keys))
        for change, figures in table.items()
    )
    return _lines([_row_of("change", *names), _row_of(*["---"] * 7), *rows])


def _weakest_text(groups):
    name = min(groups, key=lambda g: groups[g]["recall_at_min_score"]["value"])
    weakest = groups[name]
    return (
        f"- Places like the weakest district: in {name} the default score keeps "
        f"{weakest['recall_at_min_score']['value']:.0%} of the kilns,\n  {LOW_SCORE} keeps "
        f"{weakest['recall_at_low_score']['value']:.0%}. There, lower the score."
    )


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


def _boxes_text(style, measured):
    ours, theirs = (measured[name]["pooled"] for name in (style, _other(style)))
    return (
        f"the {style} head is shipped; in float32 the {_other(style)} head of the same networks "
        f"reached AP@0.3 {theirs['ap_iou_30']['value']:.2f} and AP@0.5 "
        f"{theirs['ap_iou_50']['value']:.2f}, this one {ours['ap_iou_30']['value']:.2f} and "
        f"{ours['ap_iou_50']['value']:.2f}."
    )


def _ladder_text(facts):
    measured = facts["cross_validation"]
    times = {name: all_of[len(all_of) // 2] for name, all_of in measured["milliseconds"].items()}
    shares = {name: taken / times["float32"] for name, taken in times.items()}
    screen, shipped = facts.get("screen"), facts["precision"]
    behind = screen["shipped"] if screen else False
    rows = [
        _rung(name, measured[key], shares[at], shipped == at and not behind)
        for name, key, at in (
            ("float32, one way up", "one_way", "one_way"),
            ("float32", "oriented", "float32"),
            ("int8", "int8", "int8"),
        )
    ]
    if behind and "screened" in measured:
        share = screen["share_of_time"] + screen_card.passed(screen) * shares[shipped]
        rows.append(_rung(f"{shipped}, screen", measured["screened"], share, True, BEHIND))
    gain = (
        "with VNNI; older ones gain less" if measured["vnni"] else "without VNNI; others gain more"
    )
    at = "recall, false / 1,000 km2"
    heads = ("network", "chips a second", *COLUMNS[3:6], "calibration error", at)
    return f"""The same networks on districts that they did not see, the one in bold shipped: seeing
the picture one way up; as it is and turned by 180 degrees, with the mean of both answers; and with
int8 convolutions (static, per channel, ranges from tiles and background that the network was
trained on; shipped if AP@0.3 and AP@0.5 fall by 0.01 at most). Speed is that of ONNX
Runtime on one thread, in one run, of a processor {gain}. Behind the screen
(below) it is that of kiln-free chips, most of which the detector does not see.

{_row_of(*heads)}
{_row_of(*["---"] * len(heads))}
{_lines(rows)}"""


def _rung(name, figures, share, is_shipped, false="false_per_1000_km2"):
    """A row of the ladder of speed: `share` of the time of float32, and the figures.

    `false` is the key of what is false in a row of `thresholds`.
    """
    score = figures["min_score"]
    least = next(row for row in figures["thresholds"] if row["score"] == score)
    return _row_of(
        _bold(name, is_shipped),
        f"{1 / share:.2f} x",
        *(f"{figures['pooled'][key]['value']:.3f}" for key in FIGURES[:3]),
        figures["calibration"]["expected_error"],
        f"{least['recall']:.2f}, {least[false]} from {score}",
    )


def _bold(text, whether):
    return f"**{text}**" if whether else text
