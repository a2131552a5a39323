"""The detector as `cross_validate.py` left it: what a screen goes before and is measured by."""

import json

import numpy as np
import torch

import data
import quantize
import split
from calibration import Calibration
from figures import all_figures, find
from metrics import NEAR_M
from network import KilnNet
from predict import Detector


class Validated:
    """Detectors of regions that they never saw, int8 if that ships, and how good they are.

    `accuracy` is what `cross_validate.py` wrote, `kept` the folder of its `--keep`, `style` the
    kind of box; `tiles`, `pixels` and `folds` are the data that it was made from.
    """

    def __init__(self, accuracy, kept, style, buffer, tiles, pixels, folds):
        self.accuracy = json.loads(accuracy.read_text())
        is_small = quantize.is_shipped(self.accuracy, style)
        self.shipped = "int8" if is_small else style
        self.data = tiles, pixels, folds
        self.detectors = {}
        for fold, region in enumerate(split.regions(tiles)):
            net = KilnNet().eval()
            net.load_state_dict(torch.load(kept / f"fold-{fold}.pt")["weights"])
            known = pixels[folds != fold % data.BACKGROUND_FOLDS]
            seen = split.without(tiles, region, buffer)
            self.detectors[region] = (
                quantize.of_fold(net, style, seen, known)["int8"]
                if is_small
                else Detector(net, style)
            )
        calibrated = self.accuracy[self.shipped]["calibration"]
        self.line = Calibration(calibrated["slope"], calibrated["shift"])

    def found_kilns(self):
        """{tile number: boxes of the kilns that are found at the balanced score}."""
        tiles, _, _ = self.data
        found = find(self.detectors, tiles, self.line)
        return near_detections(tiles, found, self.accuracy[self.shipped]["balanced_score"])

    def share_of_time(self):
        """Time for a chip as a share of that in float32."""
        times = {name: np.median(each) for name, each in self.accuracy["milliseconds"].items()}
        return times.get(self.shipped, times["float32"]) / times["float32"]

    def put_behind(self, screens, threshold, false):
        """Measure `accuracy` anew where `screens` {region: screen} go before the detectors.

        `false` are scores and area of what is then false. The figures of `shipped` remain those of
        the detectors, but for the default score; `screened` are those of both together.
        """
        behind = {
            region: Screened(detector, screens[region], threshold)
            for region, detector in self.detectors.items()
        }
        self.accuracy[self.shipped] = all_figures(self.detectors, *self.data, false)
        self.accuracy["screened"] = all_figures(behind, *self.data, false)


class Screened:
    """A detector that sees only pictures that a screen lets through, as the scanner does it."""

    def __init__(self, detector, screen, threshold):
        self.detector, self.screen, self.threshold = detector, screen, threshold
        self.names = detector.names

    def __call__(self, image):
        """One picture, 1 x 3 x H x W, to the maps of the detector; all zero where it is dropped."""
        maps = self.detector(image)
        if self.screen(image).max() >= self.threshold:
            return maps
        return tuple(torch.zeros_like(values) for values in maps)


def near_detections(tiles, found, least):
    """{tile number: boxes of the kilns near a detection of `found` that scores `least` or more}."""
    wanted = {}
    for tile in tiles:
        boxes, scores = found[tile.number][:2]
        gaps = np.linalg.norm(tile.boxes[:, None, :2] - boxes[None, scores >= least, :2], axis=2)
        wanted[tile.number] = tile.boxes[(gaps * tile.gsd_m <= NEAR_M).any(1)]
    return wanted
