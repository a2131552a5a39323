//! The estimate of the crowd, made anew every so many votes.
//!
//! It is made from one state of the project while votes go on, so it costs nobody any waiting. The log gets the event
//! with the position of that state; from then on every new vote is judged by the new estimate, and the other verdicts
//! follow, some at a time. A mark in the database says how far: after a kill, the next batch goes on.

use std::time::Instant;

use rusqlite::{Connection, OptionalExtension};

use super::error::VerifyError;
use super::estimate::{CONSENSUS_VERSION, Estimate};
use super::event::{self, Event};
use super::project::Project;

/// Verdicts renewed in one transaction: some milliseconds' worth.
const SLICE: usize = 64;

impl Project {
    /// Whether enough votes have come since the last estimate of the crowd, or verdicts do not follow from it yet.
    pub fn batch_due(&self) -> Result<bool, VerifyError> {
        self.store.read(|c| {
            let last: Option<(i64, Option<i64>)> = c
                .prepare_cached("SELECT through, pending FROM batch WHERE one = 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (through, pending) = last.unwrap_or((0, None));
            Ok(pending.is_some() || votes_since(c, through)? >= self.batch_size(c)?)
        })
    }

    /// A batch costs as much as there are votes, so it comes after a twentieth of them.
    fn batch_size(&self, c: &Connection) -> Result<i64, VerifyError> {
        let votes = self.estimate(c)?.votes as i64;
        Ok(self.rules().batch_every.max(votes / 20))
    }

    /// Estimates the crowd anew from all votes, and decides what can be decided now. Long-running; other threads
    /// and processes go on meanwhile. A server calls it when [`Project::batch_due`] says so.
    pub fn run_batch(&self) -> Result<(), VerifyError> {
        let (through, estimate) = self.store.read(|c| {
            let (through, _) = event::head(c)?;
            Ok((through, Estimate::fit(c)?))
        })?;
        self.happen(|h| {
            let event = Event::Batch {
                through,
                consensus_version: CONSENSUS_VERSION.to_owned(),
            };
            h.record_made(event, Some(estimate))
        })?;
        self.finish_batch()
    }

    /// Makes all verdicts follow from the last estimate, where an earlier process was cut off in that.
    pub(super) fn finish_batch(&self) -> Result<(), VerifyError> {
        loop {
            let begun = Instant::now();
            let more = self.happen(|h| {
                let renewed = h.deriver.follow_estimate(SLICE)?;
                for task in &renewed {
                    if h.deriver.judgement(task)?.asked > 0 {
                        h.judge(task, false)?;
                    }
                }
                Ok(!renewed.is_empty())
            })?;
            if !more {
                return Ok(());
            }
            // Whoever waits to write comes in between: a lock does not queue by itself.
            std::thread::sleep(begun.elapsed());
        }
    }
}

fn votes_since(c: &Connection, event: i64) -> Result<i64, VerifyError> {
    Ok(c.prepare_cached(
        "SELECT count(*) FROM event WHERE seq > ?1 AND kind IN ('vote', 'correction', 'withdrawal', 'void')",
    )?
    .query_row([event], |row| row.get(0))?)
}
