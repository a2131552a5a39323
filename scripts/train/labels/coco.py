"""COCO: one JSON file with all images and boxes.

A segmentation of one polygon is an oriented outline, `iscrowd` an ignore region. Keys beyond COCO
are used where they are there: of an image `region` (a district, kept together in splits) and
`tile_center_latlon`, of an annotation `kiln_type`.
"""

import json
from pathlib import Path

import numpy as np

from labels.source import (
    LabelError,
    chip_places,
    corners_of_spans,
    make_tile,
    read_image,
    rectangle_round,
    type_of,
)


def read(folder, _names=None):
    """Tiles of `folder`, which holds COCO files (or `annotations/` does) and `images/`."""
    folder = Path(folder)
    parts = _documents(folder)
    places = chip_places(folder)
    tiles = []
    for part, coco in parts:
        names = {c["id"]: c["name"] for c in coco.get("categories", [])}
        records = {image["id"]: [] for image in coco["images"]}
        for record in coco["annotations"]:
            if record.get("image_id") not in records:
                raise LabelError(f"annotation {record.get('id')} is of an image that is not listed")
            records[record["image_id"]].append(record)
        for image in sorted(coco["images"], key=lambda image: image["id"]):
            # Ids of several files may be the same: count on instead.
            number = image["id"] if len(parts) == 1 else len(tiles)
            path = _image(folder, part, image)
            pixels, place = read_image(path, number, places)
            tiles.append(_tile(pixels, place, image, records[image["id"]], names, number))
    return tiles


def _documents(folder):
    """(name of the part, content) of each COCO file."""
    for paths in (folder.glob("*.json"), folder.glob("annotations/*.json")):
        found = []
        for path in sorted(paths):
            try:
                content = json.loads(path.read_text())
            except ValueError:
                raise LabelError(f"{path.name} is not JSON") from None
            if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
                found.append((path.name.split(".")[0], content))
        if found:
            return found
    raise LabelError("no COCO file: a JSON file with `images` and `annotations` is needed")


def _image(folder, part, image):
    for place in (folder / "images" / part, folder / "images", folder / part, folder):
        if (place / image["file_name"]).is_file():
            return place / image["file_name"]
    raise LabelError(
        f"the file of image {image['id']} is neither in the folder nor in `images/` nor in "
        f"`images/{part}/`"
    )


def _tile(pixels, place, image, records, names, number):
    if place is None and image.get("tile_center_latlon"):
        place = tuple(reversed(image["tile_center_latlon"]))
    kilns = [r for r in records if not r.get("iscrowd")]
    return make_tile(
        pixels,
        [_outline(r) for r in kilns],
        oriented=all(_is_outlined(r) for r in kilns),
        ignore=_spans([r for r in records if r.get("iscrowd")]),
        kinds=[type_of(r.get("kiln_type") or names.get(r.get("category_id"), "")) for r in kilns],
        region=image.get("region", ""),
        number=number,
        place=place,
    )


def _is_outlined(record):
    polygons = record.get("segmentation")
    return isinstance(polygons, list) and len(polygons) == 1 and len(polygons[0]) >= 6


def _outline(record):
    if not _is_outlined(record):
        return corners_of_spans(_spans([record]))[0]
    points = np.array(record["segmentation"][0], float).reshape(-1, 2)
    return points if len(points) == 4 else rectangle_round(points)


def _spans(records):
    boxes = np.array([r["bbox"] for r in records], float).reshape(-1, 4)
    if (boxes[:, 2:] <= 0).any():
        raise LabelError("a box has no width or no height: `bbox` is x, y, width, height")
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
