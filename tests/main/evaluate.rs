//! Detections against labels.

use kilnsight::geometry::{GroundBox, LonLat, OrientedBox, PixelPoint, azimuth_deg};
use serde_json::{Value, json};

use crate::fixture::{Blob, Fixture, blob, blob_places, field, true_places};
use crate::harness::Workspace;

const SIZE: (usize, usize) = (240, 200);
/// The model's box, in pixels and radians.
const SIDES: (f64, f64) = (12.0, 6.0);
const ANGLE: f64 = std::f64::consts::FRAC_PI_6;

/// Two scanned scenes that do not overlap, and their blobs.
fn scanned() -> (Workspace, [(&'static str, Vec<Blob>); 2]) {
    let space = Workspace::new();
    let scenes = [("north", 50, 3_000_000.0), ("south", 51, 2_990_000.0)].map(|(name, seed, y)| {
        let fixture = Fixture::new(SIZE, field(SIZE, 40.0, seed))
            .at(32644, [300_000.0, 10.0, 0.0, y, 0.0, -10.0]);
        fixture.write(&space, &format!("{name}.tif"));
        (name, fixture.blobs)
    });
    space.scan("north.tif south.tif");
    (space, scenes)
}

/// The outline of a blob's box, in the pixels of its scene.
fn outline(blob: &Blob) -> [(f64, f64); 4] {
    let shape = OrientedBox {
        center: PixelPoint::new(blob.x, blob.y),
        length: SIDES.0,
        width: SIDES.1,
        angle: ANGLE,
    };
    shape.corners().map(|p| (p.x, p.y))
}

fn feature(ring: &[LonLat], properties: &Value) -> Value {
    let mut positions: Vec<[f64; 2]> = ring.iter().map(|p| [p.lon, p.lat]).collect();
    positions.push(positions[0]);
    json!({"type": "Feature", "properties": properties, "geometry": {
        "type": "Polygon", "coordinates": [positions],
    }})
}

fn write_collection(space: &Workspace, name: &str, features: &[Value]) {
    let collection = json!({"type": "FeatureCollection", "features": features});
    space.write(name, collection.to_string());
}

/// Labels on the ground: the boxes of all blobs, placed by GDAL's own tool.
fn write_ground_labels(space: &Workspace, scenes: &[(&str, Vec<Blob>)]) {
    let mut features = Vec::new();
    for (name, blobs) in scenes {
        let pixels: Vec<(f64, f64)> = blobs.iter().flat_map(outline).collect();
        let places = true_places(space, &format!("{name}.tif"), &pixels);
        features.extend(places.chunks_exact(4).map(|ring| feature(ring, &json!({}))));
    }
    write_collection(space, "labels.geojson", &features);
}

/// Labels in pixels, scene by scene.
fn write_pixel_labels(space: &Workspace, scenes: &[(&str, Vec<Blob>)]) {
    let images: Vec<Value> = (1..)
        .zip(scenes)
        .map(|(id, (name, _))| {
            json!({"id": id, "file_name": format!("pictures/{name}.png"), "width": SIZE.0, "height": SIZE.1})
        })
        .collect();
    let annotations: Vec<Value> = (1..)
        .zip(scenes)
        .flat_map(|(id, (_, blobs))| {
            blobs.iter().map(move |blob| {
                let ring: Vec<f64> = outline(blob).iter().flat_map(|&(x, y)| [x, y]).collect();
                json!({"image_id": id, "category_id": 1, "segmentation": [ring]})
            })
        })
        .collect();
    let categories = json!([{"id": 1, "name": "blob"}]);
    let coco = json!({"images": images, "annotations": annotations, "categories": categories});
    space.write("labels.json", coco.to_string());
}

fn report(space: &Workspace, arguments: &str) -> Value {
    serde_json::from_str(&space.succeed(&format!("evaluate {arguments} --json"))).unwrap()
}

/// Asserts that every object was found, and nothing else, by every criterion.
fn assert_perfect(report: &Value, objects: usize) {
    let all = &report["overall"];
    assert_eq!(all["truth"], objects);
    let criteria = all["criteria"].as_array().unwrap();
    assert_eq!(criteria.len(), 3);
    for criterion in criteria {
        assert_eq!(criterion["ap"], 1.0, "{criterion:#}");
        assert_eq!(criterion["at_best_f1"]["f1"], 1.0, "{criterion:#}");
    }
    assert_eq!(report["not_compared"]["truth_outside_scenes"], 0);
}

#[test]
fn a_perfect_scan_has_an_average_precision_of_one() {
    let (space, scenes) = scanned();
    let objects: usize = scenes.iter().map(|(_, blobs)| blobs.len()).sum();
    write_ground_labels(&space, &scenes);
    write_pixel_labels(&space, &scenes);
    for labels in ["labels.geojson", "labels.json"] {
        let report = report(&space, &format!("run --truth {labels}"));
        assert_perfect(&report, objects);
        assert_eq!(report["iou_kind"], "oriented", "{labels}");
        assert_eq!(report["overall"]["scenes"], 2);
    }
}

#[test]
fn a_file_of_boxes_is_compared_as_a_run_is() {
    let (space, scenes) = scanned();
    let objects: usize = scenes.iter().map(|(_, blobs)| blobs.len()).sum();
    write_ground_labels(&space, &scenes);
    write_pixel_labels(&space, &scenes);
    let on_the_ground = report(&space, "run/detections.geojson --truth labels.geojson");
    assert_perfect(&on_the_ground, objects);
    let in_pixels = report(
        &space,
        "run/detections.geojson --truth labels.json --scenes north.tif south.tif",
    );
    assert_perfect(&in_pixels, objects);
}

#[test]
fn misses_and_false_alarms_are_counted() {
    let (space, mut scenes) = scanned();
    let found: usize = scenes.iter().map(|(_, blobs)| blobs.len()).sum();
    // Two that nobody labelled, and three labels where there is nothing.
    scenes[0].1.truncate(scenes[0].1.len() - 2);
    scenes[1]
        .1
        .extend([(20.0, 20.0), (60.0, 20.0), (100.0, 20.0)].map(|(x, y)| blob(x, y + 20.0)));
    write_ground_labels(&space, &scenes);
    let report = report(&space, "run --truth labels.geojson --distance 50");
    let by_distance = &report["overall"]["criteria"][2];
    assert_eq!(by_distance["max_distance_m"], 50.0);
    let at = &by_distance["at_scores"][3];
    assert_eq!(at["min_score"], 0.4);
    assert_eq!(
        [&at["true_positives"], &at["false_positives"], &at["missed"]],
        [&json!(found - 2), &json!(2), &json!(3)]
    );
}

#[test]
fn the_table_and_json_say_the_same() {
    let (space, mut scenes) = scanned();
    scenes[0].1.truncate(10);
    write_ground_labels(&space, &scenes);
    let report = report(&space, "run --truth labels.geojson");
    let table = space.succeed("evaluate run --truth labels.geojson");
    let all = &report["overall"];
    let expected: Vec<String> = all["criteria"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            let [ap, low, high] = ["ap", "ap_low", "ap_high"].map(|name| c[name].as_f64().unwrap());
            assert!(low <= ap && ap <= high);
            format!("{ap:.3} ({low:.3}-{high:.3})")
        })
        .collect();
    let line = table
        .lines()
        .skip_while(|line| !line.starts_with("Average precision"))
        .find(|line| line.trim_start().starts_with("all "))
        .unwrap();
    let counts = format!("{} {}", all["scenes"], all["truth"]);
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(line),
        words(&format!("all {counts} {}", expected.join(" ")))
    );
}

#[test]
fn the_same_command_prints_the_same_numbers() {
    let (space, mut scenes) = scanned();
    scenes[0].1.truncate(10);
    write_ground_labels(&space, &scenes);
    let command = "evaluate run --truth labels.geojson --replicates 200 --seed 7";
    assert_eq!(space.succeed(command), space.succeed(command));
}

#[test]
fn a_report_reads_well() {
    let (space, mut scenes) = scanned();
    scenes[0].1.truncate(10);
    write_pixel_labels(&space, &scenes);
    insta::assert_snapshot!(space.succeed("evaluate run --truth labels.json"));
}

/// The boxes the model draws are those that the labels were made of: a box on the ground says the same as
/// the outline in pixels.
#[test]
fn a_box_on_the_ground_and_its_outline_in_pixels_agree() {
    let space = Workspace::new();
    let fixture = Fixture::new(SIZE, vec![blob(100.3, 90.8)]);
    fixture.write(&space, "a.tif");
    let center = blob_places(&space, "a.tif", &fixture.blobs)[0];
    let (x, y) = (100.3 + ANGLE.cos() * 6.0, 90.8 + ANGLE.sin() * 6.0);
    let end = true_places(&space, "a.tif", &[(x, y)])[0];
    let ground = GroundBox {
        center,
        length_m: 120.0,
        width_m: 60.0,
        angle_deg: azimuth_deg(center, end).rem_euclid(180.0),
    };
    space.scan("a.tif");
    write_collection(
        &space,
        "labels.geojson",
        &[feature(&ground.corners(), &json!({}))],
    );
    let report = report(&space, "run --truth labels.geojson --iou 0.9");
    assert_eq!(report["overall"]["criteria"][0]["ap"], 1.0);
}
