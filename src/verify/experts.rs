//! What experts do: set gold, decide, ask in other words.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::answer::{DecidedBy, GoldPurpose, Role, Status};
use super::consensus::Answer;
use super::error::VerifyError;
use super::event::Event;
use super::members::member;
use super::project::{Happening, Project, questions};
use super::rules::QuestionSet;

/// A task of which the right answer is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gold {
    /// The task.
    pub task: String,
    /// Yes or no.
    pub answer: Answer,
    /// What for.
    pub purpose: GoldPurpose,
    /// What volunteers in training are told.
    #[serde(default)]
    pub note: String,
}

/// Longest note or reason, in characters.
pub const NOTE_LENGTH: usize = 500;

impl Project {
    /// All gold.
    pub fn gold(&self) -> Result<Vec<Gold>, VerifyError> {
        self.store.read(|c| {
            Ok(c.prepare("SELECT g.task, g.answer, g.purpose, g.note FROM gold g JOIN task t ON t.id = g.task ORDER BY t.number")?
                .query_map([], |row| {
                    Ok(Gold {
                        task: row.get(0)?,
                        answer: row.get(1)?,
                        purpose: row.get(2)?,
                        note: row.get(3)?,
                    })
                })?
                .collect::<Result<_, _>>()?)
        })
    }

    /// Makes a task gold. An expert knows the answer, so it is decided by that too, and leaves the streams.
    pub fn set_gold(&self, gold: &Gold, by: &str) -> Result<(), VerifyError> {
        if gold.answer.as_bool().is_none() {
            return Err(VerifyError::Refused(
                "the answer of gold is yes or no".to_owned(),
            ));
        }
        let note = checked(&gold.note)?;
        self.happen(|h| {
            let by = expert(h, by)?;
            known_task(h, &gold.task)?;
            h.record(Event::Gold {
                task: gold.task.clone(),
                answer: Some(gold.answer),
                purpose: gold.purpose,
                note,
                by: by.clone(),
            })?;
            super::voting::expert_says(h, &gold.task, &by, gold.answer)
        })
    }

    /// Makes a task gold no more. What was decided about it stays.
    pub fn remove_gold(&self, task: &str, by: &str) -> Result<(), VerifyError> {
        self.happen(|h| {
            let by = expert(h, by)?;
            let purpose: GoldPurpose =
                h.tx.query_row("SELECT purpose FROM gold WHERE task = ?1", [task], |row| {
                    row.get(0)
                })
                .optional()?
                .ok_or(VerifyError::Unknown("gold"))?;
            h.record(Event::Gold {
                task: task.to_owned(),
                answer: None,
                purpose,
                note: String::new(),
                by,
            })?;
            Ok(())
        })
    }

    /// An expert decides about a place. [`Status::Unverified`] takes a decision back, and leaves it to the votes.
    pub fn decide(
        &self,
        task: &str,
        status: Status,
        reason: &str,
        by: &str,
    ) -> Result<(), VerifyError> {
        if status == Status::Contested {
            return Err(VerifyError::Refused(
                "an expert decides `confirmed`, `rejected`, `imagery_problem`, or `unverified` to leave it to the votes"
                    .to_owned(),
            ));
        }
        let reason = checked(reason)?;
        self.happen(|h| {
            let by = expert(h, by)?;
            known_task(h, task)?;
            let p_votes = h.deriver.judgement(task)?.p_votes;
            h.record(Event::Decision {
                task: task.to_owned(),
                status,
                decided_by: DecidedBy::Expert,
                p_votes,
                consensus_version: None,
                by: Some(by),
                reason,
            })?;
            if status == Status::Unverified {
                h.judge(task, true)?;
            }
            Ok(())
        })
    }

    /// Asks in other words from now on. Votes given to the old words stay; votes that come for them are refused with
    /// the reason.
    pub fn ask(&self, questions_now: &QuestionSet) -> Result<u32, VerifyError> {
        let (_, at) = self.now();
        self.store.write(|tx| {
            let version = questions(tx)?.version + 1;
            let body = QuestionSet {
                version,
                ..questions_now.clone()
            };
            tx.execute(
                "INSERT INTO question_set (version, body, created_at) VALUES (?1, ?2, ?3)",
                params![version, serde_json::to_string(&body)?, at],
            )?;
            Ok(version)
        })
    }
}

/// The log's code of a member who may decide.
fn expert(h: &Happening<'_>, id: &str) -> Result<String, VerifyError> {
    let member = member(h.tx, id)?;
    if member.role < Role::Expert {
        return Err(VerifyError::Refused("only experts may do that".to_owned()));
    }
    Ok(member.voter)
}

fn known_task(h: &Happening<'_>, task: &str) -> Result<(), VerifyError> {
    let known: bool =
        h.tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM task WHERE id = ?1)")?
            .query_row([task], |row| row.get(0))?;
    if known {
        Ok(())
    } else {
        Err(VerifyError::Unknown("task"))
    }
}

fn checked(text: &str) -> Result<String, VerifyError> {
    if text.chars().count() > NOTE_LENGTH {
        return Err(VerifyError::Refused(format!(
            "a note or reason has at most {NOTE_LENGTH} characters"
        )));
    }
    Ok(text.trim().to_owned())
}
