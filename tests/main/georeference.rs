//! Where things are on Earth, in every kind of grid a scene may have.
//!
//! Places are compared with GDAL's own `gdaltransform`, directions with what follows from the grid by hand.

use kilnsight::detect::Ledger;
use kilnsight::geometry::{LonLat, azimuth_deg, distance_m};
use kilnsight::run::LoadedRun;

use crate::fixture::{Blob, Fixture, GSD_M, UTM, blob, blob_places, true_places};
use crate::harness::{Run, Workspace, gdal_tool};

/// Where the blobs are: in the corners and in the middle, and none at the middle of a pixel.
pub(crate) const BLOBS: [(f64, f64); 4] =
    [(40.3, 30.6), (170.8, 35.1), (95.4, 88.2), (150.5, 140.9)];
/// Direction of every box of the model, in the image: from +x towards +y.
pub(crate) const MODEL_ANGLE_DEG: f64 = 30.0;

pub(crate) fn fixture(epsg: u32, geotransform: [f64; 6], sigma: (f64, f64)) -> Fixture {
    let blobs = BLOBS.map(|(x, y)| blob(x, y)).to_vec();
    let mut fixture = Fixture::new((210, 170), blobs).at(epsg, geotransform);
    fixture.sigma = sigma;
    fixture
}

/// Scans the scene and asserts that each blob is found once, where GDAL says it is, with the direction that
/// `angle_deg` gives for its place.
fn assert_found(fixture: &Fixture, angle_deg: impl Fn(LonLat) -> f64, angle_tolerance_deg: f64) {
    let space = Workspace::new();
    fixture.write(&space, "a.tif");
    let sites = space.scan("a.tif").layer("sites");
    sites.assert_valid();
    assert_eq!(sites.len(), fixture.blobs.len());
    for place in blob_places(&space, "a.tif", &fixture.blobs) {
        let (site, metres) = sites.nearest(place);
        assert!(metres < 0.15 * GSD_M, "{metres} m off");
        let off = site.number("angle_deg") - angle_deg(place);
        let off = (off + 90.0).rem_euclid(180.0) - 90.0;
        assert!(off.abs() < angle_tolerance_deg, "{off} degrees off");
        assert!((site.number("length_m") - 120.0).abs() < 0.3);
        assert!((site.number("width_m") - 60.0).abs() < 0.3);
    }
}

/// True direction of a grid azimuth in UTM: the convergence of meridians on the sphere, good to 0.005° here.
pub(crate) fn true_azimuth(grid_deg: f64, central_meridian: f64, place: LonLat) -> f64 {
    let east = (place.lon - central_meridian).to_radians();
    grid_deg
        + (east.tan() * place.lat.to_radians().sin())
            .atan()
            .to_degrees()
}

#[test]
fn utm_far_from_its_central_meridian_turns_directions_by_the_convergence() {
    // Three degrees west of the meridian at 60° N: the grid is turned by 2.6°.
    let fixture = fixture(
        32644,
        [332_000.0, 10.0, 0.0, 6_655_000.0, 0.0, -10.0],
        (3.0, 3.0),
    );
    // East is 90°, and the image's +y points south.
    let grid = 90.0 + MODEL_ANGLE_DEG;
    assert_found(&fixture, |place| true_azimuth(grid, 81.0, place), 0.03);
}

#[test]
fn utm_in_the_southern_hemisphere() {
    let fixture = fixture(
        32723,
        [700_000.0, 10.0, 0.0, 7_000_000.0, 0.0, -10.0],
        (3.0, 3.0),
    );
    let grid = 90.0 + MODEL_ANGLE_DEG;
    assert_found(&fixture, |place| true_azimuth(grid, -45.0, place), 0.03);
}

#[test]
fn degrees_are_narrower_than_they_are_tall() {
    // At 45° N a pixel of 0.0001° is 7.9 × 11.1 m; blobs are as wide on the ground as elsewhere.
    let pixel = 1e-4;
    let fixture = fixture(4326, [12.0, pixel, 0.0, 45.0, 0.0, -pixel], (3.8, 2.7));
    assert_found(&fixture, |_| 90.0 + MODEL_ANGLE_DEG, 0.1);
}

#[test]
fn web_mercator_at_60_degrees_north_covers_half_the_ground() {
    let fixture = fixture(
        3857,
        [2_000_000.0, 20.0, 0.0, 8_399_737.0, 0.0, -20.0],
        (3.0, 3.0),
    );
    assert_found(&fixture, |_| 90.0 + MODEL_ANGLE_DEG, 0.1);
}

#[test]
fn a_rotated_geotransform_turns_directions_with_it() {
    // Columns run 25° south of east.
    let turn = 25.0_f64;
    let (sin, cos) = turn.to_radians().sin_cos();
    let (epsg, [x, _, _, y, _, _]) = UTM;
    let geotransform = [x, 10.0 * cos, -10.0 * sin, y, -10.0 * sin, -10.0 * cos];
    let fixture = fixture(epsg, geotransform, (3.0, 3.0));
    let grid = 90.0 + turn + MODEL_ANGLE_DEG;
    assert_found(&fixture, |place| true_azimuth(grid, 81.0, place), 0.03);
}

#[test]
fn a_south_up_scene_is_not_mirrored_on_the_ground() {
    let (epsg, [x, _, _, y, _, _]) = UTM;
    let fixture = fixture(epsg, [x, 10.0, 0.0, y, 0.0, 10.0], (3.0, 3.0));
    // The image's +y points north.
    let grid = 90.0 - MODEL_ANGLE_DEG;
    assert_found(&fixture, |place| true_azimuth(grid, 81.0, place), 0.03);
}

#[test]
fn a_projection_in_feet_is_measured_in_metres() {
    // California zone 3 in US survey feet: 10 m are 32.808 ft.
    let pixel = 10.0 * 3937.0 / 1200.0;
    let fixture = fixture(
        2227,
        [6_000_000.0, pixel, 0.0, 2_100_000.0, 0.0, -pixel],
        (3.0, 3.0),
    );
    let space = Workspace::new();
    fixture.write(&space, "a.tif");
    let run = space.scan("a.tif");
    assert_eq!(run.layer("sites").len(), BLOBS.len());
    let gsd = run.record()["scenes"][0]["gsd_m"][0].as_f64().unwrap();
    assert!((gsd - 10.0).abs() < 1e-6, "{gsd} m");
    let sites = run.layer("sites");
    for place in blob_places(&space, "a.tif", &fixture.blobs) {
        assert!(sites.nearest(place).1 < 0.15 * GSD_M);
    }
}

#[test]
fn sites_across_the_antimeridian_are_cut_and_lie_where_they_should() {
    // UTM 1 N begins at 180°; this scene lies on both sides of it, on the equator's north.
    let fixture = fixture(
        32601,
        [165_000.0, 10.0, 0.0, 1_000.0, 0.0, -10.0],
        (3.0, 3.0),
    );
    let mut across = fixture.clone();
    // The antimeridian runs through here: easting 166 021.44 m at the equator.
    across.blobs = vec![blob(102.0, 50.3), blob(40.0, 40.0), blob(160.0, 120.0)];
    let space = Workspace::new();
    across.write(&space, "a.tif");
    let run = space.scan("a.tif");
    let sites = run.layer("sites");
    assert_eq!(sites.len(), 3);
    let cut: Vec<_> = sites
        .features
        .iter()
        .filter(|s| s.polygons.len() == 2)
        .collect();
    assert_eq!(cut.len(), 1, "the site on the line has two parts");
    let [west, _, east, _] =
        serde_json::from_value::<[f64; 4]>(sites.document["bbox"].clone()).unwrap();
    assert!(west > 179.9 && east < -179.9, "{west} {east}");
    for (site, polygon) in sites
        .features
        .iter()
        .flat_map(|s| s.polygons.iter().map(move |p| (s, p)))
    {
        let side = polygon[0][0][0].signum();
        assert!(
            polygon[0]
                .iter()
                .all(|p| p[0].signum() == side && p[0].abs() > 179.0),
            "{:?} lies on both sides",
            site.id
        );
    }
    for place in blob_places(&space, "a.tif", &across.blobs) {
        let nearest = sites
            .features
            .iter()
            .map(|s| distance_m(LonLat::new(s.number("lon"), s.number("lat")), place))
            .fold(f64::INFINITY, f64::min);
        assert!(nearest < 0.15 * GSD_M, "{nearest} m");
    }
}

/// The pixel positions that the ledger holds, put on Earth by GDAL's own tool, are the corners in the layer: to
/// the seventh decimal, which is a thousandth of a pixel.
#[test]
fn corners_agree_with_gdaltransform_to_a_thousandth_of_a_pixel() {
    let turn = 10.0_f64.to_radians();
    let grids = [
        UTM,
        (4326, [12.0, 1e-4, 0.0, 45.0, 0.0, -1e-4]),
        (3857, [2_000_000.0, 20.0, 0.0, 8_399_737.0, 0.0, -20.0]),
        (
            32644,
            [
                300_000.0,
                15.0 * turn.cos(),
                -15.0 * turn.sin(),
                3_000_000.0,
                -15.0 * turn.sin(),
                -15.0 * turn.cos(),
            ],
        ),
    ];
    for (epsg, geotransform) in grids {
        let space = Workspace::new();
        fixture(epsg, geotransform, (2.5, 2.5)).write(&space, "a.tif");
        let run = space.scan("a.tif");
        let loaded = LoadedRun::open(run.path()).unwrap();
        let ledger = Ledger::open(&run.path().join("ledger.sqlite")).unwrap();
        let layer = run.layer("detections");
        let min_score = loaded.settings.min_score;
        let mut compared = 0;
        for (chip, n, raw) in ledger.detections(0, min_score).unwrap() {
            let chip = loaded.scenes[0].plan.chip(chip).unwrap();
            let id = format!("a/{}/{n}", chip.name());
            // Suppression across chips drops the second of two that see the same blob.
            let Some(feature) = layer.features.iter().find(|f| f.id.as_ref() == Some(&id)) else {
                continue;
            };
            let pixels = raw.shape.corners().map(|corner| chip.scene_point(corner));
            let pixels = pixels.map(|p| (p.x, p.y));
            for expected in true_places(&space, "a.tif", &pixels) {
                let off = feature
                    .corners()
                    .into_iter()
                    .map(|corner| distance_m(corner, expected))
                    .fold(f64::INFINITY, f64::min);
                assert!(off < 1e-3 * GSD_M, "{off} m off in EPSG:{epsg}");
            }
            compared += 1;
        }
        assert_eq!(compared, BLOBS.len(), "EPSG:{epsg}");
    }
}

#[test]
fn the_angle_in_the_layer_is_the_direction_of_the_box_in_the_layer() {
    let space = Workspace::new();
    fixture(
        32644,
        [332_000.0, 10.0, 0.0, 6_655_000.0, 0.0, -10.0],
        (3.0, 3.0),
    )
    .write(&space, "a.tif");
    for site in space.scan("a.tif").layer("sites").features {
        let corners = site.corners();
        let (a, b) = if distance_m(corners[0], corners[1]) > distance_m(corners[1], corners[2]) {
            (corners[0], corners[1])
        } else {
            (corners[1], corners[2])
        };
        let off = (azimuth_deg(a, b) - site.number("angle_deg") + 90.0).rem_euclid(180.0) - 90.0;
        assert!(off.abs() < 0.02, "{off} degrees");
    }
}

/// Scans the scene and asserts that each blob is found once, where GDAL's own tool says it is, with the direction
/// that the tool gives for the model's. `tool` are further options for `gdaltransform`;
/// `direction` is that of a box from its place and that of a point ahead of it in the file's pixels.
pub(crate) fn assert_found_by_gdal(
    space: &Workspace,
    blobs: &[Blob],
    tool: &str,
    tolerance_px: f64,
    direction: impl Fn(LonLat, LonLat) -> f64,
) -> Run {
    let run = space.scan("a.tif");
    let sites = run.layer("sites");
    sites.assert_valid();
    run.layer("coverage").assert_valid();
    assert_eq!(sites.len(), blobs.len());
    let (sin, cos) = MODEL_ANGLE_DEG.to_radians().sin_cos();
    let ahead: Vec<(f64, f64)> = blobs
        .iter()
        .map(|b| (b.x + 5.0 * cos, b.y + 5.0 * sin))
        .collect();
    let here: Vec<(f64, f64)> = blobs.iter().map(|b| (b.x, b.y)).collect();
    let places = transformed(space, tool, &here);
    for (place, ahead) in places.into_iter().zip(transformed(space, tool, &ahead)) {
        let (site, metres) = sites
            .features
            .iter()
            .map(|s| {
                (
                    s,
                    distance_m(LonLat::new(s.number("lon"), s.number("lat")), place),
                )
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap();
        assert!(metres < tolerance_px * GSD_M, "{metres} m off");
        let off = site.number("angle_deg") - direction(place, ahead);
        let off = (off + 90.0).rem_euclid(180.0) - 90.0;
        assert!(off.abs() < 1.0, "{off} degrees off");
    }
    run
}

/// Pixel positions of `a.tif` on Earth by `gdaltransform` with further options.
pub(crate) fn transformed(space: &Workspace, tool: &str, pixels: &[(f64, f64)]) -> Vec<LonLat> {
    use std::fmt::Write;
    let mut input = String::new();
    for (x, y) in pixels {
        writeln!(input, "{x} {y}").unwrap();
    }
    let command = format!("gdaltransform {tool} -t_srs EPSG:4326 -output_xy a.tif");
    gdal_tool(&space.path(""), command.split_whitespace(), &input)
        .lines()
        .map(|line| {
            let (lon, lat) = line.split_once(' ').unwrap();
            LonLat::new(lon.parse().unwrap(), lat.parse().unwrap())
        })
        .collect()
}

#[test]
fn polar_grids_have_their_pole_and_their_directions_right() {
    // Antarctic and Arctic polar stereographic grids and UPS: 1,400 km from the pole, then round it.
    for (epsg, x, y) in [
        (3031, 1_000_000.0, 1_000_000.0),
        (3413, -900_000.0, -1_100_000.0),
        (3995, 700_000.0, 1_200_000.0),
        (32661, 2_600_000.0, 1_400_000.0),
        (32761, 2_000_000.0, 3_200_000.0),
        (3995, -1053.0, 852.0),
        (3031, -1053.0, 852.0),
        (32661, 1_998_947.0, 2_000_852.0),
    ] {
        let fixture = fixture(epsg, [x, 10.0, 0.0, y, 0.0, -10.0], (3.0, 3.0));
        let space = Workspace::new();
        fixture.write(&space, "a.tif");
        let run = assert_found_by_gdal(&space, &fixture.blobs, "", 0.15, azimuth_deg);
        // These grids are true to scale on a parallel, and off by less than 7 % of area here.
        let area = run.layer("coverage").area_km2("scanned");
        assert!((area / 3.57 - 1.0).abs() < 0.07, "EPSG:{epsg}: {area} km2");
    }
}

#[test]
fn degrees_that_run_on_past_the_antimeridian_are_the_same_places() {
    let mut all = Vec::new();
    for west in [179.99, -180.01] {
        let pixel = 1e-4;
        let fixture = fixture(4326, [west, pixel, 0.0, 10.0, 0.0, -pixel], (2.7, 2.7));
        let space = Workspace::new();
        fixture.write(&space, "a.tif");
        let run = assert_found_by_gdal(&space, &fixture.blobs, "", 0.15, azimuth_deg);
        let sites = run.layer("sites").features;
        let mut places: Vec<[i64; 2]> = sites
            .iter()
            .map(|s| ["lon", "lat"].map(|name| (s.number(name) * 1e6).round() as i64))
            .collect();
        places.sort_unstable();
        all.push(places);
    }
    assert_eq!(all[0], all[1]);
}

#[test]
fn an_area_of_interest_may_cross_the_antimeridian() {
    let pixel = 1e-4;
    let degrees = fixture(4326, [179.99, pixel, 0.0, 10.0, 0.0, -pixel], (2.7, 2.7));
    let other_turn = fixture(4326, [-180.01, pixel, 0.0, 10.0, 0.0, -pixel], (2.7, 2.7));
    let utm = fixture(
        32601,
        [170_000.0, 10.0, 0.0, 1_107_000.0, 0.0, -10.0],
        (3.0, 3.0),
    );
    let space = Workspace::new();
    for fixture in [degrees, other_turn, utm] {
        fixture.write(&space, "a.tif");
        let everything = space.scan("a.tif --fresh").layer("sites");
        assert_eq!(everything.len(), BLOBS.len());
        // From a little west of the second site to a little east of the first: each beyond the line from the other.
        let place = |blob: usize| blob_places(&space, "a.tif", &fixture.blobs)[blob];
        let (west, east) = (place(0).lon - 0.001, place(1).lon + 0.001);
        let [west, east] = [west, east].map(|lon| LonLat::new(lon, 0.0).lon);
        assert!(west > east, "the box crosses the line: {west} {east}");
        let (south, north) = (place(1).lat - 0.003, place(0).lat + 0.002);
        let run = space.scan(&format!(
            "a.tif --fresh --aoi {west},{south},{east},{north}"
        ));
        assert_eq!(run.layer("sites").len(), 2, "the upper two");
        let coverage = run.layer("coverage");
        coverage.assert_valid();
        assert_eq!(coverage.area_km2("outside"), 0.0);
        let [bottom, top] = [south, north].map(|lat| LonLat::new(west, lat));
        let expected = distance_m(bottom, top) * distance_m(top, LonLat::new(east, north)) / 1e6;
        let scanned = coverage.area_km2("scanned");
        assert!(
            (scanned / expected - 1.0).abs() < 0.01,
            "{scanned} of {expected} km2"
        );
        // The same as polygons cut at the line, as RFC 7946 wants them.
        let ring = |west: f64, east: f64| {
            serde_json::json!([[
                [west, south],
                [east, south],
                [east, north],
                [west, north],
                [west, south]
            ]])
        };
        let area = serde_json::json!({"type": "MultiPolygon", "coordinates": [ring(west, 180.0), ring(-180.0, east)]});
        space.write("area.geojson", area.to_string());
        let cut = space.scan("a.tif --fresh --aoi area.geojson");
        assert_eq!(cut.bytes("sites.geojson"), run.bytes("sites.geojson"));
    }
}

#[test]
fn a_globe_in_degrees_is_planned_to_its_poles() {
    let space = Workspace::new();
    // Pixels of half a degree round centres on whole and half degrees: the first and last row reach beyond the poles.
    let mut fixture =
        Fixture::new((720, 361), vec![]).at(4326, [-180.25, 0.5, 0.0, 90.25, 0.0, -0.5]);
    fixture.blobs = vec![blob(360.0, 180.0)];
    fixture.write(&space, "a.tif");
    space.write_model("coarse", |card| {
        card["kilnsight:gsd_m"] = 50_000.into();
        card["kilnsight:overlap_m"] = 800_000.into();
    });
    space.succeed("scan a.tif --model coarse --out run");
    let run = space.read_run("run");
    let coverage = run.layer("coverage");
    coverage.assert_valid();
    // The Earth has 510.07 million km2.
    let area = coverage.area_km2("scanned");
    assert!((area / 510.07e6 - 1.0).abs() < 0.01, "{area} km2");
    assert!(run.record()["counts"]["chips"]["planned"].as_u64().unwrap() < 2000);

    let boxed = "scan a.tif --model coarse --out box --aoi 170,-20,-170,20";
    space.succeed(boxed);
    let scanned = space.read_run("box").layer("coverage").area_km2("scanned");
    let expected = 2.0 * 6371.0_f64.powi(2) * 20.0_f64.to_radians() * 20.0_f64.to_radians().sin();
    assert!(
        (scanned / expected - 1.0).abs() < 0.02,
        "{scanned} of {expected} km2"
    );
}
