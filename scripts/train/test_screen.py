"""The screen on small cases; skipped where torch is missing."""

import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

import torch

import augment
import screen
import screen_card
import screen_figures
import screen_onnx
import validated
from boxes import envelopes
from calibration import Calibration
from data import Tile
from network import KilnNet
from predict import Detector
from screen_net import CELL, Screen, ScreenNet, averaged, probabilities
from screen_train import Settings, target, train
from synthetic import synthetic_tile
from test_encoder import pretrained


def dot_tile(number=0, region=""):
    """A dark tile with one bright kiln of 12 x 6 pixels, and its box."""
    pixels = np.full((3, 128, 128), 20, np.uint8)
    pixels[:, 57:63, 64:76] = 250
    boxes = np.array([[70, 60, 12, 6, 0.0]])
    return Tile(pixels, boxes, envelopes(boxes), True, region=region, number=number)


def test_averages_leave_out_what_is_no_data():
    image = torch.zeros(1, 3, 2, 4)
    image[..., 0, 0], image[..., 1, 1] = 0.2, 0.4
    assert averaged(image)[0, 0].tolist() == [pytest.approx([0.3, 0.0])]


def test_the_cell_of_a_centre_is_a_positive_even_beside_an_ignored_region():
    tile = dot_tile()
    tile.ignore = np.array([[0, 0, 69, 128.0]])
    view = augment.View(np.array([64.0, 64.0]), np.eye(2))
    targets = augment.describe([tile], [view], augment.cut([tile], [view]))
    heat, weight = target(targets)
    assert heat.shape == weight.shape == (1, augment.CROP // CELL, augment.CROP // CELL)
    (place,) = torch.nonzero(heat[0] == 1).tolist()
    assert place == [36 // CELL, 46 // CELL]
    assert weight[0][tuple(place)] == 1
    assert weight[0, :, : 40 // CELL].sum() == 0


def test_the_network_has_fewer_weights_than_the_detector_and_starts_with_nothing():
    net = ScreenNet().eval()
    own, detectors = (sum(p.numel() for p in some.parameters()) for some in (net, KilnNet()))
    assert own < detectors
    chart = probabilities(Screen(net), dot_tile().pixels[:, :100, :90])
    assert chart.shape == (28, 24)
    assert chart.max() < 0.2


def test_a_kiln_scores_by_the_cells_near_it():
    chart = np.zeros((32, 32))
    chart[15 + screen_figures.NEAR, 17] = 0.5
    chart[15, 17 - screen_figures.NEAR - 1] = 0.9
    assert screen_figures.kiln_scores(chart, dot_tile().boxes).tolist() == [0.5]
    assert screen_figures.kiln_scores(chart, np.zeros((0, 5))).shape == (0,)


def test_the_threshold_loses_one_in_a_hundred_and_no_more():
    scores = np.concatenate([[0.001, 0.0567, 0.06], np.full(97, 0.9)])
    assert screen_figures.threshold_for(scores) == 0.056
    assert screen_figures.threshold_for(scores[:99]) == 0.001
    assert screen_figures.threshold_for(np.array([0.5])) == 0.5


def test_mosaics_hold_every_tile():
    tiles = np.arange(1, 21, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 3, 32, 32), np.uint8
    )
    made = list(screen_figures.mosaics(np.random.default_rng(0), tiles, 128))
    assert [chip.shape for chip in made] == [(3, 128, 128)] * 2
    assert set(np.unique(made)) == set(range(1, 21))


def test_a_detection_is_false_only_where_the_screen_lets_it_be_seen(monkeypatch):
    tiles = np.random.default_rng(0).integers(300, 3000, (128, 3, 32, 32)).astype(np.uint16)
    folds = np.arange(128) % 2
    monkeypatch.setattr(screen_figures, "predict", lambda *_: (None, np.array([0.9, 0.2])))
    monkeypatch.setattr(screen_figures, "probabilities", lambda net, _: np.full((2, 2), net))
    given = {"a": None, "b": None}, Calibration(), {"a": 0.1, "b": 0.5}, 0.4, tiles, folds
    scores, area = screen_figures.false_behind(*given)
    # Each fold's 64 tiles make one chip of 256 pixels, four times; only the second's pass.
    assert sorted(scores) == pytest.approx([0.2] * 4 + [0.9] * 4)
    assert area == pytest.approx(8 * 2.56**2)


def test_kilns_near_a_detection_are_found():
    found = {0: (np.array([[73, 60, 9, 9, 0.0], [71, 60, 9, 9, 0.0]]), np.array([0.9, 0.3]))}
    wanted = [
        validated.near_detections([dot_tile()], found, least)[0] for least in (0.2, 0.5, 0.95)
    ]
    assert [len(boxes) for boxes in wanted] == [1, 1, 0]
    far = {0: (np.array([[76, 60, 9, 9, 0.0]]), np.array([0.9]))}
    assert not len(validated.near_detections([dot_tile()], far, 0.5)[0])


def test_figures_and_cards_of_a_screen_that_was_trained_a_little():
    tiles = [dot_tile(i, region) for i, region in enumerate(["a", "a", "b"])]
    background = np.random.default_rng(0).integers(300, 3000, (40, 3, 32, 32)).astype(np.uint16)
    settings = Settings(steps=3, kilns=2, synthetic=1, background=1, mine_every=2)
    lines = []
    data = tiles, background, [synthetic_tile(5)]
    net, rows = train(*data, settings, pretrained=pretrained(), log=lines.append)
    assert not net.training
    assert len(lines) == 1
    assert len(rows) == 3
    wanted = {tile.number: tile.boxes for tile in tiles}
    screens = screen_onnx.of_fold(net, tiles, background)
    whole, small = (
        screen_figures.measure(
            dict.fromkeys("ab", screens[precision]), tiles, wanted, background, np.arange(40) % 6
        )
        for precision in screen_onnx.PRECISIONS
    )
    assert small["threshold"] == pytest.approx(whole["threshold"], rel=0.2)
    made = small
    assert made["kilns"] == 3
    assert made["kilns_lost"] == 0
    assert made["kilns_lost_if_each_stood_alone"] <= 3
    assert made["kiln_free_chips"]["128"]["chips"] > 0
    assert made["tiles_dropped"] == 0
    facts = {"kilns_are": "all labelled", "factor": 1, "parameters": 1, "sha256": "ab", **made}
    facts |= {"precision": "int8", "ladder": {}}
    for precision, figures in (("float32", whole), ("int8", small)):
        facts["ladder"][precision] = {"share_of_time": 0.25, **screen_card.rung(figures)}
    facts = json.loads(json.dumps(facts | {"shipped": True}))
    key = screen_card.keys(facts)["kilnsight:screen"]
    assert key["threshold"] == made["threshold"]
    assert "Of 3 labelled kilns,\n  0 are lost" in screen_card.text(facts)
    assert "| **int8** | 25.0% |" in screen_card.text(facts)
    assert screen_card.keys(facts | {"shipped": False}) == {}
    assert "**No screen is shipped.**" in screen_card.text(facts | {"shipped": False})
    assert screen_card.keys(None) == {}
    assert screen_card.text(None) == ""


@pytest.mark.parametrize(
    ("lost", "passed", "good"), [(0, 0.1, True), (2, 0.1, False), (0, 0.3, False)]
)
def test_only_a_screen_that_saves_much_and_loses_little_is_shipped(tmp_path, lost, passed, good):
    folder, out = tmp_path / "screen", tmp_path / "model"
    folder.mkdir()
    out.mkdir()
    (folder / "screen.onnx").write_bytes(b"new")
    (out / "screen.onnx").write_bytes(b"of an earlier export")
    figures = {"kilns": 100, "kilns_lost_if_each_stood_alone": lost}
    figures["kiln_free_chips"] = {"32": {"passed": 0.9}, "256": {"passed": passed}}
    (folder / "screen.json").write_text(json.dumps(figures))
    assert screen_card.take(folder, out)["shipped"] == good
    assert (out / "screen.onnx").exists() == good
    assert screen_card.take(None, out) is None
    assert not (out / "screen.onnx").exists()


def test_the_cheapest_screen_that_is_good_enough_is_shipped():
    def measured(lost, passed):
        return {
            "kilns": 100,
            "kilns_lost_if_each_stood_alone": lost,
            "kiln_free_chips": {"256": {"passed": passed}},
        }

    shares = {"float32": 0.16, "int8": 0.1}
    good, passing, losing = measured(0, 0.1), measured(0, 0.19), measured(2, 0.1)
    assert screen.cheapest({"float32": good, "int8": good}, shares, 1.0) == "int8"
    assert screen.cheapest({"float32": good, "int8": passing}, shares, 1.0) == "float32"
    # Where the detector takes less, what passes costs less.
    assert screen.cheapest({"float32": good, "int8": passing}, shares, 0.5) == "int8"
    assert screen.cheapest({"float32": good, "int8": losing}, shares, 1.0) == "float32"
    assert screen.cheapest({"float32": losing, "int8": losing}, shares, 1.0) == "float32"


def test_a_screened_detector_finds_nothing_on_what_is_dropped():
    detector = Detector(KilnNet().eval(), "oriented")
    image = torch.rand(1, 3, 64, 48)
    for chart, is_seen in ((0.5, True), (0.3, False)):
        both = validated.Screened(detector, lambda _, chart=chart: torch.full((2, 2), chart), 0.4)
        assert both.names == detector.names
        with torch.no_grad():
            heat = both(image)[0]
        assert heat.shape == (1, 1, 64, 48)
        assert bool(heat.any()) == is_seen
