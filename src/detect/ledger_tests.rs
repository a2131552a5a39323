use super::*;
use crate::chip::CloudCover;
use crate::detect::Verdict;
use crate::geometry::{OrientedBox, PixelPoint};
use crate::scene::CloudClass;

fn outcome(chip: usize, score: f32) -> ChipOutcome {
    ChipOutcome {
        scene: 0,
        chip,
        verdict: Verdict::Scanned {
            detections: vec![RawDetection {
                shape: OrientedBox {
                    center: PixelPoint::new(1.25, 2.5),
                    length: 12.0,
                    width: 6.0,
                    angle: 0.7,
                },
                score,
                class: 0,
                class_scores: vec![score],
                type_scores: vec![],
                border: false,
                cloud: Some(CloudCover {
                    share: 0.25,
                    class: Some(CloudClass::Thin),
                }),
                outline: None,
            }],
            cells: None,
            screen_score: None,
        },
    }
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    (folder, path)
}

fn started(path: &Path) -> Ledger {
    let mut ledger = Ledger::open_or_create(path).unwrap();
    ledger
        .begin_scan("plan", "{}", &[("a".into(), "{}".into())])
        .unwrap();
    ledger
}

#[test]
fn what_is_recorded_is_read_back() {
    let (_folder, path) = scratch();
    let mut ledger = started(&path);
    ledger.record(&outcome(3, 0.123_456_79)).unwrap();
    ledger
        .record(&ChipOutcome {
            scene: 0,
            chip: 4,
            verdict: Verdict::Failed("gone".into()),
        })
        .unwrap();
    ledger
        .record(&ChipOutcome {
            scene: 0,
            chip: 5,
            verdict: Verdict::Nodata,
        })
        .unwrap();
    let mut cells = vec![Cell::Cloud; CELLS * CELLS];
    cells[7] = Cell::Empty;
    ledger
        .record(&ChipOutcome {
            scene: 0,
            chip: 6,
            verdict: Verdict::Cloud {
                cells: Some(cells.clone()),
            },
        })
        .unwrap();
    drop(ledger);

    let ledger = Ledger::open(&path).unwrap();
    let detections = ledger.detections(0, 0.02).unwrap();
    let Verdict::Scanned {
        detections: expected,
        ..
    } = outcome(3, 0.123_456_79).verdict
    else {
        unreachable!()
    };
    assert_eq!(detections, [(3, 0, expected[0].clone())]);
    assert!(ledger.detections(0, 0.2).unwrap().is_empty());
    let mut chips = Vec::new();
    ledger
        .for_each_chip(0, |record| {
            assert_eq!(record.cells.is_some(), record.chip == 6);
            if let Some(read) = record.cells {
                assert_eq!(read, cells);
            }
            chips.push((record.chip, record.status));
        })
        .unwrap();
    assert_eq!(
        chips,
        [
            (3, ChipStatus::Scanned),
            (4, ChipStatus::Failed),
            (5, ChipStatus::Nodata),
            (6, ChipStatus::Cloud)
        ]
    );
}

#[test]
fn scores_of_the_screen_are_kept_until_a_chip_is_distrusted() {
    let (_folder, path) = scratch();
    let mut ledger = started(&path);
    let mut passed = outcome(0, 0.5);
    if let Verdict::Scanned { screen_score, .. } = &mut passed.verdict {
        *screen_score = Some(0.75);
    }
    ledger.record(&passed).unwrap();
    ledger
        .record(&ChipOutcome {
            scene: 0,
            chip: 1,
            verdict: Verdict::Screened {
                score: 0.001,
                cells: None,
            },
        })
        .unwrap();
    ledger.record(&outcome(2, 0.5)).unwrap();
    let rows = |ledger: &Ledger| {
        let mut rows = Vec::new();
        ledger
            .for_each_chip(0, |record| rows.push((record.status, record.screen_score)))
            .unwrap();
        rows
    };
    let (scanned, failed) = (ChipStatus::Scanned, (ChipStatus::Failed, None));
    assert_eq!(
        rows(&ledger),
        [
            (scanned, Some(0.75)),
            (ChipStatus::Screened, Some(0.001)),
            (scanned, None)
        ]
    );
    ledger.commit().unwrap();
    assert!(ledger.finished_chips(0).unwrap().contains(1));
    ledger.distrust(0, &ChipSet::default(), "replaced").unwrap();
    assert_eq!(rows(&ledger), [failed; 3]);
}

#[test]
fn failed_chips_are_looked_at_again() {
    let (_folder, path) = scratch();
    let mut ledger = started(&path);
    ledger.record(&outcome(0, 0.5)).unwrap();
    ledger
        .record(&ChipOutcome {
            scene: 0,
            chip: 1,
            verdict: Verdict::Failed("gone".into()),
        })
        .unwrap();
    ledger.commit().unwrap();
    let finished = ledger.finished_chips(0).unwrap();
    assert!(finished.contains(0) && !finished.contains(1));
    ledger.record(&outcome(1, 0.5)).unwrap();
    ledger.commit().unwrap();
    assert!(ledger.finished_chips(0).unwrap().contains(1));
}

#[test]
fn a_batch_that_was_not_committed_leaves_no_half_chip() {
    let (folder, path) = scratch();
    let mut ledger = started(&path);
    ledger.record(&outcome(0, 0.5)).unwrap();
    ledger.commit().unwrap();
    ledger.record(&outcome(1, 0.5)).unwrap();
    // A kill: the file as it is now, with whatever journal lies beside it, is all that the next process sees.
    let copy = folder.path().join("copy.sqlite");
    std::fs::copy(&path, &copy).unwrap();
    let journal = folder.path().join("ledger.sqlite-journal");
    if journal.exists() {
        std::fs::copy(journal, folder.path().join("copy.sqlite-journal")).unwrap();
    }
    let after = Ledger::open_or_create(&copy).unwrap();
    assert_eq!(after.detections(0, 0.0).unwrap().len(), 1);
    assert!(!after.finished_chips(0).unwrap().contains(1));
}

#[test]
fn other_files_are_not_touched() {
    let (_folder, path) = scratch();
    std::fs::write(
        &path,
        "a text of at least a hundred bytes, so that SQLite takes a look at its header ".repeat(4),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(
        Ledger::open_or_create(&path),
        Err(LedgerError::Foreign { .. } | LedgerError::Sqlite { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    let other = path.with_file_name("other.sqlite");
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE mine (x)")
        .unwrap();
    assert!(matches!(
        Ledger::open_or_create(&other),
        Err(LedgerError::Foreign { .. })
    ));
}

#[test]
fn an_earlier_format_is_refused_with_what_to_do() {
    let (_folder, path) = scratch();
    drop(started(&path));
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 1")
        .unwrap();
    let Err(error) = Ledger::open(&path) else {
        panic!("it opens");
    };
    let text = error.to_string();
    assert!(
        text.contains("has format 1, this version reads 3: scan again with `--fresh`"),
        "{text}"
    );
}

#[test]
fn a_later_format_is_refused() {
    let (_folder, path) = scratch();
    drop(started(&path));
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    assert!(matches!(
        Ledger::open(&path),
        Err(LedgerError::Version { found: 99, .. })
    ));
}

#[test]
fn a_full_disk_loses_the_last_batch_and_nothing_else() {
    let (_folder, path) = scratch();
    let mut ledger = started(&path);
    ledger.record(&outcome(0, 0.5)).unwrap();
    ledger.commit().unwrap();
    // A limit on the file stands for the end of the disk: SQLite reports both in the same way.
    let pages: i64 = ledger
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    ledger
        .connection
        .execute_batch(&format!("PRAGMA max_page_count = {}", pages + 2))
        .unwrap();
    let error = (1..10_000)
        .find_map(|chip| ledger.record(&outcome(chip, 0.5)).err())
        .unwrap();
    assert!(matches!(error, LedgerError::Full { .. }), "{error}");
    // Committing again says nothing new, and what was safe before still is.
    ledger.commit().unwrap();
    drop(ledger);
    assert!(
        Ledger::open(&path)
            .unwrap()
            .finished_chips(0)
            .unwrap()
            .contains(0)
    );
}
