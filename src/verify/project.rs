//! A verification project: a folder with one database, open to all threads of a server at once.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::answer::{DecidedBy, Status};
use super::consensus::Verdict;
use super::derive::Deriver;
use super::error::VerifyError;
use super::estimate::{CONSENSUS_VERSION, Estimate};
use super::event::{self, Entry, Event};
use super::id::random_numbers;
use super::rules::{QuestionSet, Rules};
use super::store::Store;

/// Name of the database in the folder.
pub const DATABASE: &str = "project.sqlite";

/// A site that the consensus decided is open again when its posterior falls back to this (or rises to one minus it).
const REOPEN_BELOW: f64 = 0.9;

/// How a project is opened. The default is right for everything but tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Seed of the order in which tasks are handed out; `None`: from the system.
    pub seed: Option<u64>,
    /// Seconds since 1970 at which the project's clock stands still until [`Project::advance_clock`];
    /// `None`: the system's clock.
    pub clock: Option<i64>,
}

/// An open project. Shared between threads by reference; several processes may have it open.
#[derive(Debug)]
pub struct Project {
    folder: PathBuf,
    pub(super) store: Store,
    rules: Rules,
    /// The estimate in use, with the seal of the event that made it.
    estimate: Mutex<(String, Arc<Estimate>)>,
    pub(super) random: Mutex<ChaCha8Rng>,
    clock: Option<AtomicI64>,
}

impl Project {
    /// Makes an empty project in a folder, which is made if need be. Tasks come with [`Project::add_run`].
    pub fn create(
        folder: &Path,
        rules: &Rules,
        questions: &QuestionSet,
        options: OpenOptions,
    ) -> Result<Self, VerifyError> {
        let file = folder.join(DATABASE);
        if file.exists() {
            return Err(VerifyError::Exists {
                path: folder.display().to_string(),
            });
        }
        std::fs::create_dir_all(folder).map_err(|source| VerifyError::File {
            path: folder.display().to_string(),
            source,
        })?;
        let store = Store::create(&file)?;
        let project = Self::of(folder, store, rules.clone(), options)?;
        let (_, at) = project.now();
        project.store.write(|tx| {
            put_setting(tx, "rules", &serde_json::to_string(rules)?)?;
            tx.execute(
                "INSERT INTO question_set (version, body, created_at) VALUES (?1, ?2, ?3)",
                params![questions.version, serde_json::to_string(questions)?, at],
            )?;
            Ok(())
        })?;
        Ok(project)
    }

    /// Opens the project in a folder.
    pub fn open(folder: &Path) -> Result<Self, VerifyError> {
        Self::open_with(folder, OpenOptions::default())
    }

    /// Opens the project in a folder, with chance and time under control.
    pub fn open_with(folder: &Path, options: OpenOptions) -> Result<Self, VerifyError> {
        let file = folder.join(DATABASE);
        if !file.is_file() {
            return Err(VerifyError::NotAProject {
                path: folder.display().to_string(),
            });
        }
        let store = Store::open(&file)?;
        let rules = store.read(|c| setting(c, "rules"))?.ok_or_else(|| {
            VerifyError::Damaged("it has no rules, so it was never finished".to_owned())
        })?;
        let rules = serde_json::from_str(&rules)?;
        Self::of(folder, store, rules, options)
    }

    fn of(
        folder: &Path,
        store: Store,
        rules: Rules,
        options: OpenOptions,
    ) -> Result<Self, VerifyError> {
        Ok(Self {
            folder: folder.to_path_buf(),
            store,
            rules,
            estimate: Mutex::new((String::new(), Arc::new(Estimate::default()))),
            random: Mutex::new(random_numbers(options.seed)?),
            clock: options.clock.map(AtomicI64::new),
        })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The questions that are asked now.
    pub fn questions(&self) -> Result<QuestionSet, VerifyError> {
        self.store.read(questions)
    }

    /// A value kept under a name, such as the invite code. Not part of the log.
    pub fn setting(&self, key: &str) -> Result<Option<String>, VerifyError> {
        self.store.read(|c| setting(c, key))
    }

    /// Keeps a value under a name.
    pub fn set_setting(&self, key: &str, value: &str) -> Result<(), VerifyError> {
        if key == "rules" {
            return Err(VerifyError::Refused(
                "the rules of a project are fixed when it is made".to_owned(),
            ));
        }
        self.store.write(|tx| put_setting(tx, key, value))
    }

    /// Moves a clock that stands still (see [`OpenOptions::clock`]).
    pub fn advance_clock(&self, seconds: i64) {
        if let Some(clock) = &self.clock {
            clock.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    /// Seconds since 1970, and the same as text.
    pub(super) fn now(&self) -> (i64, String) {
        let now = match &self.clock {
            Some(clock) => jiff::Timestamp::from_second(clock.load(Ordering::Relaxed))
                .unwrap_or(jiff::Timestamp::UNIX_EPOCH),
            None => jiff::Timestamp::now(),
        };
        (now.as_second(), iso(now))
    }

    /// Runs `act` in one transaction in which things may happen.
    pub(super) fn happen<T>(
        &self,
        act: impl FnOnce(&mut Happening<'_>) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        self.store.write(|tx| {
            let (now, at) = self.now();
            let estimate = self.estimate(tx)?;
            let deriver = Deriver::new(tx, &self.rules, estimate);
            act(&mut Happening {
                tx,
                deriver,
                now,
                at,
            })
        })
    }

    /// The estimate that holds, from memory where that is still the one in the database.
    pub(super) fn estimate(&self, connection: &Connection) -> Result<Arc<Estimate>, VerifyError> {
        let seal = Estimate::seal(connection)?;
        let mut kept = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 != seal {
            *kept = (seal, Arc::new(Estimate::load(connection)?));
        }
        Ok(Arc::clone(&kept.1))
    }
}

/// A moment in which things happen: one transaction.
pub(super) struct Happening<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) deriver: Deriver<'a>,
    pub(super) now: i64,
    pub(super) at: String,
}

impl Happening<'_> {
    /// Writes an event into the log and applies it.
    pub(super) fn record(&mut self, event: Event) -> Result<Entry, VerifyError> {
        self.record_made(event, None)
    }

    /// Writes an event into the log and applies it; of a batch, with the estimate that was made for it.
    pub(super) fn record_made(
        &mut self,
        event: Event,
        made: Option<Estimate>,
    ) -> Result<Entry, VerifyError> {
        let entry = event::append(self.tx, &self.at, event)?;
        self.deriver.apply(&entry, made)?;
        Ok(entry)
    }

    /// Lets the consensus decide about a task. `removed`: evidence was taken away, so that what it had decided may
    /// not stand any more; added evidence has to speak against it clearly.
    pub(super) fn judge(&mut self, task: &str, removed: bool) -> Result<(), VerifyError> {
        let now = self.deriver.judgement(task)?;
        if now.decided_by == Some(DecidedBy::Expert) {
            return Ok(());
        }
        let p = now.p_votes.unwrap_or(0.5);
        let (status, reason) = match now.verdict {
            Verdict::Confirmed => (Status::Confirmed, "votes agree"),
            Verdict::Rejected => (Status::Rejected, "votes agree"),
            Verdict::Expert => (
                Status::Contested,
                "as many votes as volunteers are asked for, and no agreement",
            ),
            Verdict::OtherDate => {
                if self.has_rank(task, now.rank + 1)? {
                    self.record(Event::OtherDate {
                        task: task.to_owned(),
                        rank: now.rank + 1,
                    })?;
                    return Ok(());
                }
                (Status::ImageryProblem, "no usable picture")
            }
            Verdict::Open { .. } => {
                let shaken = match now.status {
                    Status::Confirmed => p < REOPEN_BELOW,
                    Status::Rejected => p > 1.0 - REOPEN_BELOW,
                    _ => false,
                };
                if now.status == Status::Unverified || !(removed || shaken) {
                    return Ok(());
                }
                (Status::Unverified, "the votes that are left do not decide")
            }
        };
        if status == now.status {
            return Ok(());
        }
        self.record(Event::Decision {
            task: task.to_owned(),
            status,
            decided_by: DecidedBy::Consensus,
            p_votes: now.p_votes,
            consensus_version: Some(CONSENSUS_VERSION.to_owned()),
            by: None,
            reason: reason.to_owned(),
        })?;
        Ok(())
    }

    fn has_rank(&self, task: &str, rank: i64) -> Result<bool, VerifyError> {
        Ok(self
            .tx
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM chip WHERE task = ?1 AND rank = ?2)")?
            .query_row(params![task, rank], |row| row.get(0))?)
    }
}

/// A moment as ISO 8601 with whole seconds.
pub(super) fn iso(moment: jiff::Timestamp) -> String {
    jiff::Timestamp::from_second(moment.as_second())
        .unwrap_or(moment)
        .to_string()
}

pub(super) fn setting(c: &Connection, key: &str) -> Result<Option<String>, VerifyError> {
    Ok(
        c.prepare_cached("SELECT value FROM setting WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?,
    )
}

pub(super) fn put_setting(c: &Connection, key: &str, value: &str) -> Result<(), VerifyError> {
    c.prepare_cached("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)")?
        .execute([key, value])?;
    Ok(())
}

pub(super) fn questions(c: &Connection) -> Result<QuestionSet, VerifyError> {
    let body: String = c
        .prepare_cached("SELECT body FROM question_set ORDER BY version DESC LIMIT 1")?
        .query_row([], |row| row.get(0))?;
    Ok(serde_json::from_str(&body)?)
}
