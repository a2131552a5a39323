//! Who holds which task, and which tasks may be given to somebody now.
//!
//! A task is *offered* while fewer volunteers hold it than votes are still needed. Offers stand in a table of their own,
//! in the order in which they are taken, so that a pack is read off its top: tasks that are decided or held by enough
//! are not even looked at. Everything that changes a verdict or a hold ends with [`renew_offer`], in the same transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::answer::Stream;
use super::error::VerifyError;

/// Gives a task to a volunteer.
pub(super) fn hold(
    c: &Connection,
    task: &str,
    voter: &str,
    (pack, position): (&str, usize),
    stream: Stream,
    (now, until): (i64, i64),
) -> Result<(), VerifyError> {
    c.prepare_cached(
        "INSERT OR REPLACE INTO lease (task, voter, pack, position, stream, offered_at, expires_at, answered, held)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 1)",
    )?
    .execute(params![
        task,
        voter,
        pack,
        position as i64,
        stream,
        now,
        until
    ])?;
    renew_offer(c, task)
}

/// Holds what is left of a pack for longer.
pub(super) fn prolong(
    c: &Connection,
    voter: &str,
    pack: &str,
    until: i64,
) -> Result<(), VerifyError> {
    c.prepare_cached(
        "UPDATE lease SET expires_at = ?3 WHERE voter = ?1 AND answered = 0 AND pack = ?2 AND held = 1",
    )?
    .execute(params![voter, pack, until])?;
    Ok(())
}

/// The volunteer has answered. The offer is renewed with the verdict, which follows.
pub(super) fn answered(c: &Connection, task: &str, voter: &str) -> Result<(), VerifyError> {
    c.prepare_cached("UPDATE lease SET answered = 1, held = 0 WHERE task = ?1 AND voter = ?2")?
        .execute([task, voter])?;
    Ok(())
}

/// The volunteer has taken the answer back, and may give another.
pub(super) fn hold_again(
    c: &Connection,
    task: &str,
    voter: &str,
    until: i64,
) -> Result<(), VerifyError> {
    c.prepare_cached(
        "UPDATE lease SET answered = 0, held = 1, expires_at = ?3 WHERE task = ?1 AND voter = ?2",
    )?
    .execute(params![task, voter, until])?;
    renew_offer(c, task)
}

/// Everything that a volunteer holds goes back to the queue.
pub(super) fn give_back(c: &Connection, voter: &str) -> Result<(), VerifyError> {
    let held = tasks(
        c,
        "DELETE FROM lease WHERE voter = ?1 AND answered = 0 RETURNING task",
        &[&voter],
    )?;
    held.iter().try_for_each(|task| renew_offer(c, task))
}

/// What was held until `now` or earlier goes back to the queue. An answer that comes all the same still counts.
pub(super) fn let_expire(c: &Connection, now: i64) -> Result<(), VerifyError> {
    let expired = tasks(
        c,
        "UPDATE lease SET held = 0 WHERE held = 1 AND expires_at <= ?1 RETURNING task",
        &[&now],
    )?;
    expired.iter().try_for_each(|task| renew_offer(c, task))
}

fn tasks(
    c: &Connection,
    sql: &str,
    parameters: &[&dyn rusqlite::ToSql],
) -> Result<Vec<String>, VerifyError> {
    Ok(c.prepare_cached(sql)?
        .query_map(parameters, |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Offers a task, or offers it no more, as its verdict and its holders say.
pub(super) fn renew_offer(c: &Connection, task: &str) -> Result<(), VerifyError> {
    type Offer = (bool, bool, f64);
    let offer = |sql: &str| -> Result<Option<Offer>, VerifyError> {
        Ok(c.prepare_cached(sql)?
            .query_row([task], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?)
    };
    let before = offer("SELECT sampled, started, place FROM offer WHERE task = ?1")?;
    let now = offer(
        "SELECT v.sampled, v.started, CASE WHEN v.sampled THEN t.sample_order ELSE -v.priority END
         FROM verdict v JOIN task t ON t.id = v.task
         WHERE v.task = ?1 AND v.needed > 0
         AND v.needed > (SELECT count(*) FROM lease WHERE lease.task = ?1 AND lease.held = 1)",
    )?;
    if now == before {
        return Ok(());
    }
    match now {
        Some((sampled, started, place)) => c
            .prepare_cached(
                "INSERT OR REPLACE INTO offer (task, sampled, started, place) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![task, sampled, started, place])?,
        None => c
            .prepare_cached("DELETE FROM offer WHERE task = ?1")?
            .execute([task])?,
    };
    Ok(())
}
