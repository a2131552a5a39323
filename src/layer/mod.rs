//! Layers: what a person opens in another program.
//!
//! **In:** detections, sites, clusters and coverage. **Out:** vector layers, all written from one table of
//! [`Feature`]s, one file per format ([`geojson`] so far), and the overview picture.

pub mod coverage;
pub mod feature;
pub mod geojson;
pub mod overview;
pub mod tables;

pub use feature::{Feature, Identified, Ring};
