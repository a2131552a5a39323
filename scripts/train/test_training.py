"""Crops, targets, losses and the network on small cases; skipped where torch is missing."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("rasterio")
pytest.importorskip("matplotlib")

import torch

import augment
import background
import checkpoint
import curves
import losses
from boxes import envelopes
from data import Tile, stretch
from loop import Average
from network import HEADS, KilnNet
from predict import Detector, predict
from start import Settings as StartSettings
from start import first
from synthetic import synthetic_tile
from test_encoder import pretrained
from train import Settings, train


def dot_tile(oriented=True):
    """A dark tile with one bright kiln of 12 x 6 pixels, and its box."""
    pixels = np.full((3, 128, 128), 20, np.uint8)
    pixels[:, 57:63, 64:76] = 250
    boxes = np.array([[70, 60, 12, 6, 0.0]])
    return Tile(pixels, boxes, envelopes(boxes), oriented)


@pytest.mark.parametrize("oriented", [True, False])
def test_targets_follow_the_pixels_however_a_crop_is_turned(oriented):
    rng = np.random.default_rng(0)
    tile = dot_tile(oriented)
    seen = 0
    for _ in range(20):
        view = augment.random_view(rng, tile)
        crop = augment.cut([tile], [view])
        targets = augment.describe([tile], [view], crop)
        bright = crop[0, 0] > 0.5
        ys, xs = torch.nonzero(bright, as_tuple=True)
        centre = int((targets.heatmap[0] == 1).sum())
        inside = bright.any() and min(xs.min(), ys.min()) > 0
        if inside and max(xs.max(), ys.max()) < augment.CROP - 1:
            seen += 1
            assert centre == 1
            y, x = torch.nonzero(targets.heatmap[0] == 1)[0].tolist()
            assert abs(xs.float().mean() - x) < 1.5
            assert abs(ys.float().mean() - y) < 1.5
            width, height = targets.size_xy[0].tolist()
            assert abs((xs.max() - xs.min() + 1) - width) < 2.5
            assert abs((ys.max() - ys.min() + 1) - height) < 2.5
    assert seen > 5


def test_ignored_regions_weigh_nothing():
    tile = dot_tile()
    tile.ignore = np.array([[10, 10, 30, 30.0]])
    view = augment.View(np.array([40.0, 40.0]), np.eye(2))
    targets = augment.describe([tile], [view], augment.cut([tile], [view]))
    assert (targets.weight == 0).sum() == 20 * 20


def test_outside_of_a_tile_is_no_data_and_colours_keep_it_so():
    rng = np.random.default_rng(0)
    view = augment.View(np.array([0.0, 64.0]), np.eye(2))
    crop = augment.recolour(rng, augment.cut([dot_tile()], [view]))
    half = augment.CROP // 2
    assert (crop[..., :half] == 0).all()
    assert (crop[..., half:] > 0).all()


def test_giou_by_hand():
    zero, size = torch.zeros(1, 2), torch.tensor([[10.0, 4.0]])
    assert losses.giou(zero, size, zero, size).item() == pytest.approx(1)
    # Side by side: nothing shared, no gap in the hull.
    assert losses.giou(zero, size, torch.tensor([[10.0, 0.0]]), size).item() == pytest.approx(0)


def test_envelope_size_agrees_with_the_geometry():
    t = 0.6
    angle = 2.0 * torch.tensor([[np.cos(2 * t), np.sin(2 * t)]], dtype=torch.float32)
    x0, y0, x1, y1 = envelopes((0, 0, 12, 6, t))[0]
    made = losses.envelope_size(torch.tensor([[12.0, 6.0]]), angle)[0].tolist()
    assert made == pytest.approx([x1 - x0, y1 - y0], rel=1e-2)


def test_focal_prefers_the_truth():
    target = torch.zeros(1, 8, 8)
    target[0, 3, 4] = 1
    weight = torch.ones_like(target)
    right, wrong = torch.full_like(target, -5), torch.full_like(target, -5)
    right[0, 3, 4], wrong[0, 6, 6] = 5, 5
    assert losses.focal(right, target, weight) < losses.focal(wrong, target, weight)


def test_network_keeps_the_size_and_starts_with_nothing():
    maps = KilnNet().eval()(torch.rand(2, 3, 48, 64))
    assert {name: tuple(m.shape) for name, m in maps.items()} == {
        name: (2, channels, 48, 64) for name, channels in HEADS.items()
    }
    assert maps["heatmap"].sigmoid().max() < 0.2


def test_detector_takes_any_size():
    boxes, scores, types = predict(
        Detector(KilnNet().eval(), "plain"), np.zeros((3, 50, 61), np.uint8)
    )
    assert boxes.shape == (len(scores), 5)
    assert types.shape == (len(scores), 3)


def test_a_turned_picture_gets_turned_answers():
    torch.manual_seed(1)
    image, net = torch.rand(2, 3, 48, 64), KilnNet().eval()
    with torch.no_grad():
        # Anything but "no kiln anywhere".
        net.heads.weight.copy_(torch.randn(net.heads.weight.shape))
        detector = Detector(net, "oriented")
        maps = dict(zip(detector.names, detector(image), strict=True))
        other = dict(zip(detector.names, detector(image.flip(2, 3)), strict=True))
        alone = Detector(net, "oriented", turned=False)(image)[0]
    assert (alone - maps["heatmap"]).abs().max() > 1e-3
    for name, values in maps.items():
        sign = -1 if name == "offset" else 1
        assert torch.allclose(values, sign * other[name].flip(2, 3), atol=1e-4), name


def test_stretch_keeps_no_data():
    pixels = np.array([[[0, 0, 500, 1000]]] * 3, np.uint16)
    pixels[:, 0, 1] = (0, 0, 7)
    made = stretch(pixels, (0, 0, 0), (1000, 1000, 1000))
    assert made[:, 0, 0].tolist() == [0, 0, 0]
    assert made[:, 0, 1].tolist() == [1, 1, 1]
    assert made[0, 0, 2:].tolist() == [127, 255]


def test_mosaics_are_stretched_over_one_range_or_band_by_band():
    # The third band is twice as bright: one range for all keeps that, a range of each does not.
    grey = np.random.default_rng(0).integers(300, 3000, (20, 1, 32, 32))
    bare = np.concatenate([grey, grey, 2 * grey], axis=1).astype(np.uint16)
    rng = np.random.default_rng(1)
    kept = []
    for _ in range(40):
        pixels = background.mosaic(rng, bare).pixels
        seen = pixels[:, pixels.any(0)].mean(1)
        kept.append(seen[2] > 1.5 * seen[0])
    assert 0.4 < np.mean(kept) < 0.9


def test_a_few_steps_of_training_run():
    bare = np.random.default_rng(0).integers(300, 3000, (20, 3, 32, 32)).astype(np.uint16)
    mosaic = background.mosaic(np.random.default_rng(0), bare)
    assert mosaic.pixels.shape == (3, 128, 128)
    settings = Settings(steps=2, kilns=2, synthetic=1, background=1)
    lines = []
    net, rows = train(
        *([dot_tile(), dot_tile(False)], bare, [synthetic_tile(5)], settings),
        start=KilnNet().state_dict(),
        log=lines.append,
    )
    assert not net.training
    assert [row[0] for row in rows] == [1, 2]
    assert all(np.isclose(row[3], sum(row[4:])) for row in rows)
    assert len(lines) == 1


def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 2)
    bare = np.random.default_rng(0).integers(300, 3000, (20, 3, 32, 32)).astype(np.uint16)
    settings = Settings(steps=4, kilns=2, synthetic=1, background=1, mine_every=3)
    data = [dot_tile(), dot_tile(False)], bare, [synthetic_tile(5)], settings
    start = KilnNet().state_dict()

    def stop_after_third(self, net, update=Average.update):
        if self.steps == 3:
            raise KeyboardInterrupt
        update(self, net)

    kept = tmp_path / "run.checkpoint"
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(Average, "update", stop_after_third)
        train(*data, start=start, keep=kept)
    lines = []
    resumed, rows = train(*data, start=start, log=lines.append, keep=kept)
    whole, expected = train(*data, start=start)
    assert lines[0] == "goes on after step 2"
    assert [row[:1] + row[2:] for row in rows] == [row[:1] + row[2:] for row in expected]
    for one, other in zip(resumed.state_dict().values(), whole.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_of_other_data_or_of_another_start_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 1)
    nothing, settings = np.zeros((0, 3, 32, 32), np.uint16), Settings(steps=1, kilns=1)
    kept, start = tmp_path / "run.checkpoint", KilnNet().state_dict()
    train([dot_tile()], nothing, [], settings, start=start, keep=kept)
    lines = []
    train([dot_tile(False)], nothing, [], settings, start=start, log=lines.append, keep=kept)
    other = {name: values + 1 for name, values in start.items()}
    train([dot_tile(False)], nothing, [], settings, start=other, log=lines.append, keep=kept)
    assert not any("goes on" in line for line in lines)


def test_the_start_learns_from_synthetic_scenes_on_what_photographs_taught():
    settings = StartSettings(steps=2, crops=2)
    net, rows = first([synthetic_tile(5)], settings, pretrained(), log=lambda _line: None)
    assert [row[0] for row in rows] == [1, 2]
    untrained = KilnNet()
    untrained.load_pretrained(pretrained())
    stems = (n.state_dict()["encoder.stem.0.weight"] for n in (net, untrained))
    assert (next(stems) - next(stems)).abs().max() < 0.1


def test_the_border_of_a_chip_is_like_no_data_to_the_first_layer():
    net = KilnNet().eval()
    net.load_pretrained(pretrained())
    image = torch.rand(1, 3, 32, 32)
    among = torch.nn.functional.pad(image, (4, 4, 4, 4))
    with torch.no_grad():
        alone, within = net.encoder.stem(image), net.encoder.stem(among)
    assert torch.allclose(alone, within[..., 2:-2, 2:-2], atol=1e-5)


def test_logs_come_back_as_written_and_are_drawn(tmp_path):
    rows = [(step, step / 3, 1e-3, 3.0 / step, 2.0 / step, 0.9 / step, 0.1) for step in (1, 2, 3)]
    curves.write_log(rows, tmp_path / "log.csv", losses.TERMS)
    assert curves.read_log(tmp_path / "log.csv") == pytest.approx(np.array(rows), rel=1e-5)
    curves.draw_losses({"a": rows}, tmp_path / "losses.png", losses.TERMS)
    assert (tmp_path / "losses.png").read_bytes()[1:4] == b"PNG"
