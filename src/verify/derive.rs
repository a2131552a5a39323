//! From events to votes, tallies and verdicts. The same code runs when something happens and when the log is
//! replayed, so that both end in the same bytes.
//!
//! Nothing here depends on anything but the log, the tasks and the rules: no clock, no chance, no memory.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::answer::{GoldPurpose, Status, Stream};
use super::clusters;
use super::consensus::{Answer, haste_weight};
use super::error::VerifyError;
use super::estimate::Estimate;
use super::event::{Entry, Event};
use super::rules::Rules;

/// Applies events to the derived tables.
pub(super) struct Deriver<'a> {
    pub(super) tx: &'a Connection,
    rules: &'a Rules,
    pub(super) estimate: Arc<Estimate>,
}

impl<'a> Deriver<'a> {
    pub(super) fn new(tx: &'a Connection, rules: &'a Rules, estimate: Arc<Estimate>) -> Self {
        Self {
            tx,
            rules,
            estimate,
        }
    }

    /// Applies one event. `made` is the estimate of a batch: the crowd as it was at [`Event::Batch`]'s `through`. Without
    /// it the batch changes nothing, which is right where a later one replaces it. Verdicts follow from it by
    /// [`Self::follow_estimate`].
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
                self.refresh(task)
            }
            Event::Batch { through, .. } => self.batch(entry.seq, *through, made),
            Event::Publication { .. } => Ok(()),
        }
    }

    fn tasks(&self, wave: i64) -> Result<(), VerifyError> {
        self.tx.execute(
            "INSERT INTO verdict (task, sampled, needed)
             SELECT id, inclusion IS NOT NULL, 0 FROM task WHERE wave = ?1 ORDER BY number",
            [wave],
        )?;
        let neighbours = clusters::add_wave(self.tx, wave)?;
        let tasks = self.column(
            "SELECT id FROM task WHERE wave = ?1 ORDER BY number",
            params![wave],
        )?;
        self.refresh_all(&tasks)?;
        self.refresh_all(&neighbours)
    }

    fn refresh_all(&self, tasks: &[String]) -> Result<(), VerifyError> {
        tasks.iter().try_for_each(|task| self.refresh(task))
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
        self.refresh(task)
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
        self.refresh(task)
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
        self.refresh(task)
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
        let before: Status = self
            .tx
            .prepare_cached("SELECT status FROM verdict WHERE task = ?1")?
            .query_row([task], |row| row.get(0))?;
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
        let neighbours = clusters::count_status(self.tx, task, before, *status)?;
        self.refresh(task)?;
        // A cluster of which more is known comes earlier.
        self.refresh_all(&neighbours)
    }

    fn batch(&mut self, seq: i64, through: i64, made: Option<Estimate>) -> Result<(), VerifyError> {
        if let Some(estimate) = made {
            estimate.save(self.tx, seq, through)?;
            self.estimate = Arc::new(estimate);
        }
        Ok(())
    }

    /// Makes the next `limit` verdicts follow from the estimate that holds, in the order of their numbers, and returns
    /// their tasks; none when all do.
    pub(super) fn follow_estimate(&self, limit: usize) -> Result<Vec<String>, VerifyError> {
        let pending: Option<i64> = self
            .tx
            .prepare_cached("SELECT pending FROM batch WHERE one = 1")?
            .query_row([], |row| row.get(0))
            .optional()?
            .flatten();
        let Some(from) = pending else {
            return Ok(Vec::new());
        };
        // A task without a verdict belongs to an intake that is under way.
        let found: Vec<(i64, String)> = self
            .tx
            .prepare_cached(
                "SELECT t.number, t.id FROM task t JOIN verdict v ON v.task = t.id WHERE t.number >= ?1
                 ORDER BY t.number LIMIT ?2",
            )?
            .query_map(params![from, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        let next = (found.len() == limit)
            .then(|| found.last().map(|(number, _)| number + 1))
            .flatten();
        self.tx
            .prepare_cached("UPDATE batch SET pending = ?1 WHERE one = 1")?
            .execute([next])?;
        let tasks: Vec<String> = found.into_iter().map(|(_, task)| task).collect();
        self.refresh_all(&tasks)?;
        Ok(tasks)
    }
}
