"""The synthetic scene: the same for the same seed, and a truth that fits the pixels."""

import numpy as np
import pytest

pytest.importorskip("rasterio")

from synthetic import make_demo_scene as demo
from synthetic import synthetic_tile


@pytest.fixture(scope="module")
def scene():
    return demo.sample_scene(np.random.default_rng(3), 256, kilns=12, look=demo.demo_look())


def east_kiln():
    """A kiln of 120 x 60 m whose length points east."""
    return demo.Kiln(x=100, y=200, length=12, width=6, t=0.0, kind="FCBK")


def test_same_seed_same_scene(scene):
    pixels, kilns = demo.sample_scene(
        np.random.default_rng(3), 256, kilns=12, look=demo.demo_look()
    )
    assert np.array_equal(pixels, scene[0])
    assert kilns == scene[1]


def test_another_seed_another_scene(scene):
    pixels, _ = demo.sample_scene(np.random.default_rng(4), 256, kilns=12, look=demo.demo_look())
    assert not np.array_equal(pixels, scene[0])


def test_pixels_leave_nought_for_no_data(scene):
    pixels, kilns = scene
    assert pixels.shape == (3, 256, 256)
    assert pixels.min() >= 1
    assert len(kilns) > 6


def test_kilns_are_of_the_sizes_that_kilns_have(scene):
    for kiln in scene[1]:
        assert 80 <= kiln.length * demo.GSD_M <= 150
        assert kiln.width <= kiln.length


def test_kilns_are_redder_than_the_scene(scene):
    pixels, kilns = scene
    redness = pixels[0].astype(float) - pixels[1:].mean(0)
    at_kilns = np.mean([redness[int(k.y), int(k.x)] for k in kilns])
    assert at_kilns > redness.mean() + 10


def test_feature_of_a_kiln_along_east():
    made = demo.feature(east_kiln(), ignore=False)
    properties = made["properties"]
    # One metre on the grid of the zone's middle is 1 / 0.9996 m on the ground.
    assert properties["length_m"] == pytest.approx(120 / 0.9996, abs=0.11)
    assert properties["width_m"] == pytest.approx(60 / 0.9996, abs=0.11)
    assert properties["angle_deg"] == pytest.approx(90, abs=0.1)
    assert properties["class"] == "kiln"


def test_angle_counts_clockwise_from_north():
    kiln = east_kiln()
    kiln.t = np.radians(20)  # 20 degrees from east towards south
    properties = demo.feature(kiln, ignore=False)["properties"]
    assert properties["angle_deg"] == pytest.approx(110, abs=0.1)


def test_rings_are_closed_and_run_counter_clockwise():
    ring = np.array(demo.feature(east_kiln(), ignore=False)["geometry"]["coordinates"][0])
    assert len(ring) == 5
    assert ring[0].tolist() == ring[4].tolist()
    x, y = (ring - ring.mean(0)).T
    assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0


def test_collection_has_a_bounding_box():
    made = demo.collection([demo.feature(east_kiln(), ignore=False)])
    west, south, east, north = made["bbox"]
    assert 3.0 < west < east < 3.1
    assert 0.4 < south < north < 0.6


def test_share_seen_at_the_border():
    hidden = np.zeros((300, 300), bool)
    assert demo.seen_share(east_kiln(), hidden) == 1
    hidden[:, 100:] = True
    assert 0.3 < demo.seen_share(east_kiln(), hidden) < 0.7
    hidden[:] = True
    assert demo.seen_share(east_kiln(), hidden) == 0


def test_training_tiles_repeat_and_are_not_the_demo():
    first, second = synthetic_tile(1_000_000), synthetic_tile(1_000_000)
    assert np.array_equal(first.pixels, second.pixels)
    assert len(first.boxes) == len(first.envelopes)
