"""What all readers share: images, where they lie, names of types, and making a `Tile`."""

import json
import re
from pathlib import Path

import numpy as np
import rasterio
from rasterio.warp import transform as reproject

from boxes import envelopes, from_corners
from data import IMAGES, TYPES, Tile, stretch

SPLITS = {"images", "train", "val", "valid", "validation", "test"}
"""Folders that say how somebody split the set, not where an image lies."""

STRETCH_PERCENTILES = (0.1, 99.8)
"""Stretch of an image of more than 8 bits, over all of it, as the scanner stretches a scene."""

_LAT_LON = re.compile(r"^(-?\d{1,2}\.\d+)[_,](-?\d{1,3}\.\d+)$")


class LabelError(Exception):
    """A label set that cannot be read: what is wrong, in which file, what to do."""


def image_files(folder):
    """Image files in `folder` and below, sorted."""
    files = (path for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGES)
    return sorted(path for path in files if path.is_file())


def label_file(image, folders):
    """The text file with the labels of `image`, or None.

    It lies in a folder of one of the names `folders` in place of the folder `images`, or beside it.
    """
    candidates = [image.with_suffix(".txt")]
    for i, part in enumerate(image.parts):
        if part == "images":
            for name in folders:
                moved = Path(*image.parts[:i], name, *image.parts[i + 1 :])
                candidates.append(moved.with_suffix(".txt"))
    return next((path for path in candidates if path.is_file()), None)


def lines_of(path, number):
    """Fields of the lines of a label file that hold any, as (where, fields)."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise LabelError(f"label file {number} is not text: is it the right format?") from None
    for count, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield f"label file {number} (in order of names), line {count}", line.split()


def numbers(fields, where):
    """`fields` as finite numbers."""
    try:
        values = np.array([float(field) for field in fields])
    except ValueError:
        raise LabelError(f"{where}: expected numbers, found {' '.join(fields)!r}") from None
    if not np.isfinite(values).all():
        raise LabelError(f"{where}: a number is not finite")
    return values


def labelled_images(folder, folders):
    """Images with a label file each: (pixels, lines of the file, other fields of the `Tile`).

    `folders` are names of folders that label files may lie in; see `label_file` and `lines_of`. An
    image without a file has no lines.
    """
    places = chip_places(folder)
    for number, path in enumerate(image_files(folder)):
        pixels, place = read_image(path, number, places)
        text = label_file(path, folders)
        lines = list(lines_of(text, number)) if text else []
        yield pixels, lines, {"region": region_of(path, folder), "number": number, "place": place}


def pixels_of(source, number):
    """RGB of an open raster as 3 x H x W uint8; grey is repeated, more bits are stretched."""
    if source.count not in (1, 2) and source.count < 3:
        raise LabelError(f"image {number} has {source.count} bands: RGB or grey is needed")
    pixels = source.read([1, 2, 3] if source.count >= 3 else [1, 1, 1])
    if pixels.dtype == np.uint8:
        return pixels
    seen = pixels[:, pixels.any(0)].astype(float)
    if not seen.size:
        return np.zeros(pixels.shape, np.uint8)
    return stretch(pixels.astype(float), *np.percentile(seen, STRETCH_PERCENTILES, axis=1))


def chip_places(folder):
    """Longitude and latitude of chips by name, from the `chips.geojson` of `kilnsight labels`."""
    path = Path(folder) / "chips.geojson"
    if not path.is_file():
        return {}
    features = json.loads(path.read_text())["features"]
    return {
        f["properties"]["chip"]: tuple(np.mean(f["geometry"]["coordinates"][0][:-1], 0).tolist())
        for f in features
    }


def read_image(path, number, places=None):
    """Pixels and place (longitude, latitude or None) of an image file.

    `places` are those of chips by name, where the image does not tell its own.
    """
    try:
        with rasterio.open(path) as source:
            place = place_of(source, path) or (places or {}).get(Path(path).stem)
            return pixels_of(source, number), place
    except rasterio.errors.RasterioIOError:
        raise LabelError(f"image {number} (in order of names) cannot be opened") from None


def place_of(source, path):
    """Longitude and latitude of the middle of an open raster, or None.

    From its georeference, else from a file name `lat_lon` in degrees, as SentinelKilnDB has them.
    """
    if source.crs:
        x, y = source.transform * (source.width / 2, source.height / 2)
        (longitude,), (latitude,) = reproject(source.crs, "EPSG:4326", [x], [y])
        return longitude, latitude
    match = _LAT_LON.match(Path(path).stem)
    if not match:
        return None
    latitude, longitude = float(match[1]), float(match[2])
    return (longitude, latitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None


def region_of(path, folder):
    """Name of the folder that an image lies in, where that is more than a split; else ''."""
    parents = Path(path).relative_to(folder).parts[:-1]
    return "/".join(part for part in parents if part.lower() not in SPLITS)


def type_of(name):
    """The type of kiln that a class name means, None where it is any other name."""
    known = {kind.lower(): kind for kind in TYPES}
    return known.get(str(name).strip().lower().replace("-", "").replace(" ", ""))


def make_tile(pixels, outlines, oriented, **rest):
    """A `Tile` of outlines (4 x 2 corners, in turn), in pixels; `rest` are its other fields.

    Where not `oriented`, only the outlines' envelopes are taken for true.
    """
    points = np.array(outlines, float).reshape(-1, 4, 2)
    spans = np.concatenate([points.min(1), points.max(1)], 1)
    if not oriented:
        points = corners_of_spans(spans)
    boxes = np.array([from_corners(four) for four in points]).reshape(-1, 5)
    spans = envelopes(boxes) if oriented else spans
    return Tile(pixels=pixels, boxes=boxes, envelopes=spans, oriented=oriented, **rest)


def corners_of_spans(spans):
    """Corners N x 4 x 2 of axis-aligned boxes N x 4 (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = np.asarray(spans, float).reshape(-1, 4).T
    return np.stack([np.stack(p, 1) for p in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 1)


def rectangle_round(points):
    """Corners 4 x 2 of the smallest rectangle round a polygon N x 2, at any angle."""
    points = np.asarray(points, float)
    best = None
    for dx, dy in np.roll(points, -1, 0) - points:
        length = np.hypot(dx, dy)
        if length == 0:
            continue
        axes = np.array([(dx, dy), (-dy, dx)]) / length
        low, high = (points @ axes.T).min(0), (points @ axes.T).max(0)
        area = np.prod(high - low)
        if best is None or area < best[0]:
            frame = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
            best = area, frame @ axes
    if best is None:
        raise LabelError("an outline is a single point")
    return best[1]
