use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::detect::place_order;
use crate::geometry::PlanePoint;

struct TwoScenes;

impl SiteSource for TwoScenes {
    fn scene_id(&self, scene: usize) -> &str {
        ["early", "late"][scene]
    }
    fn scene_date(&self, scene: usize) -> Option<&str> {
        Some(["2023-11-05", "2024-02-01"][scene])
    }
    fn class_name(&self, _class: usize) -> &'static str {
        "kiln"
    }
}

const RULE: SuppressionRule = SuppressionRule { iou: 0.2, ios: 0.5 };

fn detection(scene: usize, n: usize, score: f64, center: LonLat, angle_deg: f64) -> Detection {
    let ground = GroundBox {
        center,
        length_m: 120.0,
        width_m: 60.0,
        angle_deg,
    };
    Detection {
        scene,
        chip: 0,
        n,
        class: 0,
        score,
        class_scores: vec![score as f32],
        type_scores: vec![],
        ground,
        corners: ground.corners(),
        border: false,
        cloud: None,
        outline: None,
    }
}

fn merged(mut detections: Vec<Detection>) -> Vec<Site> {
    detections.sort_by(place_order);
    merge_sites(&detections, RULE, &TwoScenes)
}

#[test]
fn one_place_in_two_scenes_is_one_site_with_both_dates() {
    let home = LonLat::new(3.0, 1.0);
    let moved = home.displaced(PlanePoint {
        east: 15.0,
        north: -10.0,
    });
    let sites = merged(vec![
        detection(0, 0, 0.6, home, 30.0),
        detection(1, 0, 0.8, moved, 33.0),
    ]);
    assert_eq!(sites.len(), 1);
    assert_eq!(sites[0].detections, 2);
    assert_eq!(sites[0].scenes, ["early", "late"]);
    assert_eq!(sites[0].first_seen.as_deref(), Some("2023-11-05"));
    assert_eq!(sites[0].last_seen.as_deref(), Some("2024-02-01"));
    assert_eq!(sites[0].ground.center, moved);
}

#[test]
fn neighbours_that_touch_stay_two_sites() {
    let home = LonLat::new(3.0, 1.0);
    let next = home.displaced(PlanePoint {
        east: 62.0,
        north: 0.0,
    });
    assert_eq!(
        merged(vec![
            detection(0, 0, 0.9, home, 0.0),
            detection(0, 1, 0.8, next, 0.0)
        ])
        .len(),
        2
    );
}

#[test]
fn one_place_seen_from_two_utm_zones_is_one_site() {
    use gdal::spatial_ref::SpatialRef;

    use crate::geometry::{PixelPoint, azimuth_deg, distance_m};
    use crate::scene::Georeference;
    // A place on the border of zones 43 and 44: its grid angle differs by more than two degrees between
    // them, its angle from true north does not.
    let home = LonLat::new(78.0, 27.0);
    let far = home.displaced(PlanePoint {
        east: 60.0 * 30f64.to_radians().sin(),
        north: 60.0 * 30f64.to_radians().cos(),
    });
    let seen_from = |epsg: u32, scene: usize| {
        let wkt = SpatialRef::from_epsg(epsg).unwrap().to_wkt().unwrap();
        let grid = Georeference::new(
            [0.0, 10.0, 0.0, 4_000_000.0, 0.0, -10.0],
            (1000, 1000),
            &wkt,
        )
        .unwrap();
        let pixels: Vec<PixelPoint> = grid.to_pixels(&[home, far]).unwrap();
        let places = grid.to_lonlat(&pixels).unwrap();
        assert!((distance_m(places[0], home)) < 1e-3);
        detection(scene, 0, 0.5, places[0], azimuth_deg(places[0], places[1]))
    };
    let (a, b) = (seen_from(32643, 0), seen_from(32644, 1));
    assert!((a.ground.angle_deg - b.ground.angle_deg).abs() < 1e-3);
    assert!(a.ground.overlap(&b.ground).iou > 0.999);
    assert_eq!(merged(vec![a, b]).len(), 1);
}

proptest! {
    #[test]
    fn the_order_of_input_does_not_matter(
        places in prop::collection::vec((0.0..800.0f64, 0.0..800.0f64, 0.0..180.0f64, 0.02..1.0f64, 0usize..2), 1..40),
        seed in any::<u64>(),
    ) {
        let home = LonLat::new(179.996, 23.0);
        let make = || -> Vec<Detection> {
            places.iter().enumerate().map(|(n, &(east, north, angle, score, scene))| {
                detection(scene, n, score, home.displaced(PlanePoint { east, north }), angle)
            }).collect()
        };
        let mut shuffled = make();
        let length = shuffled.len();
        let mut state = seed;
        for i in (1..length).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        let sites = merged(make());
        prop_assert_eq!(&sites, &merged(shuffled));
        prop_assert_eq!(sites.iter().map(|s| s.detections).sum::<usize>(), length);
        let ids: BTreeSet<&str> = sites.iter().map(|s| s.id.as_str()).collect();
        prop_assert_eq!(ids.len(), sites.len());
    }
}
