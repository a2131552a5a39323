//! Votes and gold from tables that others made: exports of Zooniverse, `MapSwipe` and the like, and lists of experts.
//!
//! A table is read twice: first whole, to find what is wrong with it before anything is written, then to take it in.
//! Taking it in again changes nothing: the id of a vote follows from the table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension, params};

use super::answer::{GoldPurpose, Stream};
use super::consensus::Answer;
use super::error::VerifyError;
use super::event::Event;
use super::id::{random_id, sha256_hex};
use super::project::{Happening, Project, put_setting, setting};
use crate::run::Progress;

/// Votes taken in between two commits.
const BATCH: usize = 500;
/// Setting that ties names in tables to codes in the log.
const SALT: &str = "import_salt";

/// How the columns of a table are called, and what its answers mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoteColumns {
    /// `site_id`, or the id of a task.
    pub site: String,
    /// Who answered; any name or number.
    pub volunteer: String,
    /// The answer.
    pub answer: String,
    /// Words of the table for our answers. Ours are understood too.
    pub words: BTreeMap<String, Answer>,
}

impl Default for VoteColumns {
    fn default() -> Self {
        Self {
            site: "site_id".to_owned(),
            volunteer: "volunteer".to_owned(),
            answer: "answer".to_owned(),
            words: BTreeMap::new(),
        }
    }
}

/// What came of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imported {
    /// Rows taken in.
    pub new: u64,
    /// Rows that were here before.
    pub known: u64,
    /// Rows about sites that the project does not have.
    pub unknown_sites: u64,
    /// Line of the first of these.
    pub first_unknown_line: Option<u64>,
}

impl Imported {
    fn unknown(&mut self, line: u64) {
        self.unknown_sites += 1;
        self.first_unknown_line.get_or_insert(line);
    }
}

impl Project {
    /// Takes in votes. Where the table holds several answers of one volunteer about a site, the first counts.
    pub fn import_votes(
        &self,
        path: &Path,
        columns: &VoteColumns,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Imported, VerifyError> {
        let mut rows = 0;
        read_votes(path, columns, |_| {
            rows += 1;
            Ok(())
        })?;
        let salt = self.store.write(|tx| {
            if let Some(salt) = setting(tx, SALT)? {
                return Ok(salt);
            }
            let salt = random_id()?;
            put_setting(tx, SALT, &salt)?;
            Ok(salt)
        })?;
        progress.begin("votes", rows, 0);
        let mut imported = Imported::default();
        let mut batch: Vec<VoteRow> = Vec::with_capacity(BATCH);
        let mut flush = |batch: &mut Vec<VoteRow>| -> Result<(), VerifyError> {
            if stop.load(Ordering::Relaxed) {
                return Err(VerifyError::Interrupted(
                    "give the same command again, it goes on from there",
                ));
            }
            self.happen(|h| {
                batch
                    .iter()
                    .try_for_each(|row| take_vote(h, row, &salt, &mut imported))
            })?;
            progress.advance(batch.len() as u64);
            batch.clear();
            Ok(())
        };
        let read = read_votes(path, columns, |row| {
            batch.push(row);
            if batch.len() == BATCH {
                flush(&mut batch)?;
            }
            Ok(())
        })
        .and_then(|()| flush(&mut batch));
        progress.end();
        read?;
        if self.batch_due()? {
            self.run_batch()?;
        }
        Ok(imported)
    }

    /// Takes in gold: a table with `site_id`, `answer` (yes or no), `purpose` (training or control) and, if there is
    /// one, `note`.
    pub fn import_gold(&self, path: &Path) -> Result<Imported, VerifyError> {
        let mut gold = Vec::new();
        let mut table = Table::open(path)?;
        let [site, answer, purpose] =
            ["site_id", "answer", "purpose"].map(|name| table.column(name));
        let (site, answer, purpose) = (site?, answer?, purpose?);
        let note = table.column("note").ok();
        while let Some((line, record)) = table.next()? {
            let field = |i: usize| record.get(i).unwrap_or_default().trim().to_owned();
            let wrong = |what| table.wrong(Some(line), what);
            let answer: Answer = field(answer).parse().map_err(wrong)?;
            if answer.as_bool().is_none() {
                return Err(table.wrong(Some(line), "the answer of gold is yes or no".to_owned()));
            }
            let purpose: GoldPurpose = field(purpose).parse().map_err(wrong)?;
            gold.push((
                line,
                field(site),
                answer,
                purpose,
                note.map(field).unwrap_or_default(),
            ));
        }
        let mut imported = Imported::default();
        self.happen(|h| {
            for (line, site, answer, purpose, note) in gold {
                let Some(task) = task_of(h.tx, &site)? else {
                    imported.unknown(line);
                    continue;
                };
                let same: bool = h
                    .tx
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM gold WHERE task = ?1 AND answer = ?2 AND purpose = ?3 AND note = ?4)")?
                    .query_row(params![task, answer, purpose, note], |row| row.get(0))?;
                if same {
                    imported.known += 1;
                    continue;
                }
                h.record(Event::Gold {
                    task: task.clone(),
                    answer: Some(answer),
                    purpose,
                    note,
                    by: TABLE.to_owned(),
                })?;
                super::voting::expert_says(h, &task, TABLE, answer)?;
                imported.new += 1;
            }
            Ok(())
        })?;
        Ok(imported)
    }
}

/// Who says so, where a table does.
const TABLE: &str = "table";

struct VoteRow {
    line: u64,
    site: String,
    volunteer: String,
    answer: Answer,
}

fn read_votes(
    path: &Path,
    columns: &VoteColumns,
    mut take: impl FnMut(VoteRow) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let mut table = Table::open(path)?;
    let site = table.column(&columns.site)?;
    let volunteer = table.column(&columns.volunteer)?;
    let answer = table.column(&columns.answer)?;
    while let Some((line, record)) = table.next()? {
        let field = |i: usize| record.get(i).unwrap_or_default().trim().to_owned();
        let word = field(answer);
        let answer = match columns.words.get(&word) {
            Some(answer) => *answer,
            None => word.parse().map_err(|e| {
                table.wrong(
                    Some(line),
                    format!("{e}: say what it means with `--map ANSWER={word}`"),
                )
            })?,
        };
        let row = VoteRow {
            line,
            site: field(site),
            volunteer: field(volunteer),
            answer,
        };
        if row.volunteer.is_empty() {
            return Err(table.wrong(Some(line), "nobody is named as the volunteer".to_owned()));
        }
        take(row)?;
    }
    Ok(())
}

fn take_vote(
    h: &mut Happening<'_>,
    row: &VoteRow,
    salt: &str,
    imported: &mut Imported,
) -> Result<(), VerifyError> {
    let Some(task) = task_of(h.tx, &row.site)? else {
        imported.unknown(row.line);
        return Ok(());
    };
    let code = |what: &str| -> String {
        sha256_hex(format!("{salt}\0{what}\0{}", row.volunteer).as_bytes())
            .chars()
            .take(32)
            .collect()
    };
    let voter = code("volunteer");
    let answered: bool =
        h.tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM vote WHERE task = ?1 AND voter = ?2)")?
            .query_row([&task, &voter], |row| row.get(0))?;
    if answered {
        imported.known += 1;
        return Ok(());
    }
    let (rank, question_version): (i64, u32) = h
        .tx
        .prepare_cached("SELECT (SELECT rank FROM verdict WHERE task = ?1), (SELECT max(version) FROM question_set)")?
        .query_row([&task], |row| Ok((row.get(0)?, row.get(1)?)))?;
    h.record(Event::Vote {
        id: code(&format!("vote {task}")),
        task: task.clone(),
        voter,
        answer: row.answer,
        rank,
        stream: Stream::Import,
        question_version,
        milliseconds: None,
    })?;
    imported.new += 1;
    h.judge(&task, false)
}

/// The task of a site id (also one that a later run gave), or of its own id.
fn task_of(c: &Connection, site: &str) -> Result<Option<String>, VerifyError> {
    Ok(c.prepare_cached(
        "SELECT v.task FROM verdict v JOIN task t ON t.id = v.task
         WHERE t.site_id = ?1 OR t.id = ?1 OR t.id = (SELECT task FROM known_as WHERE site_id = ?1)",
    )?
    .query_row([site], |row| row.get(0))
    .optional()?)
}

/// A table with a header.
struct Table {
    path: String,
    reader: csv::Reader<std::fs::File>,
    header: csv::StringRecord,
}

impl Table {
    fn open(path: &Path) -> Result<Self, VerifyError> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|source| VerifyError::File {
            path: name.clone(),
            source,
        })?;
        let mut reader = csv::Reader::from_reader(file);
        let header = reader.headers().cloned();
        let mut table = Self {
            path: name,
            reader,
            header: csv::StringRecord::new(),
        };
        table.header = header.map_err(|e| table.wrong(None, format!("not a CSV table: {e}")))?;
        Ok(table)
    }

    /// The number of a column. A mark at the start of the file, which spreadsheets write, is no part of a name.
    fn column(&self, name: &str) -> Result<usize, VerifyError> {
        self.header
            .iter()
            .position(|column| column.trim_start_matches('\u{feff}').trim() == name)
            .ok_or_else(|| {
                let have: Vec<&str> = self.header.iter().collect();
                self.wrong(
                    Some(1),
                    format!("there is no column `{name}`, only {}", have.join(", ")),
                )
            })
    }

    fn next(&mut self) -> Result<Option<(u64, csv::StringRecord)>, VerifyError> {
        let mut record = csv::StringRecord::new();
        match self.reader.read_record(&mut record) {
            Ok(true) => {
                let line = record.position().map_or(0, csv::Position::line);
                Ok(Some((line, record)))
            }
            Ok(false) => Ok(None),
            Err(e) => {
                let line = e.position().map(csv::Position::line);
                Err(self.wrong(line, format!("not a row of a CSV table: {e}")))
            }
        }
    }

    fn wrong(&self, line: Option<u64>, what: String) -> VerifyError {
        VerifyError::Content {
            path: self.path.clone(),
            line,
            what,
        }
    }
}
