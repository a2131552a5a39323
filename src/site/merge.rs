//! Detections of the same place become one site.

use super::identity::SiteIds;
use crate::chip::CloudCover;
use crate::detect::Detection;
use crate::geometry::{GroundArea, GroundBox, GroundPile, LonLat, SuppressionRule};

/// A place where something was detected.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Stable id, from the place.
    pub id: String,
    /// Number of the class.
    pub class: usize,
    /// Best score of its detections.
    pub score: f64,
    /// Best score of each class over its detections.
    pub class_scores: Vec<f32>,
    /// Type probabilities of its best detection.
    pub type_scores: Vec<f32>,
    /// Box of its best detection.
    pub ground: GroundBox,
    /// Corners of that box.
    pub corners: [LonLat; 4],
    /// Number of detections merged into it.
    pub detections: usize,
    /// Ids of the scenes it was detected in, sorted.
    pub scenes: Vec<String>,
    /// Earliest date of these scenes, where known.
    pub first_seen: Option<String>,
    /// Latest date of these scenes, where known.
    pub last_seen: Option<String>,
    /// Whether every detection of it was cut by the edge of what was seen.
    pub border: bool,
    /// How much of its best detection lies under cloud; `None`: that scene has no cloud mask.
    pub cloud: Option<CloudCover>,
    /// What its areas cover together, where they are areas: `ground` is then the smallest rectangle round it.
    pub outline: Option<GroundArea>,
}

impl Site {
    /// What it covers in square metres.
    pub fn area_m2(&self) -> f64 {
        self.outline
            .as_ref()
            .map_or_else(|| self.ground.area_m2(), GroundArea::area_m2)
    }
}

/// What a site takes from the scenes of its detections.
pub trait SiteSource {
    /// Id of a scene, by its position in the scan.
    fn scene_id(&self, scene: usize) -> &str;
    /// Its date, where known.
    fn scene_date(&self, scene: usize) -> Option<&str>;
    /// Name of a class.
    fn class_name(&self, class: usize) -> &str;
}

/// Merges detections that overlap by `rule`, on the ground and in metres, whatever chip, scene, date or UTM
/// zone they come from. `detections` come in [`place_order`](crate::detect::place_order): each one not yet taken
/// starts a site and takes all that overlap it.
pub fn merge_sites(
    detections: &[Detection],
    rule: SuppressionRule,
    source: &dyn SiteSource,
) -> Vec<Site> {
    let mut pile = GroundPile::new(detections.len(), |i| detections[i].ground);
    let mut ids = SiteIds::default();
    let mut sites = Vec::new();
    let (mut same, mut members) = (Vec::new(), Vec::new());
    for (i, best) in detections.iter().enumerate() {
        if pile.take_same(i, rule, &mut same) {
            members.clear();
            members.push(best);
            members.extend(same.iter().map(|&j| &detections[j]));
            sites.push(site_of(&members, source, &mut ids));
        }
    }
    sites
}

/// A site of detections, the first of which is the best.
pub(super) fn site_of(members: &[&Detection], source: &dyn SiteSource, ids: &mut SiteIds) -> Site {
    let best = members[0];
    let mut class_scores = best.class_scores.clone();
    for member in members {
        for (best, score) in class_scores.iter_mut().zip(&member.class_scores) {
            *best = best.max(*score);
        }
    }
    let mut scenes: Vec<usize> = members.iter().map(|d| d.scene).collect();
    scenes.sort_unstable();
    scenes.dedup();
    let dates = || scenes.iter().filter_map(|&s| source.scene_date(s));
    let mut scene_ids: Vec<String> = scenes
        .iter()
        .map(|&s| source.scene_id(s).to_owned())
        .collect();
    scene_ids.sort();
    Site {
        id: ids.id(source.class_name(best.class), best.ground.center),
        class: best.class,
        score: best.score,
        class_scores,
        type_scores: best.type_scores.clone(),
        ground: best.ground,
        corners: best.corners,
        detections: members.len(),
        scenes: scene_ids,
        first_seen: dates().min().map(str::to_owned),
        last_seen: dates().max().map(str::to_owned),
        border: members.iter().all(|d| d.border),
        cloud: best.cloud,
        outline: None,
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
