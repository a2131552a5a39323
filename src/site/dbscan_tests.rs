use proptest::prelude::*;

use super::*;
use crate::geometry::{PlanePoint, distance_m};

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

#[test]
fn a_crowd_takes_no_longer_than_as_many_scattered_places() {
    // Every place within reach of every other: pair by pair that would be ten thousand million distances.
    let crowd: Vec<LonLat> = (0..100_000)
        .map(|i| at(f64::from(i % 317), f64::from(i / 317)))
        .collect();
    assert!(dbscan(&crowd, RULE).iter().all(|label| *label == Some(0)));
}

#[test]
fn the_date_line_does_not_part_neighbours() {
    let places = [-300.0, 0.0, 300.0]
        .map(|east| LonLat::new(180.0, -16.0).displaced(PlanePoint { east, north: 0.0 }));
    assert_eq!(dbscan(&places, RULE), [Some(0); 3]);
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
}

proptest! {
    // Geodesics between all pairs are slow without optimisation.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn labels_agree_with_the_definition(
        points in prop::collection::vec((0.0..5000.0f64, 0.0..5000.0f64), 1..40), scale in 0.02..1.0f64,
    ) {
        let places: Vec<LonLat> = points.iter().map(|&(e, n)| at(e * scale, n * scale)).collect();
        let labels = dbscan(&places, RULE);
        let near: Vec<Vec<bool>> = (places.iter())
            .map(|a| places.iter().map(|b| distance_m(*a, *b) <= RULE.distance_m).collect())
            .collect();
        let core: Vec<bool> = (near.iter())
            .map(|near| near.iter().filter(|n| **n).count() >= RULE.min_sites)
            .collect();
        for i in 0..places.len() {
            let reached = (0..places.len()).any(|j| core[j] && near[i][j]);
            prop_assert_eq!(labels[i].is_some(), reached);
            for j in 0..places.len() {
                if core[i] && core[j] && near[i][j] {
                    prop_assert_eq!(labels[i], labels[j]);
                }
            }
        }
    }
}
