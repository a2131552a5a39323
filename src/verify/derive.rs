//! From events to votes, tallies and verdicts. The same code runs when something happens and when the log is
//! replayed, so that both end in the same bytes.
//!
//! Nothing here depends on anything but the log, the tasks and the rules: no clock, no chance, no memory.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::answer::{DecidedBy, GoldPurpose, Status, Stream};
use super::consensus::{Answer, Ballot, Tally, Verdict, haste_weight, p_combined};
use super::error::VerifyError;
use super::estimate::Estimate;
use super::event::{Entry, Event};
use super::rules::Rules;

/// Detector scores are kept this far from certain when they serve as a prior.
const SCORE_EDGE: f64 = 1e-3;
/// What a finished neighbour in the cluster adds to the priority of a task, at most: a whole kiln field at a time.
const CLUSTER_WEIGHT: f64 = 0.25;
/// What chance adds, at most.
const JITTER_WEIGHT: f64 = 0.05;

/// Applies events to the derived tables.
pub(super) struct Deriver<'a> {
    tx: &'a Connection,
    rules: &'a Rules,
    estimate: Arc<Estimate>,
    /// While replaying, only the last estimate is worth making: the others are replaced by it.
    skip_batches_before: i64,
}

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
}

impl<'a> Deriver<'a> {
    pub(super) fn new(tx: &'a Connection, rules: &'a Rules, estimate: Arc<Estimate>) -> Self {
        Self {
            tx,
            rules,
            estimate,
            skip_batches_before: 0,
        }
    }

    /// For a replay in which the batch of event `last` is the last one.
    pub(super) fn for_replay(tx: &'a Connection, rules: &'a Rules, last_batch: i64) -> Self {
        Self {
            tx,
            rules,
            estimate: Arc::new(Estimate::default()),
            skip_batches_before: last_batch,
        }
    }

    /// Applies one event. `made` is the estimate of a batch, where it was made already.
    pub(super) fn apply(
        &mut self,
        entry: &Entry,
        made: Option<Estimate>,
    ) -> Result<(), VerifyError> {
        match &entry.event {
            Event::Tasks { wave, .. } => self.tasks(*wave),
            Event::Vote { .. } => self.vote(entry),
            Event::Correction {
                id,
                task,
                voter,
                answer,
            } => {
                self.receipt(voter, id, entry.seq, task)?;
                self.tx
                    .prepare_cached(
                        "UPDATE vote SET answer = ?3, seq = ?4 WHERE task = ?1 AND voter = ?2",
                    )?
                    .execute(params![task, voter, answer, entry.seq])?;
                self.after_change(task, voter)
            }
            Event::Withdrawal { id, task, voter } => {
                self.receipt(voter, id, entry.seq, task)?;
                self.tx
                    .prepare_cached("UPDATE vote SET state = 'withdrawn', seq = ?3 WHERE task = ?1 AND voter = ?2")?
                    .execute(params![task, voter, entry.seq])?;
                self.after_change(task, voter)
            }
            Event::Void {
                voter,
                task,
                restored,
                ..
            } => self.void(voter, task.as_deref(), *restored),
            Event::Gold {
                task,
                answer,
                purpose,
                note,
                ..
            } => self.gold(task, *answer, *purpose, note),
            Event::Decision { .. } => self.decision(entry),
            Event::OtherDate { task, rank } => {
                self.tx
                    .prepare_cached("UPDATE verdict SET rank = ?2 WHERE task = ?1")?
                    .execute(params![task, rank])?;
                self.refresh(task).map(drop)
            }
            Event::Batch { through, .. } => self.batch(entry.seq, *through, made),
            Event::Publication { .. } => Ok(()),
        }
    }

    fn tasks(&self, wave: i64) -> Result<(), VerifyError> {
        self.tx
            .prepare_cached(
                "INSERT INTO verdict (task, sampled, needed)
                 SELECT id, inclusion IS NOT NULL, 1 FROM task WHERE wave = ?1 ORDER BY number",
            )?
            .execute([wave])?;
        let tasks = self.column(
            "SELECT id FROM task WHERE wave = ?1 ORDER BY number",
            params![wave],
        )?;
        tasks
            .iter()
            .try_for_each(|task| self.refresh(task).map(drop))
    }

    fn column(
        &self,
        sql: &str,
        parameters: &[&dyn rusqlite::ToSql],
    ) -> Result<Vec<String>, VerifyError> {
        let rows = self
            .tx
            .prepare_cached(sql)?
            .query_map(parameters, |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(rows)
    }

    fn receipt(&self, voter: &str, id: &str, seq: i64, task: &str) -> Result<(), VerifyError> {
        self.tx
            .prepare_cached("INSERT INTO receipt (voter, id, seq, task) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![voter, id, seq, task])?;
        Ok(())
    }

    fn vote(&self, entry: &Entry) -> Result<(), VerifyError> {
        let Event::Vote {
            id,
            task,
            voter,
            answer,
            rank,
            stream,
            question_version,
            milliseconds,
        } = &entry.event
        else {
            return Ok(());
        };
        self.receipt(voter, id, entry.seq, task)?;
        let weight = milliseconds.map_or(1.0, |ms| haste_weight(ms as f64 / 1000.0));
        // Who voted elsewhere was let in there.
        let verified = *stream == Stream::Import || self.is_trained(voter)?;
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO vote
                 (task, voter, id, seq, at, answer, rank, stream, question_version, milliseconds, weight, verified, state)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'counted')",
            )?
            .execute(params![
                task,
                voter,
                id,
                entry.seq,
                entry.at,
                answer,
                rank,
                stream,
                question_version,
                milliseconds.map(|ms| ms as i64),
                weight,
                verified
            ])?;
        self.tx
            .prepare_cached(
                "INSERT INTO voter (voter, votes, training, fast, controls, controls_right)
                 SELECT ?1, 1, ?3, ?4, g.task IS NOT NULL AND ?5 IN ('yes', 'no'), coalesce(g.answer = ?5, 0)
                 FROM (SELECT 1) LEFT JOIN gold g ON g.task = ?2 AND g.purpose = 'control' AND NOT ?3
                 WHERE true
                 ON CONFLICT (voter) DO UPDATE SET votes = votes + 1, training = training + excluded.training,
                 fast = fast + excluded.fast, controls = controls + excluded.controls,
                 controls_right = controls_right + excluded.controls_right",
            )?
            .execute(params![
                voter,
                task,
                *stream == Stream::Training,
                milliseconds.is_some_and(|ms| ms < self.rules.fast_ms),
                answer
            ])?;
        self.refresh(task).map(drop)
    }

    /// Whether a volunteer has finished the training, or there is none to finish.
    fn is_trained(&self, voter: &str) -> Result<bool, VerifyError> {
        let offered: i64 = self
            .tx
            .prepare_cached("SELECT count(*) FROM gold WHERE purpose = 'training'")?
            .query_row([], |row| row.get(0))?;
        let done: Option<i64> = self
            .tx
            .prepare_cached("SELECT training FROM voter WHERE voter = ?1")?
            .query_row([voter], |row| row.get(0))
            .optional()?;
        Ok(done.unwrap_or(0) >= offered.min(self.rules.training_tasks as i64))
    }

    fn after_change(&self, task: &str, voter: &str) -> Result<(), VerifyError> {
        self.count(voter)?;
        self.refresh(task).map(drop)
    }

    /// Counts all that a volunteer did anew.
    fn count(&self, voter: &str) -> Result<(), VerifyError> {
        self.tx
            .prepare_cached(
                "INSERT OR REPLACE INTO voter (voter, votes, training, fast, controls, controls_right)
                 SELECT ?1, count(*),
                        coalesce(sum(v.stream = 'training'), 0),
                        coalesce(sum(v.milliseconds < ?2), 0),
                        coalesce(sum(v.stream <> 'training' AND g.purpose = 'control' AND v.answer IN ('yes', 'no')), 0),
                        coalesce(sum(v.stream <> 'training' AND g.purpose = 'control' AND v.answer = g.answer), 0)
                 FROM vote v LEFT JOIN gold g ON g.task = v.task
                 WHERE v.voter = ?1 AND v.state <> 'withdrawn'",
            )?
            .execute(params![voter, self.rules.fast_ms as i64])?;
        Ok(())
    }

    fn void(&self, voter: &str, task: Option<&str>, restored: bool) -> Result<(), VerifyError> {
        let (from, to) = if restored {
            ("void", "counted")
        } else {
            ("counted", "void")
        };
        let touched = self.column(
            "SELECT task FROM vote WHERE voter = ?1 AND state = ?2 AND (?3 IS NULL OR task = ?3) ORDER BY task",
            params![voter, from, task],
        )?;
        for task in &touched {
            self.tx
                .prepare_cached("UPDATE vote SET state = ?3 WHERE task = ?1 AND voter = ?2")?
                .execute(params![task, voter, to])?;
            self.refresh(task)?;
        }
        self.count(voter)
    }

    fn gold(
        &self,
        task: &str,
        answer: Option<Answer>,
        purpose: GoldPurpose,
        note: &str,
    ) -> Result<(), VerifyError> {
        match answer {
            Some(answer) => self
                .tx
                .prepare_cached("INSERT OR REPLACE INTO gold (task, answer, purpose, note) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![task, answer, purpose, note])?,
            None => self
                .tx
                .prepare_cached("DELETE FROM gold WHERE task = ?1")?
                .execute([task])?,
        };
        let voters = self.column(
            "SELECT voter FROM vote WHERE task = ?1 ORDER BY voter",
            params![task],
        )?;
        voters.iter().try_for_each(|voter| self.count(voter))?;
        self.refresh(task).map(drop)
    }

    fn decision(&self, entry: &Entry) -> Result<(), VerifyError> {
        let Event::Decision {
            task,
            status,
            decided_by,
            consensus_version,
            ..
        } = &entry.event
        else {
            return Ok(());
        };
        // Back to unverified: nobody has decided.
        let decided = (*status != Status::Unverified).then_some((decided_by, &entry.at));
        self.tx
            .prepare_cached(
                "UPDATE verdict SET status = ?2, decided_by = ?3, decided_at = ?4, consensus_version = ?5 WHERE task = ?1",
            )?
            .execute(params![
                task,
                status,
                decided.map(|d| d.0),
                decided.map(|d| d.1),
                decided.and(consensus_version.as_ref())
            ])?;
        self.refresh(task)?;
        // A cluster of which more is known comes earlier.
        let neighbours = self.column(
            "SELECT other.id FROM task AS this JOIN task AS other ON other.cluster_id = this.cluster_id
             WHERE this.id = ?1 AND other.id <> ?1 ORDER BY other.number",
            params![task],
        )?;
        neighbours
            .iter()
            .try_for_each(|task| self.refresh(task).map(drop))
    }

    fn batch(&mut self, seq: i64, through: i64, made: Option<Estimate>) -> Result<(), VerifyError> {
        if seq < self.skip_batches_before {
            return Ok(());
        }
        let estimate = match made {
            Some(estimate) => estimate,
            None => Estimate::fit(self.tx, through)?,
        };
        estimate.save(self.tx, seq, through)?;
        self.estimate = Arc::new(estimate);
        let tasks = self.column("SELECT id FROM task ORDER BY number", &[])?;
        tasks
            .iter()
            .try_for_each(|task| self.refresh(task).map(drop))
    }

    /// Counts the votes of a task again, and what follows from them.
    pub(super) fn refresh(&self, task: &str) -> Result<Judgement, VerifyError> {
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
            .decide(&tally, posterior, facts.contested_area, crowd);
        let needed = match verdict {
            Verdict::Open { wanted } if facts.status == Status::Unverified && !facts.gold => wanted,
            _ => 0,
        };
        let priority = entropy(combined)
            + facts.area_priority
            + CLUSTER_WEIGHT * facts.cluster_share
            + JITTER_WEIGHT * facts.jitter;
        self.tx
            .prepare_cached(
                "UPDATE verdict SET yes = ?2, no = ?3, unsure = ?4, bad = ?5, p_votes = ?6, p_combined = ?7,
                 needed = ?8, started = ?9, priority = ?10 WHERE task = ?1",
            )?
            .execute(params![
                task,
                tally.yes,
                tally.no,
                tally.unsure,
                tally.bad_image,
                judged.then_some(posterior),
                combined,
                needed,
                tally.asked() > 0,
                priority
            ])?;
        Ok(Judgement {
            verdict,
            p_votes: judged.then_some(posterior),
            status: facts.status,
            decided_by: facts.decided_by,
            rank: facts.rank,
        })
    }

    fn facts(&self, task: &str) -> Result<Facts, VerifyError> {
        Ok(self
            .tx
            .prepare_cached(
                "SELECT v.rank, v.status, v.decided_by, t.score, t.area_priority, t.jitter,
                        EXISTS (SELECT 1 FROM gold g WHERE g.task = t.id),
                        (SELECT avg(w.status IN ('confirmed', 'rejected')) FROM task o JOIN verdict w ON w.task = o.id
                         WHERE o.cluster_id = t.cluster_id),
                        (SELECT count(*) FROM task o JOIN verdict w ON w.task = o.id
                         WHERE o.cluster_id = t.cluster_id AND w.status = 'contested')
                 FROM verdict v JOIN task t ON t.id = v.task WHERE v.task = ?1",
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
                    cluster_share: row.get::<_, Option<f64>>(7)?.unwrap_or(0.0),
                    contested_area: row.get::<_, i64>(8)? > 0,
                })
            })?)
    }
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
    /// Share of the sites of its cluster that are decided.
    cluster_share: f64,
    /// Whether the votes disagree about a site of its cluster.
    contested_area: bool,
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
