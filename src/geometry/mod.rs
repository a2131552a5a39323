//! Places and boxes, and how much boxes overlap. Everything above this room builds on it.
//!
//! **In:** coordinates. **Out:** distances, angles, overlaps and what is left after suppression.
//!
//! Four coordinate frames are used in the program, each with a type of its own, so that one
//! cannot be taken for another:
//!
//! | frame | type | unit | origin and axes |
//! | --- | --- | --- | --- |
//! | pixels of a chip or a scene | [`PixelPoint`] | pixel | corner of the first pixel; x right, y down |
//! | WGS 84 | [`LonLat`] | degree | longitude first |
//! | local plane | [`PlanePoint`] | metre | tangent to the ellipsoid; x east, y north |
//! | geocentric | `[f64; 3]` | metre | centre of the Earth (used only to index places) |

mod area;
mod box_tree;
mod footprint;
mod ground;
mod oriented_box;
mod overlap;
mod suppress;
mod trace;

pub use area::{GroundArea, PixelArea, polygons_join};
pub use ground::{GroundBox, GroundIndex, LonLat, PlanePoint, azimuth_deg, distance_m};
pub use oriented_box::{OrientedBox, PixelPoint};
pub use overlap::{Overlap, SuppressionRule, convex_intersection_area, polygon_area};
pub use suppress::{GroundPile, suppress_ground, suppress_planar};
pub use trace::{NO_LABEL, Region, Regions, trace_regions};
