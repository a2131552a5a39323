//! A run: one scan and its directory.
//!
//! **In:** what names the scenes, a model, and parameters after defaults. **Out:** the run directory of `DESIGN`: `run.json`,
//! `ledger.sqlite` and the layers. [`scan()`] is the whole of `kilnsight scan` but for arguments and printing;
//! [`LoadedRun`] reads a finished run back.

mod detect;
mod directory;
mod error;
mod load;
mod outputs;
mod plan;
mod prepare;
mod progress;
mod record;
mod resume;
mod scan;
mod screen_clock;
mod settings;
mod staged;

pub use directory::{DirectoryError, RunDirectory};
pub use error::ScanError;
pub use load::{LoadRunError, LoadedRun};
pub use plan::PlanDifference;
pub use progress::{Progress, SilentProgress};
pub use record::{Counts, Failure, RunRecord};
pub use scan::{Existing, ScanRequest, ScanSummary, counted, scan};
pub use settings::{CLUSTER_DISTANCE_M, CLUSTER_MIN, MAX_CLOUD, STORE_SCORE, Settings};
pub use staged::{StagedFile, write_atomically};
