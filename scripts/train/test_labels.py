"""Every reader on a set that the test writes: the same two kilns must come out of all of them."""

import json

import numpy as np
import pytest

pytest.importorskip("rasterio")

import rasterio
from rasterio.transform import from_origin
from rasterio.warp import transform as reproject

import labels
from boxes import corners
from labels import LabelError
from labels.source import rectangle_round
from labels.yolo import class_names

SIDE = 128
TURNED = np.array([40.0, 60.0, 12.0, 6.0, np.radians(30)])
UPRIGHT = np.array([90.0, 30.0, 10.0, 8.0, 0.0])
BOTH = np.stack([TURNED, UPRIGHT])

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def picture(path, dtype="uint8", **georeference):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(1, 200, (3, SIDE, SIDE)).astype(dtype)
    driver = "PNG" if path.suffix == ".png" else "GTiff"
    profile = {"driver": driver, "width": SIDE, "height": SIDE, "count": 3, "dtype": dtype}
    with rasterio.open(path, "w", **profile, **georeference) as out:
        out.write(pixels)
    return pixels


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def text_of(points):
    return " ".join(f"{value:.9f}" for value in np.ravel(points))


def assert_both(tile):
    assert tile.oriented
    assert tile.boxes == pytest.approx(BOTH, abs=1e-3)
    assert tile.kinds == ["Zigzag", "FCBK"]


def test_yolo_obb_as_sentinelkilndb_has_it(tmp_path):
    pixels = picture(tmp_path / "train/images/1.2345_2.3456.png")
    picture(tmp_path / "train/images/1.3_2.4.png")
    points = corners(BOTH) / SIDE
    write(
        tmp_path / "train/labels/1.2345_2.3456.txt",
        f"2 {text_of(points[0])}",
        f"1 {text_of(points[1])}",
    )
    write(tmp_path / "data.yaml", "names:", "  0: CFCBK", "  1: FCBK", "  2: Zigzag")
    first, empty = labels.load(tmp_path, "yolo-obb")
    assert_both(first)
    assert np.array_equal(first.pixels, pixels)
    assert first.place == pytest.approx((2.3456, 1.2345))
    assert len(empty.boxes) == 0
    assert first.region == ""


def test_yolo_is_known_by_its_envelope_only(tmp_path):
    picture(tmp_path / "images/north/a.png")
    write(tmp_path / "labels/north/a.txt", f"0 {90 / SIDE} {30 / SIDE} {10 / SIDE} {8 / SIDE}")
    (tile,) = labels.load(tmp_path, "yolo")
    assert not tile.oriented
    assert tile.envelopes == pytest.approx(np.array([[85, 26, 95, 34.0]]))
    assert tile.boxes == pytest.approx(UPRIGHT[None])
    assert tile.kinds == [None]
    assert tile.region == "north"
    assert tile.place is None


def test_dota_and_its_difficult_ones(tmp_path):
    picture(tmp_path / "images/a.png")
    points = corners(BOTH)
    write(
        tmp_path / "labelTxt/a.txt",
        "imagesource:somewhere",
        "gsd:10",
        f"{text_of(points[0])} Zigzag 0",
        f"{text_of(points[1])} FCBK",
        "100 100 110 100 110 120 100 120 kiln 1",
    )
    (tile,) = labels.load(tmp_path, "dota")
    assert_both(tile)
    assert tile.ignore.tolist() == [[100, 100, 110, 120]]


def coco(folder, annotations, **image):
    picture(folder / "images/a.png")
    document = {
        "images": [{"id": 5, "file_name": "a.png", **image}],
        "annotations": [{"image_id": 5, "category_id": 1, **a} for a in annotations],
        "categories": [{"id": 1, "name": "kiln"}],
    }
    (folder / "labels.json").write_text(json.dumps(document))


def test_coco_with_outlines(tmp_path):
    outlined = [
        {"bbox": [0, 0, 1, 1], "segmentation": [np.ravel(c).tolist()], "kiln_type": kind}
        for c, kind in zip(corners(BOTH), ("Zigzag", "FCBK"), strict=True)
    ]
    ignored = {"bbox": [100, 100, 10, 20], "segmentation": [], "iscrowd": 1}
    coco(tmp_path, [*outlined, ignored], region="east", tile_center_latlon=[1.0, 2.0])
    (tile,) = labels.load(tmp_path, "coco")
    assert_both(tile)
    assert tile.ignore.tolist() == [[100, 100, 110, 120]]
    assert (tile.number, tile.region, tile.place) == (5, "east", (2.0, 1.0))


def test_coco_with_boxes_only(tmp_path):
    coco(tmp_path, [{"bbox": [85, 26, 10, 8], "segmentation": []}])
    (tile,) = labels.load(tmp_path, "coco")
    assert not tile.oriented
    assert tile.boxes == pytest.approx(UPRIGHT[None])


def test_what_kilnsight_labels_writes(tmp_path):
    """Parts in folders, a COCO file for each, places apart: as docs/labels.md has it."""
    features = []
    for number, part in (("000001", "train"), ("000002", "val")):
        picture(tmp_path / f"images/{part}/{number}.png")
        annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
        annotation["segmentation"] = [np.ravel(corners(TURNED)).tolist()]
        document = {
            "images": [{"id": 1, "file_name": f"{number}.png"}],
            "annotations": [annotation],
            "categories": [{"id": 1, "name": "FCBK"}],
        }
        write(tmp_path / f"annotations/{part}.coco.json", json.dumps(document))
        points = corners(TURNED)
        write(tmp_path / f"labels/{part}/{number}.txt", f"0 {text_of(points / SIDE)}")
        write(tmp_path / f"dota/{part}/{number}.txt", f"{text_of(points)} FCBK 0")
        ring = [[1.0, 2.0], [1.2, 2.0], [1.2, 2.2], [1.0, 2.2], [1.0, 2.0]]
        features.append(
            {
                "properties": {"chip": number, "part": part},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    write(tmp_path / "chips.geojson", json.dumps({"features": features}))
    write(tmp_path / "labels.json", json.dumps({"made_by": "kilnsight"}))
    write(tmp_path / "dataset.yaml", "path: .", "train: images/train", "names:", '  0: "FCBK"')
    for form in ("coco", "yolo-obb", "dota"):
        tiles = labels.load(tmp_path, form)
        assert [t.number for t in tiles] == [0, 1]
        for tile in tiles:
            assert tile.boxes == pytest.approx(TURNED[None], abs=1e-3)
            assert tile.kinds == ["FCBK"]
            assert tile.place == pytest.approx((1.1, 2.1))
            assert tile.region == ""


def scene(folder, boxes, kinds, ignore=False):
    """A scene in the open ocean with outlines of boxes, in degrees."""
    placing = {"crs": "EPSG:32631", "transform": from_origin(500_000, 60_000, 10, 10)}
    folder.mkdir(exist_ok=True)
    picture(folder / "scene.tif", "uint16", **placing)
    features = []
    for box, kind in zip(corners(boxes), kinds, strict=True):
        x, y = placing["transform"] * box.T
        ring = np.stack(reproject(placing["crs"], "EPSG:4326", x, y), 1).tolist()
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
                "properties": {"class": "kiln", "type": kind, "ignore": ignore},
            }
        )
    document = {"type": "FeatureCollection", "features": features}
    (folder / "sites.geojson").write_text(json.dumps(document))


def test_scene_with_outlines(tmp_path):
    scene(tmp_path, BOTH, ("Zigzag", "FCBK"))
    (tile,) = labels.load(tmp_path, "geojson")
    assert_both(tile)
    assert tile.pixels.dtype == np.uint8
    assert tile.pixels.min() >= 1
    assert tile.place == pytest.approx((3.006, 0.537), abs=0.01)


def test_kilns_beyond_a_tile_are_its_ignore_regions(tmp_path, monkeypatch):
    monkeypatch.setattr("labels.scenes.SIDE", 64)
    box = np.array([[66.0, 30.0, 10.0, 8.0, 0.0]])
    scene(tmp_path, box, ("FCBK",))
    tiles = labels.load(tmp_path, "geojson")
    assert [len(t.boxes) for t in tiles] == [0, 1, 0, 0]
    assert tiles[0].ignore == pytest.approx(np.array([[61, 26, 71, 34]]), abs=1e-3)
    assert tiles[1].boxes[0, :2] == pytest.approx([2, 30], abs=1e-3)


@pytest.mark.parametrize(
    ("form", "line", "says"),
    [
        ("yolo", "0 0.5 0.5 0.1", "4 are needed"),
        ("yolo", "0 50 50 10 10", "not pixels"),
        ("yolo", "0 0.5 0.5 0.1 -0.1", "no width or no height"),
        ("yolo-obb", "0 0.1 0.1 0.2 0.1", "8 are needed"),
        ("yolo-obb", "kiln " + "0.1 " * 8, "the class is a number"),
        ("dota", "1 2 3 4 5 6 7 8", "8 coordinates"),
        ("dota", "1 2 3 4 5 6 7 x kiln", "expected numbers"),
        ("dota", "1 2 3 4 5 6 7 nan kiln", "not finite"),
    ],
)
def test_what_cannot_be_read_is_told_without_the_name_of_the_file(tmp_path, form, line, says):
    picture(tmp_path / "images/1.2345_2.3456.png")
    write(tmp_path / "labels/1.2345_2.3456.txt", "", line)
    with pytest.raises(LabelError, match="line 2") as error:
        labels.load(tmp_path, form)
    assert says in str(error.value)
    assert "1.2345" not in str(error.value)


@pytest.mark.parametrize("form", ["yolo", "yolo-obb", "dota", "geojson"])
def test_an_empty_folder_is_told(tmp_path, form):
    with pytest.raises(LabelError, match="no image"):
        labels.load(tmp_path, form)


def test_images_without_labels_are_told(tmp_path):
    picture(tmp_path / "images/a.png")
    with pytest.raises(LabelError, match="not one kiln"):
        labels.load(tmp_path, "yolo")


def test_a_folder_without_coco_is_told(tmp_path):
    with pytest.raises(LabelError, match="no COCO file"):
        labels.load(tmp_path, "coco")


def test_a_point_is_no_outline(tmp_path):
    scene(tmp_path, BOTH, ("FCBK", "FCBK"))
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [3, 0.5]}}
    document = {"type": "FeatureCollection", "features": [point]}
    (tmp_path / "sites.geojson").write_text(json.dumps(document))
    with pytest.raises(LabelError, match="how large a kiln is"):
        labels.load(tmp_path, "geojson")


def test_smallest_rectangle_round_an_outline_of_many_points():
    ring = np.concatenate([corners(TURNED)[0], corners(TURNED)[0].mean(0)[None] + 0.5])
    hull = np.array(sorted(map(tuple, ring[:4]), key=lambda p: np.arctan2(*(p - ring[:4].mean(0)))))
    more = np.insert(hull, 1, (hull[0] + hull[1]) / 2, axis=0)
    made = rectangle_round(more)
    assert sorted(map(tuple, np.round(made, 6))) == sorted(map(tuple, np.round(ring[:4], 6)))


@pytest.mark.parametrize(
    "text",
    [
        "names: ['CFCBK', FCBK]\n",
        "names:\n- CFCBK\n- FCBK\nnc: 2\n",
        "names:\n  0: CFCBK\n  1: 'FCBK'\n",
    ],
)
def test_names_of_a_data_yaml(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    assert class_names(tmp_path) == ["CFCBK", "FCBK"]
