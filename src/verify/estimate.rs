//! The estimate of the crowd that verdicts rest on: made anew every so many votes, kept in between.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::answer::GoldPurpose;
use super::consensus::{
    Answer, Ballot, Calibration, ControlRecord, Crowd, MIN_CONTROL_ANSWERS, RECENT_CONTROLS,
    StopRule,
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
    /// The latest of them: what the rule follows from.
    pub(super) recent_controls: ControlRecord,
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
            recent_controls: ControlRecord::default(),
            calibration: None,
            votes: 0,
        }
    }
}

/// A vote that counts.
struct Counted {
    task: String,
    voter: String,
    answer: Answer,
    weight: f64,
    verified: bool,
    /// Number of the event that gave it its answer.
    seq: i64,
}

/// Answers to controls: all of them, and the latest [`RECENT_CONTROLS`].
fn control_records(
    votes: &[Counted],
    control: &BTreeMap<String, bool>,
) -> (ControlRecord, ControlRecord) {
    let mut answers: Vec<(i64, Answer, bool)> = votes
        .iter()
        .filter(|vote| vote.answer.as_bool().is_some())
        .filter_map(|vote| Some((vote.seq, vote.answer, *control.get(&vote.task)?)))
        .collect();
    answers.sort_unstable_by_key(|(seq, ..)| std::cmp::Reverse(*seq));
    let record = |most: usize| {
        let mut record = ControlRecord::default();
        for (_, answer, truth) in answers.iter().take(most) {
            record.add(*answer, *truth);
        }
        record
    };
    (record(usize::MAX), record(RECENT_CONTROLS))
}

impl Estimate {
    /// From all votes that count now.
    pub(super) fn fit(connection: &Connection) -> Result<Self, VerifyError> {
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
        let votes: Vec<Counted> = connection
            .prepare_cached(
                "SELECT task, voter, answer, weight, verified, seq FROM vote
                 WHERE state = 'counted' ORDER BY task, voter",
            )?
            .query_map([], |row| {
                Ok(Counted {
                    task: row.get(0)?,
                    voter: row.get(1)?,
                    answer: row.get(2)?,
                    weight: row.get(3)?,
                    verified: row.get(4)?,
                    seq: row.get(5)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let (controls, recent_controls) = control_records(&votes, &control);
        let ballots = votes.iter().map(|vote| {
            let ballot = Ballot {
                volunteer: &vote.voter,
                answer: vote.answer,
                weight: vote.weight,
                verified: vote.verified,
            };
            (vote.task.as_str(), ballot)
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
            rule: StopRule::choose(votes.len() as u64, recent_controls),
            controls,
            recent_controls,
            votes: votes.len() as u64,
        })
    }

    /// The one that holds now.
    pub(super) fn load(connection: &Connection) -> Result<Self, VerifyError> {
        let found: Option<String> = connection
            .prepare_cached("SELECT body FROM batch WHERE one = 1")?
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
            .prepare_cached(
                "SELECT e.hash FROM batch b JOIN event e ON e.seq = b.seq WHERE b.one = 1",
            )?
            .query_row([], |row| row.get(0))
            .optional()?
            .unwrap_or_default())
    }

    /// Makes this the one that holds. No verdict follows from it yet.
    pub(super) fn save(
        &self,
        connection: &Connection,
        seq: i64,
        through: i64,
    ) -> Result<(), VerifyError> {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO batch (one, seq, through, pending, body) VALUES (1, ?1, ?2, 0, ?3)",
            )?
            .execute(params![seq, through, serde_json::to_string(self)?])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers to one control, which is true, in their order.
    fn votes(right: impl IntoIterator<Item = bool>) -> Vec<Counted> {
        let vote = |(seq, right)| Counted {
            task: "control".to_owned(),
            voter: format!("voter {seq}"),
            answer: if right { Answer::Yes } else { Answer::No },
            weight: 1.0,
            verified: true,
            seq,
        };
        (1..).zip(right).map(vote).collect()
    }

    fn rule(votes: &[Counted]) -> StopRule {
        let control = BTreeMap::from([("control".to_owned(), true)]);
        StopRule::choose(10_000, control_records(votes, &control).1)
    }

    #[test]
    fn a_good_past_does_not_hide_a_weak_present_and_a_weak_past_is_forgiven() {
        let good = std::iter::repeat_n(true, 900);
        let guesses = (0..RECENT_CONTROLS).map(|n| n % 3 != 0);
        let weak: Vec<bool> = good.clone().chain(guesses.clone()).collect();
        let control = BTreeMap::from([("control".to_owned(), true)]);
        let (all, _) = control_records(&votes(weak.clone()), &control);
        assert!(!all.is_weak(), "over its whole past the crowd is strong");
        assert_eq!(rule(&votes(weak)), StopRule::STRICT);
        assert_eq!(
            rule(&votes(guesses.chain(good))),
            StopRule::STANDARD,
            "the weak ones have gone"
        );
        assert_eq!(rule(&votes([false; 19])), StopRule::STANDARD, "too few");
    }

    #[test]
    fn unsure_answers_do_not_push_controls_out_of_sight() {
        let mut votes = votes([false; RECENT_CONTROLS]);
        for seq in 1_000..2_000 {
            let last = Counted {
                answer: Answer::Unsure,
                seq,
                task: "control".to_owned(),
                voter: format!("voter {seq}"),
                weight: 1.0,
                verified: true,
            };
            votes.push(last);
        }
        assert_eq!(rule(&votes), StopRule::STRICT);
    }
}
