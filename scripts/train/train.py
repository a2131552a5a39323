"""Training one network. Run as a program, it trains on every tile there is.

The final network is not measured by itself: no tile is left to measure it on. Its figures are those
of `cross_validate.py`, which trains the same way with one region left out.
"""

import argparse
import copy
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import augment
import checkpoint
import curves
import labels
import losses
import paste
from data import Tile, load_background, stretch
from network import KilnNet
from synthetic import synthetic_tiles


@dataclass
class Settings:
    """How long and on what mix to train."""

    steps: int = 2000
    rate: float = 3e-3
    decay: float = 0.02
    kilns: int = 9
    """Crops of labelled tiles in a batch."""
    synthetic: int = 4
    """Crops of synthetic scenes in a batch."""
    background: int = 3
    """Crops of kiln-free mosaics in a batch."""
    paste: float = 0.5
    """Share of the mosaics that get kilns pasted on."""
    mine_every: int = 250
    """Steps between two looks at which kiln-free tiles score high; those are shown more often."""
    average: float = 0.997
    """Decay of the moving average of the weights, which is what is kept."""
    seed: int = 1


def device():
    """A graphics card where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast():
    """Autocast to bfloat16 where the device multiplies it in hardware, else plain float32."""
    on = device().type
    has = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return torch.autocast(on, torch.bfloat16, enabled=on != "cpu" or has())


class Average:
    """Exponential moving average of a network's weights and statistics."""

    def __init__(self, net, decay):
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    @torch.no_grad()
    def update(self, net):
        """Move towards `net`, faster in the first steps."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for kept, new in zip(
            self.net.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def state_dict(self):
        """For a checkpoint."""
        return {"net": self.net.state_dict(), "steps": self.steps}

    def load_state_dict(self, state):
        """From a checkpoint."""
        self.net.load_state_dict(state["net"])
        self.steps = state["steps"]


def hardness(net, pixels, batch=64):
    """The best score of a network on each kiln-free tile (N x 3 x 32 x 32), N.

    Tiles lie among no data, stretched over all of them, as `cross_validate` meets them.
    """
    low, high = np.percentile(pixels.transpose(1, 0, 2, 3).reshape(3, -1), (0.1, 99.8), axis=1)
    best = []
    for start in range(0, len(pixels), batch):
        some = stretch(pixels[start : start + batch].transpose(1, 0, 2, 3), low, high)
        image = torch.from_numpy(some.transpose(1, 0, 2, 3).astype(np.float32) / 255)
        image = F.pad(image, (8, 8, 8, 8)).to(device(), memory_format=torch.channels_last)
        with torch.no_grad(), fast():
            heat = net(image)["heatmap"].float().sigmoid()
        best.append(heat[:, 0, 8:-8, 8:-8].amax((1, 2)).cpu().numpy())
    return np.concatenate(best)


def background_mosaic(rng, pixels, chance=None):
    """A 128 x 128 `Tile` of 16 random kiln-free tiles (N x 3 x 32 x 32 uint16), stretched.

    `chance` is that of each tile to be drawn (N; default: the same for all). Some mosaics lack
    tiles, down to a few alone: the border of what is seen must not look like a kiln.
    """
    picked = pixels[rng.choice(len(pixels), size=(4, 4), p=chance)]
    missing = rng.random((4, 4)) < rng.choice([0, 0.4, 0.8])
    missing[tuple(rng.integers(4, size=2))] = False
    picked[missing] = 0
    mosaic = picked.transpose(2, 0, 3, 1, 4).reshape(3, 128, 128).astype(np.float32)
    # A scene is stretched over all of it, so a stretch over other tiles must be fine, too.
    wider = pixels[rng.integers(len(pixels), size=30)].transpose(1, 0, 2, 3).reshape(3, -1)
    flat = wider if rng.random() < 0.5 else mosaic[:, mosaic.any(0)]
    low = np.percentile(flat, rng.uniform(0, 1), axis=1)
    high = np.percentile(flat, rng.uniform(98, 100), axis=1)
    nothing = np.zeros((0, 5)), np.zeros((0, 4))
    return Tile(stretch(mosaic, low, high), *nothing, oriented=True, region="background")


def tile_weights(tiles):
    """Chance of each tile to be drawn: by the root of its kilns, official labels counting twice."""
    weights = np.array([np.sqrt(len(t.boxes) + 1) * (2 if t.oriented else 1) for t in tiles])
    return weights / weights.sum()


def draw_batch(rng, tiles, weights, background, chance, synthetic, settings):
    """The tiles of one batch: labelled, mosaics of background with and without kilns, synthetic."""
    picked = [tiles[i] for i in rng.choice(len(tiles), settings.kilns, p=weights)]
    if len(background):
        for _ in range(settings.background):
            mosaic = background_mosaic(rng, background, chance)
            pasted = rng.random() < settings.paste
            picked.append(paste.onto(rng, mosaic, tiles, weights) if pasted else mosaic)
    if len(synthetic):
        picked += [synthetic[i] for i in rng.integers(len(synthetic), size=settings.synthetic)]
    return picked


def train(tiles, background, synthetic, settings, log=print, keep=None):
    """Train on labelled `tiles`, `background` pixels (N x 3 x 32 x 32), `synthetic` tiles.

    `background` and `synthetic` may be empty. Returns the averaged network, in evaluation mode and
    on the processor, and one row a step as `curves.COLUMNS` says. With a file `keep`, a training
    that was stopped goes on from its last checkpoint.
    """
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    net = KilnNet().to(device(), memory_format=torch.channels_last).train()
    average = Average(net, settings.average)
    optimizer = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.rate, settings.steps, pct_start=0.1
    )
    parts = {"net": net, "average": average, "optimizer": optimizer, "schedule": schedule}
    done, chance, rows, before = 0, None, [], 0.0
    if keep is not None:
        mark = checkpoint.mark(settings, tiles, background, synthetic)
        if (state := checkpoint.load(keep, mark, parts, rng)) is not None:
            done, chance, rows = state["done"], state["chance"], state["rows"]
            before = rows[-1][1]
            log(f"goes on after step {done}")
    weights = tile_weights(tiles)
    started = time.monotonic() - before
    for step in range(done + 1, settings.steps + 1):
        if len(background) and step > 1 and step % settings.mine_every == 1:
            scores = hardness(average.net.eval(), background)
            chance = 0.3 / len(background) + 0.7 * scores / scores.sum()
        picked = draw_batch(rng, tiles, weights, background, chance, synthetic, settings)
        image, targets = augment.batch(rng, picked)
        image = image.to(device(), memory_format=torch.channels_last)
        with fast():
            maps = net(image)
        terms = losses.terms(maps, targets.to(device()))
        loss = sum(terms.values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        average.update(net)
        seconds = time.monotonic() - started
        rows.append((step, seconds, rate, loss.item(), *(term.item() for term in terms.values())))
        if keep is not None and step % checkpoint.EVERY == 0:
            checkpoint.save(keep, mark, parts, rng, done=step, chance=chance, rows=rows)
        if step % 200 == 0 or step == settings.steps:
            recent = np.mean([row[3] for row in rows[-200:]])
            log(f"step {step}/{settings.steps} loss {recent:.3f} {seconds:.0f} s")
    return average.net.eval().cpu(), rows


def add_data_arguments(parser):
    """The arguments that say what to train on, for every program that reads the data."""
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled tiles")
    parser.add_argument(
        "--format", choices=labels.READERS, default="coco", help="format of the labels"
    )
    parser.add_argument(
        "--names", nargs="+", help="class names by number, for YOLO sets that do not tell them"
    )
    parser.add_argument("--background", type=Path, help="folder of kiln-free tiles, if any")


def background_of(arguments):
    """Background tiles and their folds (see `data.load_background`); none without a folder."""
    if arguments.background is None:
        return np.zeros((0, 3, 32, 32), np.uint16), np.zeros(0, int)
    return load_background(arguments.background)


def main():
    """Train on all tiles and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="weights file to write")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--synthetic", type=int, default=300, help="number of synthetic tiles")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    tiles = labels.load(arguments.data, arguments.format, arguments.names)
    background, _ = background_of(arguments)
    synthetic = synthetic_tiles(arguments.synthetic)
    settings = Settings(steps=arguments.steps)
    keep = arguments.out.with_suffix(".checkpoint")
    net, rows = train(tiles, background, synthetic, settings, keep=keep)
    counts = {
        "tiles": len(tiles),
        "kilns": sum(len(t.boxes) for t in tiles),
        "ignore_regions": sum(len(t.ignore) for t in tiles),
        "background_tiles": len(background),
        "synthetic_tiles": len(synthetic),
        "synthetic_kilns": sum(len(t.boxes) for t in synthetic),
        "steps": arguments.steps,
        "seconds": round(rows[-1][1]),
    }
    torch.save({"weights": net.state_dict(), "training": counts}, arguments.out)
    curves.write_log(rows, arguments.out.with_suffix(".csv"))
    curves.draw_losses({"all tiles": rows}, arguments.out.with_suffix(".png"))
    keep.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
