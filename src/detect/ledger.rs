//! The journal of a scan: which chips are done, how they ended, and all that was found in them.
//!
//! SQLite with a rollback journal (a write-ahead log does not work on network file systems, where
//! university clusters keep their data). Chips are written in batches; a chip and its detections are one
//! transaction, so after a kill the ledger holds whole chips only and the scan goes on with the rest.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::chip_set::ChipSet;
use super::ledger_error::{LedgerError, SCHEMA_VERSION};
use super::ledger_rows::{insert, read_detections};
use super::outcome::{CELLS, Cell, ChipOutcome, RawDetection};

const SCHEMA: &str = include_str!("schema.sql");
/// "kiln" in SQLite's `application_id`: tells a ledger from any other database.
const APPLICATION_ID: i64 = 0x6b69_6c6e;

/// A transaction is committed when it holds this many chips …
const BATCH_CHIPS: usize = 256;
/// … or is this old.
const BATCH_AGE: Duration = Duration::from_millis(500);

/// How a chip ended, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChipStatus {
    /// Seen by the model.
    Scanned,
    /// Seen by its screen only, which dropped it.
    Screened,
    /// Nothing measured in its core.
    Nodata,
    /// Not shown to the model, for cloud.
    Cloud,
    /// Could not be read or inferred.
    Failed,
}

/// A row of the chip table.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipRecord {
    /// Number of the chip in its scene.
    pub chip: usize,
    /// How it ended.
    pub status: ChipStatus,
    /// What the screen gave it; `None`: it did not see it.
    pub screen_score: Option<f32>,
    /// Cells of the core, row by row; `None`: all as the status says.
    pub cells: Option<Vec<Cell>>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// The ledger of one run.
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
    pending: usize,
    opened: Instant,
}

impl Ledger {
    /// Opens the ledger at `path`, or makes an empty one.
    pub fn open_or_create(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        let tables: i64 = ledger
            .sql(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)))?;
        if tables == 0 {
            ledger.sql(|c| {
                c.execute_batch(&format!(
                    "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
                ))
            })?;
        }
        ledger.check_format()?;
        Ok(ledger)
    }

    /// Opens an existing ledger for reading. A scan that was killed may have left a journal to roll back,
    /// which needs writing; SQLite makes do with reading where the file is write-protected.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let ledger = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        ledger.check_format()?;
        Ok(ledger)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, LedgerError> {
        let with_path = |source| LedgerError::of(path, source);
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(with_path)?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(with_path)?;
        // What is committed stays when the power goes, the name of the journal in its folder included.
        connection
            .pragma_update(None, "synchronous", "EXTRA")
            .map_err(with_path)?;
        // A ledger may come from a stranger: what its schema says is not run.
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
            .map_err(with_path)?;
        Ok(Self {
            connection,
            path: path.to_path_buf(),
            pending: 0,
            opened: Instant::now(),
        })
    }

    fn check_format(&self) -> Result<(), LedgerError> {
        let pragma = |name: &str| {
            self.connection
                .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
        };
        let id = self.sql(|_| pragma("application_id"))?;
        if id != APPLICATION_ID {
            return Err(LedgerError::Foreign {
                path: self.path.display().to_string(),
            });
        }
        let found = self.sql(|_| pragma("user_version"))?;
        if found != SCHEMA_VERSION {
            return Err(LedgerError::Version {
                path: self.path.display().to_string(),
                found,
            });
        }
        Ok(())
    }

    fn wrap(&self, source: rusqlite::Error) -> LedgerError {
        if self.path.exists() {
            LedgerError::of(&self.path, source)
        } else {
            LedgerError::Gone {
                path: self.path.display().to_string(),
            }
        }
    }

    fn sql<T>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, LedgerError> {
        run(&self.connection).map_err(|source| self.wrap(source))
    }

    fn damaged(&self, what: impl Into<String>) -> LedgerError {
        LedgerError::Damaged {
            path: self.path.display().to_string(),
            what: what.into(),
        }
    }

    /// A value kept under a name.
    pub fn meta(&self, key: &str) -> Result<Option<String>, LedgerError> {
        self.sql(|c| {
            c.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
        })
    }

    /// Keeps a value under a name, and the descriptions (id, JSON) of all scenes, as one step.
    pub fn begin_scan(
        &mut self,
        key: &str,
        value: &str,
        scenes: &[(String, String)],
    ) -> Result<(), LedgerError> {
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO meta (key, value) VALUES (?1, ?2)",
                [key, value],
            )?;
            for (number, (id, description)) in scenes.iter().enumerate() {
                transaction.execute(
                    "INSERT INTO scene (number, id, description) VALUES (?1, ?2, ?3)",
                    params![number as i64, id, description],
                )?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|source| self.wrap(source))
    }

    /// Adds a scene as number `place`; those from there on move up by one, with their chips and detections.
    pub fn insert_scene(
        &mut self,
        place: usize,
        id: &str,
        description: &str,
    ) -> Result<(), LedgerError> {
        let path = self.path.display().to_string();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            // Chips belong to a scene while both move.
            transaction.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            // By way of negative numbers: a number is never there twice, not even in between.
            for (table, column) in [
                ("scene", "number"),
                ("chip", "scene"),
                ("detection", "scene"),
            ] {
                transaction.execute(
                    &format!("UPDATE {table} SET {column} = -{column} - 2 WHERE {column} >= ?1"),
                    [place as i64],
                )?;
                transaction.execute(
                    &format!("UPDATE {table} SET {column} = -{column} - 1 WHERE {column} < 0"),
                    [],
                )?;
            }
            transaction.execute(
                "INSERT INTO scene (number, id, description) VALUES (?1, ?2, ?3)",
                params![place as i64, id, description],
            )?;
            transaction.commit()
        };
        write().map_err(|source| LedgerError::Sqlite { path, source })
    }

    /// Keeps another value under a name that has one.
    pub fn replace_meta(&self, key: &str, value: &str) -> Result<(), LedgerError> {
        self.sql(|c| c.execute("UPDATE meta SET value = ?2 WHERE key = ?1", [key, value]))?;
        Ok(())
    }

    /// Descriptions of the scenes, in their order.
    pub fn scenes(&self) -> Result<Vec<String>, LedgerError> {
        self.sql(|c| {
            c.prepare("SELECT description FROM scene ORDER BY number")?
                .query_map([], |row| row.get(0))?
                .collect()
        })
    }

    /// Chips of a scene that need no second look. Failed ones do: what was wrong may have been mended.
    pub fn finished_chips(&self, scene: usize) -> Result<ChipSet, LedgerError> {
        let mut set = ChipSet::default();
        self.sql(|c| {
            let mut statement =
                c.prepare("SELECT chip FROM chip WHERE scene = ?1 AND status <> 'failed'")?;
            let mut rows = statement.query([scene as i64])?;
            while let Some(row) = rows.next()? {
                set.insert(row.get::<_, i64>(0)? as usize);
            }
            Ok(())
        })?;
        Ok(set)
    }

    /// Records what became of a chip. It is safe on disk after the next [`Self::commit`], which happens by
    /// itself about twice a second.
    pub fn record(&mut self, outcome: &ChipOutcome) -> Result<(), LedgerError> {
        if self.pending == 0 {
            self.sql(|c| c.execute_batch("BEGIN IMMEDIATE"))?;
            self.opened = Instant::now();
        }
        self.pending += 1;
        if let Err(error) = self.sql(|c| insert(c, outcome)) {
            // On a full disk SQLite gives up the whole transaction: there is nothing left to commit.
            if self.connection.is_autocommit() {
                self.pending = 0;
            }
            return Err(error);
        }
        if self.pending >= BATCH_CHIPS || self.opened.elapsed() >= BATCH_AGE {
            self.commit()?;
        }
        Ok(())
    }

    /// Makes everything recorded so far durable.
    pub fn commit(&mut self) -> Result<(), LedgerError> {
        if self.pending == 0 {
            return Ok(());
        }
        let committed = self.sql(|c| c.execute_batch("COMMIT"));
        if committed.is_ok() || self.connection.is_autocommit() {
            self.pending = 0;
        }
        committed
    }

    /// Hands all chips of a scene, in order, to `visit`.
    pub fn for_each_chip(
        &self,
        scene: usize,
        mut visit: impl FnMut(ChipRecord),
    ) -> Result<(), LedgerError> {
        let unknown = self.sql(|c| {
            let mut statement = c.prepare(
                "SELECT chip, status, cells, reason, screen_score FROM chip WHERE scene = ?1 ORDER BY chip",
            )?;
            let mut rows = statement.query([scene as i64])?;
            while let Some(row) = rows.next()? {
                let status = match row.get_ref(1)?.as_str()? {
                    "scanned" => ChipStatus::Scanned,
                    "screened" => ChipStatus::Screened,
                    "nodata" => ChipStatus::Nodata,
                    "cloud" => ChipStatus::Cloud,
                    "failed" => ChipStatus::Failed,
                    other => return Ok(Some(other.to_owned())),
                };
                visit(ChipRecord {
                    chip: row.get::<_, i64>(0)? as usize,
                    status,
                    cells: row
                        .get::<_, Option<Vec<u8>>>(2)?
                        .filter(|cells| cells.len() == CELLS * CELLS)
                        .and_then(|cells| cells.into_iter().map(Cell::of_code).collect()),
                    reason: row.get(3)?,
                    screen_score: row.get::<_, Option<f64>>(4)?.map(|score| score as f32),
                });
            }
            Ok(None)
        })?;
        unknown.map_or(Ok(()), |status| {
            Err(self.damaged(format!("a chip has status `{status}`")))
        })
    }

    /// Detections of a scene scoring at least `min_score`, by chip and order: `(chip, n, detection)`.
    pub fn detections(
        &self,
        scene: usize,
        min_score: f64,
    ) -> Result<Vec<(usize, usize, RawDetection)>, LedgerError> {
        let rows = self.sql(|c| read_detections(c, scene, min_score))?;
        let whole = rows
            .into_iter()
            .map(|row| row.whole().map_err(|what| self.damaged(what)));
        whole.collect()
    }

    /// Turns all chips of a scene but those in `trusted` into failed ones, and forgets what was found in them. Returns
    /// how many.
    pub fn distrust(
        &mut self,
        scene: usize,
        trusted: &ChipSet,
        reason: &str,
    ) -> Result<u64, LedgerError> {
        self.commit()?;
        let write = |connection: &mut Connection| -> rusqlite::Result<u64> {
            let transaction = connection.transaction()?;
            let chips: Vec<i64> = transaction
                .prepare("SELECT chip FROM chip WHERE scene = ?1")?
                .query_map([scene as i64], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let mut count = 0;
            for chip in chips {
                if trusted.contains(chip as usize) {
                    continue;
                }
                count += 1;
                transaction
                    .prepare_cached("DELETE FROM detection WHERE scene = ?1 AND chip = ?2")?
                    .execute(params![scene as i64, chip])?;
                transaction
                    .prepare_cached(
                        "UPDATE chip SET status = 'failed', screen_score = NULL, cells = NULL, reason = ?3 WHERE scene = ?1 AND chip = ?2",
                    )?
                    .execute(params![scene as i64, chip, reason])?;
            }
            transaction.commit()?;
            Ok(count)
        };
        write(&mut self.connection).map_err(|source| self.wrap(source))
    }

    /// Number of detections stored, whatever their score.
    pub fn stored_detections(&self) -> Result<u64, LedgerError> {
        self.sql(|c| {
            c.query_row("SELECT count(*) FROM detection", [], |row| {
                row.get::<_, i64>(0)
            })
        })
        .map(|count| count as u64)
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // What was recorded before an error elsewhere is still good. A failure here cannot be told to
        // anyone, and costs no more than the last batch: those chips are scanned again.
        if self.commit().is_err() {
            tracing::warn!(ledger = %self.path.display(), "the last chips could not be recorded");
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
