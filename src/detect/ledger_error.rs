//! Why the ledger cannot be used, and what to do then.

use std::path::Path;

use thiserror::Error;

/// Format of the ledgers that this version writes and reads; kept in SQLite's `user_version`.
pub(super) const SCHEMA_VERSION: i64 = 3;

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
    /// For a file, from what SQLite says.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
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
