//! What a worker puts its chips through: a screen, where the model has one, and the detector.

use super::outcome::{Cell, Verdict};
use super::report::CoreView;
use crate::chip::ChipPixels;
use crate::model::{Detector, Screen};

/// What a worker puts its chips through.
pub struct Stages {
    /// Sees every chip that is neither empty nor under cloud.
    pub screen: Option<ScreenStage>,
    /// Sees what the screen lets through.
    pub detector: Box<dyn Detector>,
}

/// A screen, and from which score on it lets chips through.
pub struct ScreenStage {
    /// The screen.
    pub screen: Box<dyn Screen>,
    /// Chips that score less are dropped.
    pub threshold: f32,
}

/// What is known of a chip that is for the detector.
pub(super) struct Passed {
    /// Cells of its core, where some were not seen.
    pub(super) cells: Option<Vec<Cell>>,
    /// Its score, where there is a screen.
    pub(super) screen_score: Option<f32>,
}

impl Stages {
    /// Whether a chip is for the detector; if not, what becomes of it.
    pub(super) fn sift(
        &mut self,
        core: CoreView,
        pixels: &ChipPixels,
        max_cloud: f64,
    ) -> Result<Passed, Verdict> {
        let cells = core.cells;
        if !core.any_measured {
            return Err(Verdict::Nodata);
        }
        if core.cloud_share > max_cloud {
            return Err(Verdict::Cloud { cells });
        }
        let Some(ScreenStage { screen, threshold }) = &mut self.screen else {
            return Ok(Passed {
                cells,
                screen_score: None,
            });
        };
        match screen.score(pixels.data.view(), &pixels.valid) {
            Err(error) => Err(Verdict::Failed(format!("the screen: {error}"))),
            Ok(score) if score < *threshold => Err(Verdict::Screened { score, cells }),
            Ok(score) => Ok(Passed {
                cells,
                screen_score: Some(score),
            }),
        }
    }
}
