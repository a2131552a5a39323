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
    assert_eq!(radiometry["bands"][2]["scale"], 0.0625);
    assert_eq!(radiometry["bands"][2]["offset"], -64.0);
    assert_eq!(radiometry["origin"], "as given: stored × 0.0625 - 64");
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
        radiometry["bands"][0]["scale"].as_f64().unwrap(),
        radiometry["bands"][0]["offset"].as_f64().unwrap(),
    );
    let low = (66.0 * 12.0 + 300.0) * scale + offset;
    assert!(low.abs() < 3.0, "the ground is at {low}");
}

/// A model that takes reflectances of 0 to 0.255 for its 0 to 255.
fn write_reflecting_model(space: &Workspace) {
    space.write_model("reflecting", |card| {
        card["kilnsight:reflectance"] = serde_json::json!([0.0, 0.255]);
    });
}

fn scan_with(space: &Workspace, model: &str, out: &str, rest: &str) -> Run {
    space.succeed(&format!(
        "scan --model {model} --workers 1 --out {out} {rest}"
    ));
    space.read_run(out)
}

/// A scene of reflectance × 10,000 with an offset of 1000, as Sentinel-2 products have stored it since processing
/// baseline 04.00, and its twin of bytes.
fn write_reflectance(space: &Workspace) -> Fixture {
    let mut fixture = Fixture::new((200, 160), field((200, 160), 40.0, 25));
    fixture.holes = vec![[0, 0, 50, 160]];
    fixture.write(space, "bytes.tif");
    fixture.pixels = Pixels::UInt16;
    fixture.units = (10.0, 1000.0);
    fixture.write(space, "plain.tif");
    gdal_tool(
        &space.path(""),
        "gdal_translate -q -a_scale 0.0001 -a_offset -0.1 plain.tif tagged.tif".split(' '),
        "",
    );
    fixture
}

#[test]
fn scale_and_offset_of_the_file_take_it_to_reflectance_and_the_card_to_the_model() {
    let space = Workspace::new();
    write_reflecting_model(&space);
    write_reflectance(&space);
    let bytes = space.scan_into("bytes", "bytes.tif");
    let expected = scores(&bytes);
    assert!(expected.len() > 5);
    for (scene, options) in [
        ("tagged.tif", ""),
        ("plain.tif", "--scale 0.0001 --offset -0.1"),
        ("tagged.tif", "--offset -0.1"),
        ("tagged.tif", "--scale 0.0001"),
    ] {
        let run = scan_with(
            &space,
            "reflecting",
            "run",
            &format!("{scene} {options} --fresh"),
        );
        let found = scores(&run);
        assert_eq!(found.len(), expected.len(), "{scene} {options}");
        for (a, b) in found.iter().zip(&expected) {
            // Bytes are rounded to whole grey values.
            assert!((a - b).abs() < 0.02, "{scene} {options}: {a} and {b}");
        }
        // Zero stays empty: the offset comes after.
        let area = |run: &Run| run.layer("coverage").area_km2("nodata");
        assert!((area(&run) - area(&bytes)).abs() < 1e-6 && area(&run) > 0.5);
        let origin = run.record()["scenes"][0]["radiometry"]["origin"].clone();
        assert!(
            origin.as_str().unwrap().starts_with("reflectance, "),
            "{origin}"
        );
    }
}

#[test]
fn an_offset_by_hand_outranks_the_files() {
    let space = Workspace::new();
    write_reflecting_model(&space);
    write_reflectance(&space);
    let right = scan_with(&space, "reflecting", "right", "tagged.tif");
    // Without the offset everything is brighter by 100 grey values.
    let bright = scan_with(&space, "reflecting", "bright", "tagged.tif --offset 0");
    assert_ne!(scores(&bright), scores(&right));
    let bands = bright.record()["scenes"][0]["radiometry"]["bands"].clone();
    assert_eq!(bands[0]["offset"], 0.0);
    assert!((bands[0]["scale"].as_f64().unwrap() - 0.1).abs() < 1e-9);
    let outcome = space.run("scan tagged.tif --model reflecting --out run --offset -1000");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("give `--scale 0.0001 --offset -0.1`"),
        "{outcome:?}"
    );
}

#[test]
fn what_a_product_says_goes_before_what_its_file_says_band_by_band() {
    use kilnsight::scene::{BandScaling, ScalingOrigin, Scene, SceneOptions, SceneSource};
    let space = Workspace::new();
    write_reflectance(&space);
    let options = SceneOptions {
        wanted_bands: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        bands: Some(["3", "1", "2"].map(str::to_owned).to_vec()),
        ..SceneOptions::default()
    };
    let mut source = SceneSource::file(space.path("tagged.tif").to_str().unwrap());
    let of_file = Scene::open(&source, &options).unwrap();
    assert_eq!(of_file.scaling_origin, Some(ScalingOrigin::File));
    assert_eq!(of_file.scaling.unwrap()[0].offset, -0.1);
    let band = |n: u8| BandScaling {
        scale: 1e-4,
        offset: -0.01 * f64::from(n),
    };
    source.scaling = Some([1, 2, 3].map(band).to_vec());
    let of_product = Scene::open(&source, &options).unwrap();
    assert_eq!(of_product.scaling_origin, Some(ScalingOrigin::Product));
    assert_eq!(of_product.scaling.unwrap(), [band(3), band(1), band(2)]);
}

#[test]
fn a_scan_that_goes_on_keeps_the_stretch_that_it_began_with() {
    let space = Workspace::new();
    space.write_model("stretching", |card| {
        card["kilnsight:stretch"] = serde_json::json!({"percentiles": [0.1, 99.9]});
    });
    let mut fixture = Fixture::new((200, 160), field((200, 160), 50.0, 26));
    fixture.pixels = Pixels::UInt16;
    fixture.units = (12.0, 300.0);
    fixture.write(&space, "a.tif");
    let run = scan_with(&space, "stretching", "run", "a.tif");
    let measured = |run: &Run| run.record()["scenes"][0]["radiometry"]["measured"].clone();
    let others = serde_json::json!([1000.0, 3000.0]);
    assert_ne!(measured(&run), others);
    // Other values in the ledger than those that would be measured now.
    let ledger = rusqlite::Connection::open(run.path().join("ledger.sqlite")).unwrap();
    let changed = "UPDATE scene SET description = json_set(description, '$.radiometry.measured', json('[1000.0,3000.0]'))";
    assert_eq!(ledger.execute(changed, []).unwrap(), 1);
    drop(ledger);
    let outcome = space.run("scan a.tif --model stretching --out run");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(measured(&space.read_run("run")), others);
}

/// Real tiles of 32 × 32 pixels whose zeros no tag declares: some all zero, more with an empty fourth band. Needs the
/// project's data folder, and passes without a look where it is absent.
#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn real_tiles_with_an_empty_band_are_measured_and_all_zero_ones_are_not() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/background-s2");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: needs ../shared/data/background-s2");
        return;
    };
    let mut tiles: Vec<_> = (entries.flatten().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "tif"))
        .collect();
    tiles.sort();
    // Complete, with an empty fourth band, and all zero: three of each.
    let mut kinds: [Vec<usize>; 3] = Default::default();
    for (i, tile) in tiles.iter().enumerate() {
        let dataset = gdal::Dataset::open(tile).unwrap();
        let any = |band: usize| {
            let band = dataset.rasterband(band).unwrap();
            let values = band
                .read_as::<u16>((0, 0), (32, 32), (32, 32), None)
                .unwrap();
            values.data().iter().any(|v| *v > 0)
        };
        let kind = match (any(1) || any(2) || any(3), any(4)) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        };
        if kinds[kind].len() < 3 {
            kinds[kind].push(i);
        }
        if kinds.iter().all(|k| k.len() == 3) {
            break;
        }
    }
    let space = Workspace::new();
    std::fs::create_dir(space.path("tiles")).unwrap();
    for (kind, chosen) in kinds.iter().enumerate() {
        for (n, i) in chosen.iter().enumerate() {
            std::fs::copy(&tiles[*i], space.path(format!("tiles/{kind}-{n}.tif"))).unwrap();
        }
    }
    write_reflecting_model(&space);
    for bands in ["3,2,1", "4,3,2"] {
        let run = scan_with(
            &space,
            "reflecting",
            "run",
            &format!("tiles --bands {bands} --scale 0.0001 --fresh"),
        );
        let record = run.record();
        for scene in record["scenes"].as_array().unwrap() {
            let empty = scene["id"].as_str().unwrap().starts_with('2');
            assert_eq!(scene["chips"]["nodata"], u64::from(empty), "bands {bands}");
            assert_eq!(
                scene["chips"]["scanned"],
                u64::from(!empty),
                "bands {bands}"
            );
        }
    }
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
