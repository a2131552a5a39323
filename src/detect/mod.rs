//! Detection: chips through a model, into the ledger, and out again as boxes on the ground.
//!
//! **In:** planned scenes and a way to make [`Stages`]: a detector, and a screen before it where the model has one.
//! **Out:** a [`Ledger`] with one row per chip and every detection above the store score; from it, [`Detection`]s on the
//! ground.
//!
//! ```text
//! readers ──► strips of chips ──► workers (cut, screen, infer, decode, suppress within the chip) ──► queue ──► ledger
//! ```
//!
//! Before the ledger, boxes are suppressed within their chip only. Whatever compares chips or scenes comes
//! after it, in one order that depends on nothing but the detections (score, then place), so that a scan cut
//! into any number of pieces, by any number of workers or interruptions, gives the same result.

mod areas;
mod buffers;
mod chip_set;
mod ledger;
mod ledger_error;
mod ledger_rows;
mod outcome;
mod pipeline;
mod place;
mod planned;
mod reader;
mod report;
mod shared;
mod stages;
mod strips;
mod worker;

pub use chip_set::ChipSet;
pub use ledger::{ChipRecord, ChipStatus, Ledger};
pub use ledger_error::LedgerError;
pub use outcome::{CELLS, Cell, ChipOutcome, RawDetection, Verdict};
pub use pipeline::PipelineError;
pub use place::{Detection, PlaceError, PlaceRules, place_order, scene_detections};
pub use planned::PlannedScene;
pub use shared::Pipeline;
pub use stages::{ScreenStage, Stages};
