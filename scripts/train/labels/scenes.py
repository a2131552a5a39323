"""GeoTIFF scenes with outlines in GeoJSON, such as verified sites: cut to tiles here.

All polygons of all GeoJSON files of the folder count for every scene that they touch. Property
`type` names the type of kiln (`class` does, where it is one), `ignore` true marks an ignore region.
A scene that covers a kiln without an outline teaches that it is none: give only scenes that were
looked through.
"""

import json
from pathlib import Path

import numpy as np
import rasterio
from rasterio.warp import transform as reproject

from labels.source import (
    LabelError,
    image_files,
    make_tile,
    pixels_of,
    rectangle_round,
    region_of,
    type_of,
)

SIDE = 256
"""Side of a tile cut from a scene, in pixels."""


def read(folder, _names=None):
    """Tiles of all scenes in `folder`."""
    outlines = _outlines(Path(folder))
    tiles = []
    for number, path in enumerate(image_files(folder)):
        with rasterio.open(path) as scene:
            if not scene.crs or scene.transform.is_identity:
                raise LabelError(f"scene {number} (in order of names) has no georeference")
            pixels = pixels_of(scene, number)
            placed = [(_in_pixels(scene, ring), kind, ignore) for ring, kind, ignore in outlines]
            for top in range(0, scene.height, SIDE):
                for left in range(0, scene.width, SIDE):
                    part = pixels[:, top : top + SIDE, left : left + SIDE]
                    if part.any():
                        rest = {
                            "region": region_of(path, folder),
                            "number": len(tiles),
                            "place": _middle(scene, left, top, part.shape),
                        }
                        tiles.append(_cut(part, placed, (left, top), rest))
    return tiles


def _cut(part, placed, corner, rest):
    """A tile at `corner` of a scene: kilns centred on it, and an ignore region for the rest."""
    height, width = part.shape[1:]
    kilns, kinds, ignored = [], [], []
    for points, kind, ignore in placed:
        points = points - corner
        low, high = points.min(0), points.max(0)
        if (high <= 0).any() or (low >= (width, height)).any():
            continue
        middle = (low + high) / 2
        if ignore or (middle < 0).any() or (middle >= (width, height)).any():
            ignored.append((*low, *high))
        else:
            kilns.append(points)
            kinds.append(kind)
    ignored = np.array(ignored, float).reshape(-1, 4)
    return make_tile(part, kilns, oriented=True, ignore=ignored, kinds=kinds, **rest)


def _outlines(folder):
    """(ring N x 2 in degrees, type or None, ignore) of every polygon."""
    found = []
    for path in sorted([*folder.rglob("*.geojson"), *folder.rglob("*.json")]):
        try:
            features = json.loads(path.read_text())["features"]
        except (ValueError, KeyError, TypeError):
            raise LabelError(f"{path.name} is not a GeoJSON FeatureCollection") from None
        for count, feature in enumerate(features):
            geometry = feature.get("geometry") or {}
            properties = feature.get("properties") or {}
            if geometry.get("type") != "Polygon":
                raise LabelError(
                    f"{path.name}, feature {count}: {geometry.get('type')} found, an outline "
                    "(Polygon) is needed: a point does not tell how large a kiln is"
                )
            ring = np.array(geometry["coordinates"][0], float)[:-1, :2]
            if len(ring) < 3 or np.abs(ring).max() > 180:
                raise LabelError(
                    f"{path.name}, feature {count}: not an outline in degrees (EPSG:4326)"
                )
            kind = type_of(properties.get("type")) or type_of(properties.get("class"))
            found.append((ring, kind, bool(properties.get("ignore"))))
    return found


def _in_pixels(scene, ring):
    """Corners 4 x 2, in pixels of the scene, of the rectangle round a ring in degrees."""
    x, y = reproject("EPSG:4326", scene.crs, ring[:, 0], ring[:, 1])
    columns, rows = ~scene.transform * (np.array(x), np.array(y))
    points = np.stack([columns, rows], 1)
    return points if len(points) == 4 else rectangle_round(points)


def _middle(scene, left, top, shape):
    x, y = scene.transform * (left + shape[2] / 2, top + shape[1] / 2)
    (longitude,), (latitude,) = reproject(scene.crs, "EPSG:4326", [x], [y])
    return longitude, latitude
