"""Figures of a validation and the card made of them; skipped where torch is missing."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

import card
import export
import figures
import graph
from boxes import envelopes
from data import Tile
from network import KilnNet
from predict import Detector
from thresholds import BEHIND, LOW_SCORE

KILN = np.array([40.0, 40, 12, 6, 0.3])


def tile(number, region, kind="FCBK"):
    pixels = np.random.default_rng(number).integers(1, 200, (3, 64, 64)).astype(np.uint8)
    boxes = KILN[None]
    return Tile(pixels, boxes, envelopes(boxes), True, kinds=[kind], region=region, number=number)


def found(score, types=(0.2, 0.7, 0.1), also=0.1):
    """A kiln found a little off, and a false detection far from it."""
    boxes = KILN + np.array([(1, 0, 0, 0, 0.1), (-30, -30, 0, 0, 0)])
    return boxes, np.array([score, also]), np.array([types, types])


def test_scores_too_low_in_all_districts_are_raised():
    tiles = [tile(i, f"district {i % 3}") for i in range(30)]
    line, made = figures.calibrate(tiles, {t.number: found(0.4, also=0.05) for t in tiles})
    assert line.apply(0.4) > 0.85
    assert made["expected_error"] < 0.1 < made["expected_error_raw"]
    assert made["detections"] <= 60


def test_a_district_is_corrected_by_the_others():
    # In one district what scores 0.6 is wrong, elsewhere right: no line can know.
    tiles = [tile(i, "odd" if i < 10 else f"other {i % 2}") for i in range(30)]
    made = {t.number: found(0.6, also=0.1) for t in tiles}
    for i in range(10):
        boxes, scores, types = made[i]
        made[i] = boxes + np.array([20, 0, 0, 0, 0]), scores, types
    _, told = figures.calibrate(tiles, made)
    assert told["expected_error"] > 0.2


def test_types_of_found_kilns():
    tiles = [tile(0, "a"), tile(1, "a"), tile(2, "b", "Zigzag"), tile(3, "b", None)]
    told = figures.type_figures(tiles, {t.number: found(0.9) for t in tiles})
    assert told["kilns"] == 3
    assert told["accuracy"] == pytest.approx(0.667)
    assert told["accuracy_of_the_commonest"] == pytest.approx(0.667)
    assert told["counts_true_by_told"] == [[0, 1, 0], [0, 2, 0], [0, 0, 0]]
    assert not export.tells_types(told)
    assert figures.type_figures([tile(3, "b", None)], {3: found(0.9)}) is None


def test_turned_boxes_against_truth():
    made = figures.oriented_figures([tile(0, "a")], {0: found(0.9)})
    assert made["kilns"] == 1
    assert made["median_direction_error_deg"] == pytest.approx(np.degrees(0.1), abs=0.05)


def facts_of(background):
    tiles = [tile(i, f"district {i % 2}") for i in range(4)]
    nets = {region: KilnNet().eval() for region in ("district 0", "district 1")}
    pixels = np.random.default_rng(0).integers(300, 3000, (background, 3, 32, 32))
    folds = np.arange(background) % 2
    validation = {
        style: figures.all_figures(
            {region: Detector(net, style) for region, net in nets.items()},
            *(tiles, pixels.astype(np.uint16), folds),
        )
        for style in ("oriented", "plain")
    }
    validation["one_way"] = validation["int8"] = validation["oriented"]
    validation["milliseconds"] = {"one_way": [9, 10.0], "float32": [30.0, 31.0]}
    validation["milliseconds"]["int8"] = [15.0, 15.5]
    validation["vnni"] = True
    validation["training_seconds"] = {"district 0": 1, "district 1": 2}
    validation["red_blob_rule"] = {"pooled": validation["plain"]["pooled"]}
    training = {"tiles": 4, "kilns": 4, "ignore_regions": 0, "background_tiles": background}
    training |= {"synthetic_tiles": 3, "synthetic_kilns": 5, "steps": 2, "seconds": 3}
    demo = {"kilns": 1, "at_scores": [{"score": 0.4, "recall": 0.5, "precision": 0.6}]}
    demo |= {f"ap_{rule}": 0.5 for rule in figures.metrics.RULES}
    return {
        "name": "mine",
        "style": "oriented",
        "precision": "int8",
        "typed": True,
        "training": training,
        "training_list_sha256": "0" * 64,
        "demo": demo,
        "cross_validation": validation,
    }


def validation_score(facts):
    return facts["cross_validation"]["int8"]["min_score"]


@pytest.mark.parametrize("background", [0, 3])
def test_the_cards_of_a_model_from_other_data(tmp_path, background):
    facts = json.loads(json.dumps(facts_of(background)))
    text = card.card_text(facts, 1234)
    assert text.startswith("# mine\n")
    assert "SentinelKilnDB" not in text
    assert "resolution x 0.67" in text
    assert "| **int8** | 2.00 x |" in text
    assert "| float32, one way up | 3.10 x |" in text
    assert ("No kiln-free ground was given" in text) == (background == 0)
    assert f"at the default score of {validation_score(facts)}" in text
    (tmp_path / "model.onnx").write_bytes(b"")
    made = card.model_card(facts, 1234, tmp_path / "model.onnx")
    assert made["license"] == "other"
    assert made["kilnsight:types"] == ["Zigzag", "FCBK", "CFCBK"]
    assert made["kilnsight:center"]["type"] == "type"
    assert made["kilnsight:calibration"]["points"][0] == [0, 0]


@pytest.mark.parametrize("shipped", [True, False])
def test_the_ladder_ends_behind_the_screen(shipped):
    screen = {"shipped": shipped, "share_of_time": 0.1}
    screen["kiln_free_chips"] = {"32": {"passed": 0.01}, "256": {"passed": 0.2}}
    facts = json.loads(json.dumps(facts_of(3))) | {"screen": screen}
    if shipped:
        screened = json.loads(json.dumps(facts["cross_validation"]["int8"]))
        screened["pooled"]["ap_iou_30"]["value"] = 0.123
        for row in screened["thresholds"]:
            row[BEHIND] = 1.5
        facts["cross_validation"]["screened"] = screened
    *_, one, whole, last = card._ladder_text(facts).splitlines()
    if not shipped:
        assert whole.startswith("| float32 | 1.00 x |")
        assert last.startswith("| **int8** | 2.00 x |")
        return
    assert one.startswith("| float32 | 1.00 x |")
    assert whole.startswith("| int8 | 2.00 x |")
    # A tenth for the screen, and half the time of float32 for one chip in five.
    assert last.startswith("| **int8, screen** | 5.00 x |")
    assert " | 0.123 | " in last
    assert ", 1.5 from " in last


def test_the_exported_graph_says_what_the_network_says(tmp_path):
    for typed in (True, False):
        detector = Detector(KilnNet().eval(), "oriented", typed)
        assert graph.write_model(detector, tmp_path / "model.onnx") < graph.TOLERANCE
        session = graph.onnxruntime.InferenceSession(tmp_path / "model.onnx")
        assert [out.name for out in session.get_outputs()] == detector.names


def test_the_default_score_is_for_a_region_where_kiln_free_ground_was_given():
    tiles = [tile(i, f"district {i % 2}") for i in range(4)]
    nets = {f"district {i}": Detector(KilnNet().eval(), "plain") for i in range(2)}
    made = {t.number: found(0.9) for t in tiles}

    def scores(wrong, area, behind=None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(figures, "find", lambda *_: made)
            patch.setattr(figures, "false_detections", lambda *_: (np.array(wrong), area))
            all_of = figures.all_figures(nets, tiles, np.zeros((0, 3, 32, 32)), np.zeros(0), behind)
        return all_of["min_score"], all_of["balanced_score"]

    default, balanced = scores([0.6] * 100, 100.0)
    assert default > balanced
    # A screen that leaves nothing false makes room for a low score.
    default, _ = scores([0.6] * 100, 100.0, (np.zeros(0), 100.0))
    assert default == LOW_SCORE
    default, balanced = scores([], 0.0)
    assert default == balanced
