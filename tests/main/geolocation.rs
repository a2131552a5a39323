//! Scenes without a geotransform: ground control points and rational polynomials, against GDAL's own tools.

use kilnsight::geometry::{LonLat, azimuth_deg, distance_m};

use crate::fixture::{Blob, UTM};
use crate::georeference::{
    BLOBS, MODEL_ANGLE_DEG, assert_found_by_gdal, fixture, transformed, true_azimuth,
};
use crate::harness::{Run, Workspace, gdal_tool};

/// A scene that carries control points in place of a geotransform. `bend` is how far the grid is bent, in metres.
fn write_with_points(space: &Workspace, epsg: u32, bend: f64) -> Vec<Blob> {
    let fixture = fixture(32644, UTM.1, (3.0, 3.0));
    fixture.write(space, "straight.tif");
    let mut pixels = Vec::new();
    for row in 0..5 {
        for column in 0..6 {
            pixels.push((f64::from(column) * 42.0, f64::from(row) * 42.5));
        }
    }
    let on_ground = |(x, y): (f64, f64)| {
        let [x0, w, _, y0, _, h] = UTM.1;
        let (u, v) = (x / 210.0, y / 170.0);
        (
            x0 + w * x + bend * v * v * u,
            y0 + h * y + bend * (u * u - v * u * u),
        )
    };
    let mut input = String::new();
    for p in &pixels {
        use std::fmt::Write;
        let (x, y) = on_ground(*p);
        writeln!(input, "{x} {y}").unwrap();
    }
    let command = format!("gdaltransform -s_srs EPSG:32644 -t_srs EPSG:{epsg} -output_xy");
    let places = gdal_tool(&space.path(""), command.split(' '), &input);
    let points: String = (pixels.iter().zip(places.lines()))
        .map(|((x, y), place)| format!("-gcp {x} {y} {place} "))
        .collect::<Vec<_>>()
        .concat();
    let command = format!("gdal_translate -q -a_srs EPSG:{epsg} {points}straight.tif a.tif");
    gdal_tool(&space.path(""), command.split_whitespace(), "");
    fixture.blobs
}

/// A model of one direction has it in the grid that a scene was warped to: UTM 44.
fn in_warped_grid(place: LonLat, _ahead: LonLat) -> f64 {
    true_azimuth(90.0 + MODEL_ANGLE_DEG, 81.0, place)
}

fn georeferencing(run: &Run) -> String {
    let record = run.record();
    record["scenes"][0]["georeferencing"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn control_points_that_describe_a_geotransform_are_taken_for_it() {
    let space = Workspace::new();
    let blobs = write_with_points(&space, 32644, 0.0);
    let run = assert_found_by_gdal(&space, &blobs, "-order 1", 0.15, azimuth_deg);
    assert_eq!(
        georeferencing(&run),
        "30 ground control points, which describe a geotransform"
    );
    assert!(
        run.record()["scenes"][0]["raster"].is_null(),
        "nothing was resampled"
    );
}

#[test]
fn control_points_of_a_bent_grid_are_warped() {
    // In metres, and in degrees, which become metres on the way.
    for epsg in [32644, 4326] {
        let space = Workspace::new();
        let blobs = write_with_points(&space, epsg, 150.0);
        let run = assert_found_by_gdal(&space, &blobs, "-tps", 0.25, in_warped_grid);
        let words = georeferencing(&run);
        assert_eq!(
            words,
            "30 ground control points, warped with a thin-plate spline"
        );
        assert_eq!(run.record()["scenes"][0]["crs"], "EPSG:32644");
        // What the warp leaves empty round the scene is nodata, although the file declares none.
        let coverage = run.layer("coverage");
        assert!(coverage.area_km2("nodata") > 0.1);
        let scanned = coverage.area_km2("scanned");
        assert!((scanned / 3.57 - 1.0).abs() < 0.1, "{scanned} km2");
        // Another number of workers, the same bytes.
        let outcome = space.run("scan a.tif --model blob --out again --workers 4");
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(space.read_run("again").results(), run.results());
    }
}

#[test]
fn a_band_of_a_warped_scene_may_be_its_cloud_mask() {
    let space = Workspace::new();
    let blobs = write_with_points(&space, 4326, 150.0);
    // A fourth band: the left part is cloud.
    let folder = space.path("");
    let dataset = gdal::Dataset::open(space.path("straight.tif")).unwrap();
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut mask = driver
        .create_with_band_type::<u8, _>(space.path("mask.tif"), 210, 170, 1)
        .unwrap();
    mask.set_geo_transform(&dataset.geo_transform().unwrap())
        .unwrap();
    mask.set_spatial_ref(&dataset.spatial_ref().unwrap())
        .unwrap();
    let values = (0..210 * 170)
        .map(|i| if i % 210 < 80 { 9u8 } else { 4 })
        .collect();
    let mut buffer = gdal::raster::Buffer::new((210, 170), values);
    mask.rasterband(1)
        .unwrap()
        .write((0, 0), (210, 170), &mut buffer)
        .unwrap();
    mask.close().unwrap();
    let stack = "gdalbuildvrt -q -separate stack.vrt straight.tif mask.tif";
    gdal_tool(&folder, stack.split(' '), "");
    let info = gdal_tool(&folder, "gdalinfo -json a.tif".split(' '), "");
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    let points: String = info["gcps"]["gcpList"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| format!("-gcp {} {} {} {} ", p["pixel"], p["line"], p["x"], p["y"]))
        .collect::<Vec<_>>()
        .concat();
    let command = format!("gdal_translate -q -a_srs EPSG:4326 {points}stack.vrt a.tif");
    gdal_tool(&folder, command.split_whitespace(), "");
    let options = "--bands 1,1,1 --cloud-mask band:2 --cloud-codes scl --max-cloud 1";
    let detections = space.scan(&format!("a.tif {options}")).layer("detections");
    assert_eq!(detections.len(), blobs.len());
    // Two bands and the warper's own: what lies beside the scene is empty all the same.
    let coverage = space.read_run("run").layer("coverage");
    assert!(coverage.area_km2("nodata") > 0.1);
    for (blob, place) in blobs.iter().zip(transformed(&space, "-tps", &BLOBS)) {
        let (detection, metres) = detections.nearest(place);
        assert!(metres < 3.0);
        let share = detection.number("cloud");
        assert_eq!(share > 0.5, blob.x < 80.0, "{share} at {}", blob.x);
    }
}

#[test]
fn rational_polynomials_are_warped_at_a_height_that_is_said() {
    let space = Workspace::new();
    let fixture = fixture(32644, UTM.1, (3.0, 3.0));
    let mut plain = fixture.clone();
    plain.place = None;
    plain.write(&space, "a.tif");
    {
        use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};
        let options = DatasetOptions {
            open_flags: GdalOpenFlags::GDAL_OF_UPDATE,
            ..Default::default()
        };
        let mut dataset = Dataset::open_ex(space.path("a.tif"), options).unwrap();
        // Columns go with longitude and lean with height, rows go with latitude.
        let coefficients = |terms: &[(usize, f64)]| {
            let mut all = [0.0; 20];
            for (i, v) in terms {
                all[*i] = *v;
            }
            all.map(|v| v.to_string()).join(" ")
        };
        for (key, value) in [
            ("LINE_OFF", "84.5".to_owned()),
            ("SAMP_OFF", "104.5".to_owned()),
            ("LAT_OFF", "27.1".to_owned()),
            ("LONG_OFF", "79.0".to_owned()),
            ("HEIGHT_OFF", "250".to_owned()),
            ("LINE_SCALE", "85".to_owned()),
            ("SAMP_SCALE", "105".to_owned()),
            ("LAT_SCALE", "0.00767".to_owned()),
            ("LONG_SCALE", "0.01059".to_owned()),
            ("HEIGHT_SCALE", "500".to_owned()),
            ("LINE_NUM_COEFF", coefficients(&[(2, -1.0)])),
            ("LINE_DEN_COEFF", coefficients(&[(0, 1.0)])),
            ("SAMP_NUM_COEFF", coefficients(&[(1, 1.0), (3, 0.2)])),
            ("SAMP_DEN_COEFF", coefficients(&[(0, 1.0)])),
        ] {
            dataset.set_metadata_item(key, &value, "RPC").unwrap();
        }
        dataset.flush_cache().unwrap();
    }
    let run = assert_found_by_gdal(
        &space,
        &fixture.blobs,
        "-rpc -to RPC_HEIGHT=250",
        0.25,
        in_warped_grid,
    );
    let words = georeferencing(&run);
    assert!(words.contains("assumed height of 250 m"), "{words}");
    // The height matters: at zero everything would lie 10 pixels elsewhere.
    let at = |height: &str| {
        transformed(
            &space,
            &format!("-rpc -to RPC_HEIGHT={height}"),
            &[(100.0, 80.0)],
        )[0]
    };
    assert!(distance_m(at("250"), at("0")) > 80.0);
}
