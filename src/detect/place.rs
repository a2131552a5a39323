//! From boxes in chips to boxes on the ground, and suppression across the chips of a scene.

use std::cmp::Ordering;

use geo::{LineString, MapCoords, Polygon, coord};
use rayon::prelude::*;
use thiserror::Error;

use super::areas;
use super::outcome::RawDetection;
use super::planned::PlannedScene;
use crate::chip::{Chip, CloudCover};
use crate::geometry::{
    GroundArea, GroundBox, LonLat, PixelPoint, SuppressionRule, azimuth_deg, distance_m,
    suppress_ground,
};
use crate::model::AreaRule;
use crate::scene::{Georeference, GeoreferenceError, SceneError};

/// A detection on the ground.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Position of its scene in the scan.
    pub scene: usize,
    /// Number of its chip in the scene.
    pub chip: usize,
    /// Its place among the boxes of the chip.
    pub n: usize,
    /// Number of its class.
    pub class: usize,
    /// Score of the class, 0 to 1.
    pub score: f64,
    /// Scores of all classes.
    pub class_scores: Vec<f32>,
    /// Probabilities of the types within the class.
    pub type_scores: Vec<f32>,
    /// Centre, sides and direction.
    pub ground: GroundBox,
    /// The four corners, each transformed exactly.
    pub corners: [LonLat; 4],
    /// Whether it reaches beyond what was seen.
    pub border: bool,
    /// How much of it lies under cloud; `None`: the scene has no cloud mask.
    pub cloud: Option<CloudCover>,
    /// The outline, for heads that find areas: `ground` is then the smallest rectangle round it.
    pub outline: Option<GroundArea>,
}

impl Detection {
    /// What it covers in square metres.
    pub fn area_m2(&self) -> f64 {
        self.outline
            .as_ref()
            .map_or_else(|| self.ground.area_m2(), GroundArea::area_m2)
    }
}

/// Why detections cannot be placed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The scene's georeference fails.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A position cannot be transformed.
    #[error("scene `{scene}`: {source}")]
    Georeference {
        /// Scene id.
        scene: String,
        /// Why.
        #[source]
        source: GeoreferenceError,
    },
    /// The ledger names a chip that the plan does not have.
    #[error(
        "the ledger has a detection in chip {chip} of scene `{scene}`, which has {chips} chips: scan again with `--fresh`"
    )]
    Chip {
        /// Scene id.
        scene: String,
        /// Chip number.
        chip: usize,
        /// Chips of the scene.
        chips: usize,
    },
}

/// Positions that place one box: centre, four corners, ends of the length axis, ends of the width axis.
const POINTS: usize = 9;

/// How the detections of a scene are made of what its chips report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlaceRules {
    /// When two boxes show the same thing.
    pub nms: SuppressionRule,
    /// How areas are joined, for heads that find areas.
    pub areas: Option<AreaRule>,
    /// Lowest score of an area.
    pub min_score: f64,
}

/// Detections of one scene (number `number` in the scan) on the ground, each once, in [`place_order`]: boxes are
/// suppressed across its chips, areas joined.
pub fn scene_detections(
    number: usize,
    planned: &PlannedScene,
    raw: Vec<(usize, usize, RawDetection)>,
    rules: PlaceRules,
) -> Result<Vec<Detection>, PlaceError> {
    if let Some(rule) = rules.areas {
        let mut areas = place_areas(number, planned, raw, rule, rules.min_score)?;
        areas.sort_unstable_by(place_order);
        return Ok(areas);
    }
    let placed = place_scene(number, planned, &raw)?;
    Ok(suppress_detections(placed, rules.nms))
}

/// Places the boxes of one scene on the ground.
fn place_scene(
    number: usize,
    planned: &PlannedScene,
    raw: &[(usize, usize, RawDetection)],
) -> Result<Vec<Detection>, PlaceError> {
    let parts: Vec<Vec<Detection>> = raw
        .par_chunks(PLACED_TOGETHER)
        .map(|raw| place_boxes(number, planned, raw))
        .collect::<Result<_, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

/// Boxes that are placed at a time, each time by one thread with a transformation of its own.
const PLACED_TOGETHER: usize = 8192;

fn place_boxes(
    number: usize,
    planned: &PlannedScene,
    raw: &[(usize, usize, RawDetection)],
) -> Result<Vec<Detection>, PlaceError> {
    let georeference = planned.scene.georeference()?;
    let mut points: Vec<PixelPoint> = Vec::with_capacity(raw.len() * POINTS);
    for (chip, _, detection) in raw {
        let chip = chip_of(planned, *chip)?;
        points.push(chip.scene_point(detection.shape.center));
        points.extend(detection.shape.corners().map(|p| chip.scene_point(p)));
        points.extend(detection.shape.axis_ends().map(|p| chip.scene_point(p)));
    }
    let places = georeference
        .to_lonlat(&points)
        .map_err(|source| PlaceError::Georeference {
            scene: planned.scene.id.clone(),
            source,
        })?;
    Ok(raw
        .iter()
        .zip(places.chunks_exact(POINTS))
        .map(|((chip, n, detection), p)| Detection {
            scene: number,
            chip: *chip,
            n: *n,
            class: detection.class,
            score: f64::from(detection.score),
            class_scores: detection.class_scores.clone(),
            type_scores: detection.type_scores.clone(),
            ground: ground_box(p[0], [p[5], p[6]], [p[7], p[8]]),
            corners: [p[1], p[2], p[3], p[4]],
            border: detection.border,
            cloud: detection.cloud,
            outline: None,
        })
        .collect())
}

/// Joins the areas of one scene (number `number` in the scan) across its chips and places them on the ground.
/// Keeps those of at least `min_score`.
fn place_areas(
    number: usize,
    planned: &PlannedScene,
    raw: Vec<(usize, usize, RawDetection)>,
    rule: AreaRule,
    min_score: f64,
) -> Result<Vec<Detection>, PlaceError> {
    let georeference = planned.scene.georeference()?;
    let mut parts = Vec::with_capacity(raw.len());
    for (chip, n, mut detection) in raw {
        let at = chip_of(planned, chip)?;
        if let Some(outline) = detection.outline.take() {
            let polygon = outline.polygon.map_coords(|c| {
                let p = at.scene_point(PixelPoint::new(c.x, c.y));
                coord! { x: areas::rounded(p.x), y: areas::rounded(p.y) }
            });
            parts.push((chip, n, detection, polygon));
        }
    }
    let mut placed = Vec::new();
    for found in areas::join(&parts) {
        if f64::from(found.detection.score) < min_score {
            continue;
        }
        let polygons = found.polygons.iter();
        let outline = GroundArea {
            polygons: polygons
                .map(|polygon| on_ground(polygon, &georeference))
                .collect::<Result<_, _>>()
                .map_err(|source| PlaceError::Georeference {
                    scene: planned.scene.id.clone(),
                    source,
                })?,
        };
        let Some(ground) = outline.bounding_box() else {
            continue;
        };
        if outline.area_m2() < rule.min_area_m2 {
            continue;
        }
        placed.push(Detection {
            scene: number,
            chip: found.chip,
            n: found.n,
            class: found.detection.class,
            score: f64::from(found.detection.score),
            class_scores: found.detection.class_scores,
            type_scores: found.detection.type_scores,
            ground,
            corners: ground.corners(),
            border: found.detection.border,
            cloud: found.detection.cloud,
            outline: Some(outline.simplified(rule.simplify_m)),
        });
    }
    Ok(placed)
}

/// Rings of scene pixels as rings of places.
fn on_ground(
    polygon: &Polygon,
    georeference: &Georeference,
) -> Result<(Vec<LonLat>, Vec<Vec<LonLat>>), GeoreferenceError> {
    let ring = |ring: &LineString| {
        let corners = ring.0.split_last().map_or(&[][..], |(_, rest)| rest);
        let pixels: Vec<PixelPoint> = corners.iter().map(|c| PixelPoint::new(c.x, c.y)).collect();
        georeference.to_lonlat(&pixels)
    };
    let holes = polygon.interiors().iter().map(ring);
    Ok((ring(polygon.exterior())?, holes.collect::<Result<_, _>>()?))
}

fn chip_of(planned: &PlannedScene, chip: usize) -> Result<Chip, PlaceError> {
    planned.plan.chip(chip).ok_or_else(|| PlaceError::Chip {
        scene: planned.scene.id.clone(),
        chip,
        chips: planned.plan.len(),
    })
}

/// A box from its centre and the ends of its axes. The angle is that of the geodesic from the centre, so it
/// is measured from true north whatever the projection's grid does.
fn ground_box(center: LonLat, length_ends: [LonLat; 2], width_ends: [LonLat; 2]) -> GroundBox {
    let (along, across) = (
        distance_m(length_ends[0], length_ends[1]),
        distance_m(width_ends[0], width_ends[1]),
    );
    // Pixels that are not square on the ground can make the "width" the longer side.
    let (length_m, width_m, end) = if along >= across {
        (along, across, length_ends[1])
    } else {
        (across, along, width_ends[1])
    };
    let angle_deg = azimuth_deg(center, end).rem_euclid(180.0);
    GroundBox {
        center,
        length_m,
        width_m,
        angle_deg: if angle_deg >= 180.0 { 0.0 } else { angle_deg },
    }
}

/// The order of all global steps: best score first, then from north to south, west to east, and last by
/// origin, so that no two detections are equal.
pub fn place_order(a: &Detection, b: &Detection) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then(b.ground.center.lat.total_cmp(&a.ground.center.lat))
        .then(a.ground.center.lon.total_cmp(&b.ground.center.lon))
        .then((a.scene, a.chip, a.n).cmp(&(b.scene, b.chip, b.n)))
}

/// Brings detections into [`place_order`] and keeps the best of those that show the same thing.
fn suppress_detections(mut detections: Vec<Detection>, rule: SuppressionRule) -> Vec<Detection> {
    detections.sort_unstable_by(place_order);
    let boxes: Vec<GroundBox> = detections.iter().map(|d| d.ground).collect();
    let mut kept = suppress_ground(&boxes, rule).into_iter().peekable();
    let mut position = 0;
    detections.retain(|_| {
        let keep = kept.next_if_eq(&position).is_some();
        position += 1;
        keep
    });
    detections
}
