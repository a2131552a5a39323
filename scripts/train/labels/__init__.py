"""Reading label sets: COCO, YOLO, YOLO-OBB, DOTA, and GeoTIFF scenes with GeoJSON outlines.

Every reader returns a list of `data.Tile`, sorted by file name and numbered from 0 (COCO keeps its
own ids). File names may be coordinates of real places, so messages speak of a file by its number in
that order, never by its name.
"""

from labels import coco, dota, scenes, yolo
from labels.source import LabelError

READERS = {
    "coco": coco.read,
    "yolo": yolo.read_upright,
    "yolo-obb": yolo.read_oriented,
    "dota": dota.read,
    "geojson": scenes.read,
}
"""By name of format: a function of (folder, class names or None) that returns tiles."""


def load(folder, form="coco", names=None):
    """All labelled tiles of `folder`, which holds labels of the format `form`.

    `names` lists the names of the classes by number, for YOLO sets that do not tell them. Raises
    `LabelError` where there is nothing to read or a label cannot be understood.
    """
    tiles = READERS[form](folder, names)
    if not tiles:
        raise LabelError(f"there is no image in the {form} set: is it the right folder?")
    if not any(len(tile.boxes) for tile in tiles):
        raise LabelError(
            f"the {form} set has {len(tiles)} images and not one kiln: are the label files where "
            "the README of scripts/train says?"
        )
    return tiles
