"""Figures of the recipe with one fold left out at a time, written to a JSON file.

Every scene and chip is judged by a network that saw nothing of its fold. Nothing that names or
places a scene is written.
"""

import argparse
import json
from pathlib import Path

import torch

from camps import settle
from camps.data import FOLDS, chip_folds, load_chips, load_scenes, scene_folds
from camps.figures import cell_area, chip_figures, f1, iou, look, rounded, scene_figures
from camps.network import CampNet
from camps.robustness import CHANGES
from camps.train import GSD, Settings, facts_of, train
from metrics import interval


def train_fold(fold, scenes, chips, settings, keep):
    """Train without one fold, or load what an earlier run kept: (network, seconds)."""
    kept = keep / f"camps-fold-{fold}.pt"
    if not kept.exists():
        scenes = [s for s, own in zip(scenes, scene_folds(scenes), strict=True) if own != fold]
        chips = [c for c, own in zip(chips, chip_folds(chips), strict=True) if own != fold]
        net, rows = train(
            *(scenes, chips, settings),
            log=lambda line: print(f"fold {fold}: {line}", flush=True),
            keep=kept.with_suffix(".checkpoint"),
        )
        facts = facts_of(scenes, chips, settings, rows[-1][1], fold)
        torch.save({"weights": net.state_dict(), "training": facts}, kept)
        kept.with_suffix(".checkpoint").unlink(missing_ok=True)
    result = torch.load(kept)
    net = CampNet().eval()
    net.load_state_dict(result["weights"])
    return net, result["training"]["seconds"]


def look_at_all(nets, scenes, chips, zoom=1.0, change=None):
    """Every scene and chip through the network of its fold."""
    folds = [*scene_folds(scenes), *chip_folds(chips)]
    return [
        look(nets[fold], item, int(fold), GSD, zoom, change)
        for item, fold in zip([*scenes, *chips], folds, strict=True)
    ]


def all_figures(nets, scenes, chips):
    """All figures of an accuracy file, from the network of each fold."""
    cell_m2 = cell_area(GSD)
    seen = look_at_all(nets, scenes, chips)
    rule = settle.choose(seen, cell_m2)
    crossed = settle.nested(seen, cell_m2)
    figures = {
        "threshold": rule.threshold,
        "min_area_m2": rule.min_area_m2,
        "min_score": rule.min_score,
        "scenes": scene_figures(seen, rule, cell_m2),
        "chips": chip_figures(seen, rule, cell_m2),
        "bare_chips_flagged": rounded(settle.bare_share(seen, rule, cell_m2)),
        "rule_chosen_on_other_folds": {
            "iou": rounded(float(iou(crossed))),
            "iou_interval": rounded(interval(crossed, iou)),
            "f1": rounded(float(f1(crossed))),
            "f1_interval": rounded(interval(crossed, f1)),
        },
        "calibration": settle.calibration_figures(seen, rule, cell_m2),
        "folds": [],
        "robustness": {},
    }
    for fold in range(FOLDS):
        own = [s for s in seen if s.fold == fold]
        figures["folds"].append(
            {"scenes": scene_figures(own, rule, cell_m2), "chips": chip_figures(own, rule, cell_m2)}
        )
    for name, (zoom, change) in CHANGES.items():
        changed = look_at_all(nets, scenes, chips, zoom, change)
        figures["robustness"][name] = {
            "scenes": scene_figures(changed, rule, cell_m2, intervals=False),
            "chips": chip_figures(changed, rule, cell_m2, intervals=False),
        }
    return figures


def main():
    """Train each fold, unless kept, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with both sets")
    parser.add_argument("--keep", type=Path, required=True, help="folder for weights of the folds")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of figures to write")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.keep.mkdir(parents=True, exist_ok=True)
    scenes, chips = load_scenes(arguments.data), load_chips(arguments.data)
    trained = [
        train_fold(fold, scenes, chips, Settings(steps=arguments.steps), arguments.keep)
        for fold in range(FOLDS)
    ]
    figures = {
        "gsd_m": GSD,
        "steps": arguments.steps,
        "training_seconds": [seconds for _, seconds in trained],
        **all_figures([net for net, _ in trained], scenes, chips),
    }
    arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps({key: figures[key] for key in ("threshold", "scenes", "bare_chips_flagged")}))


if __name__ == "__main__":
    main()
