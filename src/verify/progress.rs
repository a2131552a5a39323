//! How far a project is, for its researchers.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Serialize;

use super::answer::Status;
use super::consensus::{ControlRecord, StopRule};
use super::error::VerifyError;
use super::project::Project;

/// How far a project is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectProgress {
    /// Tasks.
    pub tasks: u64,
    /// Tasks by status.
    pub by_status: BTreeMap<Status, u64>,
    /// The two streams.
    pub priority: StreamProgress,
    /// The random sample.
    pub probability: StreamProgress,
    /// Its strata.
    pub strata: Vec<StratumProgress>,
    /// Votes that count.
    pub votes: u64,
    /// Votes that were voided.
    pub votes_void: u64,
    /// Answers that came too fast to have been looked at.
    pub votes_fast: u64,
    /// Volunteers who voted.
    pub voters: u64,
    /// Members.
    pub members: u64,
    /// Tasks that somebody holds.
    pub held: u64,
    /// Gold tasks for training.
    pub gold_training: u64,
    /// Hidden controls.
    pub gold_control: u64,
    /// Answers to hidden controls.
    pub controls: ControlRecord,
    /// The rule that decides now.
    pub rule: StopRule,
    /// Share of places that are what the detector said, as the crowd sees it.
    pub prevalence: f64,
    /// Entries of the log.
    pub events: i64,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StreamProgress {
    /// Its tasks.
    pub tasks: u64,
    /// Tasks with a vote.
    pub started: u64,
    /// Tasks that volunteers are asked about no more.
    pub finished: u64,
    /// Votes that are still needed, at least.
    pub votes_needed: u64,
}

/// A stratum of the sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumProgress {
    /// Which intake it belongs to.
    pub wave: i64,
    /// Its name.
    pub name: String,
    /// Scores from this …
    pub low: f64,
    /// … to below this.
    pub high: f64,
    /// Members.
    pub population: u64,
    /// Members drawn.
    pub sampled: u64,
    /// Of those, decided.
    pub decided: u64,
    /// Of those, confirmed.
    pub confirmed: u64,
}

impl Project {
    /// How far it is.
    pub fn progress(&self) -> Result<ProjectProgress, VerifyError> {
        let (now, _) = self.now();
        self.store.read(|c| {
            let count = |sql: &str| -> Result<u64, VerifyError> {
                Ok(c.prepare_cached(sql)?
                    .query_row([], |row| row.get::<_, i64>(0))? as u64)
            };
            let mut by_status: BTreeMap<Status, u64> =
                Status::ALL.iter().map(|s| (*s, 0)).collect();
            let mut statement =
                c.prepare_cached("SELECT status, count(*) FROM verdict GROUP BY status")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                by_status.insert(row.get(0)?, row.get::<_, i64>(1)? as u64);
            }
            let estimate = self.estimate(c)?;
            Ok(ProjectProgress {
                tasks: count("SELECT count(*) FROM verdict")?,
                by_status,
                priority: stream(c, false)?,
                probability: stream(c, true)?,
                strata: strata(c)?,
                votes: count("SELECT count(*) FROM vote WHERE state = 'counted'")?,
                votes_void: count("SELECT count(*) FROM vote WHERE state = 'void'")?,
                votes_fast: count("SELECT coalesce(sum(fast), 0) FROM voter")?,
                voters: count("SELECT count(DISTINCT voter) FROM vote WHERE state = 'counted'")?,
                members: count("SELECT count(*) FROM member")?,
                held: c
                    .prepare_cached(
                        "SELECT count(*) FROM lease WHERE answered = 0 AND expires_at > ?1",
                    )?
                    .query_row(params![now], |row| row.get::<_, i64>(0))?
                    as u64,
                gold_training: count("SELECT count(*) FROM gold WHERE purpose = 'training'")?,
                gold_control: count("SELECT count(*) FROM gold WHERE purpose = 'control'")?,
                controls: estimate.controls,
                rule: estimate.rule,
                prevalence: estimate.crowd.prevalence(),
                events: super::event::head(c)?.0,
            })
        })
    }
}

fn stream(c: &Connection, sampled: bool) -> Result<StreamProgress, VerifyError> {
    Ok(c.prepare_cached(
        "SELECT count(*), coalesce(sum(started), 0), coalesce(sum(needed = 0), 0), coalesce(sum(needed), 0)
         FROM verdict WHERE sampled = ?1",
    )?
    .query_row([sampled], |row| {
        let number = |i| row.get::<_, i64>(i).map(|n| n as u64);
        Ok(StreamProgress {
            tasks: number(0)?,
            started: number(1)?,
            finished: number(2)?,
            votes_needed: number(3)?,
        })
    })?)
}

fn strata(c: &Connection) -> Result<Vec<StratumProgress>, VerifyError> {
    Ok(c.prepare_cached(
        "SELECT s.wave, s.name, s.low, s.high, s.population, s.sampled,
                coalesce(sum(v.status IN ('confirmed', 'rejected')), 0), coalesce(sum(v.status = 'confirmed'), 0)
         FROM stratum s
         LEFT JOIN task t ON t.wave = s.wave AND t.stratum = s.name AND t.inclusion IS NOT NULL
         LEFT JOIN verdict v ON v.task = t.id
         GROUP BY s.wave, s.name ORDER BY s.wave, s.name",
    )?
    .query_map([], |row| {
        let number = |i| row.get::<_, i64>(i).map(|n| n as u64);
        Ok(StratumProgress {
            wave: row.get(0)?,
            name: row.get(1)?,
            low: row.get(2)?,
            high: row.get(3)?,
            population: number(4)?,
            sampled: number(5)?,
            decided: number(6)?,
            confirmed: number(7)?,
        })
    })?
    .collect::<Result<_, _>>()?)
}
