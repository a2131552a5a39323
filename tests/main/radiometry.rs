//! Bands, numbers and resolutions of scenes that are not what the model was trained on.

use crate::fixture::{Fixture, Pixels, UTM, blob, blob_places, field};
use crate::harness::{Run, Workspace, gdal_tool};

fn scores(run: &Run) -> Vec<f64> {
    let sites = run.layer("sites");
    sites.features.iter().map(|s| s.number("score")).collect()
}

/// Everything about the detections but the name of the scene.
fn without_scene(run: &Run) -> Vec<String> {
    run.layer("detections")
        .features
        .into_iter()
        .map(|mut feature| {
            feature
                .properties
                .retain(|name, _| !["id", "scene"].contains(&name.as_str()));
            format!("{:?} {:?}", feature.polygons, feature.properties)
        })
        .collect()
}

#[test]
fn sixteen_bits_with_a_scale_equal_their_eight_bit_twin() {
    let space = Workspace::new();
    let fixture = Fixture::new((200, 160), field((200, 160), 40.0, 20));
    fixture.write(&space, "bytes.tif");
    // Powers of two, so that the arithmetic is exact.
    gdal_tool(
        &space.path(""),
        [
            "gdal_translate",
            "-q",
            "-ot",
            "UInt16",
            "-scale",
            "0",
            "255",
            "1024",
            "5104",
            "bytes.tif",
            "wide.tif",
        ],
        "",
    );
    let bytes = space.scan_into("bytes", "bytes.tif");
    let wide = space.scan_into("wide", "wide.tif --scale 0.0625 --offset -64");
    assert!(!without_scene(&bytes).is_empty());
    assert_eq!(without_scene(&bytes), without_scene(&wide));
    let radiometry = &wide.record()["scenes"][0]["radiometry"];
    assert_eq!(radiometry["scale"], 0.0625);
    assert_eq!(radiometry["offset"], -64.0);
    assert_eq!(radiometry["origin"], "as given");
}

#[test]
fn a_stretch_that_the_card_asks_for_is_measured_once_and_recorded() {
    let space = Workspace::new();
    space.write_model("stretching", |card| {
        card["kilnsight:stretch"] = serde_json::json!({"percentiles": [0.1, 99.9]});
    });
    let mut fixture = Fixture::new((300, 200), field((300, 200), 50.0, 21));
    fixture.pixels = Pixels::UInt16;
    fixture.units = (12.0, 300.0);
    fixture.write(&space, "a.tif");
    space.succeed("scan a.tif --model stretching --out run");
    let run = space.read_run("run");
    assert_eq!(run.layer("sites").len(), fixture.blobs.len());
    let record = run.record();
    let radiometry = &record["scenes"][0]["radiometry"];
    let origin = radiometry["origin"].as_str().unwrap();
    assert!(
        origin.starts_with("scene-wide stretch: percentiles 0.1 to 99.9 of the scene"),
        "{origin}"
    );
    // From the darkest ground, 66 grey values, to the brightest blobs, over the model's 0 to 255.
    let (scale, offset) = (
        radiometry["scale"].as_f64().unwrap(),
        radiometry["offset"].as_f64().unwrap(),
    );
    let low = (66.0 * 12.0 + 300.0) * scale + offset;
    assert!(low.abs() < 3.0, "the ground is at {low}");
}

#[test]
fn a_fifteen_metre_scene_under_a_ten_metre_model_has_its_blobs_where_they_are() {
    at_another_resolution(15.0);
}

#[test]
fn a_five_metre_scene_under_a_ten_metre_model_has_its_blobs_where_they_are() {
    at_another_resolution(5.0);
}

#[test]
fn a_scene_whose_pixels_do_not_divide_is_not_rounded() {
    at_another_resolution(7.3);
}

fn at_another_resolution(pixel_m: f64) {
    let space = Workspace::new();
    let (epsg, [x, _, _, y, _, _]) = UTM;
    let pixels = |metres: f64| metres / pixel_m;
    let size = (pixels(4010.0) as usize, pixels(3030.0) as usize);
    let blobs = field((401, 303), 40.0, 22)
        .into_iter()
        .map(|mut b| {
            (b.x, b.y) = (pixels(b.x * 10.0), pixels(b.y * 10.0));
            b
        })
        .collect();
    let mut fixture = Fixture::new(size, blobs).at(epsg, [x, pixel_m, 0.0, y, 0.0, -pixel_m]);
    fixture.sigma = (pixels(30.0), pixels(30.0));
    fixture.write(&space, "a.tif");
    let sites = space.scan("a.tif").layer("sites");
    let places = blob_places(&space, "a.tif", &fixture.blobs);
    assert_eq!(sites.len(), places.len());
    let (mut sum, n) = ([0.0, 0.0], places.len() as f64);
    for place in places {
        let (site, metres) = sites.nearest(place);
        assert!(metres < 2.0, "{metres} m");
        let off = place.offset_to(site.middle());
        sum[0] += off.east / n;
        sum[1] += off.north / n;
    }
    // Noise goes both ways. A rounded ratio, or a half pixel mislaid, would push all blobs one way.
    assert!(sum[0].hypot(sum[1]) < 0.3, "{sum:?} m on average");
}

#[test]
fn a_vrt_and_a_cloud_optimized_geotiff_give_what_the_plain_file_gives() {
    let space = Workspace::new();
    Fixture::new((300, 260), field((300, 260), 40.0, 23)).write(&space, "a.tif");
    let folder = space.path("");
    gdal_tool(
        &folder,
        ["gdal_translate", "-q", "-of", "VRT", "a.tif", "a.vrt"],
        "",
    );
    gdal_tool(
        &folder,
        ["gdal_translate", "-q", "-of", "COG", "a.tif", "cog.tif"],
        "",
    );
    gdal_tool(
        &folder,
        [
            "gdal_translate",
            "-q",
            "-co",
            "INTERLEAVE=BAND",
            "-co",
            "COMPRESS=DEFLATE",
            "a.tif",
            "striped.tif",
        ],
        "",
    );
    let plain = without_scene(&space.scan_into("plain", "a.tif"));
    for other in ["a.vrt", "cog.tif", "striped.tif"] {
        let run = space.scan_into(other.split('.').next().unwrap(), other);
        assert_eq!(plain, without_scene(&run), "{other}");
    }
}

#[test]
fn a_fine_scene_read_through_its_overviews_has_its_blobs_where_they_are() {
    let space = Workspace::new();
    // GDAL takes the pixels of a 10 m model from the second overview of a 2.5 m scene.
    let (epsg, [x, _, _, y, _, _]) = UTM;
    let mut fixture = Fixture::new((1200, 1100), field((1200, 1100), 160.0, 24))
        .at(epsg, [x, 2.5, 0.0, y, 0.0, -2.5]);
    fixture.sigma = (12.0, 12.0);
    fixture.write(&space, "plain.tif");
    let folder = space.path("");
    let arguments = ["gdal_translate", "-q", "-of", "COG", "plain.tif", "a.tif"];
    gdal_tool(&folder, arguments, "");
    assert!(gdal_tool(&folder, ["gdalinfo", "a.tif"], "").contains("Overviews: 600x550, 300x275"));
    for scene in ["plain.tif", "a.tif"] {
        let run = space.scan_into("run", &format!("{scene} --fresh"));
        let sites = run.layer("sites");
        assert_eq!(sites.len(), fixture.blobs.len(), "{scene}");
        for place in blob_places(&space, "plain.tif", &fixture.blobs) {
            let (_, metres) = sites.nearest(place);
            assert!(metres < 2.0, "{metres} m off in {scene}");
        }
    }
}

#[test]
fn bands_are_found_by_name_in_any_order() {
    let space = Workspace::new();
    // Blobs show in red most, and the model weighs red most: any other choice of bands scores lower.
    let mut fixture = Fixture::new((128, 128), vec![blob(60.0, 64.0)]);
    fixture.blobs[0].height = 185.0;
    let (red, green, blue) = (1.0, 0.7, 0.4);
    // Left alone, GDAL takes bands of bytes for red, green, blue and alpha.
    fixture.options = vec!["PHOTOMETRIC=MINISBLACK"];
    fixture.bands = vec![("red", red), ("green", green), ("blue", blue)];
    fixture.write(&space, "plain.tif");
    fixture.bands = vec![("B02", blue), ("B03", green), ("B04", red), ("B08", 0.0)];
    fixture.write(&space, "sentinel.tif");
    fixture.bands = vec![("", 0.0), ("", blue), ("", red), ("", green)];
    fixture.write(&space, "unnamed.tif");
    fixture.bands = vec![("", blue), ("", green), ("", red)];
    fixture.write(&space, "bgr.tif");
    let plain = without_scene(&space.scan_into("plain", "plain.tif"));
    assert_eq!(plain.len(), 1);
    for (scene, bands) in [
        ("sentinel.tif", ""),
        ("sentinel.tif", "--bands B04,B03,B02"),
        ("sentinel.tif", "--bands 3,green,B02"),
        ("unnamed.tif", "--bands 3,4,2"),
        ("bgr.tif", "--bands 3,2,1"),
    ] {
        let run = space.scan_into("other", &format!("{scene} {bands} --fresh"));
        assert_eq!(plain, without_scene(&run), "{scene} {bands}");
    }
    let swapped = scores(&space.scan_into("swapped", "bgr.tif --min-score 0.02"));
    let right = scores(&space.scan_into("right", "bgr.tif --bands 3,2,1"));
    assert!(swapped.first().is_none_or(|s| s + 0.1 < right[0]));
}

#[test]
fn a_scene_smaller_than_a_chip_is_scanned_whole() {
    let space = Workspace::new();
    let fixture = Fixture::new((37, 29), vec![blob(20.0, 14.0)]);
    fixture.write(&space, "a.tif");
    for model in ["blob", "blob-typed"] {
        space.succeed(&format!("scan a.tif --model {model} --out {model}-run"));
        let run = space.read_run(&format!("{model}-run"));
        let sites = run.layer("sites");
        assert_eq!(sites.len(), 1, "{model}");
        let place = blob_places(&space, "a.tif", &fixture.blobs)[0];
        assert!(sites.nearest(place).1 < 2.0);
        assert!((run.layer("coverage").area_km2("scanned") - 0.1073).abs() < 2e-4);
    }
}
