//! Checking a model, and scores that are probabilities.

use serde_json::{Value, json};

use crate::fixture::{Fixture, blob};
use crate::harness::Workspace;

/// What a check prints, without the time it took.
fn checked(space: &Workspace, arguments: &str) -> (Option<i32>, String) {
    let outcome = space.run(arguments);
    let text = outcome.stdout.lines().map(|line| {
        let Some((before, after)) = line.split_once(") in ") else {
            return format!("{line}\n");
        };
        let (_seconds, after) = after.split_once(" s,").unwrap();
        format!("{before}) in ? s,{after}\n")
    });
    (outcome.code, text.collect::<String>() + &outcome.stderr)
}

#[test]
fn a_model_is_checked_against_what_it_answered_before() {
    let space = Workspace::new();
    space.write_model("mine", |card| {
        card["kilnsight:scale"] = json!(1);
    });
    let (code, text) = checked(&space, "model check mine");
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("check_without_a_stored_answer", text);
    let (code, _) = checked(&space, "model check mine --write");
    assert_eq!(code, Some(0));
    let (code, text) = checked(&space, "model check mine");
    assert_eq!(code, Some(0));
    insta::assert_snapshot!("check_with_a_stored_answer", text);

    let stored = std::fs::read_to_string(space.path("mine/reference.json")).unwrap();
    let mut changed: Value = serde_json::from_str(&stored).unwrap();
    let sample = &mut changed["outputs"][0]["samples"][3];
    *sample = json!(sample.as_f64().unwrap() + 0.5);
    space.write("mine/reference.json", changed.to_string());
    let (code, text) = checked(&space, "model check mine");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("check_of_another_answer", text);
    let report = space.run("model check mine --json");
    let report: Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["passed"], false);

    space.write("mine/reference.json", "{");
    let (code, text) = checked(&space, "model check mine");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!("check_of_a_damaged_answer", text);
}

/// Everything after the model sees probabilities: thresholds, layers, the ledger.
#[test]
fn calibrated_scores_pass_for_scores() {
    let space = Workspace::new();
    Fixture::new((256, 256), vec![blob(60.0, 60.0), blob(150.0, 90.0)]).write(&space, "scene.tif");
    space.write_model("raw", |_| {});
    space.write_model("calibrated", |card| {
        card["kilnsight:calibration"] =
            json!({"method": "piecewise-linear", "points": [[0, 0], [0.5, 0.1], [1, 0.4]]});
        card["kilnsight:min_score"] = json!(0.2);
    });
    let scores = |model: &str, rest: &str| -> Vec<f64> {
        let out = format!("run-{model}{}", rest.replace([' ', '-', '.'], ""));
        space.succeed(&format!(
            "scan scene.tif --model {model} --workers 1 --out {out} {rest}"
        ));
        let layer = space.read_run(&out).layer("detections");
        layer.features.iter().map(|f| f.number("score")).collect()
    };
    let raw = scores("raw", "");
    assert_eq!(raw.len(), 2);
    let probabilities = scores("calibrated", "");
    assert_eq!(probabilities.len(), 2);
    for (raw, probability) in raw.iter().zip(&probabilities) {
        let expected = 0.1 + (raw - 0.5) / 0.5 * 0.3;
        assert!(
            (probability - expected).abs() < 1e-3,
            "{raw}: {probability}"
        );
    }
    assert!(scores("calibrated", "--min-score 0.39").is_empty());
}
