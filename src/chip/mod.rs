//! Chips: which windows of a scene a model sees, and their pixels as the model wants them.
//!
//! **In:** a [`Scene`](crate::scene::Scene), the ground resolution and size a model asks for, and an area
//! of interest. **Out:** a [`ChipPlan`] that covers every pixel of the scene, and [`ChipPixels`] at
//! the model's resolution.

mod area_of_interest;
mod area_on_earth;
mod clouds;
mod edges;
mod plan;
mod polygons;
mod read;
mod scene_area;

pub use area_of_interest::{AoiError, AreaOfInterest};
pub use area_on_earth::AreaOnEarth;
pub use clouds::{ChipClouds, CloudCover};
pub use plan::{Chip, ChipPlan, ChipSpec, PixelRect, PlanError};
pub use read::{ChipPixels, ChipReader, InputScaling, InputTransform};
pub use scene_area::SceneArea;
