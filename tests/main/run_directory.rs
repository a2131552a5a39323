//! Run directories that hold something already: what is refused, and the ways on.

use std::fs::File;

use crate::fixture::{Fixture, field};
use crate::harness::Workspace;

const SCAN: &str = "scan a.tif --model blob --out run --workers 1";

fn with_a_run() -> Workspace {
    let space = Workspace::new();
    for (name, seed) in [("a.tif", 40), ("b.tif", 41)] {
        Fixture::new((160, 130), field((160, 130), 40.0, seed)).write(&space, name);
    }
    space.scan("a.tif");
    space
}

#[test]
fn another_scan_is_refused_with_what_differs_and_what_to_do() {
    let space = with_a_run();
    let before = space.read_run("run").bytes("run.json");
    space.write_model("other-card", |card| {
        card["kilnsight:overlap_m"] = 310.into();
    });
    space.write(
        "area.geojson",
        "{\"type\":\"Polygon\",\"coordinates\":[[[78,27],[80,27],[80,28],[78,28],[78,27]]]}",
    );
    let mut table = String::new();
    for other in [
        "b.tif --model blob",
        "a.tif b.tif --model blob",
        "a.tif --model blob-typed",
        "a.tif --model other-card",
        "a.tif --model blob --nodata 3",
        "a.tif --model blob --aoi area.geojson",
        "a.tif --model blob --min-score 0.6",
        "a.tif --model blob --cluster-distance 500 --cluster-min 2",
        "b.tif --model blob --rewrite",
    ] {
        use std::fmt::Write;
        let outcome = space.run(&format!("scan {other} --out run --workers 1"));
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
        writeln!(table, "{other}\n  {}", outcome.stderr.trim_end()).unwrap();
    }
    insta::assert_snapshot!(table);
    assert_eq!(
        space.read_run("run").bytes("run.json"),
        before,
        "nothing was touched"
    );
}

#[test]
fn a_scene_that_has_changed_is_another_scan() {
    let space = with_a_run();
    Fixture::new((160, 130), field((160, 130), 40.0, 42)).write(&space, "a.tif");
    let outcome = space.run(SCAN);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("holds another scan: scene `a` was"),
        "{outcome:?}"
    );
}

#[test]
fn fresh_starts_over() {
    let space = with_a_run();
    let alone = space.scan_into("alone", "b.tif").results();
    let over = space.scan_into("run", "b.tif --fresh");
    assert_eq!(alone, over.results());
    assert_eq!(over.record()["execution"]["chips_resumed"], 0);
}

#[test]
fn fresh_leaves_files_that_are_not_ours() {
    let space = with_a_run();
    space.write("run/notes.txt", "mine");
    space.scan_into("run", "b.tif --fresh");
    assert!(space.path("run/notes.txt").exists());
}

#[test]
fn rewrite_equals_a_fresh_scan_with_that_score() {
    let space = with_a_run();
    let options = "a.tif --min-score 0.9 --cluster-distance 700 --cluster-min 2";
    let fresh = space.scan_into("fresh", options);
    let outcome = space.run(&format!(
        "scan {options} --model blob --out run --workers 1 --rewrite"
    ));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let rewritten = space.read_run("run");
    assert_eq!(fresh.results(), rewritten.results());
    let record = rewritten.record();
    assert_eq!(
        record["execution"]["chips_resumed"], record["counts"]["chips"]["planned"],
        "no chip was scanned again"
    );
    let shown = fresh.layer("sites").len();
    assert!(
        shown > 0 && shown < field((160, 130), 40.0, 40).len(),
        "{shown}"
    );
}

#[test]
fn after_a_rewrite_the_new_parameters_are_the_ones_of_the_run() {
    let space = with_a_run();
    let with_score = format!("{SCAN} --min-score 0.9");
    assert_eq!(space.run(&format!("{with_score} --rewrite")).code, Some(0));
    let rewritten = space.read_run("run").results();
    // The command that made the layers as they are now goes on without being told again.
    let outcome = space.run(&with_score);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(rewritten, space.read_run("run").results());
}

#[test]
fn a_second_process_on_the_directory_is_asked_to_try_again() {
    let space = with_a_run();
    let lock = File::options()
        .write(true)
        .open(space.path("run/.lock"))
        .unwrap();
    lock.try_lock().unwrap();
    let outcome = space.run(SCAN);
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "error: another kilnsight process is working in `run`: wait for it to end, or choose another `--out`\n"
    );
    drop(lock);
    assert_eq!(space.run(SCAN).code, Some(0));
}

#[test]
fn a_directory_that_holds_other_files_may_become_a_run() {
    let space = with_a_run();
    std::fs::create_dir(space.path("mine")).unwrap();
    space.write("mine/notes.txt", "mine");
    let run = space.scan_into("mine", "a.tif");
    assert_eq!(run.results(), space.read_run("run").results());
    assert!(space.path("mine/notes.txt").exists());
}
