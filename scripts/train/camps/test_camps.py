"""Reading, crops, areas, the network and the rule on small made-up cases; needs no data."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

import rasterio
import torch
from torch import nn

from camps import augment, data, figures, settle
from camps.network import CampNet
from camps.predict import Rule, areas, covered, labelled, probabilities
from camps.train import Settings, draw_crops, edges_of, loss_of, train
from test_encoder import pretrained


def scene(group="a", side=300, settled=True, seed=0):
    """Noise with a finer, brighter half that is settlement."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(30, 90, (3, side, side), dtype=np.uint8)
    mask = np.zeros((side, side), bool)
    if settled:
        mask[:, side // 2 :] = True
        pixels[:, mask] += rng.integers(0, 150, mask.sum(), dtype=np.uint8)
    return data.Scene(pixels, mask, group, path=None)


def chip(kind, number=0, side=256):
    level = 40 + 30 * data.CLASSES.index(kind)
    return data.Chip(np.full((3, side, side), level, np.uint8), kind, number, path=None)


def write_png(path, values, colours=None):
    bands = values if values.ndim == 3 else values[None]
    shape = {"height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    with rasterio.open(path, "w", driver="PNG", dtype="uint8", **shape) as file:
        file.write(bands)
        if colours:
            file.write_colormap(1, colours)


def test_a_mask_is_read_by_its_colours_with_and_without_a_palette(tmp_path):
    numbers = np.array([[0, 1], [2, 1]], np.uint8)
    colours = {0: (40, 120, 240, 255), 1: (*data.SETTLEMENT, 255), 2: (0, 0, 0, 255)}
    write_png(tmp_path / "palette.png", numbers, colours)
    rgb = np.array([colours[n][:3] for n in numbers.ravel()], np.uint8).T.reshape(3, 2, 2)
    write_png(tmp_path / "rgb.png", rgb)
    for name in ("palette.png", "rgb.png"):
        assert (data.read_mask(tmp_path / name) == (numbers == 1)).all()


def test_groups_and_blocks_stay_whole():
    scenes = [scene(g, side=20, settled=g != "d") for g in "aabbbccd"]
    folds = data.scene_folds(scenes)
    assert list(folds) == [1, 1, 0, 0, 0, 2, 2, 2]
    chips = [chip(kind, n, side=8) for kind in data.CLASSES for n in range(6)]
    assert list(data.chip_folds(chips))[:6] == [0, 0, 1, 1, 2, 2]


def test_crops_keep_pixels_and_truth_together():
    rng = np.random.default_rng(3)
    bright = scene()
    bright.pixels[:] = np.where(bright.mask, 200, 50)
    for _ in range(10):
        crop = augment.scene_crop(rng, bright, 1.0, size=64, edges=edges_of(bright.mask))
        grey = nn.functional.avg_pool2d(crop.pixels[:1], 2)[0]
        known = crop.weight > 0
        assert (((grey > 0.45) == (crop.target > 0.5)) | ((grey - 0.45).abs() < 0.3))[known].all()
        assert (crop.pixels[:, 0, 0] > 0).all() or crop.weight[0, 0] == 0


def test_a_mosaic_says_of_every_chip_what_it_is():
    rng = np.random.default_rng(0)
    by_kind = {kind: [chip(kind)] for kind in data.CLASSES}
    for _ in range(6):
        made = augment.mosaic(rng, by_kind, [scene()], 1.0)
        park = made.park > 0
        assert (made.target[park] > 0.999).all()
        level = nn.functional.avg_pool2d(made.pixels[:1], 2)[0] * 255
        assert ((level[park] - 40).abs() < 2).all()
        assert made.pixels.shape == (3, augment.CROP, augment.CROP)


def test_the_cells_of_a_park_that_fit_worst_do_not_teach():
    logits = torch.zeros(1, 1, 2, 5, requires_grad=True)
    with torch.no_grad():
        logits[0, 0, 0, 0] = -9
    ones = torch.ones(1, 2, 5)
    sum(loss_of(logits, ones, ones, ones, Settings(park_kept=0.8)).values()).backward()
    assert logits.grad[0, 0, 0, 0] == 0
    assert (logits.grad[0, 0, 1] < 0).all()


def test_regions_hang_together_by_edges():
    cells = np.array([[1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 1, 0], [1, 0, 1, 1]], bool)
    numbers = labelled(cells)
    assert (numbers > 0).tolist() == cells.tolist()
    assert len(np.unique(numbers[cells])) == 4
    spiral = np.ones((5, 5), bool)
    spiral[1, :4] = spiral[3, 1:] = False
    assert len(np.unique(labelled(spiral)[spiral])) == 1


def test_small_and_unsure_areas_are_left_out():
    probability = np.zeros((10, 10), np.float32)
    probability[:4, :4] = 0.9
    probability[8:, 8:] = 0.95
    probability[:5, 6:] = 0.55
    found = areas(probability, Rule(0.5, 20, 0.6), 4.0)
    assert [round(score, 3) for _, score in found] == [0.9]
    assert covered(probability, Rule(0.5, 20, 0.6), 4.0).sum() == 16


def test_any_size_is_looked_at():
    net = CampNet().eval()
    pixels = np.full((3, 77, 61), 100, np.uint8)
    assert probabilities(net, pixels).shape == (39, 31)


def seen(kind, fold, level, truth=None):
    probability = np.full((20, 20), level, np.float32)
    return figures.Seen(kind, fold, probability, truth)


def test_the_rule_leaves_bare_chips_alone():
    found, nothing = np.ones((40, 40), bool), np.zeros((40, 40), bool)
    looked = [
        seen("scene", f, level, truth)
        for f in (0, 1)
        for level, truth in ((0.93, found), (0.2, nothing), (0.88, found))
    ]
    looked += [seen("buildings", f, 0.6) for f in (0, 1)]
    looked += [seen("mobilehomepark", f, 0.92) for f in (0, 1)]
    rule = settle.choose(looked, 4.0)
    assert settle.bare_share(looked, rule, 4.0) == 0
    assert figures.scene_figures(looked, rule, 4.0)["iou"] == 1
    assert figures.chip_figures(looked, rule, 4.0)["mobilehomepark"]["flagged"] == 2
    scores = settle.calibration_figures(looked, rule, 4.0)
    assert (scores["areas"], scores["right"]) == (8, 6)


def test_training_learns_and_repeats():
    scenes = [scene(seed=1), scene("b", settled=False, seed=2)]
    chips = [chip(kind) for kind in data.CLASSES]
    settings = Settings(steps=2, settled=1, bare=1, mosaics=1)
    nets = [
        train(scenes, chips, settings, log=lambda _: None, pretrained=pretrained())[0]
        for _ in range(2)
    ]
    for one, other in zip(*(net.state_dict().values() for net in nets), strict=True):
        assert torch.equal(one, other)
    crops = draw_crops(
        np.random.default_rng(0),
        scenes,
        [edges_of(s.mask) for s in scenes],
        {kind: [chip(kind)] for kind in data.CLASSES},
        settings,
        1.0,
    )
    assert len(crops) == 3
