//! What can go wrong with a project.

use thiserror::Error;

use super::store::SCHEMA_VERSION;
use crate::detect::PlaceError;
use crate::run::{DirectoryError, LoadRunError};
use crate::scene::{GeoreferenceError, SceneError};

/// Why a project cannot be used, or an act on it is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No project there.
    #[error(
        "`{path}` is not a verification project: it has no project.sqlite (make one with `kilnsight verify init`)"
    )]
    NotAProject {
        /// The folder.
        path: String,
    },
    /// There is one already.
    #[error(
        "`{path}` holds a project already: add runs to it with `kilnsight verify add`, or choose another folder"
    )]
    Exists {
        /// The folder.
        path: String,
    },
    /// Some other file is in its place.
    #[error(
        "`{path}` is not a database of kilnsight verify: choose another folder, or move the file away"
    )]
    Foreign {
        /// The file.
        path: String,
    },
    /// Written by a newer version.
    #[error(
        "`{path}` has format {found}, this version knows up to {SCHEMA_VERSION}: use the version that wrote it, or a newer one"
    )]
    Version {
        /// The file.
        path: String,
        /// Format of the file.
        found: i64,
    },
    /// SQLite failed.
    #[error("project database `{path}`: {source}")]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's reason.
        #[source]
        source: rusqlite::Error,
    },
    /// No room left.
    #[error(
        "project database `{path}` cannot grow, the disk is full: make room and try again; nothing acknowledged is lost"
    )]
    Full {
        /// The file.
        path: String,
    },
    /// A row that cannot have been written by this program.
    #[error("the project is damaged: {0}; restore a backup with `kilnsight verify restore`")]
    Damaged(String),
    /// The log does not hold together.
    #[error(
        "the log is broken at event {seq}: {what}; restore a backup with `kilnsight verify restore`"
    )]
    Chain {
        /// Number of the event.
        seq: i64,
        /// What is wrong.
        what: String,
    },
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] LoadRunError),
    /// A scene cannot be read.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A detection cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A place cannot be found in a scene.
    #[error("scene `{scene}`: {source}")]
    Georeference {
        /// Scene id.
        scene: String,
        /// Why.
        #[source]
        source: GeoreferenceError,
    },
    /// A chip cannot be encoded.
    #[error("a chip cannot be encoded: {0}")]
    Image(#[from] image::ImageError),
    /// A file cannot be written.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What is being written cannot be.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// A file does not hold what it should.
    #[error("`{path}`{}: {what}", line.map(|n| format!(", line {n}")).unwrap_or_default())]
    Content {
        /// The file.
        path: String,
        /// Line, from 1.
        line: Option<u64>,
        /// What is wrong and what to do.
        what: String,
    },
    /// Nothing to ask.
    #[error("{0}")]
    Nothing(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Randomness(String),
    /// No such task, vote, member, …
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// An act that is not allowed, with the reason.
    #[error("{0}")]
    Refused(String),
    /// Stopped by the user.
    #[error("stopped: {0}")]
    Interrupted(&'static str),
}

impl VerifyError {
    /// Whether trying again later may help: another process holds the file, or the disk is away.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => matches!(
                source.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            ),
            Self::Directory(e) => e.is_passing(),
            Self::Run(LoadRunError::Ledger(e)) => e.is_passing(),
            _ => false,
        }
    }
}

/// The store adds its path on the way out.
impl From<rusqlite::Error> for VerifyError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite {
            path: String::new(),
            source,
        }
    }
}

impl From<csv::Error> for VerifyError {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<serde_json::Error> for VerifyError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
