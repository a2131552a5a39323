"""The labelled scenes and classified chips, and which of them are held out together.

Pixels are 3 x H x W uint8 RGB; 0 in every band is no data. File names and places of the training
data never leave this module but as a hash.
"""

import hashlib
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.enums import Resampling

SETTLEMENT = (250, 235, 185)
"""Colour of informal settlements in the masks."""

PARK = "mobilehomepark"
"""The class of chips that is camp-like, as a whole and without an outline."""

CLASSES = (PARK, "denseresidential", "buildings", "storagetanks", "agricultural")
"""Classes of chips that are read; all but `PARK` hold nothing camp-like."""

SCENE_GSD = 0.5
CHIP_GSD = 0.3
"""Ground size of a pixel as the sources state it, in metres."""

FOLDS = 3


@dataclass
class Scene:
    """A scene with a mask (H x W bool) of what is camp-like in it."""

    pixels: np.ndarray
    mask: np.ndarray
    group: str
    """Scenes of one group may be neighbours on the ground."""
    path: Path
    gsd: float = SCENE_GSD


@dataclass
class Chip:
    """A chip of which only the class is known."""

    pixels: np.ndarray
    kind: str
    number: int
    path: Path
    gsd: float = CHIP_GSD


def read_pixels(path, scale=1.0):
    """The first three bands, `scale` times as small a side, as the scanner resamples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            size = (round(source.height / scale), round(source.width / scale))
            return source.read([1, 2, 3], out_shape=(3, *size), resampling=Resampling.bilinear)


def read_mask(path):
    """Where a mask, RGB or with a palette, has the colour `SETTLEMENT`: H x W bool."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as source:
            values = source.read()
            if source.count > 1:
                return (values[:3] == np.array(SETTLEMENT)[:, None, None]).all(0)
            colours = source.colormap(1)
    return np.isin(values[0], [k for k, rgba in colours.items() if rgba[:3] == SETTLEMENT])


def load_scenes(folder):
    """All scenes of `folder`, sorted by name. A group is what a name has before its last dot."""
    scenes = []
    for path in sorted((Path(folder) / "informal-settlements" / "scenes").glob("*.tif")):
        mask = path.parent.parent / "masks" / f"{path.stem}.png"
        scenes.append(Scene(read_pixels(path), read_mask(mask), path.stem.rpartition(".")[0], path))
    return scenes


def load_chips(folder):
    """All chips of `folder`, class by class in the order of `CLASSES`, numbered within each."""
    return [
        Chip(read_pixels(path), kind, number, path)
        for kind in CLASSES
        for number, path in enumerate(sorted((Path(folder) / "uc-merced" / kind).glob("*.tif")))
    ]


def scene_folds(scenes, count=FOLDS):
    """The fold of each scene: groups stay whole.

    The `count` - 1 groups with most settlement are a fold each, all others the last one: with as
    few groups as there are, anything else leaves a fold without settlements.
    """
    settled = {}
    for scene in scenes:
        settled[scene.group] = settled.get(scene.group, 0) + int(scene.mask.sum())
    order = sorted(settled, key=lambda group: (-settled[group], group))
    return np.array([min(order.index(scene.group), count - 1) for scene in scenes])


def chip_folds(chips, count=FOLDS):
    """The fold of each chip: blocks of numbers, since neighbours in number can be in place."""
    sizes = {kind: sum(chip.kind == kind for chip in chips) for kind in CLASSES}
    return np.array([chip.number * count // sizes[chip.kind] for chip in chips])


def training_list_hash(items):
    """SHA-256 of the sorted file names, one a line: names the training set, tells no name."""
    names = sorted(item.path.name for item in items)
    return hashlib.sha256("".join(f"{name}\n" for name in names).encode()).hexdigest()
