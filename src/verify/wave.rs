//! The tasks that one run brought: their rows, and the event that makes them appear.

use geo::{Contains, Point};
use rusqlite::{Connection, Transaction, params};
use serde_json::json;

use super::candidates::Candidate;
use super::error::VerifyError;
use super::event::{Event, canonical};
use super::id::sha256_hex;
use super::intake::{Added, IntakeOptions};
use super::project::Project;
use super::sample::stratum_of;

impl Project {
    /// Removes tasks without a picture, closes gaps between ranks, and tells the log.
    pub(super) fn finish_wave(&self, wave: i64) -> Result<Added, VerifyError> {
        self.happen(|h| {
            let unseen: Vec<String> = h
                .tx
                .prepare("SELECT site_id FROM task WHERE wave = ?1 AND NOT EXISTS (SELECT 1 FROM chip WHERE chip.task = task.id) ORDER BY number")?
                .query_map([wave], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            h.tx.execute(
                "DELETE FROM task WHERE wave = ?1 AND NOT EXISTS (SELECT 1 FROM chip WHERE chip.task = task.id)",
                [wave],
            )?;
            h.tx.execute_batch(
                "CREATE TEMP TABLE dense AS SELECT id, dense_rank() OVER (PARTITION BY task ORDER BY rank) - 1 AS rank FROM chip;
                 UPDATE chip SET rank = dense.rank FROM dense WHERE dense.id = chip.id AND dense.rank <> chip.rank;
                 DROP TABLE dense;",
            )?;
            let count = |condition: &str| -> Result<u64, VerifyError> {
                let sql = format!("SELECT count(*) FROM task WHERE wave = ?1 AND {condition}");
                Ok(h.tx.query_row(&sql, [wave], |row| row.get::<_, i64>(0))? as u64)
            };
            let added = Added {
                sites: count("kind = 'site'")?,
                below: count("kind = 'below'")?,
                empty: count("kind = 'empty'")?,
                sampled: count("inclusion IS NOT NULL")?,
                unseen,
                ..Added::default()
            };
            if added.tasks() > 0 {
                let digest = wave_digest(h.tx, wave)?;
                h.record(Event::Tasks {
                    wave,
                    count: added.tasks(),
                    digest,
                })?;
            } else {
                h.tx.execute("DELETE FROM stratum WHERE wave = ?1", [wave])?;
                h.tx.execute("DELETE FROM wave WHERE number = ?1", [wave])?;
            }
            Ok(added)
        })
    }
}

/// Removes what an intake left that did not get to its event.
pub(super) fn remove_unfinished(tx: &Transaction<'_>) -> Result<(), VerifyError> {
    let unfinished = "SELECT id FROM task WHERE id NOT IN (SELECT task FROM verdict)";
    tx.execute(
        &format!("DELETE FROM chip WHERE task IN ({unfinished})"),
        [],
    )?;
    tx.execute(
        &format!("DELETE FROM known_as WHERE task IN ({unfinished})"),
        [],
    )?;
    tx.execute(&format!("DELETE FROM task WHERE id IN ({unfinished})"), [])?;
    let empty = "SELECT number FROM wave WHERE number NOT IN (SELECT wave FROM task)";
    tx.execute(&format!("DELETE FROM stratum WHERE wave IN ({empty})"), [])?;
    tx.execute(&format!("DELETE FROM wave WHERE number IN ({empty})"), [])?;
    Ok(())
}

/// Writes the row of a task. `sampled`: its place in the random sample, and the probability of being in it.
pub(super) fn insert_task(
    tx: &Transaction<'_>,
    task: &str,
    wave: i64,
    candidate: &Candidate,
    sampled: Option<(i64, f64)>,
    options: &IntakeOptions,
    jitter: f64,
) -> Result<(), VerifyError> {
    let center = Point::new(candidate.center.lon, candidate.center.lat);
    let area_priority = options
        .area_priority
        .iter()
        .filter(|(area, _)| area.contains(&center))
        .map(|(_, priority)| *priority)
        .fold(0.0, f64::max);
    let outline: Vec<[f64; 2]> = candidate.outline.iter().map(|c| [c.lon, c.lat]).collect();
    tx.prepare_cached(
        "INSERT INTO task (id, number, wave, kind, site_id, class, type, score, lon, lat, outline, cluster_id,
         first_seen, last_seen, stratum, inclusion, sample_order, area_priority, jitter)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM task), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
         ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?
    .execute(params![
        task,
        wave,
        candidate.kind,
        candidate.site_id,
        candidate.class,
        candidate.kiln_type,
        candidate.score,
        candidate.center.lon,
        candidate.center.lat,
        serde_json::to_string(&outline)?,
        candidate.cluster_id,
        candidate.first_seen,
        candidate.last_seen,
        stratum_of(candidate.kind, candidate.score).0,
        sampled.map(|s| s.1),
        sampled.map(|s| s.0),
        area_priority,
        jitter
    ])?;
    Ok(())
}

/// SHA-256 over all that the tasks of a wave ask, so that the log holds it.
pub(super) fn wave_digest(c: &Connection, wave: i64) -> Result<String, VerifyError> {
    let mut lines = String::new();
    let mut statement = c.prepare(
        "SELECT t.id, t.number, t.kind, t.site_id, t.class, t.type, t.score, t.lon, t.lat, t.outline, t.stratum,
                t.inclusion, t.sample_order, t.area_priority, t.jitter
         FROM task t WHERE t.wave = ?1 ORDER BY t.number",
    )?;
    let mut rows = statement.query([wave])?;
    while let Some(row) = rows.next()? {
        let line = json!([
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, String>(3)?,
            row.get::<_, String>(4)?,
            row.get::<_, Option<String>>(5)?,
            row.get::<_, f64>(6)?,
            row.get::<_, f64>(7)?,
            row.get::<_, f64>(8)?,
            row.get::<_, String>(9)?,
            row.get::<_, String>(10)?,
            row.get::<_, Option<f64>>(11)?,
            row.get::<_, Option<i64>>(12)?,
            row.get::<_, f64>(13)?,
            row.get::<_, f64>(14)?,
        ]);
        lines.push_str(&canonical(&line));
        lines.push('\n');
    }
    Ok(sha256_hex(lines.as_bytes()))
}
