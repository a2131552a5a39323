//! How a scan works, and what its threads share and hand to one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::{Buffers, Filled};
use super::planned::PlannedScene;
use super::strips::Strips;
use crate::chip::{Chip, ChipClouds, InputScaling, InputTransform};
use crate::geometry::SuppressionRule;

/// How chips are put through a model.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Number of workers, each with a detector of its own.
    pub workers: usize,
    /// Chips that go through a detector together; those that are left over in the end are fewer.
    pub batch: usize,
    /// From stored values to the model's input.
    pub scaling: InputScaling,
    /// Boxes below this score are not kept at all.
    pub store_score: f32,
    /// Suppression within a chip.
    pub rule: SuppressionRule,
    /// Overlap of chips in model pixels.
    pub overlap_px: f64,
    /// A chip with a larger share of its core under cloud is not shown to the model.
    pub max_cloud: f64,
}

/// A chip on its way to a worker.
pub(super) struct ReadChip {
    pub(super) scene: usize,
    pub(super) chip: Chip,
    /// What was read, or why there is nothing.
    pub(super) read: Result<Read, String>,
}

/// A chip as read.
pub(super) struct Read {
    /// The strip that its pixels are in.
    pub(super) strip: Arc<Filled>,
    /// The clouds over it, where the scene has a mask.
    pub(super) clouds: Option<ChipClouds>,
}

/// What all threads of a scan share.
pub(super) struct Shared<'a> {
    pub(super) scenes: &'a [PlannedScene],
    /// From the stored pixels of each scene to the model's input.
    pub(super) transforms: Vec<InputTransform>,
    pub(super) strips: Strips<'a>,
    pub(super) buffers: Buffers,
    /// Raised by the user.
    pub(super) stop: &'a AtomicBool,
    /// Raised when there is no point in going on.
    pub(super) abort: AtomicBool,
    /// Raised when a chip was left out because of either.
    pub(super) cut_short: AtomicBool,
}

impl Shared<'_> {
    /// Whether there is a point in going on.
    pub(super) fn going(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && !self.abort.load(Ordering::Relaxed)
    }

    /// Notes that a chip was left out.
    pub(super) fn leave_out(&self) {
        self.cut_short.store(true, Ordering::Relaxed);
    }
}
