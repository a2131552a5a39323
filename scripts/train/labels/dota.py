"""DOTA: a text file an image, one line a kiln: four corners in pixels, class name, difficulty.

Lines `imagesource:` and `gsd:` at the top are passed over. What is marked difficult is an ignore
region.
"""

import numpy as np

from labels.source import (
    LabelError,
    labelled_images,
    make_tile,
    numbers,
    type_of,
)

FOLDERS = ("labelTxt", "dota", "dota_labels", "labels")
"""Folders that label files may lie in."""


def read(folder, _names=None):
    """Tiles of a DOTA set."""
    tiles = []
    for pixels, lines, rest in labelled_images(folder, FOLDERS):
        lines = [(where, fields) for where, fields in lines if ":" not in fields[0]]
        shapes = np.array([_corners(fields, where) for where, fields in lines]).reshape(-1, 4, 2)
        difficult = np.array([_is_difficult(fields, where) for where, fields in lines], bool)
        kinds = [type_of(fields[8]) for _, fields in lines]
        hard = shapes[difficult]
        tiles.append(
            make_tile(
                pixels,
                shapes[~difficult],
                oriented=True,
                ignore=np.concatenate([hard.min(1), hard.max(1)], 1),
                kinds=[kind for kind, hard in zip(kinds, difficult, strict=True) if not hard],
                **rest,
            )
        )
    return tiles


def _corners(fields, where):
    if len(fields) not in (9, 10):
        raise LabelError(
            f"{where}: {len(fields)} fields; a DOTA label has 8 coordinates, a class name without "
            "blanks and, if you like, a difficulty"
        )
    return numbers(fields[:8], where).reshape(4, 2)


def _is_difficult(fields, where):
    return len(fields) == 10 and numbers(fields[9:], where)[0] > 0
