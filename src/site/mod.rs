//! Sites: places, merged from the detections of many chips, scenes and dates; and clusters of sites.
//!
//! **In:** [`Detection`](crate::detect::Detection)s in their global order. **Out:** [`Site`]s with stable ids,
//! and [`Cluster`]s of sites that stand together.

mod area;
mod cluster;
mod dbscan;
mod identity;
mod merge;

pub use area::merge_areas;
pub use cluster::{Cluster, cluster_sites};
pub use dbscan::ClusterRule;
pub(crate) use identity::place_digest;
pub use merge::{Site, SiteSource, merge_sites};
