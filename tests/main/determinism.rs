//! The same bytes, however the work was cut up or interrupted.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::fixture::{self, Fixture, field};
use crate::harness::{Run, Workspace};

/// A scene that takes long enough to be interrupted several times: about two thousand chips.
fn write_large(space: &Workspace) {
    let size = (1500, 1430);
    Fixture::new(size, field(size, 60.0, 4)).write(space, "a.tif");
}

const SCAN: &str = "scan a.tif --model blob --out cut --workers 2";
/// The same with a model that has a screen.
const SCREENED: &str = "scan a.tif --model screened --out cut --workers 2";

#[test]
fn one_worker_and_four_write_the_same_bytes() {
    let space = Workspace::new();
    for (name, seed) in [("a.tif", 5), ("b.tif", 6)] {
        let mut fixture = Fixture::new((420, 380), field((420, 380), 35.0, seed));
        fixture.holes = vec![[200, 100, 420, 260]];
        fixture.write(&space, name);
    }
    let one = space.scan_into("one", "a.tif b.tif");
    let outcome = space.run("scan a.tif b.tif --model blob --out four --workers 4");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let four = space.read_run("four");
    assert_eq!(one.results(), four.results());
    assert_eq!(four.record()["execution"]["workers"], 4);
}

#[test]
fn the_order_of_scenes_on_the_command_line_does_not_matter() {
    let space = Workspace::new();
    for (name, seed) in [("a.tif", 7), ("b.tif", 8), ("c.tif", 9)] {
        Fixture::new((150, 130), field((150, 130), 40.0, seed)).write(&space, name);
    }
    let given = space.scan_into("one", "a.tif b.tif c.tif");
    let turned = space.scan_into("two", "c.tif a.tif b.tif a.tif");
    assert_eq!(given.results(), turned.results());
}

#[test]
fn a_finished_scan_that_is_repeated_changes_nothing() {
    let space = Workspace::new();
    Fixture::new((150, 130), field((150, 130), 40.0, 10)).write(&space, "a.tif");
    let first = space.scan("a.tif").results();
    let outcome = space.run("scan a.tif --model blob --out run");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let again = space.read_run("run");
    assert_eq!(first, again.results());
    let record = again.record();
    assert_eq!(
        record["execution"]["chips_resumed"],
        record["counts"]["chips"]["planned"]
    );
}

#[test]
fn a_scan_killed_again_and_again_ends_with_the_same_bytes() {
    let space = Workspace::new();
    write_large(&space);
    let whole = space.scan_into("whole", "a.tif");
    let cut = killed_again_and_again(&space, SCAN);
    assert_eq!(whole.results(), cut.results());
}

#[test]
fn a_scan_with_a_screen_killed_again_and_again_ends_with_the_same_bytes() {
    let space = Workspace::new();
    write_large(&space);
    // High enough to drop the dimmer blobs.
    space.write_screened("screened", "map", 0.995);
    space.succeed("scan a.tif --model screened --out whole --workers 1");
    let whole = space.read_run("whole");
    let chips = &whole.record()["counts"]["chips"];
    for stage in ["scanned", "screened"] {
        assert!(chips[stage].as_u64().unwrap() > 100, "{chips}");
    }
    let cut = killed_again_and_again(&space, SCREENED);
    assert_eq!(whole.results(), cut.results());
}

/// Starts a scan into `cut`, kills it three times, and lets it come to its end.
fn killed_again_and_again(space: &Workspace, scan: &str) -> Run {
    let mut recorded = 0;
    for _ in 0..3 {
        let mut child = start(space, scan);
        recorded = wait_for_chips(&mut child, &space.path("cut"), recorded);
        // Not always just after a commit: some time between two of them.
        let chance = fixture::noise(u64::from(child.id())).abs();
        std::thread::sleep(Duration::from_millis(40).mul_f64(chance));
        // SIGKILL: no handler runs, whatever was not committed is lost.
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!space.path("cut/sites.geojson").exists());
    }
    let outcome = space.run(scan);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let cut = space.read_run("cut");
    assert!(resumed(&cut) >= recorded, "{recorded} chips were recorded");
    cut
}

#[test]
fn an_interrupted_scan_says_how_to_go_on_and_does() {
    let space = Workspace::new();
    write_large(&space);
    let whole = space.scan_into("whole", "a.tif");
    let mut child = start(&space, SCAN);
    wait_for_chips(&mut child, &space.path("cut"), 0);
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8(output.stderr).unwrap();
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("interrupted: stopped after ")
            && last.ends_with("chips; the same command goes on from there"),
        "{said}"
    );
    let outcome = space.run(SCAN);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("going on after"), "{outcome:?}");
    let cut = space.read_run("cut");
    assert!(resumed(&cut) > 0);
    assert_eq!(whole.results(), cut.results());
}

#[test]
fn a_termination_signal_stops_as_cleanly_as_ctrl_c() {
    let space = Workspace::new();
    write_large(&space);
    let mut child = start(&space, SCAN);
    wait_for_chips(&mut child, &space.path("cut"), 0);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

fn start(space: &Workspace, scan: &str) -> Child {
    space
        .command(scan)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn resumed(run: &Run) -> u64 {
    run.record()["execution"]["chips_resumed"].as_u64().unwrap()
}

/// Waits until the ledger of a running scan holds more than `than` chips; returns how many.
fn wait_for_chips(child: &mut Child, run: &Path, than: u64) -> u64 {
    // Generous: the machine may be busy with something else.
    let deadline = Instant::now() + Duration::from_mins(2);
    while Instant::now() < deadline {
        let chips = recorded_chips(run).unwrap_or(0);
        assert_eq!(
            child.try_wait().unwrap(),
            None,
            "the scan ended before it could be interrupted: make the scene larger"
        );
        if chips > than {
            return chips;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("the ledger does not grow");
}

/// Chips in the ledger; `None` while it is being made or written.
fn recorded_chips(run: &Path) -> Option<u64> {
    let file = run.join("ledger.sqlite");
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection
        .query_row("SELECT count(*) FROM chip", [], |row| row.get::<_, i64>(0))
        .ok()
        .map(|count| count as u64)
}
