"""YOLO and YOLO-OBB: a text file an image, one line a kiln, coordinates as shares of the image.

Upright boxes are `class cx cy width height`, oriented ones `class x1 y1 x2 y2 x3 y3 x4 y4`, as
SentinelKilnDB has them. Class names come from `classes.txt` or `data.yaml`, where one is there.
An image without a label file, or with an empty one, has no kiln.
"""

import re
from pathlib import Path

import numpy as np

from labels.source import (
    LabelError,
    corners_of_spans,
    labelled_images,
    make_tile,
    numbers,
    type_of,
)

FOLDERS = {
    False: ("labels", "yolo_aa_labels", "aa_labels"),
    True: ("labels", "yolo_obb_labels", "obb_labels"),
}
"""Folders that label files may lie in, by whether they are oriented."""


def read_upright(folder, names=None):
    """Tiles of a YOLO set with upright boxes."""
    return _read(folder, names, oriented=False)


def read_oriented(folder, names=None):
    """Tiles of a YOLO-OBB set."""
    return _read(folder, names, oriented=True)


def _read(folder, names, oriented):
    names = names or class_names(folder)
    tiles = []
    for pixels, lines, rest in labelled_images(folder, FOLDERS[oriented]):
        height, width = pixels.shape[1:]
        shapes = [
            _corners(fields[1:], where, oriented) * (width, height) for where, fields in lines
        ]
        kinds = [_type(fields[0], where, names) for where, fields in lines]
        tiles.append(make_tile(pixels, shapes, oriented, kinds=kinds, **rest))
    return tiles


def _corners(fields, where, oriented):
    needed = 8 if oriented else 4
    if len(fields) != needed:
        raise LabelError(
            f"{where}: {len(fields)} numbers after the class, {needed} are needed; "
            "4 are a YOLO label, 8 a YOLO-OBB label"
        )
    values = numbers(fields, where)
    if np.abs(values).max() > 2:
        raise LabelError(f"{where}: coordinates are shares of the image (0 to 1), not pixels")
    if oriented:
        return values.reshape(4, 2)
    centre, size = values[:2], values[2:]
    if (size <= 0).any():
        raise LabelError(f"{where}: a box has no width or no height")
    return corners_of_spans(np.concatenate([centre - size / 2, centre + size / 2]))[0]


def _type(field, where, names):
    if not field.isdigit():
        raise LabelError(f"{where}: the class is a number, found {field!r}")
    if names and int(field) >= len(names):
        raise LabelError(f"{where}: class {field}, but only {len(names)} names are given")
    return type_of(names[int(field)]) if names else None


def class_names(folder):
    """Class names by number from `classes.txt` (one a line) or `data.yaml`, or None."""
    lists = sorted(Path(folder).rglob("classes.txt"))
    if lists:
        return lists[0].read_text().split("\n")
    for path in sorted(Path(folder).rglob("*.yaml")):
        found = _names_of(path.read_text())
        if found:
            return found
    return None


def _names_of(text):
    """The `names` of a data.yaml: `[a, b]`, or lines `- a`, or lines `0: a`."""
    inline = re.search(r"^names:\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if inline:
        return [name.strip(" '\"\n") for name in inline[1].split(",") if name.strip()]
    block = re.search(r"^names:\s*\n((?:[ \t]*(?:-|\d+:).*\n?)+)", text, re.MULTILINE)
    if not block:
        return None
    lines = [re.sub(r"^\s*(-|\d+:)\s*", "", line) for line in block[1].splitlines()]
    return [line.strip(" '\"") for line in lines]
