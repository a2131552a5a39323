//! Empty pixels, edges, areas of interest: what was not seen, and that it is never silent.

use crate::fixture::{Blob, Empty, Fixture, Pixels, blob, blob_places, true_places};
use crate::harness::{Run, Workspace, gdal_tool};

/// Of a scene's area, in what is scanned and what is not.
const AREA_TOLERANCE: f64 = 1e-3;

/// The right half of the scene is empty.
const HOLE: [usize; 4] = [240, 0, 480, 320];

/// A blob far in the measured half, and one cut by the edge of the hole.
fn half_empty() -> Fixture {
    let mut fixture = Fixture::new((480, 320), vec![blob(100.0, 160.0), blob(237.0, 80.0)]);
    fixture.holes = vec![HOLE];
    fixture
}

fn areas(run: &Run) -> [f64; 2] {
    let coverage = run.layer("coverage");
    ["scanned", "nodata"].map(|status| coverage.area_km2(status))
}

/// Area of the whole scene on the ellipsoid, from its corners and edges as GDAL places them.
fn scene_area_km2(space: &Workspace, raster: &str, (w, h): (usize, usize)) -> f64 {
    use geo::GeodesicArea;
    let (w, h) = (w as f64, h as f64);
    let outline: Vec<(f64, f64)> = (0..40)
        .map(|i| {
            let t = f64::from(i % 10) / 10.0;
            // Counter-clockwise on the ground, as geo wants it.
            match i / 10 {
                0 => (0.0, t * h),
                1 => (t * w, h),
                2 => (w, h - t * h),
                _ => (w - t * w, 0.0),
            }
        })
        .collect();
    let places = true_places(space, raster, &outline);
    let ring: Vec<(f64, f64)> = places.iter().map(|p| (p.lon, p.lat)).collect();
    geo::Polygon::new(ring.into(), vec![]).geodesic_area_unsigned() / 1e6
}

/// Asserts that the hole was told: chips in it are skipped and counted, its area is in the coverage, and the blob
/// at its edge is marked.
fn assert_hole_is_told(fixture: &Fixture, options: &str) {
    let space = Workspace::new();
    fixture.write(&space, "a.tif");
    let run = space.scan(&format!("a.tif {options}"));
    let record = run.record();
    let chips = &record["counts"]["chips"];
    let number = |name: &str| chips[name].as_u64().unwrap();
    assert!(number("nodata") > 0 && number("failed") == 0, "{chips}");
    assert_eq!(number("scanned") + number("nodata"), number("planned"));

    let [scanned, nodata] = areas(&run);
    let whole = scene_area_km2(&space, "a.tif", fixture.size);
    assert!(((scanned + nodata) / whole - 1.0).abs() < AREA_TOLERANCE);
    // A cell is 2 pixels wide, and goes with the majority of its pixels.
    assert!(
        (nodata / whole - 0.5).abs() < 0.005,
        "{nodata} of {whole} km2"
    );
    for (name, area) in [("scanned", scanned), ("nodata", nodata)] {
        let recorded = record["areas_km2"][name].as_f64().unwrap();
        assert!((recorded - area).abs() < 1e-4);
    }

    let places = blob_places(&space, "a.tif", &fixture.blobs);
    let sites = run.layer("sites");
    let (whole, metres) = sites.nearest(places[0]);
    assert!(metres < 2.0 && !whole.flag("border"));
    let (cut, metres) = sites.nearest(places[1]);
    assert!(metres < 60.0 && cut.flag("border"), "{metres} m");
    // Nothing is found on the edge of the hole itself.
    assert_eq!(sites.len(), 2);
}

#[test]
fn a_declared_nodata_value_is_empty() {
    let mut fixture = half_empty();
    fixture.empty = Empty::Nodata(255.0);
    assert_hole_is_told(&fixture, "");
}

#[test]
fn a_mask_band_is_obeyed() {
    let mut fixture = half_empty();
    fixture.empty = Empty::Mask;
    assert_hole_is_told(&fixture, "");
}

#[test]
fn an_alpha_band_is_obeyed_and_not_taken_for_data() {
    let mut fixture = half_empty();
    fixture.empty = Empty::Alpha;
    assert_hole_is_told(&fixture, "");
}

#[test]
fn zeros_that_nobody_declared_are_empty() {
    assert_hole_is_told(&half_empty(), "");
}

#[test]
fn a_value_given_by_hand_is_empty() {
    let mut fixture = half_empty();
    fixture.empty = Empty::Untagged(7.0);
    assert_hole_is_told(&fixture, "--nodata 7");
}

#[test]
fn not_a_number_is_empty_in_a_float_scene() {
    let mut fixture = half_empty();
    fixture.pixels = Pixels::Float32;
    fixture.empty = Empty::Untagged(f64::NAN);
    assert_hole_is_told(&fixture, "--scale 1");
}

#[test]
fn holes_are_told_at_another_resolution_too() {
    // 15 m pixels under a 10 m model: empty pixels must not bleed into their neighbours when resampled.
    for empty in [Empty::Untagged(0.0), Empty::Nodata(255.0), Empty::Mask] {
        let mut fixture = half_empty().at(32644, [300_000.0, 15.0, 0.0, 3_000_000.0, 0.0, -15.0]);
        fixture.sigma = (2.0, 2.0);
        fixture.empty = empty;
        assert_hole_is_told(&fixture, "");
    }
}

#[test]
fn nodata_none_makes_every_pixel_count() {
    let space = Workspace::new();
    half_empty().write(&space, "a.tif");
    let run = space.scan("a.tif --nodata none");
    let [scanned, nodata] = areas(&run);
    let whole = scene_area_km2(&space, "a.tif", (480, 320));
    assert!((scanned / whole - 1.0).abs() < AREA_TOLERANCE);
    assert_eq!(nodata, 0.0);
    assert_eq!(run.record()["scenes"][0]["nodata"], "none");
}

#[test]
fn a_scene_without_a_single_measured_pixel_is_nodata_and_no_failure() {
    let space = Workspace::new();
    let mut fixture = Fixture::new((150, 100), vec![blob(50.0, 50.0)]);
    fixture.holes = vec![[0, 0, 150, 100]];
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif");
    let [scanned, nodata] = areas(&run);
    let whole = scene_area_km2(&space, "a.tif", (150, 100));
    assert_eq!(scanned, 0.0);
    assert!((nodata / whole - 1.0).abs() < AREA_TOLERANCE);
    assert_eq!(run.layer("sites").len(), 0);
}

#[test]
fn what_the_edge_of_the_scene_cuts_is_marked() {
    let space = Workspace::new();
    let at_edges: Vec<Blob> = [(3.0, 100.0), (297.0, 150.0), (100.0, 3.0), (200.0, 197.0)]
        .map(|(x, y)| blob(x, y))
        .to_vec();
    let mut fixture = Fixture::new((300, 200), at_edges);
    fixture.blobs.push(blob(150.0, 100.0));
    fixture.write(&space, "a.tif");
    let sites = space.scan("a.tif").layer("sites");
    assert_eq!(sites.len(), 5);
    for (i, place) in blob_places(&space, "a.tif", &fixture.blobs)
        .into_iter()
        .enumerate()
    {
        let (site, _) = sites.nearest(place);
        assert_eq!(site.flag("border"), i < 4, "blob {i}");
    }
}

#[test]
fn a_blob_on_the_border_of_two_chips_is_not_marked() {
    let space = Workspace::new();
    // Chips of 64 pixels overlap by 32: the edges of windows lie at 32, 64, 96 …
    let blobs = vec![blob(96.0, 96.0), blob(64.0, 150.0), blob(128.0, 128.0)];
    Fixture::new((256, 256), blobs).write(&space, "a.tif");
    let sites = space.scan("a.tif").layer("sites");
    assert_eq!(sites.len(), 3);
    assert!(sites.features.iter().all(|s| !s.flag("border")));
}

#[test]
fn an_area_of_interest_limits_what_is_scanned_and_shown() {
    let space = Workspace::new();
    let fixture = Fixture::new((480, 320), vec![blob(100.0, 160.0), blob(300.0, 160.0)]);
    fixture.write(&space, "a.tif");
    // Pixels 60 to 200 across and 100 to 250 down, as GDAL places them.
    let corners = [(60.0, 250.0), (200.0, 250.0), (200.0, 100.0), (60.0, 100.0)];
    let ring = true_places(&space, "a.tif", &corners);
    space.write("area.geojson", polygon(&ring));
    let run = space.scan("a.tif --aoi area.geojson");
    let sites = run.layer("sites");
    assert_eq!(sites.len(), 1);
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    assert!(sites.nearest(places[0]).1 < 2.0);
    let coverage = run.layer("coverage");
    coverage.assert_valid();
    let expected = 1.4 * 1.5;
    assert!((coverage.area_km2("scanned") / expected - 1.0).abs() < 3e-3);
    assert_eq!(coverage.area_km2("outside"), 0.0);
    let record = run.record();
    assert!(record["counts"]["chips"]["outside_aoi"].as_u64().unwrap() > 0);
}

#[test]
fn areas_of_interest_that_overlap_are_one() {
    let space = Workspace::new();
    let fixture = Fixture::new((200, 200), vec![blob(100.0, 100.0)]);
    fixture.write(&space, "a.tif");
    // Two squares that overlap in the middle of the scene, where the blob is, and reach beyond it to the right.
    let square = |x0: f64, x1: f64| {
        let corners = [(x0, 150.0), (x1, 150.0), (x1, 50.0), (x0, 50.0)];
        let feature = polygon(&true_places(&space, "a.tif", &corners));
        serde_json::from_str::<serde_json::Value>(&feature).unwrap()
    };
    let features = [square(50.0, 150.0), square(80.0, 300.0)];
    let area = serde_json::json!({"type": "FeatureCollection", "features": features});
    space.write("area.geojson", area.to_string());
    let run = space.scan("a.tif --aoi area.geojson");
    assert_eq!(run.layer("sites").len(), 1);
    let coverage = run.layer("coverage");
    coverage.assert_valid();
    assert!((coverage.area_km2("scanned") / 1.5 - 1.0).abs() < 3e-3);
    assert!((coverage.area_km2("outside") / 1.0 - 1.0).abs() < 3e-3);
}

#[test]
fn what_an_area_of_interest_has_beyond_the_scenes_is_outside() {
    let space = Workspace::new();
    Fixture::new((200, 200), vec![blob(100.0, 100.0)]).write(&space, "a.tif");
    // A square of twice the width of the scene, the scene in its middle.
    let corners = [
        (-100.0, 300.0),
        (300.0, 300.0),
        (300.0, -100.0),
        (-100.0, -100.0),
    ];
    let ring = true_places(&space, "a.tif", &corners);
    space.write("area.geojson", polygon(&ring));
    let run = space.scan("a.tif --aoi area.geojson");
    let coverage = run.layer("coverage");
    coverage.assert_valid();
    assert!((coverage.area_km2("scanned") / 4.0 - 1.0).abs() < 3e-3);
    assert!((coverage.area_km2("outside") / 12.0 - 1.0).abs() < 3e-3);
    assert_eq!(run.layer("sites").len(), 1);
}

#[test]
fn a_box_of_degrees_is_an_area_of_interest() {
    let space = Workspace::new();
    let fixture = Fixture::new((480, 320), vec![blob(100.0, 160.0), blob(300.0, 160.0)]);
    fixture.write(&space, "a.tif");
    let place = blob_places(&space, "a.tif", &fixture.blobs)[1];
    let [west, south, east, north] = [
        place.lon - 0.005,
        place.lat - 0.005,
        place.lon + 0.005,
        place.lat + 0.005,
    ];
    let run = space.scan(&format!("a.tif --aoi {west},{south},{east},{north}"));
    let sites = run.layer("sites");
    assert_eq!(sites.len(), 1);
    assert!(sites.nearest(place).1 < 2.0);
}

fn polygon(ring: &[kilnsight::geometry::LonLat]) -> String {
    let mut positions: Vec<[f64; 2]> = ring.iter().map(|p| [p.lon, p.lat]).collect();
    positions.push(positions[0]);
    serde_json::json!({"type": "Feature", "properties": {}, "geometry": {
        "type": "Polygon", "coordinates": [positions],
    }})
    .to_string()
}

#[test]
fn an_area_of_interest_may_be_a_geopackage() {
    // GeoPackage is SQLite: the program and GDAL must use one and the same copy of it.
    let space = Workspace::new();
    Fixture::new((96, 80), vec![blob(48.0, 40.0)]).write(&space, "a.tif");
    space.write(
        "area.geojson",
        "{\"type\":\"Polygon\",\"coordinates\":[[[78,27],[80,27],[80,28],[78,28],[78,27]]]}",
    );
    gdal_tool(
        &space.path(""),
        ["ogr2ogr", "-f", "GPKG", "area.gpkg", "area.geojson"],
        "",
    );
    let run = space.scan("a.tif --aoi area.gpkg");
    assert_eq!(run.layer("sites").len(), 1);
}
