//! Clusters: sites that stand together, such as the kilns of one clay pit.
//!
//! DBSCAN (Ester, Kriegel, Sander & Xu, KDD 1996) on ground distance. The original gives a border point to
//! whichever cluster reaches it first; here it goes to the cluster of its nearest core point, so that the
//! result does not depend on the order of the sites.

use geo::{ConvexHull, MultiPoint, Point};

use super::identity::short_digest;
use super::merge::Site;
use crate::geometry::{GroundIndex, LonLat, distance_m};

/// When sites form a cluster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClusterRule {
    /// Sites within this many metres of one another are neighbours.
    pub distance_m: f64,
    /// A site with at least this many sites in its neighbourhood, itself included, is the core of a cluster.
    pub min_sites: usize,
}

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

/// Labels from 0 in the order of each cluster's first place; `None` for places that stand alone.
fn dbscan(places: &[LonLat], rule: ClusterRule) -> Vec<Option<usize>> {
    let index = GroundIndex::new(places.iter().copied());
    // The index measures straight through the Earth; a hair of slack, then the geodesic decides.
    let neighbours = |i: usize| {
        index
            .within(places[i], rule.distance_m * (1.0 + 1e-9))
            .filter(move |&j| distance_m(places[i], places[j]) <= rule.distance_m)
    };
    let is_core: Vec<bool> = (0..places.len())
        .map(|i| neighbours(i).count() >= rule.min_sites.max(1))
        .collect();

    let mut cluster_of_core: Vec<Option<usize>> = vec![None; places.len()];
    let mut count = 0;
    for start in 0..places.len() {
        if !is_core[start] || cluster_of_core[start].is_some() {
            continue;
        }
        cluster_of_core[start] = Some(count);
        let mut open = vec![start];
        while let Some(i) = open.pop() {
            for j in neighbours(i).filter(|&j| is_core[j]) {
                if cluster_of_core[j].is_none() {
                    cluster_of_core[j] = Some(count);
                    open.push(j);
                }
            }
        }
        count += 1;
    }
    let labels: Vec<Option<usize>> = (0..places.len())
        .map(|i| {
            if is_core[i] {
                return cluster_of_core[i];
            }
            neighbours(i)
                .filter(|&j| is_core[j])
                .min_by(|&a, &b| {
                    let key = |j: usize| {
                        (
                            distance_m(places[i], places[j]),
                            places[j].lat,
                            places[j].lon,
                        )
                    };
                    let ((da, lata, lona), (db, latb, lonb)) = (key(a), key(b));
                    da.total_cmp(&db)
                        .then(lata.total_cmp(&latb))
                        .then(lona.total_cmp(&lonb))
                })
                .and_then(|j| cluster_of_core[j])
        })
        .collect();
    renumbered(labels)
}

/// Numbers clusters by their first member, border places included.
fn renumbered(labels: Vec<Option<usize>>) -> Vec<Option<usize>> {
    let mut new = std::collections::HashMap::new();
    labels
        .into_iter()
        .map(|label| {
            label.map(|old| {
                let next = new.len();
                *new.entry(old).or_insert(next)
            })
        })
        .collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::PlanePoint;

    const HOME: LonLat = LonLat {
        lon: 78.0,
        lat: 27.0,
    };
    const RULE: ClusterRule = ClusterRule {
        distance_m: 1000.0,
        min_sites: 3,
    };

    fn at(east: f64, north: f64) -> LonLat {
        HOME.displaced(PlanePoint { east, north })
    }

    #[test]
    fn three_in_a_row_are_a_cluster_two_are_not() {
        let places = [
            at(0.0, 0.0),
            at(900.0, 0.0),
            at(1800.0, 0.0),
            at(9000.0, 0.0),
            at(9500.0, 0.0),
        ];
        assert_eq!(
            dbscan(&places, RULE),
            [Some(0), Some(0), Some(0), None, None]
        );
    }

    #[test]
    fn north_south_counts_as_much_as_east_west() {
        // With swapped axes a kilometre north-south shrinks to 0.2 km, and everything becomes one cluster.
        let places = [at(0.0, 0.0), at(0.0, 1100.0), at(0.0, 2200.0)];
        assert_eq!(dbscan(&places, RULE), [None, None, None]);
        let places = [at(0.0, 0.0), at(0.0, 950.0), at(0.0, 1900.0)];
        assert_eq!(dbscan(&places, RULE), [Some(0); 3]);
    }

    #[test]
    fn a_border_place_goes_to_the_nearer_cluster() {
        let left = [at(0.0, 0.0), at(100.0, 0.0), at(200.0, 0.0)];
        let right = [at(2000.0, 0.0), at(2100.0, 0.0), at(2200.0, 0.0)];
        // Reached by one core of each, 950 m from the left and 850 m from the right.
        let between = [at(1150.0, 0.0)];
        let rule = ClusterRule {
            min_sites: 3,
            ..RULE
        };
        let places: Vec<LonLat> = left.into_iter().chain(right).chain(between).collect();
        let labels = dbscan(
            &places,
            ClusterRule {
                distance_m: 960.0,
                ..rule
            },
        );
        assert_eq!(labels[6], labels[3]);
    }

    proptest! {
        #[test]
        fn clusters_do_not_depend_on_the_order(
            points in prop::collection::vec((0.0..6000.0f64, 0.0..6000.0f64), 1..40), turn in 0usize..40,
        ) {
            let places: Vec<LonLat> = points.iter().map(|&(e, n)| at(e, n)).collect();
            let mut turned = places.clone();
            turned.rotate_left(turn % places.len());
            let groups = |places: &[LonLat]| {
                let mut groups: std::collections::BTreeMap<usize, Vec<String>> = std::collections::BTreeMap::new();
                for (place, label) in places.iter().zip(dbscan(places, RULE)) {
                    if let Some(label) = label {
                        groups.entry(label).or_default().push(format!("{place:?}"));
                    }
                }
                let mut groups: Vec<Vec<String>> = groups.into_values().map(|mut g| { g.sort(); g }).collect();
                groups.sort();
                groups
            };
            prop_assert_eq!(groups(&places), groups(&turned));
        }

        #[test]
        fn labels_agree_with_the_definition(points in prop::collection::vec((0.0..5000.0f64, 0.0..5000.0f64), 1..30)) {
            let places: Vec<LonLat> = points.iter().map(|&(e, n)| at(e, n)).collect();
            let labels = dbscan(&places, RULE);
            let near = |i: usize, j: usize| distance_m(places[i], places[j]) <= RULE.distance_m;
            let core = |i: usize| (0..places.len()).filter(|&j| near(i, j)).count() >= RULE.min_sites;
            for i in 0..places.len() {
                let reached = (0..places.len()).any(|j| core(j) && near(i, j));
                prop_assert_eq!(labels[i].is_some(), reached);
                for j in 0..places.len() {
                    if core(i) && core(j) && near(i, j) {
                        prop_assert_eq!(labels[i], labels[j]);
                    }
                }
            }
        }
    }
}
