"""The cards on made-up figures: every row of their tables is there, and the curve rises."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

from camps import card
from camps.data import CLASSES


def facts():
    scenes = {"scenes": 9, "with_settlement": 3, "bare_scenes": 6, "bare_scenes_flagged": 1}
    for name in ("iou", "f1", "precision", "recall"):
        scenes |= {name: 0.7, f"{name}_interval": [0.6, 0.8]}
    chips = {k: {"chips": 30, "flagged": 2, "share_interval": [0.0, 0.1]} for k in CLASSES}
    both = {"scenes": scenes, "chips": chips}
    crossed = {"iou": 0.6, "iou_interval": [0.5, 0.7], "f1": 0.7, "f1_interval": [0.6, 0.8]}
    scores = {"slope": 1.2, "shift": 0.3, "areas": 40, "right": 30, "expected_error": 0.05}
    return {
        "name": "made-up",
        "training": {
            "held_out_fold": None,
            "scenes": 9,
            "scenes_with_settlement": 3,
            "area_km2": 0.8,
            "settlement_km2": 0.1,
            "chips": dict.fromkeys(CLASSES, 30),
            "training_list_sha256": "0" * 64,
            "steps": 10,
            "seconds": 5,
        },
        "cross_validation": {
            **both,
            "gsd_m": 1.0,
            "training_seconds": [4, 5, 6],
            "threshold": 0.5,
            "min_area_m2": 400.0,
            "min_score": 0.5,
            "bare_chips_flagged": 0.02,
            "rule_chosen_on_other_folds": crossed,
            "calibration": {**scores, "expected_error_raw": 0.1, "curve": [[40, 0.7, 0.75]]},
            "folds": [both] * 3,
            "robustness": {"as it is": both, "hazy": both},
        },
    }


def test_the_text_tells_every_fold_class_and_change():
    text = card.card_text(facts(), 777_764)
    assert "stand-in" in text and "777,764" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for start in ("**all**", "1", "2", "3", "as it is", "hazy", *card.KINDS.values()):
        assert any(row.startswith(f"| {start} |") for row in rows), start


def test_the_text_says_which_fold_the_weights_never_saw():
    made = facts()
    assert "cannot be measured" in card.card_text(made, 1)
    made["training"]["held_out_fold"] = 2
    assert "those of fold 3" in card.card_text(made, 1)


def test_the_card_for_programs_is_whole(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    made = json.loads(json.dumps(card.model_card(facts(), 1, tmp_path / "model.onnx")))
    assert made["kilnsight:mask"]["threshold"] == 0.5
    points = made["kilnsight:calibration"]["points"]
    assert points == sorted(points)
    assert points[0] == [0.0, 0.0] and points[-1][0] == 1.0
