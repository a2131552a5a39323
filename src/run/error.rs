//! Why a scan fails as a whole. What fails for one scene or one chip is a [`Failure`] instead.

use thiserror::Error;

use super::directory::DirectoryError;
use super::plan::PlanDifference;
use super::record::Failure;
use crate::chip::AoiError;
use crate::detect::{LedgerError, PlaceError};
use crate::model::SessionError;
use crate::scene::SceneError;
use crate::source::SourceError;

/// Why a scan fails as a whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Not one scene can be scanned.
    #[error("no scene can be scanned: {}", .0.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>().join("; "))]
    NoScene(Vec<Failure>),
    /// Scenes of an earlier scan cannot be found, since what leads to them does not answer.
    #[error("not all scenes of this scan can be reached: {}", .0.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>().join("; "))]
    Away(Vec<Failure>),
    /// Scenes cannot be looked for.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The model does not run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The area of interest cannot be used.
    #[error(transparent)]
    Aoi(#[from] AoiError),
    /// The area of interest lies elsewhere.
    #[error(
        "the area of interest `{0}` touches no scene: check its coordinates (longitude first) and the scenes"
    )]
    AoiElsewhere(String),
    /// The run directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The directory holds another scan.
    #[error(
        "`{path}` holds another scan: {}; {remedy}",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    OtherScan {
        /// The directory.
        path: String,
        /// In what it differs.
        differences: Vec<PlanDifference>,
        /// What to do.
        remedy: &'static str,
    },
    /// The plan in the ledger cannot be read.
    #[error("ledger of `{path}`: {source}; scan again with `--fresh`")]
    Plan {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A worker failed.
    #[error("{0}")]
    Worker(String),
    /// Detections cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A scene cannot be used any more.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// The scan was stopped; what is done is in the ledger.
    #[error("stopped after {done} of {total} chips; the same command goes on from there")]
    Interrupted {
        /// Chips in the ledger.
        done: u64,
        /// Chips of the scan.
        total: u64,
    },
    /// The scan was stopped before or after the chips went through the model.
    #[error("stopped while {0}; the same command goes on from there")]
    InterruptedDuring(&'static str),
}

impl ScanError {
    /// Whether nothing could be scanned for a reason that may pass by itself.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Away(_) => true,
            Self::NoScene(failures) => failures.iter().any(|failure| failure.away),
            Self::Scene(error) => error.is_away(),
            _ => false,
        }
    }
}
