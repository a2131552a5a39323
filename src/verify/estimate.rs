//! The estimate of the crowd that verdicts rest on: made anew every so many votes, kept in between.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::answer::GoldPurpose;
use super::consensus::{
    Answer, Ballot, Calibration, ControlRecord, Crowd, MIN_CONTROL_ANSWERS, StopRule,
};
use super::error::VerifyError;

/// Name of the method, recorded with every decision.
pub const CONSENSUS_VERSION: &str = concat!("two-coin-map/", env!("CARGO_PKG_VERSION"));

/// What is known of the crowd, and the rule that follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Estimate {
    pub(super) crowd: Crowd,
    pub(super) rule: StopRule,
    /// Answers to hidden controls.
    pub(super) controls: ControlRecord,
    /// What posteriors are worth, told by the controls; `None` while there are too few.
    pub(super) calibration: Option<Calibration>,
    /// Votes it rests on.
    pub(super) votes: u64,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            crowd: Crowd::default(),
            rule: StopRule::FIRST_TO_3,
            controls: ControlRecord::default(),
            calibration: None,
            votes: 0,
        }
    }
}

impl Estimate {
    /// From all counted votes up to event `through`.
    pub(super) fn fit(connection: &Connection, through: i64) -> Result<Self, VerifyError> {
        let mut training = BTreeMap::new();
        let mut control = BTreeMap::new();
        let mut statement = connection.prepare_cached("SELECT task, answer, purpose FROM gold")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (task, answer, purpose): (String, Answer, GoldPurpose) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            match purpose {
                GoldPurpose::Training => training.insert(task, answer == Answer::Yes),
                GoldPurpose::Control => control.insert(task, answer == Answer::Yes),
            };
        }
        let votes: Vec<(String, String, Answer, f64, bool)> = connection
            .prepare_cached(
                "SELECT task, voter, answer, weight, verified FROM vote
                 WHERE state = 'counted' AND seq <= ?1 ORDER BY task, voter",
            )?
            .query_map([through], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })?
            .collect::<Result<_, _>>()?;
        let mut controls = ControlRecord::default();
        for (task, _, answer, _, _) in &votes {
            if let Some(truth) = control.get(task) {
                controls.add(*answer, *truth);
            }
        }
        let ballots = votes.iter().map(|(task, voter, answer, weight, verified)| {
            let ballot = Ballot {
                volunteer: voter,
                answer: *answer,
                weight: *weight,
                verified: *verified,
            };
            (task.as_str(), ballot)
        });
        let fit = Crowd::fit(ballots, &training);
        // The truth of controls was kept from the fit, so their posteriors can be held against it.
        let points: Vec<(f64, bool)> = control
            .iter()
            .filter_map(|(task, truth)| Some((*fit.p_votes.get(task)?, *truth)))
            .collect();
        Ok(Self {
            calibration: (controls.answered >= MIN_CONTROL_ANSWERS)
                .then(|| Calibration::fit(&points)),
            crowd: fit.crowd,
            rule: StopRule::choose(votes.len() as u64, controls),
            controls,
            votes: votes.len() as u64,
        })
    }

    /// The one that holds now.
    pub(super) fn load(connection: &Connection) -> Result<Self, VerifyError> {
        let found: Option<String> = connection
            .prepare_cached("SELECT body FROM batch")?
            .query_row([], |row| row.get(0))
            .optional()?;
        Ok(match found {
            Some(body) => serde_json::from_str(&body)?,
            None => Self::default(),
        })
    }

    /// Seal of the event that made the one that holds now; empty where none was made yet.
    pub(super) fn seal(connection: &Connection) -> Result<String, VerifyError> {
        Ok(connection
            .prepare_cached("SELECT e.hash FROM batch b JOIN event e ON e.seq = b.seq")?
            .query_row([], |row| row.get(0))
            .optional()?
            .unwrap_or_default())
    }

    /// Makes this the one that holds.
    pub(super) fn save(
        &self,
        connection: &Connection,
        seq: i64,
        through: i64,
    ) -> Result<(), VerifyError> {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO batch (one, seq, through, body) VALUES (1, ?1, ?2, ?3)",
            )?
            .execute(params![seq, through, serde_json::to_string(self)?])?;
        Ok(())
    }
}
