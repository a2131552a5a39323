//! How SQLite finds what taking a pack and voting ask for: by an index, however many tasks there are.

use rusqlite::StatementStatus;

use super::answer::GoldPurpose;
use super::pace_tests::some_votes;
use super::queue::{NEW_TO_VOTER, any_open, contested, gold, offers};
use super::testing::Trial;

/// Files whose statements run for each vote or pack.
const BUSY: [(&str, &str); 10] = [
    ("batch.rs", include_str!("batch.rs")),
    ("clusters.rs", include_str!("clusters.rs")),
    ("derive.rs", include_str!("derive.rs")),
    ("estimate.rs", include_str!("estimate.rs")),
    ("event.rs", include_str!("event.rs")),
    ("holds.rs", include_str!("holds.rs")),
    ("judgement.rs", include_str!("judgement.rs")),
    ("pack.rs", include_str!("pack.rs")),
    ("queue.rs", include_str!("queue.rs")),
    ("voting.rs", include_str!("voting.rs")),
];

/// Statements that go through more than a handful of rows, and why they may.
const MAY: [(&str, &str); 4] = [
    ("FROM gold", "gold is little, and chosen by hand"),
    ("ORDER BY seq DESC LIMIT 1", "the first row is the answer"),
    (
        "WHERE state = 'counted' ORDER BY task",
        "an estimate reads all votes, beside the writer",
    ),
    (
        "t.cluster_id = ?1",
        "a cluster is told nine times in its life",
    ),
];

/// Sorting is over what one task or one volunteer has.
const FEW: [&str; 3] = ["task = ?1", "c.task = ?1", "voter = ?1 AND answered = 0"];

/// The text of every statement that a file prepares in one piece.
fn statements(source: &str) -> Vec<String> {
    source
        .split("prepare_cached(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"'))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn plan(trial: &Trial, sql: &str) -> Vec<String> {
    trial
        .project
        .store
        .read(|c| {
            let mut explain = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let mut lines = Vec::new();
            let mut rows = explain.raw_query();
            while let Some(row) = rows.next()? {
                lines.push(row.get(3)?);
            }
            Ok(lines)
        })
        .unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[test]
fn votes_and_packs_go_by_indexes() {
    let trial = Trial::new(1);
    let mut checked = 0;
    for (file, source) in BUSY {
        let source = source.split("mod tests {").next().unwrap_or_default();
        for sql in statements(source) {
            checked += 1;
            if MAY.iter().any(|(part, _)| sql.contains(part)) {
                continue;
            }
            for line in plan(&trial, &sql) {
                let scans = line.starts_with("SCAN")
                    && !line.contains("CONSTANT ROW")
                    && !line.contains("subquery");
                let sorts = line.contains("TEMP B-TREE");
                let few = FEW.iter().any(|part| sql.contains(part));
                assert!(
                    !scans && (few || !sorts),
                    "{file}: `{line}` in the plan of {sql}"
                );
            }
        }
    }
    assert!(checked > 40, "only {checked} statements were found");
}

#[test]
fn a_pack_is_read_off_the_top_of_the_offers() {
    let trial = Trial::new(1);
    for (sql, first) in [
        (
            offers(true),
            "SEARCH v USING COVERING INDEX offer_order (sampled=?)",
        ),
        (
            offers(false),
            "SEARCH v USING COVERING INDEX offer_order (sampled=?)",
        ),
        (contested(), "SCAN v USING COVERING INDEX verdict_contested"),
        (
            gold(GoldPurpose::Training),
            "SEARCH v USING COVERING INDEX gold_purpose (purpose=?)",
        ),
    ] {
        let lines = plan(&trial, &sql);
        assert_eq!(lines[0], first, "{sql}");
        let of_offers = sql.contains("offer");
        assert!(
            lines[1..]
                .iter()
                .all(|line| !(line.starts_with("SCAN") || of_offers && line.contains("B-TREE"))),
            "{lines:#?}"
        );
    }
    for condition in ["true", NEW_TO_VOTER] {
        let lines = plan(&trial, &any_open(condition));
        assert!(
            lines
                .iter()
                .all(|line| !line.starts_with("SCAN v") || line.contains("verdict_open")),
            "{lines:#?}"
        );
    }
}

/// By itself SQLite plans a statement anew where the plan may depend on a value that is bound, each time: that takes
/// longer than running it.
#[test]
fn a_statement_is_planned_once() {
    let trial = Trial::new(200);
    some_votes(&trial, 10, 2);
    trial.project.run_batch().unwrap();
    let written = BUSY.iter().flat_map(|(_, source)| statements(source));
    let made = [
        offers(true),
        offers(false),
        gold(GoldPurpose::Training),
        gold(GoldPurpose::Control),
    ];
    let mut ran = 0;
    for sql in written.chain(made) {
        let (runs, planned_anew) = trial
            .project
            .store
            .write(|tx| {
                let statement = tx.prepare_cached(&sql)?;
                Ok((
                    statement.get_status(StatementStatus::Run),
                    statement.get_status(StatementStatus::RePrepare),
                ))
            })
            .unwrap();
        ran += usize::from(runs > 5);
        assert!(
            planned_anew <= 1,
            "{planned_anew} times in {runs} runs: {sql}"
        );
    }
    assert!(ran > 25, "only {ran} statements were run");
}
