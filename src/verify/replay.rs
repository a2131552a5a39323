//! The log, played again from the start: whether it holds together, and whether everything else follows from it.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::derive::Deriver;
use super::error::VerifyError;
use super::estimate::Estimate;
use super::event::{self, Event};
use super::project::Project;
use super::wave::wave_digest;
use crate::scene::hex;

/// The derived tables, those that refer to others last.
const DERIVED: [&str; 7] = [
    "receipt",
    "vote",
    "voter",
    "gold",
    "batch",
    "cluster_tally",
    "verdict",
];

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Entries of the log, all of them sealed as they should be.
    pub events: u64,
    /// Seal of the last one: whoever has noted it can tell that nothing before it was changed.
    pub head: String,
    /// SHA-256 over all that is derived from the log.
    pub digest: String,
    /// Whether the tables held that already, byte for byte. If not, they do now.
    pub same: bool,
}

impl Project {
    /// Checks every seal of the log, builds all derived tables again, and compares. Long-running; votes wait.
    pub fn replay(&self) -> Result<Replayed, VerifyError> {
        self.finish_batch()?;
        self.store.write(|tx| {
            // Another process may have begun a batch just now.
            Deriver::new(tx, self.rules(), self.estimate(tx)?).follow_estimate(usize::MAX)?;
            let before = digest(tx)?;
            for table in DERIVED.iter().chain(&["offer"]) {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            // Only the last estimate is worth making: the others were replaced by it.
            let last = last_batch(tx)?;
            let mut made = None;
            let mut deriver = Deriver::new(tx, self.rules(), Arc::default());
            if last.is_some_and(|(_, through)| through == 0) {
                made = Some(Estimate::fit(tx)?);
            }
            let events = event::walk(tx, |entry| {
                if let Event::Tasks { wave, digest, .. } = &entry.event
                    && wave_digest(tx, *wave)? != *digest
                {
                    return Err(VerifyError::Chain {
                        seq: entry.seq,
                        what: format!("the tasks of wave {wave} are not those that it sealed"),
                    });
                }
                let is_last = last.is_some_and(|(seq, _)| seq == entry.seq);
                deriver.apply(&entry, if is_last { made.take() } else { None })?;
                if is_last {
                    deriver.follow_estimate(usize::MAX)?;
                }
                if last.is_some_and(|(_, through)| through == entry.seq) {
                    made = Some(Estimate::fit(tx)?);
                }
                Ok(())
            })?;
            let digest = digest(tx)?;
            Ok(Replayed {
                events,
                head: event::head(tx)?.1,
                same: digest == before,
                digest,
            })
        })
    }

    /// Number and seal of the last entry of the log.
    pub fn log_head(&self) -> Result<(i64, String), VerifyError> {
        self.store.read(event::head)
    }

    /// Checks every seal of the log, and nothing more. Returns the number of entries.
    pub fn check_log(&self) -> Result<u64, VerifyError> {
        self.store.read(|c| event::walk(c, |_| Ok(())))
    }
}

/// The last batch: number of its event, and up to which event it looked.
fn last_batch(c: &Connection) -> Result<Option<(i64, i64)>, VerifyError> {
    let found: Option<(i64, String)> = c
        .query_row(
            "SELECT seq, body FROM event WHERE kind = 'batch' ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((seq, body)) = found else {
        return Ok(None);
    };
    Ok(match serde_json::from_str(&body) {
        Ok(Event::Batch { through, .. }) => Some((seq, through)),
        // The walk says what is wrong with it.
        _ => None,
    })
}

/// SHA-256 over every value of every derived table, in one order.
fn digest(c: &Connection) -> Result<String, VerifyError> {
    let mut hash = Sha256::new();
    for table in DERIVED {
        hash.update(table.as_bytes());
        // All have a primary key of one or two leading columns.
        let mut statement = c.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let values: Vec<Value> = (0..columns)
                .map(|i| {
                    Ok(match row.get_ref(i)? {
                        ValueRef::Null => Value::Null,
                        ValueRef::Integer(n) => json!(n),
                        ValueRef::Real(x) => json!(x.to_bits()),
                        ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                        ValueRef::Blob(bytes) => json!(hex(bytes)),
                    })
                })
                .collect::<Result<_, VerifyError>>()?;
            hash.update(Value::from(values).to_string().as_bytes());
            hash.update(b"\n");
        }
    }
    Ok(hex(&hash.finalize()))
}
