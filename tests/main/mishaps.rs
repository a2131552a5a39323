//! What befalls a scan from outside, besides signals and kills: the quick ones of `scripts/crash.py`.

use std::fs::File;

use crate::fixture::{Fixture, field};
use crate::harness::Workspace;

const SCAN: &str = "scan a.tif --model blob --out run --workers 1";

fn with_a_scene() -> Workspace {
    let space = Workspace::new();
    let size = (160, 130);
    Fixture::new(size, field(size, 40.0, 50)).write(&space, "a.tif");
    space
}

#[test]
fn a_ledger_held_by_another_program_is_worth_another_try() {
    let space = with_a_scene();
    let results = space.scan("a.tif").results();
    let other = rusqlite::Connection::open(space.path("run/ledger.sqlite")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let outcome = space.run(SCAN);
    assert_eq!(outcome.code, Some(75), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "error: ledger `run/ledger.sqlite`: database is locked; another program is using it: close that one, then give the same command again\n"
    );
    drop(other);
    assert_eq!(space.run(SCAN).code, Some(0));
    assert_eq!(results, space.read_run("run").results());
}

#[test]
fn a_scene_replaced_while_it_is_scanned_is_not_trusted() {
    let space = with_a_scene();
    let size = (1600, 1600);
    Fixture::new(size, field(size, 100.0, 52)).write(&space, "b.tif");
    Fixture::new(size, field(size, 100.0, 53)).write(&space, "other.tif");
    std::fs::copy(space.path("b.tif"), space.path("kept.tif")).unwrap();
    let scan = "scan a.tif b.tif --model blob --out run --workers 1";
    let fine = space.scan_into("fine", "a.tif b.tif").results();
    let scanning = space.command(scan).spawn().unwrap();
    while !space.path("run/ledger.sqlite-journal").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::fs::rename(space.path("other.tif"), space.path("b.tif")).unwrap();
    let ended = scanning.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(3));
    let run = space.read_run("run");
    let record = run.record();
    let failures = record["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 1, "{record}");
    assert_eq!(failures[0]["scene"], "b");
    assert_eq!(
        failures[0]["reason"],
        "`b.tif` was replaced or changed while it was scanned, so what was read of it is not trusted: put the file back and give the same command again, or scan the new one with `--fresh`"
    );
    assert_eq!(record["scenes"][1]["chips"]["scanned"], 0);
    let detections = run.layer("detections");
    assert!(detections.features.iter().all(|d| d.text("scene") == "a"));

    // The new file is another scan; with the old one back, it goes on.
    let outcome = space.run(scan);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("holds another scan"), "{outcome:?}");
    std::fs::rename(space.path("kept.tif"), space.path("b.tif")).unwrap();
    assert_eq!(space.run(scan).code, Some(0));
    assert_eq!(fine, space.read_run("run").results());
}

#[test]
fn a_ledger_that_lost_its_end_is_not_mended_in_silence() {
    let space = with_a_scene();
    let results = space.scan("a.tif").results();
    let ledger = File::options()
        .write(true)
        .open(space.path("run/ledger.sqlite"))
        .unwrap();
    ledger
        .set_len(ledger.metadata().unwrap().len() / 2)
        .unwrap();
    let outcome = space.run(SCAN);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert_eq!(
        outcome.stderr,
        "error: ledger `run/ledger.sqlite` is damaged: a part is missing or was overwritten; scan again with `--fresh`\n"
    );
    let outcome = space.run(&format!("{SCAN} --fresh"));
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(results, space.read_run("run").results());
}

#[test]
fn what_a_killed_scan_left_unfinished_is_removed() {
    let space = with_a_scene();
    space.scan("a.tif");
    std::fs::create_dir(space.path("run/overview")).unwrap();
    let leftovers = ["run/.kilnsight-abc.tmp", "run/overview/.kilnsight-def.tmp"];
    for name in leftovers {
        space.write(name, "half of a lay");
    }
    space.scan("a.tif --fresh");
    for name in leftovers {
        assert!(!space.path(name).exists(), "{name}");
    }
}

#[test]
fn a_scene_that_cannot_be_drawn_costs_its_picture_only() {
    let space = with_a_scene();
    let size = (160, 130);
    let mut fixture = Fixture::new(size, field(size, 40.0, 51));
    // Rows in strips, in order and uncompressed: what is cut off is the lower part.
    fixture.options = vec!["INTERLEAVE=PIXEL", "BLOCKYSIZE=1"];
    fixture.write(&space, "b.tif");
    let scene = File::options()
        .write(true)
        .open(space.path("b.tif"))
        .unwrap();
    scene.set_len(scene.metadata().unwrap().len() / 2).unwrap();
    let outcome = space.run("scan a.tif b.tif --model blob --out run --workers 1 --overview");
    assert_eq!(outcome.code, Some(3), "{outcome:?}");
    let run = space.read_run("run");
    assert_eq!(run.record()["failures"].as_array().unwrap().len(), 1);
    assert!(run.layer("sites").len() > 0);
    assert!(space.path("run/overview/a.png").exists());
    assert!(!space.path("run/overview/b.png").exists());
}
