//! The model that ships, on the demo scene that ships, and on real tiles where they are at hand.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::Workspace;

fn in_checkout(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Scans `scenes` with the shipped model and compares them with `truth`: the report.
fn evaluated(space: &Workspace, scenes: &[PathBuf], truth: &Path) -> Value {
    let scanned = space
        .command("scan --out run --overview --model")
        .arg(in_checkout("models/kiln-s2"))
        .args(scenes)
        .output()
        .unwrap();
    assert!(
        scanned.status.success(),
        "{}",
        String::from_utf8_lossy(&scanned.stderr)
    );
    let report = space
        .command("evaluate run --json --truth")
        .arg(truth)
        .output()
        .unwrap();
    assert!(
        report.status.success(),
        "{}",
        String::from_utf8_lossy(&report.stderr)
    );
    serde_json::from_slice(&report.stdout).unwrap()
}

fn average_precision(report: &Value, criterion: &str, key: &str, value: f64) -> f64 {
    let results = report["overall"]["criteria"].as_array().unwrap();
    let result = results
        .iter()
        .find(|r| r["criterion"] == criterion && r[key].as_f64() == Some(value))
        .unwrap();
    result["ap"].as_f64().unwrap()
}

#[test]
fn every_shipped_model_answers_as_its_makers_saw() {
    let mut checked = 0;
    for model in std::fs::read_dir(in_checkout("models")).unwrap() {
        let model = model.unwrap().path();
        let output = Workspace::new()
            .command("model check")
            .arg(&model)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("the answer is the one in"), "{said}");
        checked += 1;
    }
    assert!(checked > 0);
}

#[test]
fn the_shipped_model_finds_most_kilns_of_the_demo_scene() {
    let space = Workspace::new();
    let report = evaluated(
        &space,
        &[in_checkout("data/demo/scene.tif")],
        &in_checkout("data/demo/truth.geojson"),
    );
    assert!(
        average_precision(&report, "iou", "min_iou", 0.3) > 0.8,
        "{report:#}"
    );
    let picture = std::fs::read(space.path("run/overview.png")).unwrap();
    assert_eq!(&picture[1..4], b"PNG");

    // Most kilns, and not much else, at a middling score.
    let at_scores = report["overall"]["criteria"][0]["at_scores"]
        .as_array()
        .unwrap();
    let at_half = at_scores.iter().find(|at| at["min_score"] == 0.5).unwrap();
    for figure in ["precision", "recall"] {
        assert!(at_half[figure].as_f64().unwrap() > 0.75, "{at_half:#}");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn the_shipped_model_finds_most_kilns_of_real_tiles() {
    let tiles = in_checkout("../shared/data/kilns-s2");
    if !tiles.is_dir() {
        eprintln!("skipped: needs ../shared/data/kilns-s2");
        return;
    }
    let mut scenes: Vec<PathBuf> = std::fs::read_dir(tiles.join("scenes"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scenes.sort();
    let space = Workspace::new();
    let report = evaluated(&space, &scenes, &tiles.join("annotations.coco.json"));
    // Its training tiles: this checks the way from pixels to boxes, not the model, which CARD.md speaks of.
    assert!(average_precision(&report, "iou", "min_iou", 0.3) > 0.9);
    assert!(average_precision(&report, "centre_distance", "max_distance_m", 50.0) > 0.9);
    assert_eq!(report["overall"]["truth"], 109);
    assert_eq!(report["overall"]["ignore_regions"], 11);
}
