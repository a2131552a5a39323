//! Clusters: sites that stand together, such as the kilns of one clay pit.

use geo::{ConvexHull, MultiPoint, Point};

use super::dbscan::{ClusterRule, dbscan};
use super::identity::short_digest;
use super::merge::Site;
use crate::geometry::LonLat;

/// Sites that stand together.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Stable id, from its sites.
    pub id: String,
    /// Positions of its sites, rising.
    pub sites: Vec<usize>,
    /// Convex hull of the boxes of its sites, as an open ring. Longitudes run on past ±180 where the cluster
    /// lies across the antimeridian.
    pub hull: Vec<LonLat>,
}

/// Finds the clusters. Returns them in the order of their first site, and for each site the position of its
/// cluster, if it has one.
pub fn cluster_sites(sites: &[Site], rule: ClusterRule) -> (Vec<Cluster>, Vec<Option<usize>>) {
    let centers: Vec<LonLat> = sites.iter().map(|s| s.ground.center).collect();
    let labels = dbscan(&centers, rule);
    let count = labels.iter().flatten().max().map_or(0, |last| last + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (site, label) in labels.iter().enumerate() {
        if let Some(label) = label {
            members[*label].push(site);
        }
    }
    let clusters = members
        .into_iter()
        .map(|members| {
            let mut ids: Vec<&str> = members.iter().map(|&s| sites[s].id.as_str()).collect();
            ids.sort_unstable();
            Cluster {
                id: format!("cluster-{}", short_digest(ids.join("\n").as_bytes())),
                hull: hull(sites, &members),
                sites: members,
            }
        })
        .collect();
    (clusters, labels)
}

fn hull(sites: &[Site], members: &[usize]) -> Vec<LonLat> {
    let Some(&first) = members.first() else {
        return Vec::new();
    };
    let origin = sites[first].ground.center.lon;
    let points: MultiPoint = members
        .iter()
        .flat_map(|&s| sites[s].corners)
        .map(|c| {
            // Within half a turn of the first site: the hull must not jump round the globe.
            let lon = origin + (c.lon - origin + 540.0).rem_euclid(360.0) - 180.0;
            Point::new(lon, c.lat)
        })
        .collect::<Vec<_>>()
        .into();
    let hull = points.convex_hull();
    let ring = &hull.exterior().0;
    ring.iter()
        .take(ring.len().saturating_sub(1))
        .map(|c| LonLat { lon: c.x, lat: c.y })
        .collect()
}
