"""Drawn camps on made-up ground; needs no data."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")

import torch

from camps import augment, drawn
from camps.data import Chip


def field(level=90):
    return Chip(np.full((3, 256, 256), level, np.uint8), "agricultural", 0, path=None)


def test_shelters_stand_apart_on_the_crop():
    for seed in range(20):
        boxes, gap, _ = drawn.layout(np.random.default_rng(seed), 1.0)
        assert gap > 0
        assert ((boxes[:, :2] > 0) & (boxes[:, :2] < augment.CROP)).all()
        gaps = np.linalg.norm(boxes[:, None, :2] - boxes[None, :, :2], axis=2)
        widths = (boxes[:, None, 3] + boxes[None, :, 3]) / 2
        assert (gaps + np.eye(len(boxes)) * 1e9 > widths).all()


def test_the_ground_covers_roofs_and_what_lies_between_them_and_no_more():
    boxes = np.array([[40, 40, 8, 4, 0.0], [40, 47, 8, 4, 0.0], [100, 100, 8, 4, np.pi / 2]])
    ground = drawn.ground_of(boxes, gap=3).numpy()
    assert ground.shape == (augment.CROP, augment.CROP)
    assert ground[40, 40] == ground[43, 40] == ground[47, 40] == ground[97, 100] == 1
    assert ground[70, 70] == ground[100, 110] == ground[40, 50] == 0


def test_a_camp_changes_its_ground_and_nothing_far_from_it():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        plain = augment.chip_crop(rng, drawn._mirrored(field()), 1.0, augment.CROP)
        made = drawn.onto(rng, plain, 1.0)
        inside = made.target > 0.5
        assert 0.002 < inside.float().mean() < 0.95
        assert (made.weight == 1).all()
        changed = (made.pixels - plain.pixels).abs().amax(0)
        # As fine as the target; shadows and worn edges reach a little beyond it.
        changed = torch.nn.functional.avg_pool2d(changed[None], 2)[0]
        assert changed[inside].mean() > 0.02
        reach = torch.nn.functional.max_pool2d(made.target[None], 13, 1, 6)[0]
        assert changed[reach == 0].sum() < 1e-3


def test_no_data_stays_no_data():
    rng = np.random.default_rng(0)
    crop = augment.chip_crop(rng, drawn._mirrored(field()), 1.0, augment.CROP)
    crop.pixels[:, :, :100] = 0
    crop.weight[:, :50] = 0
    made = drawn.onto(rng, crop, 1.0)
    assert (made.pixels[:, :, :100] == 0).all()
    assert (made.target[:, :50] == 0).all()


def test_the_same_seed_draws_the_same_camp():
    one, other = (drawn.camp_crop(np.random.default_rng(4), [field()], 1.0) for _ in range(2))
    assert torch.equal(one.pixels, other.pixels)
    assert torch.equal(one.target, other.target)
