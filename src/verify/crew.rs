//! How members answer, for those who run a project. Never shown to anybody else.

use std::collections::HashMap;

use super::consensus::{Agreement, Answer, Ballot};
use super::error::VerifyError;
use super::members::Member;
use super::project::Project;

/// A member, and what is known of their answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberWork {
    /// Who.
    pub member: Member,
    /// Votes given and not taken back.
    pub votes: u64,
    /// Hidden controls answered.
    pub controls: u64,
    /// Of those, right.
    pub controls_right: u64,
    /// Answers that came too fast to have been looked at.
    pub fast: u64,
}

impl Project {
    /// All members with their work, in the order of [`Project::members`].
    pub fn members_and_work(&self) -> Result<Vec<MemberWork>, VerifyError> {
        let mut work: HashMap<String, [i64; 4]> = self.store.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT voter, votes, controls, controls_right, fast FROM voter")?;
            let rows = statement.query_map([], |row| {
                Ok((
                    row.get(0)?,
                    [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let members = self.members()?;
        Ok(members
            .into_iter()
            .map(|member| {
                let numbers = work.remove(&member.voter).unwrap_or_default();
                let [votes, controls, controls_right, fast] = numbers.map(|n| n.max(0) as u64);
                MemberWork {
                    member,
                    votes,
                    controls,
                    controls_right,
                    fast,
                }
            })
            .collect())
    }

    /// How far volunteers agree, over all votes that count; labels are no, yes, unsure. Training is left out: there
    /// the right answer was told.
    pub fn agreement(&self) -> Result<Agreement, VerifyError> {
        let votes: Vec<(String, String, Answer)> = self.store.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT task, voter, answer FROM vote WHERE state = 'counted' AND stream <> 'training' ORDER BY task, voter",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })?;
        let ballots = votes
            .iter()
            .map(|(task, voter, answer)| (task.as_str(), Ballot::new(voter, *answer)));
        Ok(Agreement::of_ballots(ballots))
    }
}
