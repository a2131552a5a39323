//! The project's database: one writer, as many readers as there are threads, and migrations.
//!
//! SQLite with a write-ahead log, so that readers never wait for the writer. Every commit is synced to the disk
//! before it returns: what was acknowledged survives a kill and a power cut. A write-ahead log needs a local file
//! system; a project is served from one machine.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::error::VerifyError;
use super::readers::Readers;

/// Steps from an empty file to the present format; the number of steps done is SQLite's `user_version`.
const MIGRATIONS: &[&str] = &[include_str!("schema/v1.sql")];
/// The present format.
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;
/// "kivq" in SQLite's `application_id`: tells a project from any other database.
const APPLICATION_ID: i64 = 0x6b69_7671;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// Pages that the writer keeps, in KiB: some 5,000 tasks with all their votes.
const WRITER_CACHE_KIB: i64 = 16 * 1024;

/// The database of a project, shared between threads.
#[derive(Debug)]
pub(super) struct Store {
    path: PathBuf,
    /// Closed before the writer: the last connection to close folds the write-ahead log into the file, and a reader
    /// may not.
    readers: Readers,
    writer: Mutex<Connection>,
}

impl Store {
    /// Makes a new database. The file must not exist.
    pub(super) fn create(path: &Path) -> Result<Self, VerifyError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let connection = connect(path, flags).map_err(|e| at(path, e))?;
        let store = Self::of(path, connection);
        store.migrate()?;
        Ok(store)
    }

    /// Opens a database and brings it to the present format.
    pub(super) fn open(path: &Path) -> Result<Self, VerifyError> {
        let connection =
            connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| at(path, e))?;
        Self::check_format(&connection, path).map_err(|e| at(path, e))?;
        let store = Self::of(path, connection);
        store.migrate()?;
        Ok(store)
    }

    /// Tells a project from other databases, and from what a newer version wrote.
    pub(super) fn check_format(connection: &Connection, path: &Path) -> Result<(), VerifyError> {
        let pragma = |name: &str| {
            connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
        };
        let path = || path.display().to_string();
        if pragma("application_id")? != APPLICATION_ID {
            return Err(VerifyError::Foreign { path: path() });
        }
        let found = pragma("user_version")?;
        if found > SCHEMA_VERSION {
            return Err(VerifyError::Version {
                path: path(),
                found,
            });
        }
        Ok(())
    }

    fn of(path: &Path, writer: Connection) -> Self {
        Self {
            path: path.to_path_buf(),
            writer: Mutex::new(writer),
            readers: Readers::default(),
        }
    }

    fn migrate(&self) -> Result<(), VerifyError> {
        self.write(|tx| {
            let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            for migration in MIGRATIONS.iter().skip(found.max(0) as usize) {
                tx.execute_batch(migration)?;
            }
            if found < SCHEMA_VERSION {
                tx.execute_batch(&format!(
                    "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
                ))?;
            }
            Ok(())
        })
    }

    /// Closes the database and leaves one file, with nothing beside it.
    pub(super) fn close(self) -> Result<(), VerifyError> {
        let Self {
            path,
            readers,
            writer,
        } = self;
        drop(readers);
        let writer = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left: i64 = writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|e| at(&path, e.into()))?;
        if left != 0 {
            return Err(VerifyError::Damaged(
                "its write-ahead log is in use by another process".to_owned(),
            ));
        }
        writer.close().map_err(|(_, e)| at(&path, e.into()))
    }

    /// Runs `act` in one transaction that no other writer can come between. It is on the disk when this returns,
    /// or, after an error, as if it had never begun.
    pub(super) fn write<T>(
        &self,
        act: impl FnOnce(&Transaction<'_>) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = (|| {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = act(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        outcome.map_err(|e| at(&self.path, e))
    }

    /// Runs `look` on one consistent state of the database.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let looked = self.readers.lend(&self.path, |reader| {
            let snapshot = reader.unchecked_transaction()?;
            look(&snapshot)
        });
        looked.map_err(|e| at(&self.path, e))
    }
}

/// Opens a connection, set up as all are.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, VerifyError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(128);
    // A kept statement keeps its plan. Otherwise most are planned anew whenever another value is bound, which takes
    // longer than running them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "synchronous", "full")?;
        // Who asked to be forgotten must not be left on pages that are free.
        connection.pragma_update(None, "secure_delete", true)?;
        // What votes touch of a large project stays at hand.
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    }
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Says which file an error of SQLite is about, and tells those apart that a user can mend.
pub(super) fn at(path: &Path, error: VerifyError) -> VerifyError {
    let VerifyError::Sqlite { source, .. } = error else {
        return error;
    };
    let path = path.display().to_string();
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => VerifyError::Foreign { path },
        Some(rusqlite::ErrorCode::DiskFull) => VerifyError::Full { path },
        _ => VerifyError::Sqlite { path, source },
    }
}
