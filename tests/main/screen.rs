//! Models with a screen before the detector.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::fixture::{Fixture, blob};
use crate::harness::{LAYERS, Run, Workspace};

const THRESHOLD: f64 = 0.1;

/// A status, how many chips have it, how many of them a score of the screen, the lowest and the highest score.
type StatusRow = (String, i64, i64, Option<f64>, Option<f64>);

/// Three blobs in one corner of a scene that is otherwise bare, with a corner that was not measured.
fn write_scene(space: &Workspace) {
    let blobs = vec![blob(60.0, 50.0), blob(90.0, 110.0), blob(130.0, 60.0)];
    let mut fixture = Fixture::new((900, 700), blobs);
    fixture.holes = vec![[600, 500, 900, 700]];
    fixture.write(space, "a.tif");
}

fn scan(space: &Workspace, out: &str, model: &str, rest: &str) -> (Run, String) {
    let said = space.succeed(&format!("scan a.tif --model {model} --out {out} {rest}"));
    (space.read_run(out), said)
}

fn chips(run: &Run, status: &str) -> u64 {
    run.record()["counts"]["chips"][status].as_u64().unwrap()
}

#[test]
fn a_screen_that_lets_all_blobs_pass_changes_nothing_but_the_work() {
    let space = Workspace::new();
    write_scene(&space);
    let plain = space.scan_into("plain", "a.tif");
    for output in ["map", "whole"] {
        space.write_screened(output, output, THRESHOLD);
        let (run, said) = scan(&space, &format!("run-{output}"), output, "--workers 1");
        assert_eq!(run.layer("sites").len(), 3);
        for layer in LAYERS {
            let file = format!("{layer}.geojson");
            assert_eq!(run.bytes(&file), plain.bytes(&file));
        }
        let (scanned, screened) = (chips(&run, "scanned"), chips(&run, "screened"));
        assert_eq!(scanned + screened, chips(&plain, "scanned"));
        assert!(scanned * 5 < screened, "{scanned} of {screened} passed");
        let line = format!(
            "{screened} of {} chips seen only by the screen of the model",
            scanned + screened
        );
        assert!(said.contains(&line), "{said}");
        let record = run.record();
        assert_eq!(record["parameters"]["screen"], true);
        assert_eq!(record["model"]["screen"]["factor"], 2);
        assert!(record["model"]["screen"]["sha256"].as_str().unwrap().len() == 64);
        assert!(record["execution"]["seconds"]["screen"].as_f64().unwrap() > 0.0);
        assert_eq!(
            (
                &plain.record()["parameters"]["screen"],
                &plain.record()["model"]["screen"]
            ),
            (&json!(false), &Value::Null)
        );
    }
}

#[test]
fn the_ledger_says_which_stage_dropped_a_chip_and_what_the_screen_gave_it() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "map", THRESHOLD);
    let (run, _) = scan(&space, "run", "screened", "");
    let ledger = Connection::open(run.path().join("ledger.sqlite")).unwrap();
    let mut statement = ledger
        .prepare(
            "SELECT status, count(*), count(screen_score), min(screen_score), max(screen_score)
             FROM chip GROUP BY status ORDER BY status",
        )
        .unwrap();
    let rows: Vec<StatusRow> = statement
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [nodata, scanned, screened] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!((nodata.0.as_str(), nodata.2), ("nodata", 0));
    assert_eq!((scanned.0.as_str(), scanned.1), ("scanned", scanned.2));
    assert_eq!((screened.0.as_str(), screened.1), ("screened", screened.2));
    assert!(scanned.3.unwrap() >= THRESHOLD && screened.4.unwrap() < THRESHOLD);
    // The ground has a grey value of at most 74 of 255.
    let ground = 1.0 / (1.0 + (-20.0 * (74.0 / 255.0 - 0.55_f64)).exp());
    assert!(screened.3.unwrap() > 0.0 && screened.3.unwrap() <= ground);
}

#[test]
fn one_worker_and_four_and_batches_write_the_same_bytes_with_a_screen() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "map", THRESHOLD);
    let (one, _) = scan(&space, "one", "screened", "--workers 1");
    let outcome = space.run("scan a.tif --model screened --out four --workers 4 --batch 3");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(one.results(), space.read_run("four").results());
}

#[test]
fn a_run_with_a_screen_and_one_without_are_two() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "map", THRESHOLD);
    let (with, _) = scan(&space, "run", "screened", "--workers 1");
    assert!(chips(&with, "screened") > 0);
    let command = "scan a.tif --model screened --out run --workers 1 --no-screen";
    let outcome = space.run(command);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("`screen` was true, now false; give `--fresh`"),
        "{outcome:?}"
    );
    let outcome = space.run(&format!("{command} --fresh"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let without = space.read_run("run");
    assert_eq!(chips(&without, "screened"), 0);
    assert_eq!(without.record()["execution"]["seconds"]["screen"], 0.0);
    // Where the model has none, there is nothing to switch off.
    space.succeed("scan a.tif --model blob --out plain --workers 1");
    let outcome = space.run("scan a.tif --model blob --out plain --workers 1 --no-screen");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn another_screen_makes_another_scan() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "map", THRESHOLD);
    scan(&space, "run", "screened", "--workers 1");
    let whole = crate::harness::test_data("screens/whole.onnx");
    std::fs::copy(whole, space.path("screened/screen.onnx")).unwrap();
    let outcome = space.run("scan a.tif --model screened --out run --workers 1");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("the screen of the model was"),
        "{outcome:?}"
    );
}

#[test]
fn a_screen_that_gives_no_probabilities_fails_the_chips() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "logits", THRESHOLD);
    let outcome = space.run("scan a.tif --model screened --out run --workers 1");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let run = space.read_run("run");
    assert_eq!((chips(&run, "scanned"), chips(&run, "screened")), (0, 0));
    let reason = run.record()["failures"][0]["reason"].clone();
    let reason = reason.as_str().unwrap();
    assert!(
        reason.starts_with("the screen: output `logits` has scores")
            && reason.ends_with("export the model with its last activation"),
        "{reason}"
    );
}

#[test]
fn a_model_is_shown_and_checked_with_its_screen() {
    let space = Workspace::new();
    space.write_screened("screened", "map", THRESHOLD);
    let said = space.succeed("model info screened");
    let line =
        "screen         screen.onnx sees pixels 2 times as large; chips below 0.1 are dropped";
    assert!(said.contains(line), "{said}");
    let said = space.succeed("model check screened --write");
    assert!(
        said.contains(
            "good     its screen `screen.onnx` fits the card, and gives the reference chip 0."
        ),
        "{said}"
    );
    assert!(
        said.contains("warning  `kilnsight:screen` has no `sha256`"),
        "{said}"
    );
    let reference = space.path("screened/reference.json");
    let mut stored: Value =
        serde_json::from_str(&std::fs::read_to_string(&reference).unwrap()).unwrap();
    let score = stored["screen"].as_f64().unwrap();
    space.succeed("model check screened");
    stored["screen"] = json!(score / 2.0);
    space.write("screened/reference.json", stored.to_string());
    let outcome = space.run("model check screened");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stdout.contains("bad      the screen gave the chip"),
        "{outcome:?}"
    );
}

#[test]
fn chips_that_the_screen_dropped_may_be_drawn_for_counts() {
    let space = Workspace::new();
    write_scene(&space);
    space.write_screened("screened", "map", THRESHOLD);
    scan(&space, "run", "screened", "--workers 1");
    space.scan_into("plain", "a.tif");
    let empty = |run: &str| {
        let run = kilnsight::run::LoadedRun::open(&space.path(run)).unwrap();
        run.empty_chips(0).unwrap()
    };
    assert_eq!(empty("run"), empty("plain"));
    assert!(!empty("run").is_empty());
}
