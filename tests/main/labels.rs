//! Training labels of verified places: the right pixels, the right parts, in every format.

use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::{Blob, Fixture, blob, field};
use crate::harness::{Workspace, gdal_tool};

/// Scans a scene and makes a verified layer of its detections: `status` gives the status of each, best first.
fn verified(space: &Workspace, blobs: Vec<Blob>, status: impl Fn(usize) -> Option<&'static str>) {
    Fixture::new((900, 900), blobs).write(space, "scene.tif");
    let run = space.scan("scene.tif");
    let mut layer: Value = serde_json::from_str(&run.bytes("sites.geojson")).unwrap();
    let features = layer["features"].as_array_mut().unwrap();
    assert!(!features.is_empty());
    for (i, feature) in features.iter_mut().enumerate() {
        if let Some(status) = status(i) {
            feature["properties"]["status"] = json!(status);
        }
    }
    space.write("verified.geojson", layer.to_string());
}

fn read(space: &Workspace, name: &str) -> String {
    std::fs::read_to_string(space.path(name)).unwrap()
}

fn document(space: &Workspace, name: &str) -> Value {
    serde_json::from_str(&read(space, name)).unwrap()
}

/// Numbers of a line, and its words.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

#[test]
fn boxes_lie_on_the_blobs_in_every_format() {
    let space = Workspace::new();
    verified(&space, vec![blob(300.0, 310.0)], |_| Some("confirmed"));
    let said = space.succeed(
        "labels run --model blob --verified verified.geojson --out labels --val 0 --test 0 --chip-px 64",
    );
    insta::assert_snapshot!("labels_of_one_place", said);
    let coco = document(&space, "labels/annotations/train.coco.json");
    let image = &coco["images"][0];
    let bbox: Vec<f64> = serde_json::from_value(coco["annotations"][0]["bbox"].clone()).unwrap();
    let (x, y) = (bbox[0] + bbox[2] / 2.0, bbox[1] + bbox[3] / 2.0);
    // The brightest pixel of the picture is the middle of the blob, and of the box.
    let name = image["file_name"].as_str().unwrap();
    let picture = space.path(format!("labels/images/train/{name}"));
    let at = |x: f64, y: f64| -> f64 {
        let picture = picture.to_str().unwrap();
        let place = format!("{} {}", x.floor(), y.floor());
        let text = gdal_tool(
            &space.path(""),
            ["gdallocationinfo", "-valonly", "-b", "1", picture],
            &place,
        );
        text.trim().parse().unwrap()
    };
    let middle = at(x, y);
    assert!(middle > 180.0, "{middle}");
    for (dx, dy) in [(-8.0, 0.0), (8.0, 0.0), (0.0, -8.0), (0.0, 8.0)] {
        assert!(at(x + dx, y + dy) < middle);
    }
    // The same box in the other formats.
    let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
    let dota = words(read(&space, &format!("labels/dota/train/{stem}.txt")).trim_end());
    let yolo = words(read(&space, &format!("labels/labels/train/{stem}.txt")).trim_end());
    assert_eq!((&*dota[8], &*dota[9], &*yolo[0]), ("blob", "0", "0"));
    let mean = |numbers: &[String], first: usize| -> f64 {
        let every_other = numbers.iter().skip(first).step_by(2).take(4);
        every_other.map(|n| n.parse::<f64>().unwrap()).sum::<f64>() / 4.0
    };
    assert!(
        (mean(&dota, 0) - x).abs() < 0.1 && (mean(&dota, 1) - y).abs() < 0.1,
        "{dota:?}"
    );
    assert!((mean(&yolo, 1) * 64.0 - x).abs() < 0.1 && (mean(&yolo, 2) * 64.0 - y).abs() < 0.1);
    assert!(read(&space, "labels/dataset.yaml").contains("0: \"blob\""));
}

#[test]
fn rejected_places_are_ground_and_undecided_ones_are_left_out() {
    let space = Workspace::new();
    let blobs = vec![blob(150.0, 150.0), blob(450.0, 450.0), blob(750.0, 750.0)];
    let statuses = ["confirmed", "rejected", "contested"];
    verified(&space, blobs, |i| Some(statuses[i]));
    let said = space.succeed(
        "labels run --model blob --verified verified.geojson --out labels --val 0 --test 0 --chip-px 64 --format yolo-obb",
    );
    insta::assert_snapshot!("labels_of_three_places", said);
    let counts = &document(&space, "labels/labels.json")["counts"];
    let train = &counts["parts"]["train"];
    assert_eq!(
        (&train["chips"], &train["background"], &counts["undecided"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let lines: Vec<usize> = ["000001", "000002"]
        .map(|chip| {
            read(&space, &format!("labels/labels/train/{chip}.txt"))
                .lines()
                .count()
        })
        .to_vec();
    assert_eq!(lines.iter().sum::<usize>(), 1);
    assert!(!space.path("labels/dota").exists() && !space.path("labels/annotations").exists());
}

#[test]
fn parts_share_no_ground_and_two_makings_are_the_same() {
    let space = Workspace::new();
    verified(&space, field((900, 900), 80.0, 5), |_| Some("confirmed"));
    let make = |out: &str| {
        space.succeed(&format!(
            "labels run --model blob --verified verified.geojson --out {out} --chip-px 64 --block-km 2 --gap 100 --val 0.2 --test 0.2"
        ))
    };
    make("labels");
    make("again");
    let places = document(&space, "labels/chips.geojson");
    assert_eq!(places, document(&space, "again/chips.geojson"));
    let chips = places["features"].as_array().unwrap();
    let boxes: Vec<(&str, [f64; 4])> = chips
        .iter()
        .map(|chip| {
            let ring: Vec<[f64; 2]> =
                serde_json::from_value(chip["geometry"]["coordinates"][0].clone()).unwrap();
            let along = |axis: usize| ring.iter().map(move |p| p[axis]);
            let low = |axis| along(axis).fold(f64::INFINITY, f64::min);
            let high = |axis| along(axis).fold(f64::NEG_INFINITY, f64::max);
            (
                chip["properties"]["part"].as_str().unwrap(),
                [low(0), low(1), high(0), high(1)],
            )
        })
        .collect();
    let mut parts: Vec<&str> = boxes.iter().map(|b| b.0).collect();
    parts.sort_unstable();
    parts.dedup();
    assert_eq!(parts, ["test", "train", "val"]);
    for (part, a) in &boxes {
        for (other, b) in boxes.iter().filter(|(other, _)| other != part) {
            let apart = a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1];
            assert!(apart, "{part} and {other} share ground");
        }
    }
    let picture = |out: &str| std::fs::read(space.path(format!("{out}/images/train/000001.png")));
    assert_eq!(picture("labels").ok(), picture("again").ok());
}

#[test]
fn nothing_is_half_made() {
    let space = Workspace::new();
    verified(&space, vec![blob(300.0, 310.0)], |_| Some("unverified"));
    let refused = |rest: &str| {
        let outcome = space.run(&format!("labels run --model blob --verified {rest}"));
        assert!(
            outcome.code == Some(1) || outcome.code == Some(2),
            "{outcome:?}"
        );
        outcome.stderr
    };
    space.write("full.txt", "mine");
    let sure = read(&space, "verified.geojson").replace("unverified", "confirmed");
    space.write("sure.geojson", sure);
    let texts = [
        refused("verified.geojson --out labels"),
        refused("nowhere.geojson --out labels"),
        refused("sure.geojson --out ."),
        refused("sure.geojson --out full.txt"),
        refused("sure.geojson --out labels --chip-px 4"),
        refused("verified.geojson --out labels --val 0.7 --test 0.3"),
        refused("verified.geojson --out labels --gap -1"),
        refused("run/run.json --out labels"),
    ];
    insta::assert_snapshot!("labels_refused", texts.concat());
    assert!(!space.path("labels").exists());
    assert!(
        space
            .run("labels nowhere --verified verified.geojson --out labels")
            .code
            == Some(1)
    );
    let left: Vec<_> = std::fs::read_dir(space.path(""))
        .unwrap()
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(".kilnsight")
        })
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
