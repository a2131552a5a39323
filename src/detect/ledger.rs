//! The journal of a scan: which chips are done, how they ended, and all that was found in them.
//!
//! SQLite with a rollback journal (a write-ahead log does not work on network file systems, where
//! university clusters keep their data). Chips are written in batches; a chip and its detections are one
//! transaction, so after a kill the ledger holds whole chips only and the scan goes on with the rest.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use thiserror::Error;

use super::chip_set::ChipSet;
use super::outcome::{CELLS, Cell, ChipOutcome, RawDetection, Verdict};
use crate::chip::CloudCover;
use crate::geometry::{OrientedBox, PixelArea, PixelPoint};
use crate::scene::CloudClass;

const SCHEMA: &str = include_str!("schema.sql");
/// Kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 2;
/// "kiln" in SQLite's `application_id`: tells a ledger from any other database.
const APPLICATION_ID: i64 = 0x6b69_6c6e;

/// A transaction is committed when it holds this many chips …
const BATCH_CHIPS: usize = 256;
/// … or is this old.
const BATCH_AGE: Duration = Duration::from_millis(500);

/// Why the ledger cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// SQLite failed.
    #[error("ledger `{path}`: {source}; {}", remedy(source))]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
    /// No room left.
    #[error(
        "ledger `{path}` cannot grow, the disk is full: make room and give the same command again, it goes on from there"
    )]
    Full {
        /// The file.
        path: String,
    },
    /// Deleted or moved under the scan.
    #[error(
        "ledger `{path}` is gone, it was deleted or moved while it was in use: put it back, or give the same command again to start over"
    )]
    Gone {
        /// The file.
        path: String,
    },
    /// Some other file is in its place.
    #[error("`{path}` is not a ledger of kilnsight: choose another `--out`, or move the file away")]
    Foreign {
        /// The file.
        path: String,
    },
    /// Written by another version.
    #[error(
        "ledger `{path}` has format {found}, this version reads {SCHEMA_VERSION}: scan again with `--fresh`, or use the version that wrote it"
    )]
    Version {
        /// The file.
        path: String,
        /// Format of the file.
        found: i64,
    },
    /// A row that cannot have been written by this program.
    #[error("ledger `{path}` is damaged: {what}; scan again with `--fresh`")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
}

/// What to do when SQLite fails.
fn remedy(source: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, PermissionDenied, ReadOnly, SystemIoFailure,
    };
    match source.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => {
            "another program is using it: close that one, then give the same command again"
        }
        Some(CannotOpen) => "make sure that its folder is there and can be written to",
        Some(PermissionDenied | ReadOnly) => "change its permissions, or choose another folder",
        Some(SystemIoFailure) => {
            "the disk or the network drive fails: mend that, then give the same command again"
        }
        _ => "give the same command again",
    }
}

impl LedgerError {
    fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.display().to_string();
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => Self::Foreign { path },
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { path },
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                what: "a part is missing or was overwritten".to_owned(),
            },
            _ => Self::Sqlite { path, source },
        }
    }

    /// Whether trying again later may help: another process holds the file, or its disk is away.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, SystemIoFailure};
        matches!(self, Self::Sqlite { source, .. } if matches!(
            source.sqlite_error_code(),
            Some(DatabaseBusy | DatabaseLocked | SystemIoFailure)
        ))
    }
}

/// How a chip ended, as recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChipStatus {
    /// Seen by the model.
    Scanned,
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
    /// Cells of the core, row by row; `None`: all as the status says.
    pub cells: Option<Vec<Cell>>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// A row of the detection table: chip, order, the detection without what stands in JSON, and that: class scores,
/// type scores, outline.
type DetectionRow = (usize, usize, RawDetection, [String; 2], Option<String>);

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
                "SELECT chip, status, cells, reason FROM chip WHERE scene = ?1 ORDER BY chip",
            )?;
            let mut rows = statement.query([scene as i64])?;
            while let Some(row) = rows.next()? {
                let status = match row.get_ref(1)?.as_str()? {
                    "scanned" => ChipStatus::Scanned,
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
        let rows: Vec<DetectionRow> = self.sql(|c| {
            let mut statement = c.prepare(
                "SELECT chip, n, class, score, x, y, length, width, angle, border, class_scores, type_scores, cloud, cloud_class, outline
                 FROM detection WHERE scene = ?1 AND score >= ?2 ORDER BY chip, n",
            )?;
            statement
                .query_map(params![scene as i64, min_score], |row| {
                    let detection = RawDetection {
                        class: row.get::<_, i64>(2)? as usize,
                        score: row.get::<_, f64>(3)? as f32,
                        shape: OrientedBox {
                            center: PixelPoint::new(row.get(4)?, row.get(5)?),
                            length: row.get(6)?,
                            width: row.get(7)?,
                            angle: row.get(8)?,
                        },
                        border: row.get(9)?,
                        cloud: cloud_cover(row.get(12)?, row.get_ref(13)?.as_str_or_null()?),
                        class_scores: Vec::new(),
                        type_scores: Vec::new(),
                        outline: None,
                    };
                    let (chip, n) = (row.get::<_, i64>(0)? as usize, row.get::<_, i64>(1)? as usize);
                    Ok((chip, n, detection, [row.get(10)?, row.get(11)?], row.get(14)?))
                })?
                .collect()
        })?;
        rows.into_iter()
            .map(
                |(chip, n, mut detection, [class_scores, type_scores], outline)| {
                    let parse = |text: &str| -> Result<Vec<f32>, LedgerError> {
                        serde_json::from_str(text)
                            .map_err(|e| self.damaged(format!("scores `{text}`: {e}")))
                    };
                    detection.class_scores = parse(&class_scores)?;
                    detection.type_scores = parse(&type_scores)?;
                    if let Some(text) = outline {
                        let rings: Option<Vec<Vec<[f64; 2]>>> = serde_json::from_str(&text).ok();
                        let outline = rings.and_then(|rings| PixelArea::from_rings(&rings));
                        detection.outline =
                            Some(outline.ok_or_else(|| self.damaged(format!("outline `{text}`")))?);
                    }
                    Ok((chip, n, detection))
                },
            )
            .collect()
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

fn insert(connection: &Connection, outcome: &ChipOutcome) -> rusqlite::Result<()> {
    let (scene, chip) = (outcome.scene as i64, outcome.chip as i64);
    let (status, cells, reason) = match &outcome.verdict {
        Verdict::Scanned { cells, .. } => ("scanned", cells.as_ref(), None),
        Verdict::Nodata => ("nodata", None, None),
        Verdict::Cloud { cells } => ("cloud", cells.as_ref(), None),
        Verdict::Failed(reason) => ("failed", None, Some(reason.as_str())),
    };
    let cells: Option<Vec<u8>> = cells.map(|cells| cells.iter().map(|c| c.code()).collect());
    connection
        .prepare_cached("INSERT OR REPLACE INTO chip (scene, chip, status, cells, reason) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![scene, chip, status, cells, reason])?;
    let Verdict::Scanned { detections, .. } = &outcome.verdict else {
        return Ok(());
    };
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO detection
         (scene, chip, n, class, score, x, y, length, width, angle, border, class_scores, type_scores, cloud, cloud_class, outline)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    for (n, d) in detections.iter().enumerate() {
        statement.execute(params![
            scene,
            chip,
            n as i64,
            d.class as i64,
            f64::from(d.score),
            d.shape.center.x,
            d.shape.center.y,
            d.shape.length,
            d.shape.width,
            d.shape.angle,
            d.border,
            scores_json(&d.class_scores),
            scores_json(&d.type_scores),
            d.cloud.map(|cover| cover.share),
            d.cloud.and_then(|cover| cover.class).map(CloudClass::name),
            d.outline.as_ref().map(outline_json),
        ])?;
    }
    Ok(())
}

fn cloud_cover(share: Option<f64>, class: Option<&str>) -> Option<CloudCover> {
    share.map(|share| CloudCover {
        share,
        class: class.and_then(CloudClass::of_name),
    })
}

fn outline_json(outline: &PixelArea) -> String {
    serde_json::Value::from(
        outline
            .rings()
            .into_iter()
            .map(|ring| ring.into_iter().map(Vec::from).collect::<Vec<_>>())
            .collect::<Vec<_>>(),
    )
    .to_string()
}

fn scores_json(scores: &[f32]) -> String {
    serde_json::Value::from(scores.to_vec()).to_string()
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
