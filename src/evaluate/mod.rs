//! How good a run is: its detections against labels.
//!
//! **In:** detections (a run's, or any GeoJSON of boxes), labels (GeoJSON on the ground, or COCO in
//! the pixels of scenes), and the scenes with what was looked at of them. **Out:** a [`Report`] with
//! average precision by overlap and by distance, precision, recall and F1 by score, each with a 95 %
//! interval, over all scenes, by region and by class; as JSON or as a table for people.
//!
//! ```text
//! labels ─ Truth::read ──────┐
//! detections ─ Detections ───┼─ Truth::pair ─ Pairing::evaluate ─ Report ─ to_text, serde
//! scenes ─ SceneInput ───────┘                 │
//!                                              ├ matching    one scene, one criterion
//!                                              ├ curve       all scenes: AP, precision, recall
//!                                              └ bootstrap   scenes drawn again: intervals
//! ```
//!
//! Overlaps are taken on the ground, of oriented boxes; or of axis-aligned envelopes where labels say
//! nothing about direction. What could not be compared is counted, never dropped.

mod bootstrap;
mod boxes;
mod coco;
mod curve;
mod detections;
mod envelope;
mod error;
mod features;
mod homes;
mod matching;
mod measure;
mod options;
mod outline;
mod rectangle;
mod report;
mod scenes;
mod table;
#[cfg(test)]
mod testing;
mod truth;

pub use bootstrap::{CONFIDENCE, Interval, Intervals, Resampling};
pub use boxes::{EvaluationScene, SceneInput, ScoredBox, TruthBox, TruthExtent};
pub use curve::{Counts, Measured, Pooled, average_precision};
pub use detections::Detections;
pub use error::EvaluateError;
pub(crate) use features::{Features, parse_json};
pub use matching::{Criterion, IouKind, SceneMatch, match_scene};
pub use measure::evaluate;
pub use options::Options;
pub use outline::{IGNORE_IOS, IgnoreRegion, Outline};
pub use report::{AtScore, Bootstrap, CriterionResult, Group, Report};
pub use scenes::{NotCompared, Pairing};
pub use truth::Truth;
