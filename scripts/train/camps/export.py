"""Writing a trained network as ONNX with its cards, and checking that the file says the same."""

import argparse
import json
import warnings
from pathlib import Path

import torch

from camps import card
from camps.network import CampNet
from camps.predict import Probabilities
from encoder import SIZE_MULTIPLE
from graph import TOLERANCE, write_model


def main():
    """Write `model.onnx`, `model.json`, `accuracy.json` and `CARD.md`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="what train.py wrote")
    parser.add_argument("--accuracy", type=Path, required=True, help="what cross_validate.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)
    trained = torch.load(arguments.weights)
    net = CampNet().eval()
    net.load_state_dict(trained["weights"])
    parameters = sum(p.numel() for p in net.parameters())
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "model.onnx"
    worst = write_model(Probabilities(net), path, SIZE_MULTIPLE)
    print(f"PyTorch and ONNX Runtime differ by at most {worst:.1e}")
    if worst >= TOLERANCE:
        raise SystemExit(f"they may differ by at most {TOLERANCE:.0e}: not a faithful export")
    facts = {
        "name": arguments.out.resolve().name,
        "training": trained["training"],
        "cross_validation": json.loads(arguments.accuracy.read_text()),
    }
    text = json.dumps(card.model_card(facts, parameters, path), indent=2)
    (arguments.out / "model.json").write_text(text + "\n")
    (arguments.out / "accuracy.json").write_text(json.dumps(facts, indent=1) + "\n")
    (arguments.out / "CARD.md").write_text(card.card_text(facts, parameters))


if __name__ == "__main__":
    main()
