//! Every output head, on a model of a few kilobytes, against an independent decode of the same raw tensors.
//!
//! `scripts/make_test_heads.py` makes the models and decodes them in Python into `expected.json`. Most models carry
//! the metadata of an export and no card.

use std::collections::BTreeMap;
use std::fmt::Write;

use kilnsight::geometry::{azimuth_deg, distance_m};
use serde_json::{Value, json};

use crate::fixture::{Blob, Fixture, GSD_M, true_places};
use crate::harness::{Run, Workspace, gdal_tool, test_data};

/// Side of the scene and of its chips.
const SIDE: usize = 64;
/// Where the scene lies: in UTM 44 N, as far from the central meridian as the other fixtures.
const PLACE: [&str; 4] = ["300000", "3000000", "300640", "2999360"];

/// A folder with the models and the scene `a.tif`, of 10 m pixels.
fn space() -> Workspace {
    let space = Workspace::new();
    for entry in std::fs::read_dir(test_data("heads")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, space.path(from.file_name().unwrap())).unwrap();
    }
    let options = ["gdal_translate", "-q", "-a_srs", "EPSG:32644", "-a_ullr"];
    let files = ["scene.png", "a.tif"];
    gdal_tool(
        &space.path(""),
        options.into_iter().chain(PLACE).chain(files),
        "",
    );
    space
}

fn expected(space: &Workspace, model: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(space.path("expected.json")).unwrap();
    let all: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).unwrap();
    all[model].clone()
}

fn scan(space: &Workspace, model: &str, options: &str) -> Run {
    scan_scene(space, "a.tif", model, options)
}

fn scan_scene(space: &Workspace, scene: &str, model: &str, options: &str) -> Run {
    let out = format!("run-{model}");
    space.succeed(&format!(
        "scan {scene} --model {model}.onnx --workers 1 --out {out} {options}"
    ));
    space.read_run(&out)
}

/// Asserts that a model finds what the independent decode of its tensors says, corner by corner.
fn assert_decoded(space: &Workspace, model: &str) {
    assert_decoded_in(space, "a.tif", model, model, "--gsd 10");
}

/// The same in a scene, for what is expected under a name.
fn assert_decoded_in(space: &Workspace, scene: &str, model: &str, name: &str, options: &str) {
    let expected = expected(space, name);
    assert!(
        (10..60).contains(&expected.len()),
        "some are found, some are not"
    );
    let detections = scan_scene(space, scene, model, options).layer("detections");
    assert_eq!(detections.len(), expected.len(), "{model}");
    let pixels: Vec<(f64, f64)> = expected
        .iter()
        .flat_map(|b| b["corners"].as_array().unwrap())
        .map(|p| (p[0].as_f64().unwrap(), p[1].as_f64().unwrap()))
        .collect();
    let places = true_places(space, scene, &pixels);
    for (wanted, corners) in expected.iter().zip(places.chunks_exact(4)) {
        let middle = kilnsight::geometry::LonLat::new(
            corners.iter().map(|p| p.lon).sum::<f64>() / 4.0,
            corners.iter().map(|p| p.lat).sum::<f64>() / 4.0,
        );
        let (found, _) = detections.nearest(middle);
        for corner in corners {
            let off = found
                .corners()
                .into_iter()
                .map(|own| distance_m(own, *corner))
                .fold(f64::INFINITY, f64::min);
            // The seventh decimal of a degree.
            assert!(off < 1e-3 * GSD_M, "{model}: a corner is {off} m off");
        }
        let score = wanted["score"].as_f64().unwrap();
        assert!(
            (found.number("score") - score).abs() < 2e-6,
            "{model}: {score}"
        );
        assert_eq!(found.text("class"), wanted["class"].as_str().unwrap());
        let sides = [0, 1].map(|i| distance_m(corners[i], corners[i + 1]));
        let long = usize::from(sides[1] > sides[0]);
        let angle = azimuth_deg(corners[long], corners[long + 1]);
        let off = (found.number("angle_deg") - angle + 90.0).rem_euclid(180.0) - 90.0;
        let square = (sides[0] - sides[1]).abs() < 0.5;
        assert!(square || off.abs() < 0.02, "{model}: {off} degrees off");
    }
}

#[test]
fn an_oriented_ultralytics_export_without_a_card_finds_what_its_tensors_say() {
    assert_decoded(&space(), "yolo-obb");
}

#[test]
fn detection_exports_without_a_card_find_what_their_tensors_say() {
    let space = space();
    for model in ["yolo-v8", "yolo-v5", "end2end", "end2end-obb", "rt-detr"] {
        assert_decoded(&space, model);
    }
}

#[test]
fn inputs_of_other_types_and_batches_are_fed() {
    let space = space();
    for model in ["half", "bytes", "quantized", "qdq", "batch-of-three"] {
        assert_decoded(&space, model);
    }
}

/// The scene's upper left, smaller than the input of any model: `edge.tif`.
fn write_edge(space: &Workspace) {
    let cut = ["gdal_translate", "-q", "-srcwin", "0", "0", "30", "30"];
    gdal_tool(
        &space.path(""),
        cut.into_iter().chain(["a.tif", "edge.tif"]),
        "",
    );
}

#[test]
fn beyond_the_edge_of_a_scene_is_what_the_model_was_trained_with() {
    let space = space();
    write_edge(&space);
    assert_decoded_in(&space, "edge.tif", "yolo-v5", "edge", "--gsd 10");
    // A card that says black finds something else along the edge.
    let grey = space.read_run("run-yolo-v5").bytes("detections.geojson");
    write_card(&space, "yolo-v5", |card| {
        card["kilnsight:head"] = json!("yolo");
    });
    let black = scan_scene(&space, "edge.tif", "yolo-v5", "--fresh");
    assert_ne!(grey, black.bytes("detections.geojson"));
}

#[test]
fn an_input_that_is_no_square_is_filled_up() {
    let space = space();
    write_edge(&space);
    assert_decoded_in(&space, "edge.tif", "wide", "wide", "--gsd 10");
    write_card(&space, "wide", |card| {
        card["kilnsight:head"] = json!("yolo-obb");
        card["kilnsight:chip_px"] = json!(48);
        card["kilnsight:padding"] = json!(114.0 / 255.0);
        card["mlm:input"][0]["input"] = json!({"shape": [1, 3, 48, 64]});
    });
    assert_decoded_in(&space, "edge.tif", "wide", "wide", "--fresh");
}

#[test]
fn chips_that_go_through_together_find_what_they_find_alone() {
    let space = space();
    winding((300, 210)).write(&space, "w.tif");
    let mut layers = Vec::new();
    for (name, options) in [
        ("alone", "--workers 1"),
        ("pairs", "--workers 2 --batch 2"),
        ("many", "--workers 1 --batch 7"),
    ] {
        space.succeed(&format!(
            "scan w.tif a.tif --model yolo-v8.onnx --gsd 10 --out {name} {options}"
        ));
        layers.push(space.read_run(name).results());
    }
    assert_eq!(layers[0], layers[1]);
    assert_eq!(layers[0], layers[2]);
    // A file of fixed batch takes no more than that.
    let scan = "scan a.tif --model batch-of-three.onnx --gsd 10";
    space.succeed(&format!("{scan} --out three --batch 3"));
    let refused = space.run(&format!("{scan} --out four --batch 4"));
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--batch 3"), "{}", refused.stderr);
}

/// A card for one of the models.
fn write_card(space: &Workspace, model: &str, change: impl FnOnce(&mut Value)) {
    let mut card = json!({
        "mlm:name": model,
        "mlm:input": [{
            "name": "images",
            "bands": ["red", "green", "blue"],
            "value_scaling": [{"type": "min-max", "minimum": 0, "maximum": 255}],
        }],
        "mlm:output": [{"classification:classes": [{"name": "kiln"}, {"name": "camp"}]}],
        "kilnsight:gsd_m": 10, "kilnsight:chip_px": SIDE, "kilnsight:overlap_m": 160,
        "kilnsight:nms_iou": 0.45, "kilnsight:min_score": 0.25,
    });
    change(&mut card);
    space.write(&format!("{model}.json"), card.to_string());
}

#[test]
fn two_outputs_are_read_with_a_card() {
    let space = space();
    write_card(&space, "rf-detr", |card| {
        card["kilnsight:head"] = json!("detr");
    });
    assert_decoded(&space, "rf-detr");
}

fn mask_card(card: &mut Value, chip_px: usize) {
    card["kilnsight:head"] = json!("mask");
    card["kilnsight:mask"] = json!({"background": "background", "simplify_m": 0});
    card["mlm:output"] = json!([
        {"classification:classes": [{"name": "background"}, {"name": "field"}]},
    ]);
    card["kilnsight:chip_px"] = json!(chip_px);
    card["kilnsight:size_multiple"] = json!(8);
    card["kilnsight:min_score"] = json!(0.5);
}

/// Areas of a model whose card says how much ground a structure takes have a range of how many they can hold.
#[test]
fn areas_hold_a_range_of_structures() {
    let space = space();
    write_card(&space, "mask", |card| {
        mask_card(card, SIDE);
        card["kilnsight:mask"]["structure_m2"] = json!([150.0, 4000.0]);
    });
    space.succeed("scan a.tif --model mask.onnx --workers 1 --out run");
    let run = space.read_run("run");
    for name in ["detections", "sites"] {
        let layer = run.layer(name);
        layer.assert_valid();
        assert!(layer.len() > 0);
        for feature in &layer.features {
            let area = feature.number("area_m2");
            let fewest = (area / 4000.0).floor().max(1.0);
            // The area is written in whole square metres.
            let most = (area / 150.0).ceil();
            assert_eq!(feature.number("structures_min"), fewest);
            assert!((feature.number("structures_max") - most).abs() <= 1.0);
        }
    }
    write_card(&space, "mask", |card| {
        mask_card(card, SIDE);
        card["kilnsight:mask"]["structure_m2"] = json!([40.0, 10.0]);
    });
    let refused = space.run("scan a.tif --model mask.onnx --workers 1 --out refused");
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .contains("`structure_m2` must be [least, most] square metres"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_mask_becomes_areas_of_as_many_pixels() {
    let space = space();
    // Its metadata tell the resolution.
    let rough = scan(&space, "mask", "").layer("sites");
    write_card(&space, "mask", |card| mask_card(card, SIDE));
    let run = {
        space.succeed("scan a.tif --model mask.onnx --workers 1 --out exact");
        space.read_run("exact")
    };
    let expected = expected(&space, "mask");
    for name in ["detections", "sites"] {
        let layer = run.layer(name);
        layer.assert_valid();
        assert_eq!(layer.len(), expected.len(), "{name}");
        let tells = |f: &crate::layers::Feature| f.names().contains(&"structures_min");
        assert!(!layer.features.iter().any(tells), "the card says no size");
        for wanted in &expected {
            let pixels = wanted["pixels"].as_f64().unwrap();
            // UTM is off by up to 0.1 % in length here.
            let close = |f: &&crate::layers::Feature| {
                (f.number("area_m2") / (pixels * 100.0) - 1.0).abs() < 3e-3
            };
            let found = layer.features.iter().find(close).unwrap();
            let score = wanted["score"].as_f64().unwrap();
            assert!((found.number("score") - score).abs() < 1e-5);
            assert!(found.flag("border"), "all reach the edge of the scene");
        }
    }
    assert_eq!(rough.len(), expected.len());
    let corners = |layer: &crate::layers::Layer| -> usize {
        let polygons = layer.features.iter().flat_map(|f| &f.polygons);
        polygons.map(|p| p[0].len()).sum()
    };
    let total = |layer: &crate::layers::Layer| -> f64 {
        layer.features.iter().map(|f| f.number("area_m2")).sum()
    };
    let exact = run.layer("sites");
    let (few, many) = (corners(&rough), corners(&exact));
    assert!(
        few * 10 < many * 9,
        "stairs are simplified away: {few} of {many} corners"
    );
    assert!((total(&rough) / total(&exact) - 1.0).abs() < 0.05);
}

/// A wide ring and a winding line, both across many chips, and a spot.
fn winding(size: (usize, usize)) -> Fixture {
    let spot = |x: f64, y: f64| Blob {
        x,
        y,
        height: 150.0,
    };
    let ring = (0..48).map(|i| {
        let (sin, cos) = (f64::from(i) / 48.0 * std::f64::consts::TAU).sin_cos();
        spot(100.0 + 40.0 * cos, 70.0 + 40.0 * sin)
    });
    let line = (0..40).map(|i| {
        let x = 10.0 + 4.5 * f64::from(i);
        spot(x, 150.0 + 12.0 * (x / 15.0).sin())
    });
    let mut fixture = Fixture::new(size, ring.chain(line).chain([spot(190.5, 30.5)]).collect());
    fixture.sigma = (2.5, 2.5);
    fixture
}

#[test]
fn areas_are_whole_whatever_the_chips_and_the_workers() {
    let space = space();
    winding((210, 180)).write(&space, "w.tif");
    let mut results = Vec::new();
    for (name, chip_px, options) in [
        ("one", 256, "--workers 1"),
        ("cut", 64, "--workers 1"),
        ("more", 64, "--workers 4"),
        ("tight", 48, "--workers 2 --overlap 0"),
        ("wide", 64, "--workers 2 --overlap 400"),
    ] {
        std::fs::copy(space.path("mask.onnx"), space.path(format!("{name}.onnx"))).unwrap();
        write_card(&space, name, |card| mask_card(card, chip_px));
        let outcome = space.run(&format!(
            "scan w.tif --model {name}.onnx --out {name} {options}"
        ));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let layer = space.read_run(name).layer("sites");
        layer.assert_valid();
        let mut shapes: Vec<_> = layer
            .features
            .iter()
            .map(|f| (f.id.clone(), f.number("area_m2"), f.polygons.clone()))
            .collect();
        shapes.sort_by(|a, b| a.1.total_cmp(&b.1));
        results.push((name, shapes));
    }
    let (_, whole) = &results[0];
    assert_eq!(whole.len(), 3);
    let holes: usize = whole.iter().map(|(.., p)| p[0].len() - 1).sum();
    assert_eq!(holes, 1, "the ring keeps its hole");
    for (name, shapes) in &results[1..] {
        let areas = |s: &[(Option<String>, f64, _)]| s.iter().map(|a| a.1).collect::<Vec<_>>();
        assert_eq!(areas(shapes), areas(whole), "{name}");
        for (found, wanted) in shapes.iter().zip(whole) {
            assert_eq!(found.2, wanted.2, "{name}");
        }
    }
}

#[test]
fn chips_of_a_class_that_touch_are_one_site() {
    let space = space();
    let sites = scan(&space, "classifier", "--gsd 10 --overlap 0").layer("sites");
    sites.assert_valid();
    // From the scores in expected.json, of at least one half, on the grid of 4 × 4 chips (k: kiln, c: camp):
    //   k k k k
    //   c k k c
    //   k k k c
    //   k c c k
    let cells = |class: &str| -> Vec<f64> {
        let own = sites.features.iter().filter(|s| s.text("class") == class);
        let mut cells: Vec<f64> = own
            .map(|s| (s.number("area_m2") / (160.0 * 160.0) * 100.0).round() / 100.0)
            .collect();
        cells.sort_by(f64::total_cmp);
        cells
    };
    assert_eq!(cells("kiln"), [1.0, 10.0]);
    assert_eq!(cells("camp"), [1.0, 2.0, 2.0]);
    let expected = expected(&space, "classifier");
    let alone = sites
        .features
        .iter()
        .find(|s| s.text("class") == "kiln" && s.number("area_m2") < 30_000.0);
    let score = expected[3][3][0].as_f64().unwrap();
    assert!((alone.unwrap().number("score") - score).abs() < 1e-5);
}

#[test]
fn nodata_and_an_area_of_interest_cut_areas() {
    let space = space();
    let mut fixture = winding((210, 180));
    fixture.holes = vec![[90, 0, 110, 180]];
    fixture.write(&space, "w.tif");
    write_card(&space, "mask", |card| mask_card(card, SIDE));
    let sites = |out: &str, options: &str| {
        space.succeed(&format!(
            "scan w.tif --model mask.onnx --out {out} {options}"
        ));
        let layer = space.read_run(out).layer("sites");
        layer.assert_valid();
        layer
    };
    let cut = sites("cut", "");
    // The ring and the line fall in two each; the spot stays.
    assert_eq!(cut.len(), 5);
    assert_eq!(cut.features.iter().filter(|s| s.flag("border")).count(), 4);
    let [west, south, east, north] = {
        let corners = true_places(&space, "w.tif", &[(110.0, 110.0), (210.0, 0.0)]);
        [
            corners[0].lon,
            corners[0].lat,
            corners[1].lon,
            corners[1].lat,
        ]
    };
    let inside = sites("inside", &format!("--aoi {west},{south},{east},{north}"));
    assert_eq!(inside.len(), 2, "half of the ring, and the spot");
}

#[test]
fn what_a_model_without_a_card_expects_is_told() {
    let space = space();
    insta::assert_snapshot!(
        [
            space.succeed("model info yolo-obb.onnx"),
            space.succeed("model info mask.onnx"),
        ]
        .join("\n")
    );
}

#[test]
fn a_card_counts_more_than_the_metadata_and_the_difference_is_told() {
    let space = space();
    write_card(&space, "yolo-v8", |card| {
        card["kilnsight:head"] = json!("yolo");
        card["kilnsight:size_multiple"] = json!(32);
        card["mlm:output"] = json!([{"classification:classes": [{"name": "a"}, {"name": "b"}]}]);
    });
    let outcome = space.run("scan a.tif --model yolo-v8.onnx --out run --workers 1");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    insta::assert_snapshot!(outcome.stderr);
    let classes: Vec<Value> = space.read_run("run").layer("sites").features[..1]
        .iter()
        .map(|s| s.properties["class"].clone())
        .collect();
    assert!(classes[0] == "a" || classes[0] == "b");
}

#[test]
fn models_that_cannot_be_read_are_refused_by_name() {
    let space = space();
    let mut said = String::new();
    let mut add = |what: &str, options: &str| {
        let outcome = space.run(&format!("scan a.tif --out run --workers 1 {options}"));
        let code = outcome.code.unwrap();
        let last = outcome.stderr.lines().last().unwrap_or_default();
        writeln!(said, "{what}\n  {code}  {last}").unwrap();
    };
    add("no ground size", "--model yolo-obb.onnx");
    add("a task that is not read", "--model pose.onnx --gsd 10");
    add("neither card nor metadata", "--model silent.onnx --gsd 10");
    add("bands last", "--model bands-last.onnx --gsd 10");
    add(
        "an overlap of a whole chip",
        "--model yolo-obb.onnx --gsd 10 --overlap 640",
    );
    add(
        "a device that the library lacks",
        "--model yolo-obb.onnx --gsd 10 --device cuda:1",
    );
    write_card(&space, "yolo-obb", |card| {
        card["kilnsight:head"] = json!("yolo");
    });
    add("a card of another head", "--model yolo-obb.onnx");
    write_card(&space, "mask", |card| {
        mask_card(card, SIDE);
        card["kilnsight:mask"]["background"] = json!("nothing");
    });
    add("a background that is no class", "--model mask.onnx");
    write_card(&space, "classifier", |card| {
        card["kilnsight:head"] = json!("classifier");
        card["kilnsight:chip_px"] = json!(16);
        card["kilnsight:classifier"] = json!({"softmax": true});
    });
    add(
        "an option that a head does not have",
        "--model classifier.onnx",
    );
    insta::with_settings!({filters => vec![(r"libonnxruntime\S* \([^)]*\)", "LIBRARY")]}, {
        insta::assert_snapshot!(said);
    });
    assert!(!space.path("run").exists(), "nothing was scanned");
}
