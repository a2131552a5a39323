//! What the votes on a task say, and its row of the table of verdicts.
//!
//! A verdict is a function of the present state alone: the votes, the estimate of the crowd, whether the task is gold, and
//! how far its cluster is. Whatever changes one of these renews it, so the order in which things happened leaves no trace.

use rusqlite::params;

use super::answer::{DecidedBy, Status};
use super::clusters::Standing;
use super::consensus::{Answer, Ballot, Tally, Verdict, p_combined};
use super::derive::Deriver;
use super::error::VerifyError;
use super::holds::renew_offer;

/// Detector scores are kept this far from certain when they serve as a prior.
const SCORE_EDGE: f64 = 1e-3;
/// What a finished neighbour in the cluster adds to the priority of a task, at most: a whole kiln field at a time.
const CLUSTER_WEIGHT: f64 = 0.25;
/// What chance adds, at most.
const JITTER_WEIGHT: f64 = 0.05;

/// What the votes on a task say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    /// What to do.
    pub(super) verdict: Verdict,
    /// Probability of yes from the votes alone; `None` without votes.
    pub(super) p_votes: Option<f64>,
    /// Status it has now.
    pub(super) status: Status,
    /// Who gave it that.
    pub(super) decided_by: Option<DecidedBy>,
    /// Which look at the place is asked about.
    pub(super) rank: i64,
    /// Answers.
    pub(super) asked: u32,
}

/// The rest of the row.
struct Row {
    tally: Tally,
    p_combined: f64,
    needed: u32,
    priority: f64,
}

/// What a verdict depends on besides the votes.
struct Facts {
    rank: i64,
    status: Status,
    decided_by: Option<DecidedBy>,
    score: f64,
    area_priority: f64,
    jitter: f64,
    gold: bool,
    cluster: Standing,
}

impl Deriver<'_> {
    /// Counts the votes of a task again, and writes what follows from them.
    pub(super) fn refresh(&self, task: &str) -> Result<(), VerifyError> {
        let (now, row) = self.weigh(task)?;
        self.tx
            .prepare_cached(
                "UPDATE verdict SET yes = ?2, no = ?3, unsure = ?4, bad = ?5, p_votes = ?6, p_combined = ?7,
                 needed = ?8, started = ?9, priority = ?10 WHERE task = ?1",
            )?
            .execute(params![
                task,
                row.tally.yes,
                row.tally.no,
                row.tally.unsure,
                row.tally.bad_image,
                now.p_votes,
                row.p_combined,
                row.needed,
                now.asked > 0,
                row.priority
            ])?;
        renew_offer(self.tx, task)
    }

    /// What the votes on a task say.
    pub(super) fn judgement(&self, task: &str) -> Result<Judgement, VerifyError> {
        Ok(self.weigh(task)?.0)
    }

    fn weigh(&self, task: &str) -> Result<(Judgement, Row), VerifyError> {
        let facts = self.facts(task)?;
        let votes: Vec<(String, Answer, f64, bool)> = self
            .tx
            .prepare_cached(
                "SELECT voter, answer, weight, verified FROM vote
                 WHERE task = ?1 AND state = 'counted' AND (answer <> 'bad_image' OR rank = ?2) ORDER BY seq",
            )?
            .query_map(params![task, facts.rank], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<Result<_, _>>()?;
        let ballots: Vec<Ballot<'_>> = votes
            .iter()
            .map(|(voter, answer, weight, verified)| Ballot {
                volunteer: voter,
                answer: *answer,
                weight: *weight,
                verified: *verified,
            })
            .collect();
        let tally = Tally::of(&ballots);
        let crowd = &self.estimate.crowd;
        // Sums run in the order of the voters' codes, whatever the order in which the votes came.
        let mut by_voter: Vec<&Ballot<'_>> = ballots.iter().collect();
        by_voter.sort_by_key(|b| b.volunteer);
        let raw = crowd.posterior(by_voter);
        let posterior = self.estimate.calibration.map_or(raw, |c| c.apply(raw));
        let judged = tally.yes + tally.no + tally.unsure > 0;
        let combined = p_combined(
            posterior,
            crowd.prevalence(),
            facts.score.clamp(SCORE_EDGE, 1.0 - SCORE_EDGE),
        );
        let verdict = self
            .estimate
            .rule
            .decide(&tally, posterior, facts.cluster.contested, crowd);
        let needed = match verdict {
            Verdict::Open { wanted } if facts.status == Status::Unverified && !facts.gold => wanted,
            _ => 0,
        };
        let priority = entropy(combined)
            + facts.area_priority
            + CLUSTER_WEIGHT * facts.cluster.decided_share()
            + JITTER_WEIGHT * facts.jitter;
        Ok((
            Judgement {
                verdict,
                p_votes: judged.then_some(posterior),
                status: facts.status,
                decided_by: facts.decided_by,
                rank: facts.rank,
                asked: tally.asked(),
            },
            Row {
                tally,
                p_combined: combined,
                needed,
                priority,
            },
        ))
    }

    fn facts(&self, task: &str) -> Result<Facts, VerifyError> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT v.rank, v.status, v.decided_by, t.score, t.area_priority, t.jitter,
                        EXISTS (SELECT 1 FROM gold g WHERE g.task = t.id),
                        coalesce(c.decided, 0), coalesce(c.contested, 0), coalesce(c.members, 0)
                 FROM verdict v JOIN task t ON t.id = v.task
                 LEFT JOIN cluster_tally c ON c.cluster_id = t.cluster_id WHERE v.task = ?1",
            )?
            .query_row([task], |row| {
                Ok(Facts {
                    rank: row.get(0)?,
                    status: row.get(1)?,
                    decided_by: row.get(2)?,
                    score: row.get(3)?,
                    area_priority: row.get(4)?,
                    jitter: row.get(5)?,
                    gold: row.get(6)?,
                    cluster: Standing::new(row.get(7)?, row.get(8)?, row.get(9)?),
                })
            })?)
    }
}

/// Entropy of a probability in bits: 1 where an answer tells most.
fn entropy(p: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    part(p) + part(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_most_where_the_odds_are_even() {
        assert_eq!((entropy(0.0), entropy(0.5), entropy(1.0)), (0.0, 1.0, 0.0));
        assert!(entropy(0.4) > entropy(0.2));
    }
}
