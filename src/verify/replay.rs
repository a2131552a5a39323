//! The log, played again from the start: whether it holds together, and whether everything else follows from it.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::derive::Deriver;
use super::error::VerifyError;
use super::event::{self, Event};
use super::intake::wave_digest;
use super::project::Project;
use crate::scene::hex;

/// The derived tables, those that refer to others last.
const DERIVED: [&str; 6] = ["receipt", "vote", "voter", "gold", "batch", "verdict"];

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
        self.store.write(|tx| {
            let before = digest(tx)?;
            let last_batch: i64 = tx
                .query_row(
                    "SELECT seq FROM event WHERE kind = 'batch' ORDER BY seq DESC LIMIT 1",
                    [],
                    |row| row.get(0),
                )
                .optional()?
                .unwrap_or(0);
            for table in DERIVED {
                tx.execute(&format!("DELETE FROM {table}"), [])?;
            }
            let mut deriver = Deriver::for_replay(tx, self.rules(), last_batch);
            let events = event::walk(tx, |entry| {
                if let Event::Tasks { wave, digest, .. } = &entry.event
                    && wave_digest(tx, *wave)? != *digest
                {
                    return Err(VerifyError::Chain {
                        seq: entry.seq,
                        what: format!("the tasks of wave {wave} are not those that it sealed"),
                    });
                }
                deriver.apply(&entry, None)
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
