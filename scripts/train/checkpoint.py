"""A training that was stopped goes on where it was, and ends with the same weights.

All that a step depends on is kept: weights and their average, the optimizer, where the learning
rate stands, both random generators, and what was logged.
"""

import hashlib
import itertools
import json
import os
from dataclasses import asdict

import numpy as np
import torch

EVERY = 250
"""Steps between two checkpoints."""


def mark(settings, *parts):
    """A hash of how and on what is trained: a checkpoint of anything else is not gone on with.

    `settings` are a dataclass, each of `parts` many arrays or texts.
    """
    made = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    for part in itertools.chain(*parts):
        made.update(
            part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        )
    return made.hexdigest()


def of_tiles(tiles):
    """All that a training sees of labelled tiles, for `mark`."""
    for tile in tiles:
        yield from (tile.pixels, tile.boxes, tile.ignore, repr((tile.oriented, tile.kinds)))


def of_weights(state):
    """The weights that a training starts from, for `mark`."""
    return (values.numpy() for values in state.values())


def save(path, marked, parts, rng, **rest):
    """Write `parts` (name: anything with a `state_dict`), both generators and `rest`, whole."""
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"mark": marked, "rng": rng.bit_generator.state, "torch": torch.get_rng_state()} | rest
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    os.replace(beside, path)


def load(path, marked, parts, rng):
    """Put back what `save` wrote; returns its `rest`, or None where there is nothing of use."""
    if not path.exists():
        return None
    state = torch.load(path, weights_only=False)
    if state.pop("mark") != marked:
        return None
    for name, part in parts.items():
        part.load_state_dict(state.pop(name))
    rng.bit_generator.state = state.pop("rng")
    torch.set_rng_state(state.pop("torch"))
    return state
