"""Draw a synthetic Sentinel-2-like scene with brick kilns, and its truth.

Nothing in it exists: fields, river, town, kilns and look-alikes are drawn from random numbers, and
the scene lies in the open ocean of the Gulf of Guinea. `python scripts/make_demo_scene.py --seed 7
--out data/demo` writes `scene.tif` and `truth.geojson`. Training imports `sample_scene` and draws
other seeds from it.

Lengths inside are in pixels of 10 m; pixel (0, 0) has its corner at (0, 0), x runs right, y down.
The same seed and numpy version give the same pixels.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import from_origin
from rasterio.warp import transform as reproject

GSD_M = 10
CRS = "EPSG:32631"
ORIGIN = (500_000, 60_000)
"""UTM easting and northing of the scene's upper left corner: open ocean, near 0.5 N 3 E."""
ACQUIRED = "2024:01:15 10:30:00"
SIZE = 1536
GRAIN = 0.035
"""Noise of the sensor before its optics, relative. More would be truer, and not compress."""


@dataclass
class Kiln:
    """A kiln: centre, length, width in pixels, `t` the length axis from +x towards +y (down)."""

    x: float
    y: float
    length: float
    width: float
    t: float
    kind: str


@dataclass
class Look:
    """Colours of a scene, RGB in DN; they differ from district to district and day to day."""

    kiln: np.ndarray
    yard: np.ndarray
    yard_margin: float
    """How far a yard reaches beyond its kiln, in pixels."""
    fields: np.ndarray
    tint: np.ndarray
    """Gain per band of the whole scene."""


FIELD_COLOURS = np.array(
    [
        (38, 66, 50),
        (45, 74, 58),
        (52, 82, 62),
        (60, 78, 58),
        (66, 70, 60),
        (74, 74, 66),
        (34, 56, 44),
        (42, 80, 66),
        (84, 84, 74),
        (54, 62, 50),
    ],
    float,
)
ROOF_COLOURS = np.array([(205, 205, 205), (150, 150, 150), (110, 125, 185), (170, 140, 125)], float)
TREES = np.array((24, 34, 27), float)
WATER = np.array((20, 30, 36), float)
SAND = np.array((140, 145, 135), float)
ROAD = np.array((115, 112, 100), float)


def demo_look():
    """The look of the demo scene: salmon kilns in pale yards among green fields."""
    return Look(
        kiln=np.array((212, 138, 104), float),
        yard=np.array((128, 136, 122), float),
        yard_margin=6.0,
        fields=FIELD_COLOURS,
        tint=np.full(3, 0.92),
    )


def random_look(rng):
    """A look for training: from green deltas to pale or purple plains."""
    redness = rng.uniform(0.12, 0.55)
    bright = rng.uniform(140, 235)
    kiln = bright * np.array([1, 1 - redness, 1 - redness - rng.uniform(0.02, 0.18)])
    yard = bright * rng.uniform(0.5, 0.92) * (1 + rng.uniform(-0.08, 0.05, 3))
    margin = rng.choice([1.0, 4.0, 7.0])
    if rng.random() < 0.3:  # pale plains: kilns fill their yards and are hardly redder
        kiln = rng.uniform(190, 245) * np.array(
            [1, rng.uniform(0.84, 0.94), rng.uniform(0.66, 0.82)]
        )
        yard, margin = kiln * rng.uniform(0.82, 1.0), 1.5
    fields = FIELD_COLOURS * rng.uniform(0.6, 1.5) + rng.uniform(0, 25)
    dry = rng.uniform(0, 0.8)
    fields = fields * (1 - dry) + dry * (fields.mean(1, keepdims=True) * (1.12, 1.0, 0.88))
    return Look(kiln, yard, margin, fields, rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3))


def sample_scene(rng, size, kilns, look=None, sites=None):
    """Draw a square scene of `size` pixels with `kilns` kilns, fewer where there is no room.

    `sites` is the number of places they stand at (default: a third of the kilns). Returns the
    pixels, 3 x size x size uint8 from 1 to 255, and the list of `Kiln`.
    """
    look = look or random_look(rng)
    canvas = _Canvas(rng, size)
    canvas.paint_fields(look.fields)
    land = canvas.paint_river() if rng.random() < 0.7 or size > 1000 else np.ones((size, size))
    hubs = canvas.paint_settlements(land)
    canvas.paint_roads(hubs)
    canvas.paint_ponds()
    placed = place_kilns(rng, size, kilns, sites or max(1, kilns // 3), land)
    canvas.paint_lookalikes(look, [(k.x, k.y) for k in placed])
    for kiln in placed:
        canvas.paint_yard(kiln, look)
    for kiln in placed:
        canvas.paint_kiln(kiln, look)
    return canvas.develop(look.tint), placed


def kiln_shape(rng):
    """Length and width in pixels and the type of a random kiln."""
    kind = rng.choice(["FCBK", "Zigzag", "CFCBK"], p=[0.5, 0.38, 0.12])
    if kind == "CFCBK":
        length = rng.uniform(8.0, 10.5)
        return length, length * rng.uniform(0.85, 0.98), str(kind)
    length = rng.uniform(9.5, 15.0) if kind == "FCBK" else rng.uniform(8.0, 13.0)
    return length, np.clip(length * rng.uniform(0.42, 0.62), 4.0, 8.0), str(kind)


def place_kilns(rng, size, count, sites, land):
    """Kilns at random sites, most of them in fields of several with a common direction.

    `land` is size x size, positive where a kiln may stand. None overlap.
    """
    margin = 12
    centres = rng.uniform(margin, size - margin, (sites, 2))
    common = rng.uniform(0, np.pi, sites)
    placed = []
    for attempt in range(count * 60):
        if len(placed) == count:
            break
        # The first round gives each site its first kiln; the rest gather at every other site.
        site = attempt if attempt < sites else 2 * rng.integers((sites + 1) // 2)
        reach = 2.0 if attempt < sites else rng.uniform(12, 50)
        x, y = centres[site] + reach * rng.normal(0, 0.7, 2)
        if not (margin <= x < size - margin and margin <= y < size - margin):
            continue
        length, width, kind = kiln_shape(rng)
        t = common[site] + rng.choice([0, np.pi / 2]) + rng.normal(0, 0.15)
        if rng.random() < 0.25:
            t = rng.uniform(0, np.pi)
        gaps = [np.hypot(x - k.x, y - k.y) - (length + k.length) / 2 for k in placed]
        if land[int(y), int(x)] > 0 and min(gaps, default=99) > 1.5:
            placed.append(Kiln(x, y, length, width, t % np.pi, kind))
    return placed


class _Canvas:
    """A square picture, size x size x 3 in DN, and the random numbers that draw it."""

    def __init__(self, rng, size):
        self.rng = rng
        self.size = size
        self.picture = np.zeros((size, size, 3), np.float32)
        self.y, self.x = np.mgrid[0:size, 0:size].astype(np.float32) + 0.5

    def noise(self, scale):
        """Smooth noise, size x size, about -1..1, with features of `scale` pixels."""
        cells = int(np.ceil(self.size / scale)) + 2
        grid = self.rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        at = (np.arange(self.size) + 0.5) / scale
        low = at.astype(int)
        part = at - low
        part = (part * part * (3 - 2 * part)).astype(np.float32)
        rows = grid[low] * (1 - part)[:, None] + grid[low + 1] * part[:, None]
        return rows[:, low] * (1 - part) + rows[:, low + 1] * part

    def blend(self, colour, cover, window=(slice(None), slice(None))):
        """Lay `colour` (RGB, or an array of it) over the window by `cover` (0..1)."""
        part = self.picture[window]
        part += (np.asarray(colour, np.float32) - part) * cover[..., None].astype(np.float32)

    def window(self, x, y, reach):
        """Slices of the square within `reach` of a point, and x, y of its pixels from there."""
        rows = slice(max(0, int(y - reach)), max(0, min(self.size, int(y + reach) + 1)))
        columns = slice(max(0, int(x - reach)), max(0, min(self.size, int(x + reach) + 1)))
        return (rows, columns), self.x[rows, columns] - x, self.y[rows, columns] - y

    def shape(self, x, y, length, width, t, power):
        """Window and cover of a shape: `power` 2 is an ellipse, 3 an oval, 20 a rectangle."""
        window, dx, dy = self.window(x, y, (length + width) / 2 + 2)
        along = np.abs(dx * np.cos(t) + dy * np.sin(t)) / (length / 2)
        across = np.abs(dy * np.cos(t) - dx * np.sin(t)) / (width / 2)
        radius = (along**power + across**power) ** (1 / power)
        return window, np.clip(0.5 + (1 - radius) * min(length, width) / 2, 0, 1)

    def paint_fields(self, colours):
        """Districts of parcels, each with its own direction and field size."""
        rng = self.rng
        count = max(3, (self.size // 140) ** 2)
        sx, sy = rng.uniform(0, self.size, (2, count)).astype(np.float32)
        x = self.x + 10 * self.noise(40)
        y = self.y + 10 * self.noise(40)
        nearest = np.full((self.size, self.size), np.inf, np.float32)
        district = np.zeros((self.size, self.size), np.int64)
        for i in range(count):
            distance = (x - sx[i]) ** 2 + (y - sy[i]) ** 2
            closer = distance < nearest
            district[closer] = i
            nearest[closer] = distance[closer]
        angle = rng.uniform(0, np.pi, count)[district]
        x, y = self.x + 1.5 * self.noise(25), self.y + 1.5 * self.noise(25)
        across = (y * np.cos(angle) - x * np.sin(angle)) / rng.uniform(5, 12, count)[district]
        row = np.floor(across).astype(np.int64)
        shift = _hash(district, row, 3)
        along = (x * np.cos(angle) + y * np.sin(angle)) / rng.uniform(7, 22, count)[district]
        along = along * (0.7 + 0.6 * _hash(district, row, 5)) + shift
        column = np.floor(along).astype(np.int64)
        kind = _hash(district, row * 7919 + column, 1)
        # Neighbouring districts grow different things: each prefers a few of the colours.
        taste = rng.uniform(0, 1, count)[district]
        index = ((0.55 * kind + 0.45 * taste) * len(colours)).astype(int) % len(colours)
        self.picture[:] = colours[index]
        shade = 0.8 + 0.4 * _hash(district, row * 104729 + column, 2)
        self.picture *= shade[..., None]
        edge = np.minimum(across - row, 1 - across + row)
        self.picture *= (1 + 0.18 * (edge < 0.07) * np.sign(kind - 0.5))[..., None]
        self.picture *= (1 + 0.12 * self.noise(12) + 0.15 * self.noise(90))[..., None]

    def paint_river(self):
        """A river with sand banks across the scene; returns land as positive distance to it."""
        rng = self.rng
        angle = rng.uniform(0, np.pi)
        u = self.x * np.cos(angle) + self.y * np.sin(angle)
        v = self.y * np.cos(angle) - self.x * np.sin(angle)
        middle = (np.cos(angle) - np.sin(angle)) * self.size / 2 + rng.uniform(
            -0.3, 0.3
        ) * self.size
        for scale in (400, 170):
            middle = middle + scale * 0.13 * np.sin(u / scale * 2 * np.pi + rng.uniform(0, 7))
        half = rng.uniform(6, 16) * (1 + 0.3 * self.noise(80))
        distance = np.abs(v - middle) - half
        bank = np.clip(1 - np.abs(distance - 3) / (4 + 5 * np.abs(self.noise(50))), 0, 1)
        self.blend(SAND, 0.8 * bank * (self.noise(60) > -0.2))
        self.blend(WATER * rng.uniform(0.7, 1.6), np.clip(0.5 - distance, 0, 1))
        return distance - 14

    def paint_settlements(self, land):
        """Villages under trees, one town, scattered groves; returns the places, N x 2."""
        rng = self.rng
        count = max(2, (self.size // 150) ** 2)
        hubs = rng.uniform(0, self.size, (count, 2))
        spread = rng.uniform(14, 34, count)
        spread[0] = rng.uniform(0.05, 0.1) * self.size + 20
        rough = self.noise(9) + 0.7 * self.noise(22)
        for i, (x, y) in enumerate(hubs):
            window, dx, dy = self.window(x, y, 3 * spread[i])
            inside = 1.1 - np.hypot(dx, dy) / spread[i] + 0.6 * rough[window]
            cover = np.clip(3 * inside, 0, 1) * (land[window] > -12)
            town = i == 0
            ground = np.array((88, 84, 80)) if town else TREES
            self.blend(ground * (1 + 0.3 * self.noise(4)[window])[..., None], 0.9 * cover, window)
            roofs = rng.random(cover.shape) < (0.4 if town else 0.13) * cover
            colour = ROOF_COLOURS[rng.integers(len(ROOF_COLOURS), size=cover.shape)]
            bright = rng.uniform(0.4, 1.1, cover.shape)[..., None]
            self.blend(colour * bright, 0.85 * roofs, window)
        groves = np.clip(6 * (self.noise(11) + 0.6 * self.noise(35) - 0.85), 0, 1) * (land > 0)
        self.blend(TREES, 0.85 * groves)
        return hubs

    def paint_roads(self, hubs):
        """Roads from each settlement to its nearest others, slightly winding."""
        bend = 7 * self.noise(60), 7 * self.noise(60)
        x, y = self.x + bend[0], self.y + bend[1]
        links = {(0, int(i)) for i in range(1, min(4, len(hubs)))}
        for i, hub in enumerate(hubs):
            order = np.argsort(np.hypot(*(hubs - hub).T))[1:3]
            links |= {(min(i, int(j)), max(i, int(j))) for j in order}
        for i, j in sorted(links):
            start, step = hubs[i], hubs[j] - hubs[i]
            length = np.hypot(*step)
            along = ((x - start[0]) * step[0] + (y - start[1]) * step[1]) / length
            across = np.abs((y - start[1]) * step[0] - (x - start[0]) * step[1]) / length
            half = self.rng.choice([0.45, 0.6, 1.0], p=[0.5, 0.35, 0.15])
            cover = np.clip(half + 0.5 - across, 0, 1) * ((along > 0) & (along < length))
            self.blend(ROAD * self.rng.uniform(0.75, 1.15), 0.85 * cover)

    def paint_ponds(self):
        """Small dark ponds, some of them of a kiln's size and shape."""
        for _ in range(int(self.size**2 / 9000)):
            x, y = self.rng.uniform(0, self.size, 2)
            length, ratio, t = self.rng.uniform((3, 0.4, 0), (13, 1, np.pi))
            window, cover = self.shape(x, y, length, length * ratio, t, self.rng.choice([2, 6]))
            self.blend(WATER * self.rng.uniform(0.8, 2.0), 0.9 * cover, window)

    def paint_lookalikes(self, look, kilns):
        """Bright roofs, sheds, bare and reddish plots, empty yards: things that are no kiln."""
        rng = self.rng
        kilns = np.array(kilns).reshape(-1, 2)
        for _ in range(int(self.size**2 / 4500)):
            x, y = rng.uniform(0, self.size, 2)
            if len(kilns) and np.hypot(kilns[:, 0] - x, kilns[:, 1] - y).min() < 20:
                continue
            t = rng.uniform(0, np.pi)
            what = rng.choice(["roof", "shed", "bare", "red", "yard"], p=[0.3, 0.2, 0.3, 0.1, 0.1])
            if what == "roof":
                colour, length, ratio = ROOF_COLOURS[rng.integers(4)] * 1.1, rng.uniform(2, 8), 0.7
            elif what == "shed":
                colour, length, ratio = np.full(3, rng.uniform(110, 230)), rng.uniform(6, 14), 0.3
            elif what == "bare":
                colour = look.yard * rng.uniform(0.6, 1.05) * (1.05, 1, 0.88)
                length, ratio = rng.uniform(8, 30), rng.uniform(0.5, 1)
            elif what == "red":
                # Tilled red soil: a kiln's hue, but darker and either larger or much smaller.
                colour = look.kiln * rng.uniform(0.4, 0.62)
                length, ratio = rng.choice([rng.uniform(2, 4), rng.uniform(20, 30)]), 0.8
            else:
                colour, length, ratio = look.yard, rng.uniform(12, 26), rng.uniform(0.5, 1)
            window, cover = self.shape(x, y, length, length * ratio, t, 12)
            self.blend(colour, 0.9 * cover, window)

    def paint_yard(self, kiln, look):
        """Drying ground round a kiln: pale, striped by rows of bricks, with coal and stacks."""
        rng = self.rng
        if rng.random() < 0.08:
            return
        axis, side = (
            np.array([np.cos(kiln.t), np.sin(kiln.t)]),
            np.array([-np.sin(kiln.t), np.cos(kiln.t)]),
        )
        for _ in range(rng.integers(1, 4)):
            margin = look.yard_margin * rng.uniform(0.5, 2.2, 2)
            along, across = rng.uniform(-0.7, 0.7, 2) * margin
            x, y = np.array((kiln.x, kiln.y)) + along * axis + across * side
            length, width = kiln.length + margin[0], kiln.width + margin[1]
            window, cover = self.shape(x, y, length, width, kiln.t + rng.normal(0, 0.06), 10)
            dx, dy = self.x[window] - x, self.y[window] - y
            rows = np.sin(
                (dy * np.cos(kiln.t) - dx * np.sin(kiln.t)) * 2 * np.pi / rng.uniform(2.2, 4)
            )
            ground = look.yard * rng.uniform(0.85, 1.12)
            ground = (
                ground * (1 + 0.07 * rows + 0.06 * self.rng.normal(0, 1, rows.shape))[..., None]
            )
            self.blend(ground, 0.92 * cover, window)
        for colour, count in (
            ((38, 34, 34), rng.integers(0, 3)),
            (look.kiln * 0.75, rng.integers(0, 4)),
        ):
            for _ in range(count):
                along = rng.uniform(-1, 1) * kiln.length / 2
                across = rng.choice([-1, 1]) * (
                    kiln.width / 2 + rng.uniform(1, 1 + look.yard_margin)
                )
                x, y = np.array((kiln.x, kiln.y)) + along * axis + across * side
                window, cover = self.shape(x, y, rng.uniform(1.5, 3), rng.uniform(1, 2), kiln.t, 3)
                self.blend(colour, 0.8 * cover, window)

    def paint_kiln(self, kiln, look):
        """The kiln itself: fired-brick red, uneven along its length, chimney and shadow."""
        rng = self.rng
        power = {"FCBK": 3.5, "CFCBK": 2.3, "Zigzag": 16}[kiln.kind]
        window, cover = self.shape(kiln.x, kiln.y, kiln.length, kiln.width, kiln.t, power)
        dx, dy = self.x[window] - kiln.x, self.y[window] - kiln.y
        along = (dx * np.cos(kiln.t) + dy * np.sin(kiln.t)) / (kiln.length / 2)
        across = (dy * np.cos(kiln.t) - dx * np.sin(kiln.t)) / (kiln.width / 2)
        dull = rng.uniform(0.55, 0.75) if rng.random() < 0.12 else rng.uniform(0.85, 1.12)
        red = look.kiln * dull * (1 + rng.normal(0, 0.03, 3))
        wave = np.sin(along * rng.uniform(2, 4) + rng.uniform(0, 7))
        rim = np.clip(np.maximum(np.abs(along), np.abs(across)) - 0.45, 0, 1)
        texture = 0.94 + 0.1 * wave + 0.14 * rim + rng.normal(0, 0.05, along.shape)
        body = red * texture[..., None]
        # Part of the ring is covered with ash while it burns: greyer, not darker.
        ash = np.clip(4 * (along * rng.choice([-1, 1]) - rng.uniform(0.1, 1.2)), 0, 0.7)[..., None]
        body = body * (1 - ash) + ash * look.yard * 1.1
        self.blend(body, 0.96 * cover, window)
        place = rng.uniform(-0.3, 0.3) * kiln.length / 2
        x, y = kiln.x + place * np.cos(kiln.t), kiln.y + place * np.sin(kiln.t)
        for shift, size, dark in ((0, 1.3, 0.75), (-1.2, 1.5, 0.45)):
            # Morning sun from the south-east: shadows fall north-west.
            window, cover = self.shape(x + shift, y + shift, size * 1.6, size, np.pi / 4, 2)
            self.blend(red * 0.35, dark * rng.uniform(0.3, 1) * cover, window)

    def develop(self, tint):
        """Optics and sensor: blur, correlated noise, gain; uint8 from 1 to 255, 3 x size x size."""
        grain = self.rng.normal(0, 1, self.picture.shape).astype(np.float32)
        grain = _blur(grain, 0.9)
        picture = _blur(self.picture, 0.8) * (1 + GRAIN * grain) + 0.3 * grain
        picture *= np.asarray(tint, np.float32)
        return np.clip(np.round(picture), 1, 255).astype(np.uint8).transpose(2, 0, 1)


def _hash(first, second, salt):
    """Random-looking numbers 0..1 that depend only on two integer arrays and a salt."""
    mixed = first.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= second.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed ^= np.uint64(salt * 0x165667B19E3779F9 % 2**64)
    for shift in (33, 29):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(0xFF51AFD7ED558CCD)
    return ((mixed >> np.uint64(40)).astype(np.float32)) / np.float32(2**24)


def _blur(picture, sigma):
    """Gaussian blur of rows and columns, edges repeated."""
    taps = np.arange(-3, 4)
    kernel = np.exp(-(taps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        padding = [(3, 3) if a == axis else (0, 0) for a in range(picture.ndim)]
        padded = np.pad(picture, padding, mode="edge")
        size = picture.shape[axis]
        picture = sum(
            k * np.take(padded, range(i, i + size), axis=axis) for i, k in enumerate(kernel)
        )
    return picture


def wedge(size):
    """Mask size x size of the pixels beyond the border of the swath: a corner cut diagonally."""
    y, x = np.mgrid[0:size, 0:size] + 0.5
    return x - 0.27 * y > 0.76 * size


def outline(kiln):
    """Corners of a kiln in pixels, 4 x 2, clockwise on the picture from the front right."""
    axis = np.array([np.cos(kiln.t), np.sin(kiln.t)]) * kiln.length / 2
    side = np.array([-np.sin(kiln.t), np.cos(kiln.t)]) * kiln.width / 2
    centre = np.array([kiln.x, kiln.y])
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return np.array([centre + a * axis + b * side for a, b in signs])


def to_lonlat(points):
    """Longitude and latitude of pixel points N x 2, as N x 2."""
    eastings = ORIGIN[0] + points[:, 0] * GSD_M
    northings = ORIGIN[1] - points[:, 1] * GSD_M
    return np.stack(reproject(CRS, "EPSG:4326", eastings, northings), 1)


def ground_vector(start, end):
    """Metres east and north from one lon/lat to a near other, on the WGS 84 ellipsoid."""
    a, e2 = 6378137.0, 0.00669437999014
    latitude = np.radians((start[1] + end[1]) / 2)
    w = 1 - e2 * np.sin(latitude) ** 2
    east = np.radians(end[0] - start[0]) * a / np.sqrt(w) * np.cos(latitude)
    north = np.radians(end[1] - start[1]) * a * (1 - e2) / w**1.5
    return np.array([east, north])


def seen_share(kiln, hidden):
    """Share 0..1 of a kiln that is seen, on 9 x 9 points of it (`hidden`: mask of no data)."""
    corners = outline(kiln)
    steps = np.linspace(0, 1, 9)[:, None]
    top = corners[0] + steps * (corners[1] - corners[0])
    bottom = corners[3] + steps * (corners[2] - corners[3])
    points = (top[:, None] + steps * (bottom - top)[:, None]).reshape(-1, 2)
    rows, columns = np.clip(points[:, ::-1].astype(int), 0, len(hidden) - 1).T
    return 1 - float(hidden[rows, columns].mean())


def feature(kiln, ignore):
    """GeoJSON feature of a kiln; `ignore` marks one that is seen in part."""
    corners = outline(kiln)
    ring = to_lonlat(corners)[::-1]  # the picture's y runs down: reversed is counter-clockwise
    # Both ways round, an outline begins with a side along the length.
    axis, across = ground_vector(ring[0], ring[1]), ground_vector(ring[1], ring[2])
    ring = np.round(ring, 7).tolist()
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {
            "class": "kiln",
            "type": kiln.kind,
            "length_m": round(float(np.hypot(*axis)), 1),
            "width_m": round(float(np.hypot(*across)), 1),
            "angle_deg": round(float(np.degrees(np.arctan2(axis[0], axis[1])) % 180), 1),
            "ignore": ignore,
        },
    }


def collection(features):
    """FeatureCollection with its bounding box."""
    points = np.concatenate([f["geometry"]["coordinates"][0] for f in features])
    bbox = [*points.min(0).tolist(), *points.max(0).tolist()]
    return {"type": "FeatureCollection", "bbox": bbox, "features": features}


def geojson(features):
    """Text of the collection, one feature a line."""
    whole = collection(features)
    lines = ",\n".join(json.dumps(f) for f in whole.pop("features"))
    return json.dumps(whole)[:-1] + f', "features": [\n{lines}\n]}}\n'


def write_scene(pixels, path):
    """Write 3 x H x W uint8 as a cloud-optimised GeoTIFF."""
    profile = {
        "driver": "GTiff",
        "count": 3,
        "dtype": "uint8",
        "height": pixels.shape[1],
        "width": pixels.shape[2],
        "crs": CRS,
        "transform": from_origin(*ORIGIN, GSD_M, GSD_M),
        "nodata": 0,
    }
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as scene:
            scene.write(pixels)
            scene.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            for band, name in enumerate(("red", "green", "blue"), 1):
                scene.set_band_description(band, name)
            scene.update_tags(
                SYNTHETIC="yes: drawn by scripts/make_demo_scene.py; nothing here exists",
                TIFFTAG_DATETIME=ACQUIRED,
                TIFFTAG_IMAGEDESCRIPTION="SYNTHETIC Sentinel-2-like demo scene of kilnsight",
            )
            # One small overview instead of the usual halvings: it keeps the file small.
            scene.build_overviews([4], Resampling.average)
        with memory.open() as scene:
            rasterio.shutil.copy(
                scene,
                path,
                driver="COG",
                compress="DEFLATE",
                level=9,
                predictor="YES",
                blocksize=512,
                overviews="FORCE_USE_EXISTING",
            )


def demo(seed):
    """The demo scene of a seed.

    Returns pixels 3 x SIZE x SIZE, 0 where the swath does not reach; the kilns seen whole; and
    those seen in part. Kilns beyond the border are left out.
    """
    rng = np.random.default_rng(seed)
    pixels, kilns = sample_scene(rng, SIZE, kilns=64, look=demo_look(), sites=22)
    hidden = wedge(SIZE)
    pixels[:, hidden] = 0
    shares = [seen_share(kiln, hidden) for kiln in kilns]
    whole = [kiln for kiln, share in zip(kilns, shares, strict=True) if share == 1]
    part = [kiln for kiln, share in zip(kilns, shares, strict=True) if 0 < share < 1]
    return pixels, whole, part


def main():
    """Write the demo scene and its truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("data/demo"))
    arguments = parser.parse_args()
    pixels, whole, part = demo(arguments.seed)
    features = [feature(k, ignore=False) for k in whole] + [feature(k, ignore=True) for k in part]
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_scene(pixels, arguments.out / "scene.tif")
    (arguments.out / "truth.geojson").write_text(geojson(features))
    print(f"{len(whole)} kilns and {len(part)} cut by the swath border, in {arguments.out}")


if __name__ == "__main__":
    main()
