//! How far a cluster is. What is known of a kiln field says which of its places come next, and how long volunteers are
//! asked about them.
//!
//! Counts stand in a table of their own, kept up in the transaction that changes a status: neither a vote nor a
//! decision counts through a field. What the rest of the field is told is coarse, the share of decided places in
//! eighths, so that a field is gone through a few times in its life and not with each decision.

use rusqlite::{Connection, OptionalExtension, params};

use super::answer::Status;
use super::error::VerifyError;

/// Steps in which the share of decided places counts.
const STEPS: i64 = 8;

/// What the places of a cluster are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    step: i64,
    /// Whether volunteers disagree about a place of it.
    pub(super) contested: bool,
}

impl Standing {
    /// From counts of decided, of contested and of all places.
    pub(super) fn new(decided: i64, contested: i64, members: i64) -> Self {
        Self {
            step: STEPS * decided / members.max(1),
            contested: contested > 0,
        }
    }

    /// Share of places that are decided, rounded down.
    pub(super) fn decided_share(self) -> f64 {
        self.step as f64 / STEPS as f64
    }
}

/// Counts the new places of a wave, and returns the older places of their clusters.
pub(super) fn add_wave(c: &Connection, wave: i64) -> Result<Vec<String>, VerifyError> {
    c.execute(
        "INSERT INTO cluster_tally (cluster_id, members)
         SELECT cluster_id, count(*) FROM task WHERE wave = ?1 AND cluster_id IS NOT NULL GROUP BY cluster_id
         ON CONFLICT (cluster_id) DO UPDATE SET members = members + excluded.members",
        [wave],
    )?;
    Ok(c.prepare(
        "SELECT t.id FROM verdict v JOIN task t ON t.id = v.task
         WHERE t.wave <> ?1 AND t.cluster_id IN (SELECT cluster_id FROM task WHERE wave = ?1) ORDER BY t.number",
    )?
    .query_map([wave], |row| row.get(0))?
    .collect::<Result<_, _>>()?)
}

/// Counts a place whose status changes. Returns the other places of its cluster where they have to be told.
pub(super) fn count_status(
    c: &Connection,
    task: &str,
    from: Status,
    to: Status,
) -> Result<Vec<String>, VerifyError> {
    let decided = |s: Status| i64::from(matches!(s, Status::Confirmed | Status::Rejected));
    let contested = |s: Status| i64::from(s == Status::Contested);
    let change = [decided(to) - decided(from), contested(to) - contested(from)];
    if change == [0, 0] {
        return Ok(Vec::new());
    }
    let found: Option<(String, [i64; 3])> = c
        .prepare_cached(
            "SELECT c.cluster_id, c.decided, c.contested, c.members
             FROM task t JOIN cluster_tally c ON c.cluster_id = t.cluster_id WHERE t.id = ?1",
        )?
        .query_row([task], |row| {
            Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
        })
        .optional()?;
    let Some((cluster, [decided, contested, members])) = found else {
        return Ok(Vec::new());
    };
    let before = Standing::new(decided, contested, members);
    let (decided, contested) = (decided + change[0], contested + change[1]);
    c.prepare_cached(
        "UPDATE cluster_tally SET decided = ?2, contested = ?3 WHERE cluster_id = ?1",
    )?
    .execute(params![cluster, decided, contested])?;
    if Standing::new(decided, contested, members) == before {
        return Ok(Vec::new());
    }
    // A task without a verdict belongs to an intake that is under way.
    Ok(c.prepare_cached(
        "SELECT t.id FROM task t JOIN verdict v ON v.task = t.id
         WHERE t.cluster_id = ?1 AND t.id <> ?2 ORDER BY t.number",
    )?
    .query_map([cluster.as_str(), task], |row| row.get(0))?
    .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_field_is_told_in_eighths_and_a_small_one_of_each_place() {
        let told = |members: i64| {
            let steps = (0..=members).map(|decided| Standing::new(decided, 0, members));
            steps.collect::<Vec<_>>().chunk_by(|a, b| a == b).count()
        };
        assert_eq!([told(1), told(2), told(5), told(300)], [2, 3, 6, 9]);
        assert_eq!(Standing::new(150, 0, 300).decided_share(), 0.5);
        assert_eq!(Standing::new(299, 0, 300).decided_share(), 0.875);
        assert_eq!(Standing::new(3, 0, 3).decided_share(), 1.0);
        assert!(Standing::new(0, 1, 300).contested);
    }
}
