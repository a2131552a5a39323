//! Areas of the same place become one site.

use super::identity::SiteIds;
use super::merge::{Site, SiteSource, site_of};
use crate::detect::Detection;
use crate::geometry::{GroundArea, GroundPile};

/// Joins areas of one class in different scenes that overlap or lie within `reach_m` metres of one another (half a
/// pixel: scenes that adjoin cut an area in two), whatever their dates. Areas of one scene are joined already. A site
/// covers what its areas cover together.
/// `detections` come in [`place_order`](crate::detect::place_order), which is also the order of the sites.
pub fn merge_areas(detections: &[Detection], reach_m: f64, source: &dyn SiteSource) -> Vec<Site> {
    let mut pile = GroundPile::new(detections.len(), |i| detections[i].ground);
    let mut ids = SiteIds::default();
    let (mut sites, mut near) = (Vec::new(), Vec::new());
    for first in 0..detections.len() {
        if !pile.take(first) {
            continue;
        }
        // All that hang together with the best, whether or not they touch it themselves.
        let mut members = vec![first];
        let mut looked_at = 0;
        while let Some(&i) = members.get(looked_at) {
            looked_at += 1;
            let one = &detections[i];
            pile.near(i, reach_m, &mut near);
            for &j in &near {
                let other = &detections[j];
                let may_be_one = other.class == one.class && other.scene != one.scene;
                if may_be_one && are_near(one, other, reach_m) {
                    pile.take(j);
                    members.push(j);
                }
            }
        }
        members.sort_unstable();
        let members: Vec<&Detection> = members.iter().map(|&j| &detections[j]).collect();
        let outline = GroundArea::union(members.iter().filter_map(|d| d.outline.as_ref()));
        let mut site = site_of(&members, source, &mut ids);
        if let Some(ground) = outline.bounding_box() {
            site.ground = ground;
            site.corners = ground.corners();
            site.outline = Some(outline);
        }
        sites.push(site);
    }
    sites
}

fn are_near(one: &Detection, other: &Detection, reach_m: f64) -> bool {
    match (&one.outline, &other.outline) {
        (Some(a), Some(b)) => a.is_near(b, reach_m),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use geo::{MultiPolygon, Polygon};

    use super::*;
    use crate::geometry::{LonLat, PlanePoint};

    struct Scenes;

    impl SiteSource for Scenes {
        fn scene_id(&self, scene: usize) -> &str {
            ["west", "east"][scene]
        }
        fn scene_date(&self, _scene: usize) -> Option<&str> {
            None
        }
        fn class_name(&self, _class: usize) -> &'static str {
            "camp"
        }
    }

    /// A square of 100 m whose west edge lies `east` metres from home.
    fn square(scene: usize, n: usize, east: f64) -> Detection {
        let ring = [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0)];
        let home = LonLat::new(3.0, 1.0).displaced(PlanePoint { east, north: 0.0 });
        let plane = Polygon::new(ring.to_vec().into(), vec![]);
        let outline = GroundArea::from_plane(home, &MultiPolygon::from(plane));
        let ground = outline.bounding_box().unwrap();
        Detection {
            scene,
            chip: 0,
            n,
            class: 0,
            score: 0.9 - n as f64 / 10.0,
            class_scores: vec![0.9],
            type_scores: vec![],
            ground,
            corners: ground.corners(),
            border: false,
            cloud: None,
            outline: Some(outline),
        }
    }

    #[test]
    fn an_area_cut_by_the_edge_of_two_scenes_is_one_site() {
        let sites = merge_areas(&[square(0, 0, 0.0), square(1, 1, 100.2)], 0.5, &Scenes);
        assert_eq!(sites.len(), 1);
        assert_eq!(sites[0].scenes, ["east", "west"]);
        assert!((sites[0].area_m2() - 20_000.0).abs() < 1.0);
        assert!((sites[0].ground.length_m - 200.2).abs() < 0.01);
    }

    #[test]
    fn a_chain_is_one_site_and_what_stands_apart_another() {
        let areas = [
            square(0, 0, 0.0),
            square(0, 1, 160.0),
            square(1, 2, 80.0),
            square(1, 3, 400.0),
        ];
        let sites = merge_areas(&areas, 0.5, &Scenes);
        assert_eq!(
            sites.iter().map(|s| s.detections).collect::<Vec<_>>(),
            [3, 1]
        );
        assert!((sites[0].area_m2() - 26_000.0).abs() < 1.0);
    }
}
