//! The log: everything that happened, in order, each entry sealed with the one before.
//!
//! An entry's hash is the SHA-256 of the previous hash and the canonical JSON of the entry, so that no past entry
//! can be changed, removed or slipped in without every later hash giving it away. Votes, verdicts and all that
//! is derived from them can be built again from the log alone.
//!
//! The log knows volunteers by a random code (`voter`). Who is behind a code stands in the table of members only,
//! and goes from there when a volunteer asks to be forgotten: the votes stay, the person is gone.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{DecidedBy, GoldPurpose, Status, Stream};
use super::consensus::Answer;
use super::error::VerifyError;
use super::id::sha256_hex;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A run brought tasks.
    Tasks {
        /// Which wave.
        wave: i64,
        /// How many.
        count: u64,
        /// SHA-256 over what they ask: see `replay`.
        digest: String,
    },
    /// A volunteer answered.
    Vote {
        /// The client's id of it.
        id: String,
        /// Which task.
        task: String,
        /// Who.
        voter: String,
        /// What.
        answer: Answer,
        /// Which look at the place was asked about.
        rank: i64,
        /// Why it was offered.
        stream: Stream,
        /// Version of the question.
        question_version: u32,
        /// How long it took, as the client says.
        milliseconds: Option<u64>,
    },
    /// A volunteer changed an answer.
    Correction {
        /// The client's id of the correction.
        id: String,
        /// Which task.
        task: String,
        /// Who.
        voter: String,
        /// The answer that holds from now on.
        answer: Answer,
    },
    /// A volunteer took an answer back. The task may be answered again.
    Withdrawal {
        /// The client's id of the withdrawal.
        id: String,
        /// Which task.
        task: String,
        /// Who.
        voter: String,
    },
    /// The votes of a volunteer, or one of them, count no more (or again).
    Void {
        /// Whose.
        voter: String,
        /// On which task; `None`: all up to here.
        task: Option<String>,
        /// Whether they count again.
        restored: bool,
        /// Why.
        reason: String,
        /// Code of the member who said so.
        by: String,
    },
    /// The right answer of a task is known.
    Gold {
        /// Which task.
        task: String,
        /// The answer (yes or no); `None`: not gold any more.
        answer: Option<Answer>,
        /// What for.
        purpose: GoldPurpose,
        /// What volunteers in training are told.
        note: String,
        /// Code of the member who said so.
        by: String,
    },
    /// The status of a place changed.
    Decision {
        /// Which task.
        task: String,
        /// To what.
        status: Status,
        /// By what.
        decided_by: DecidedBy,
        /// Probability from the votes alone, at that moment.
        p_votes: Option<f64>,
        /// Version of the consensus, where it decided.
        consensus_version: Option<String>,
        /// Code of the expert, where one decided.
        by: Option<String>,
        /// Why.
        reason: String,
    },
    /// Too many volunteers saw no usable picture: another date is asked about.
    OtherDate {
        /// Which task.
        task: String,
        /// Which look at the place from now on.
        rank: i64,
    },
    /// All confusion matrices were estimated anew.
    Batch {
        /// From the votes up to this event.
        through: i64,
        /// Version of the consensus.
        consensus_version: String,
    },
    /// A layer was published.
    Publication {
        /// Names of the files with their SHA-256.
        files: BTreeMap<String, String>,
        /// The state it shows: up to this event.
        through: i64,
    },
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// When (UTC, ISO 8601).
    pub at: String,
    /// What.
    pub event: Event,
    /// Its seal.
    pub hash: String,
}

/// What the first entry is sealed with.
const GENESIS: &str = "kilnsight verify log 1";

/// JSON with sorted keys and no spaces: the same value always gives the same bytes.
pub(super) fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(k, v)| (k.clone(), sorted(v)))
                .collect::<BTreeMap<_, _>>()
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

fn seal(previous: &str, seq: i64, at: &str, body: &str) -> String {
    let head = canonical(&json!({ "at": at, "seq": seq }));
    sha256_hex(format!("{previous}\n{head}\n{body}").as_bytes())
}

/// The last entry's number and seal; zero and the genesis seal for an empty log.
pub(super) fn head(connection: &Connection) -> Result<(i64, String), VerifyError> {
    let last = connection
        .prepare_cached("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last.unwrap_or_else(|| (0, sha256_hex(GENESIS.as_bytes()))))
}

/// Adds an event and returns its entry. Derived tables are not touched: see [`super::derive`].
pub(super) fn append(
    connection: &Connection,
    at: &str,
    event: Event,
) -> Result<Entry, VerifyError> {
    let (last, previous) = head(connection)?;
    let seq = last + 1;
    let value = serde_json::to_value(&event)?;
    let kind = value["kind"].as_str().unwrap_or_default().to_owned();
    let body = canonical(&value);
    let hash = seal(&previous, seq, at, &body);
    connection
        .prepare_cached(
            "INSERT INTO event (seq, at, kind, body, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![seq, at, kind, body, hash])?;
    Ok(Entry {
        seq,
        at: at.to_owned(),
        event,
        hash,
    })
}

/// Hands every entry to `visit`, in order, after checking that it follows from the one before.
pub(super) fn walk(
    connection: &Connection,
    mut visit: impl FnMut(Entry) -> Result<(), VerifyError>,
) -> Result<u64, VerifyError> {
    let mut statement =
        connection.prepare("SELECT seq, at, kind, body, hash FROM event ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut last, mut previous) = (0i64, sha256_hex(GENESIS.as_bytes()));
    while let Some(row) = rows.next()? {
        let (seq, at, kind): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let (body, hash): (String, String) = (row.get(3)?, row.get(4)?);
        let broken = |what: String| VerifyError::Chain { seq, what };
        if seq != last + 1 {
            return Err(broken(format!(
                "it follows event {last}, so entries are missing"
            )));
        }
        if seal(&previous, seq, &at, &body) != hash {
            return Err(broken("its content does not match its seal".to_owned()));
        }
        let event: Event = serde_json::from_str(&body).map_err(|e| broken(e.to_string()))?;
        if serde_json::to_value(&event)?["kind"] != kind {
            return Err(broken("its kind does not match its content".to_owned()));
        }
        previous.clone_from(&hash);
        last = seq;
        visit(Entry {
            seq,
            at,
            event,
            hash,
        })?;
    }
    Ok(last as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("schema/v1.sql"))
            .unwrap();
        for n in 0..5 {
            let event = Event::Withdrawal {
                id: format!("withdrawal-{n}"),
                task: "task".into(),
                voter: "voter".into(),
            };
            append(&connection, "2026-01-01T00:00:00Z", event).unwrap();
        }
        connection
    }

    fn without_triggers(connection: &Connection) {
        connection
            .execute_batch(
                "DROP TRIGGER event_is_never_changed; DROP TRIGGER event_is_never_removed;",
            )
            .unwrap();
    }

    #[test]
    fn keys_are_sorted_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": 0.1}], "a": null});
        assert_eq!(canonical(&value), r#"{"a":null,"b":[{"a":0.1,"z":1}]}"#);
    }

    #[test]
    fn a_log_reads_back_as_it_was_written() {
        let mut seen = Vec::new();
        let count = walk(&log(), |entry| {
            seen.push(entry.seq);
            Ok(())
        });
        assert_eq!((count.unwrap(), seen), (5, vec![1, 2, 3, 4, 5]));
    }

    #[test]
    fn the_store_itself_refuses_to_change_the_past() {
        let log = log();
        for statement in [
            "UPDATE event SET at = 'x' WHERE seq = 2",
            "DELETE FROM event WHERE seq = 5",
        ] {
            let error = log.execute_batch(statement).unwrap_err();
            assert!(error.to_string().contains("append-only"), "{error}");
        }
    }

    #[test]
    fn any_change_behind_its_back_is_found_where_it_is() {
        for (change, seq) in [
            (
                "UPDATE event SET body = replace(body, 'withdrawal-2', 'withdrawal-9') WHERE seq = 3",
                3,
            ),
            (
                "UPDATE event SET at = '2025-01-01T00:00:00Z' WHERE seq = 1",
                1,
            ),
            ("UPDATE event SET kind = 'vote' WHERE seq = 4", 4),
            ("DELETE FROM event WHERE seq = 2", 3),
            (
                "UPDATE event SET hash = (SELECT hash FROM event WHERE seq = 1) WHERE seq = 5",
                5,
            ),
        ] {
            let log = log();
            without_triggers(&log);
            log.execute_batch(change).unwrap();
            let found = walk(&log, |_| Ok(())).unwrap_err();
            assert!(
                matches!(found, VerifyError::Chain { seq: at, .. } if at == seq),
                "{change}: {found}"
            );
        }
    }
}
