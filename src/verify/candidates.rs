//! From a run to what may be asked about: its sites, what it found below their score, and the ground on which it
//! found nothing. Together they are the population that the probability sample is drawn from.

use std::collections::HashMap;

use super::answer::TaskKind;
use super::error::VerifyError;
use crate::detect::{Detection, PlaceError, place_order};
use crate::geometry::{GroundBox, GroundIndex, LonLat, PixelPoint, distance_m};
use crate::run::{LoadedRun, STORE_SCORE};
use crate::site::{Site, SiteSource, cluster_sites, merge_areas, merge_sites};

/// Something that may be asked about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) kind: TaskKind,
    /// Stable id, from the place.
    pub(super) site_id: String,
    pub(super) class: String,
    pub(super) kiln_type: Option<String>,
    /// 0 for empty ground.
    pub(super) score: f64,
    pub(super) center: LonLat,
    /// Half the diagonal of the outline.
    pub(super) radius_m: f64,
    /// Ring round what is asked about: the corners of its box, or the outline of an area.
    pub(super) outline: Vec<LonLat>,
    pub(super) cluster_id: Option<String>,
    pub(super) first_seen: Option<String>,
    pub(super) last_seen: Option<String>,
    /// Scene, by its position in the run, in which the detector saw it best.
    pub(super) scene: usize,
}

/// Detections of all scenes, in global order.
fn detections(run: &LoadedRun, min_score: f64) -> Result<Vec<Detection>, VerifyError> {
    let mut all: Vec<Detection> = Vec::new();
    for scene in 0..run.scenes.len() {
        all.extend(run.detections(scene, min_score)?);
    }
    all.sort_by(place_order);
    Ok(all)
}

struct Names<'a>(&'a LoadedRun);

impl SiteSource for Names<'_> {
    fn scene_id(&self, scene: usize) -> &str {
        &self.0.scenes[scene].scene.id
    }

    fn scene_date(&self, scene: usize) -> Option<&str> {
        self.0.scenes[scene].scene.date.as_deref()
    }

    fn class_name(&self, class: usize) -> &str {
        self.0.classes.get(class).map_or("", String::as_str)
    }
}

/// All candidates of a run: sites as in its layer, then the rest by score, then empty ground by place.
pub(super) fn candidates(run: &LoadedRun) -> Result<Vec<Candidate>, VerifyError> {
    let names = Names(run);
    let min_score = run.settings.min_score;
    let shown = detections(run, min_score)?;
    let (sites, below) = if run.settings.areas.is_some() {
        // Pixels below the score of an area are no areas of their own.
        let reach_m = run.settings.chips.gsd_m / 2.0;
        (merge_areas(&shown, reach_m, &names), Vec::new())
    } else {
        // Merging goes from the best score down, so what is at or above the shown score comes out as in the layer,
        // and what lies below takes no part of it.
        let all = detections(run, STORE_SCORE)?;
        let mut below = merge_sites(&all, run.settings.merge(), &names);
        below.retain(|s| s.score < min_score);
        (merge_sites(&shown, run.settings.merge(), &names), below)
    };
    let (clusters, cluster_of) = cluster_sites(&sites, run.settings.clusters());

    let best_scene = BestScene::new(&detections(run, STORE_SCORE.min(min_score))?);
    let mut found: Vec<Candidate> = sites
        .iter()
        .zip(&cluster_of)
        .map(|(site, cluster)| {
            let cluster = cluster.map(|c| clusters[c].id.clone());
            candidate(run, site, TaskKind::Site, cluster, &best_scene)
        })
        .collect();
    found.extend(
        below
            .into_iter()
            .map(|site| candidate(run, &site, TaskKind::Below, None, &best_scene)),
    );
    let empty = empty_ground(run, &found)?;
    found.extend(empty);
    Ok(found)
}

/// Finds the scene of the detection that a site took its box from.
struct BestScene(HashMap<[u64; 3], usize>);

impl BestScene {
    fn key(ground: &GroundBox, score: f64) -> [u64; 3] {
        [ground.center.lon, ground.center.lat, score].map(f64::to_bits)
    }

    fn new(detections: &[Detection]) -> Self {
        Self(
            detections
                .iter()
                .map(|d| (Self::key(&d.ground, d.score), d.scene))
                .collect(),
        )
    }

    fn of(&self, site: &Site) -> usize {
        let key = Self::key(&site.ground, site.score);
        self.0.get(&key).copied().unwrap_or(0)
    }
}

fn candidate(
    run: &LoadedRun,
    site: &Site,
    kind: TaskKind,
    cluster_id: Option<String>,
    best_scene: &BestScene,
) -> Candidate {
    let likeliest = site
        .type_scores
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
    Candidate {
        kind,
        site_id: site.id.clone(),
        class: run.classes.get(site.class).cloned().unwrap_or_default(),
        kiln_type: likeliest.and_then(|(i, _)| run.types.get(i).cloned()),
        score: site.score,
        center: site.ground.center,
        radius_m: site.ground.radius_m(),
        outline: outline(site),
        cluster_id,
        first_seen: site.first_seen.clone(),
        last_seen: site.last_seen.clone(),
        scene: best_scene.of(site),
    }
}

/// The ring that is shown: the box, or the largest part of an area.
fn outline(site: &Site) -> Vec<LonLat> {
    let twice_area = |ring: &[LonLat]| -> f64 {
        let next = ring.iter().cycle().skip(1);
        ring.iter()
            .zip(next)
            .map(|(a, b)| a.lon * b.lat - b.lon * a.lat)
            .sum::<f64>()
            .abs()
    };
    site.outline
        .iter()
        .flat_map(|area| &area.polygons)
        .map(|(outer, _)| outer)
        .max_by(|a, b| twice_area(a).total_cmp(&twice_area(b)))
        .map_or_else(|| site.corners.to_vec(), Clone::clone)
}

/// Cores of chips that the model or its screen saw and in which nothing at all was found, in any scene. Ground that lies in
/// several scenes is taken once, from the first.
fn empty_ground(run: &LoadedRun, found: &[Candidate]) -> Result<Vec<Candidate>, VerifyError> {
    let class = run.classes.first().cloned().unwrap_or_default();
    let centers: Vec<LonLat> = found.iter().map(|c| c.center).collect();
    let detected = GroundIndex::new(centers.iter().copied());
    let mut kept: Vec<Candidate> = Vec::new();
    for (scene, planned) in run.scenes.iter().enumerate() {
        let earlier = GroundIndex::new(kept.iter().map(|c| c.center));
        let earlier_count = kept.len();
        let georeference = planned.scene.georeference()?;
        for chip in run.empty_chips(scene)? {
            let Some(chip) = planned.plan.chip(chip) else {
                continue;
            };
            let core = chip.core;
            let middle = PixelPoint::new(
                f64::midpoint(core.x0, core.x1),
                f64::midpoint(core.y0, core.y1),
            );
            let corners = [
                PixelPoint::new(core.x0, core.y0),
                PixelPoint::new(core.x1, core.y0),
                PixelPoint::new(core.x1, core.y1),
                PixelPoint::new(core.x0, core.y1),
            ];
            let places = georeference
                .to_lonlat(&[middle, corners[0], corners[1], corners[2], corners[3]])
                .map_err(|source| PlaceError::Georeference {
                    scene: planned.scene.id.clone(),
                    source,
                })?;
            let center = places[0];
            let radius_m = places[1..]
                .iter()
                .map(|corner| distance_m(center, *corner))
                .fold(0.0, f64::max);
            let seen_earlier = earlier
                .within(center, radius_m)
                .any(|i| i < earlier_count && distance_m(center, kept[i].center) < radius_m / 2.0);
            if seen_earlier || detected.within(center, radius_m).next().is_some() {
                continue;
            }
            kept.push(Candidate {
                kind: TaskKind::Empty,
                site_id: format!("empty-{}", crate::site::place_digest(&class, center)),
                class: class.clone(),
                kiln_type: None,
                score: 0.0,
                center,
                radius_m,
                outline: places[1..].to_vec(),
                cluster_id: None,
                first_seen: planned.scene.date.clone(),
                last_seen: planned.scene.date.clone(),
                scene,
            });
        }
    }
    Ok(kept)
}
