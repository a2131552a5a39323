//! How long the screens of all workers take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ndarray::ArrayView3;

use crate::model::{DetectError, OnnxScreen, Screen};

/// Adds up the time that screens take.
#[derive(Debug, Clone, Default)]
pub(super) struct ScreenClock {
    nanoseconds: Arc<AtomicU64>,
}

impl ScreenClock {
    /// The screen, with this clock running whenever it works.
    pub(super) fn times(&self, screen: OnnxScreen) -> impl Screen + use<> {
        Timed {
            screen,
            clock: self.clone(),
        }
    }

    /// What it shows.
    pub(super) fn seconds(&self) -> f64 {
        self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9
    }
}

struct Timed {
    screen: OnnxScreen,
    clock: ScreenClock,
}

impl Screen for Timed {
    fn score(&mut self, chip: ArrayView3<'_, f32>, valid: &[u8]) -> Result<f32, DetectError> {
        let began = Instant::now();
        let score = self.screen.score(chip, valid);
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clock.nanoseconds.fetch_add(took, Ordering::Relaxed);
        score
    }
}
