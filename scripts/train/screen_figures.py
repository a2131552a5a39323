"""The threshold of a screen, and what it costs and saves, on districts that were held out."""

import numpy as np

import data
from predict import predict
from robustness import as_a_scene
from screen_net import CELL, probabilities

NEAR = 3
"""A kiln is seen by the best cell within this many cells of its own: 120 m and a little."""

LOSS = 0.01
"""Share of the kilns that the threshold may lose."""

DEALS = 4
"""How often the kiln-free tiles are dealt anew into mosaics."""

CHIPS_PX = (32, 128, 256)
"""Sides of the kiln-free chips that are measured: a tile alone, and mosaics of tiles."""

CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Thresholds at which loss and gain are given."""


def kiln_scores(chart, boxes):
    """For each kiln the best probability of the map `chart` (see `probabilities`) near its centre.

    A chip passes by the best of its whole map; this is what a chip with that kiln alone would get.
    """
    scores = []
    for x, y in np.atleast_2d(boxes)[:, :2]:
        column, row = int(x // CELL), int(y // CELL)
        top, left = max(0, row - NEAR), max(0, column - NEAR)
        scores.append(float(chart[top : row + NEAR + 1, left : column + NEAR + 1].max(initial=0)))
    return np.array(scores)


def threshold_for(scores, loss=LOSS):
    """The highest threshold, rounded down to two figures, that loses at most the share `loss`."""
    allowed = int(np.floor(loss * len(scores) + 1e-9))
    lowest = float(np.sort(scores)[allowed])
    step = 10 ** (np.floor(np.log10(max(lowest, 1e-6))) - 1)
    return float(f"{np.floor(lowest / step + 1e-9) * step:.6g}")


def mosaics(rng, pixels, side):
    """Chips 3 x `side` x `side` of kiln-free tiles (N x 3 x 32 x 32, stretched), each used once.

    What is left over is dealt with tiles from the start.
    """
    count = side // 32
    order = rng.permutation(len(pixels))
    order = np.resize(order, (-(-len(order) // count**2), count, count))
    for part in order:
        yield pixels[part].transpose(2, 0, 3, 1, 4).reshape(3, side, side)


def held_out_chips(regions, pixels, folds, side):
    """Kiln-free chips (region, 3 x `side` x `side`) that the networks of the `regions` never saw.

    The network of the n-th region answers for fold n, as in `figures.false_detections`.
    """
    seen = as_a_scene(pixels.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)
    rng = np.random.default_rng(side)
    for fold, region in enumerate(regions):
        own = seen[folds == fold % data.BACKGROUND_FOLDS]
        for _ in range(DEALS if side > 32 else 1):
            yield from ((region, chip) for chip in mosaics(rng, own, side))


def background_scores(nets, pixels, folds):
    """Scores of kiln-free chips {side: scores} of the networks `nets` {region: network}."""
    return {
        side: np.array(
            [probabilities(nets[r], c).max() for r, c in held_out_chips(nets, pixels, folds, side)]
        )
        for side in CHIPS_PX
    }


def false_behind(detectors, line, nets, threshold, pixels, folds):
    """What is false on kiln-free ground where a screen goes before the detector.

    Of mosaics of the largest of `CHIPS_PX` that pass the networks `nets` {region: network}, scores
    of all detections of `detectors` {region: detector}, corrected by `line`; and the area of all
    mosaics in km2.
    """
    side, scores, area = max(CHIPS_PX), [np.zeros(0)], 0.0
    for region, chip in held_out_chips(nets, pixels, folds, side):
        area += (side / 32 * data.BACKGROUND_GRID_M / 1000) ** 2
        if probabilities(nets[region], chip).max() >= threshold:
            scores.append(predict(detectors[region], chip)[1])
    return line.apply(np.concatenate(scores)), area


def measure(nets, tiles, wanted, pixels, folds):
    """All figures of a screen.

    `nets` {region: network that never saw it}, in order of the folds; `wanted` {tile number:
    boxes of the kilns that must not be lost}.
    """
    charts = {t.number: probabilities(nets[t.region], t.pixels) for t in tiles}

    def alone(some, boxes):
        """The score of each of the kilns `boxes` as if it stood alone on its tile."""
        return np.concatenate([kiln_scores(charts[t.number], boxes[t.number]) for t in some])

    together = np.concatenate(
        [np.full(len(wanted[t.number]), charts[t.number].max()) for t in tiles]
    )
    apart = alone(tiles, wanted)
    # Kilns stand together on the labelled tiles; where one does not, it must pass by itself.
    threshold = threshold_for(apart)
    parts = {r: alone([t for t in tiles if t.region == r], wanted) for r in nets}
    elsewhere = {r: threshold_for(np.concatenate([parts[o] for o in nets if o != r])) for r in nets}
    chips = background_scores(nets, pixels, folds) if len(pixels) else {}
    return {
        "threshold": threshold,
        "kilns": len(apart),
        "kilns_lost": int((together < threshold).sum()),
        "tiles_dropped": sum(int(chart.max() < threshold) for chart in charts.values()),
        "kilns_lost_by_thresholds_of_other_districts": sum(
            int((parts[r] < elsewhere[r]).sum()) for r in nets
        ),
        "kilns_lost_if_each_stood_alone": int((apart < threshold).sum()),
        "districts": {
            r: {"kilns": len(parts[r]), "lost": int((parts[r] < threshold).sum())} for r in nets
        },
        "kiln_free_chips": {
            str(side): {"chips": len(values), "passed": _share(values, threshold)}
            for side, values in chips.items()
        },
        "curve": [
            {
                "threshold": t,
                "kilns_kept": _share(together, t),
                "kept_if_alone": _share(apart, t),
                **{f"chips_of_{side}_pass": _share(v, t) for side, v in chips.items()},
            }
            for t in CURVE
        ],
    }


def _share(scores, threshold):
    return round(float((scores >= threshold).mean()), 3)
