//! Answers coming in: accepted once each, whenever they come.
//!
//! A client makes the id of every vote, so a pack that is sent twice (a bad network, a closed lid) changes nothing the
//! second time. A vote is accepted for every task that was offered to the volunteer, however long ago.

use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::answer::{DecidedBy, Role, Status, Stream};
use super::consensus::Answer;
use super::error::VerifyError;
use super::event::Event;
use super::holds;
use super::id::{is_client_id, is_id};
use super::members::{Member, member};
use super::project::{Happening, Project};

/// Most votes in one sending.
pub const MOST_VOTES: usize = 50;

/// A vote as a client sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVote {
    /// Made by the client, once per vote: 8 to 64 letters, digits, `-` or `_`.
    pub id: String,
    /// The task.
    pub task: String,
    /// The answer.
    pub answer: Answer,
    /// Version of the questions it was given to.
    pub question_version: u32,
    /// [`ChipInfo::hash`](super::ChipInfo::hash) of the picture that was looked at.
    #[serde(default)]
    pub chip_hash: Option<String>,
    /// Time between showing the picture and answering.
    #[serde(default)]
    pub milliseconds: Option<u64>,
}

/// What became of a vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The client's id of it.
    pub id: String,
    /// What became of it.
    pub outcome: VoteOutcome,
}

/// What became of a vote. None of these is worth sending it again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteOutcome {
    /// It is on the disk and counts.
    Accepted,
    /// It was here before.
    Known,
    /// The volunteer has answered this task under another id: to change that, send a correction.
    AlreadyAnswered,
    /// The id has a form that is not allowed.
    BadId,
    /// There is no such task, or it was not offered to this volunteer.
    NotOffered,
    /// The questions have changed since: load the new ones.
    OtherQuestions,
    /// The picture is none of this task's.
    OtherPicture,
    /// There is no such vote to change.
    NoSuchVote,
}

impl VoteOutcome {
    /// Whether the client may forget the vote: it is here.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::Accepted | Self::Known)
    }
}

/// What came of sending votes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    /// One for each vote, in their order.
    pub receipts: Vec<Receipt>,
    /// Whether it is time for [`Project::run_batch`].
    #[serde(skip)]
    pub batch_due: bool,
}

impl Project {
    /// Takes votes of a member. When this returns, what was accepted is on the disk.
    pub fn submit(&self, member_id: &str, votes: &[NewVote]) -> Result<Submission, VerifyError> {
        if votes.len() > MOST_VOTES {
            return Err(VerifyError::Refused(format!(
                "{} votes at once, {MOST_VOTES} are allowed: send them in parts",
                votes.len()
            )));
        }
        let receipts = self.happen(|h| {
            let member = member(h.tx, member_id)?;
            votes
                .iter()
                .map(|vote| {
                    Ok(Receipt {
                        id: vote.id.clone(),
                        outcome: accept(h, &member, vote)?,
                    })
                })
                .collect::<Result<Vec<_>, VerifyError>>()
        })?;
        Ok(Submission {
            receipts,
            batch_due: self.batch_due()?,
        })
    }

    /// Changes the answer of a vote. `id` is the client's id of the correction, `vote` that of the vote.
    pub fn correct(
        &self,
        member_id: &str,
        id: &str,
        vote: &str,
        answer: Answer,
    ) -> Result<VoteOutcome, VerifyError> {
        self.change(member_id, id, vote, |id, task, voter| Event::Correction {
            id,
            task,
            voter,
            answer,
        })
    }

    /// Takes a vote back. The volunteer holds the task again, and may answer it under a new id.
    pub fn undo(&self, member_id: &str, id: &str, vote: &str) -> Result<VoteOutcome, VerifyError> {
        let outcome = self.change(member_id, id, vote, |id, task, voter| Event::Withdrawal {
            id,
            task,
            voter,
        })?;
        Ok(outcome)
    }

    fn change(
        &self,
        member_id: &str,
        id: &str,
        vote: &str,
        event: impl FnOnce(String, String, String) -> Event,
    ) -> Result<VoteOutcome, VerifyError> {
        if !is_client_id(id) {
            return Ok(VoteOutcome::BadId);
        }
        self.happen(|h| {
            let voter = member(h.tx, member_id)?.voter;
            if seen(h, &voter, id)?.is_some() {
                return Ok(VoteOutcome::Known);
            }
            let found: Option<(String, Stream, Answer)> = h
                .tx
                .prepare_cached("SELECT task, stream, answer FROM vote WHERE voter = ?1 AND id = ?2 AND state = 'counted'")?
                .query_row(params![voter, vote], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let Some((task, stream, _)) = found else {
                return Ok(VoteOutcome::NoSuchVote);
            };
            let event = event(id.to_owned(), task.clone(), voter.clone());
            let withdrawn = matches!(event, Event::Withdrawal { .. });
            let corrected = match &event {
                Event::Correction { answer, .. } => Some(*answer),
                _ => None,
            };
            h.record(event)?;
            if withdrawn {
                holds::hold_again(h.tx, &task, &voter, h.now + self.rules().lease_seconds)?;
            }
            match (stream, corrected) {
                (Stream::Expert, Some(answer)) => expert_says(h, &task, &voter, answer)?,
                _ => h.judge(&task, true)?,
            }
            Ok(VoteOutcome::Accepted)
        })
    }
}

/// The task that an id of a client belongs to, if it was seen before.
fn seen(h: &Happening<'_>, voter: &str, id: &str) -> Result<Option<String>, VerifyError> {
    Ok(h.tx
        .prepare_cached("SELECT task FROM receipt WHERE voter = ?1 AND id = ?2")?
        .query_row([voter, id], |row| row.get(0))
        .optional()?)
}

fn accept(
    h: &mut Happening<'_>,
    member: &Member,
    vote: &NewVote,
) -> Result<VoteOutcome, VerifyError> {
    if !is_client_id(&vote.id) {
        return Ok(VoteOutcome::BadId);
    }
    let voter = member.voter.as_str();
    if seen(h, voter, &vote.id)?.is_some() {
        return Ok(VoteOutcome::Known);
    }
    if !is_id(&vote.task) {
        return Ok(VoteOutcome::NotOffered);
    }
    let offered: Option<Stream> =
        h.tx.prepare_cached("SELECT stream FROM lease WHERE task = ?1 AND voter = ?2")?
            .query_row([&vote.task, voter], |row| row.get(0))
            .optional()?;
    let Some(stream) = offered else {
        return Ok(VoteOutcome::NotOffered);
    };
    let answered: bool = h
        .tx
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM vote WHERE task = ?1 AND voter = ?2 AND state <> 'withdrawn')")?
        .query_row([&vote.task, voter], |row| row.get(0))?;
    if answered {
        return Ok(VoteOutcome::AlreadyAnswered);
    }
    let version: u32 =
        h.tx.prepare_cached("SELECT max(version) FROM question_set")?
            .query_row([], |row| row.get(0))?;
    if vote.question_version != version {
        return Ok(VoteOutcome::OtherQuestions);
    }
    let Some(rank) = look(h, vote)? else {
        return Ok(VoteOutcome::OtherPicture);
    };
    holds::answered(h.tx, &vote.task, voter)?;
    h.record(Event::Vote {
        id: vote.id.clone(),
        task: vote.task.clone(),
        voter: voter.to_owned(),
        answer: vote.answer,
        rank,
        stream,
        question_version: vote.question_version,
        milliseconds: vote.milliseconds,
    })?;
    if stream == Stream::Expert && member.role >= Role::Expert {
        expert_says(h, &vote.task, voter, vote.answer)?;
    } else {
        h.judge(&vote.task, false)?;
    }
    Ok(VoteOutcome::Accepted)
}

/// Which look at the place a vote is about: that of the picture it names, or the one that is asked about now.
fn look(h: &Happening<'_>, vote: &NewVote) -> Result<Option<i64>, VerifyError> {
    Ok(match &vote.chip_hash {
        None => h
            .tx
            .prepare_cached("SELECT rank FROM verdict WHERE task = ?1")?
            .query_row([&vote.task], |row| row.get(0))
            .optional()?,
        Some(hash) => h
            .tx
            .prepare_cached("SELECT rank FROM chip WHERE task = ?1 AND substr(sha256, 1, 16) = ?2 ORDER BY rank LIMIT 1")?
            .query_row([&vote.task, hash], |row| row.get(0))
            .optional()?,
    })
}

/// The answer of an expert to a contested task decides it. An expert who is unsure leaves it as it is.
pub(super) fn expert_says(
    h: &mut Happening<'_>,
    task: &str,
    voter: &str,
    answer: Answer,
) -> Result<(), VerifyError> {
    let status = match answer {
        Answer::Yes => Status::Confirmed,
        Answer::No => Status::Rejected,
        Answer::BadImage => Status::ImageryProblem,
        Answer::Unsure => return Ok(()),
    };
    let p_votes = h.deriver.judgement(task)?.p_votes;
    h.record(Event::Decision {
        task: task.to_owned(),
        status,
        decided_by: DecidedBy::Expert,
        p_votes,
        consensus_version: None,
        by: Some(voter.to_owned()),
        reason: "answer of an expert".to_owned(),
    })?;
    Ok(())
}

#[cfg(test)]
#[path = "voting_tests.rs"]
mod tests;
