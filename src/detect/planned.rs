//! A scene that is ready to be scanned.

use std::sync::Arc;

use super::chip_set::ChipSet;
use crate::chip::{Chip, ChipPlan, SceneArea};
use crate::scene::Scene;

/// A scene with its chips.
#[derive(Debug, Clone)]
pub struct PlannedScene {
    /// The scene.
    pub scene: Scene,
    /// Its chips.
    pub plan: ChipPlan,
    /// The area of interest in its pixels, shared by scenes of one grid; `None`: all of it.
    pub area: Option<Arc<SceneArea>>,
    /// Chips that need no look.
    pub finished: ChipSet,
}

impl PlannedScene {
    /// Whether a chip lies in the area of interest.
    pub fn is_wanted(&self, chip: &Chip) -> bool {
        self.area
            .as_ref()
            .is_none_or(|area| area.touches(&chip.core))
    }
}
