"""Figures of held-out scenes and chips, with intervals."""

from dataclasses import dataclass

import numpy as np

from camps.data import CLASSES, read_pixels
from camps.network import STRIDE
from camps.predict import areas, covered, probabilities
from metrics import interval


@dataclass
class Seen:
    """A held-out scene or chip as its network sees it: probability of each cell.

    `truth` is the mask of a scene in the pixels of the source; None for a chip.
    """

    kind: str
    fold: int
    probability: np.ndarray
    truth: np.ndarray | None = None


def look(net, item, fold, gsd, zoom=1.0, change=None):
    """A scene or chip through a network that never saw it.

    `zoom` is how much larger things look than they are, `change` what else is done to the pixels.
    """
    pixels = read_pixels(item.path, gsd / item.gsd / zoom)
    pixels = change(pixels) if change else pixels
    truth = getattr(item, "mask", None)
    return Seen(getattr(item, "kind", "scene"), fold, probabilities(net, pixels), truth)


def on_grid(cells, shape):
    """Cells (h x w) repeated to the grid of the source, `shape`."""
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(int)
        for n, m in zip(shape, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]


def pixel_counts(seen, rule, cell_m2):
    """(found and true, found only, true only) in source pixels of one scene."""
    found = on_grid(covered(seen.probability, rule, cell_m2), seen.truth.shape)
    both = int((found & seen.truth).sum())
    return both, int(found.sum()) - both, int(seen.truth.sum()) - both


def iou(parts):
    """Intersection over union, summed over scenes."""
    both, extra, missed = np.sum(parts, axis=0)
    return both / max(both + extra + missed, 1)


def f1(parts):
    """Harmonic mean of precision and recall, summed over scenes."""
    both, extra, missed = np.sum(parts, axis=0)
    return 2 * both / max(2 * both + extra + missed, 1)


def precision(parts):
    """Share of what was found that is true."""
    both, extra, _ = np.sum(parts, axis=0)
    return both / max(both + extra, 1)


def recall(parts):
    """Share of what is true that was found."""
    both, _, missed = np.sum(parts, axis=0)
    return both / max(both + missed, 1)


FIGURES = {"iou": iou, "f1": f1, "precision": precision, "recall": recall}


def rounded(value):
    """A figure or an interval to four decimals."""
    return [round(float(v), 4) for v in value] if isinstance(value, tuple) else round(value, 4)


def scene_figures(seen, rule, cell_m2, intervals=True):
    """Pixel figures of scenes, and how many without any settlement have an area all the same."""
    scenes = [s for s in seen if s.truth is not None]
    parts = [pixel_counts(s, rule, cell_m2) for s in scenes]
    bare = [extra > 0 for (_, extra, _), s in zip(parts, scenes, strict=True) if not s.truth.any()]
    made = {"scenes": len(scenes), "with_settlement": len(scenes) - len(bare)}
    for name, figure in FIGURES.items():
        made[name] = rounded(float(figure(parts)))
        if intervals:
            made[f"{name}_interval"] = rounded(interval(parts, figure))
    made["bare_scenes_flagged"] = int(np.sum(bare))
    made["bare_scenes"] = len(bare)
    return made


def chip_figures(seen, rule, cell_m2, intervals=True):
    """Share of the chips of each class with any area."""
    made = {}
    for kind in CLASSES:
        flags = [bool(areas(s.probability, rule, cell_m2)) for s in seen if s.kind == kind]
        if flags:
            made[kind] = {"chips": len(flags), "flagged": int(np.sum(flags))}
            if intervals:
                made[kind]["share_interval"] = rounded(interval(flags, np.mean))
    return made


def cell_area(gsd):
    """Ground area of a cell in square metres."""
    return (gsd * STRIDE) ** 2
