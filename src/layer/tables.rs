//! Detections, sites and clusters as tables of features: the properties that users script against.
//!
//! Rows borrow what they show and are written as they are: a layer may have millions of them.

use serde::{Serialize, Serializer};

use super::feature::Identified;
use super::{Feature, Ring};
use crate::chip::CloudCover;
use crate::detect::Detection;
use crate::geometry::{GroundArea, GroundBox, LonLat};
use crate::model::AreaRule;
use crate::scene::CloudClass;
use crate::site::{Cluster, Site};

/// Names that features carry and positions stand for.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Classes in the model's order.
    pub classes: &'a [String],
    /// Types in the model's order; empty where it tells none.
    pub types: &'a [String],
    /// Model name.
    pub model: &'a str,
    /// How areas were made, for a model that finds areas.
    pub areas: Option<AreaRule>,
}

/// A number rounded to `decimals`: more would be noise, and would differ between machines.
fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor + 0.0
}

/// Scores keep six decimals.
fn score(value: f64) -> f64 {
    rounded(value, 6)
}

/// Scores by name.
#[derive(Debug, Clone, Copy)]
struct NamedScores<'a> {
    names: &'a [String],
    scores: &'a [f32],
}

impl Serialize for NamedScores<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scores = self.scores.iter().map(|s| score(f64::from(*s)));
        serializer.collect_map(self.names.iter().zip(scores))
    }
}

/// The class of something, with the likeliest type where the model tells types.
#[derive(Debug, Clone, Copy, Serialize)]
struct Kind<'a> {
    class: Option<&'a str>,
    score: f64,
    class_scores: NamedScores<'a>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    type_scores: Option<NamedScores<'a>>,
}

/// How many structures an area holds, by its size.
#[derive(Debug, Clone, Copy, Serialize)]
struct Structures {
    structures_min: u64,
    structures_max: u64,
}

impl<'a> Names<'a> {
    /// `None` for what is no area, or not made of structures.
    fn structures(self, outline: Option<&GroundArea>) -> Option<Structures> {
        let (structures_min, structures_max) = self.areas?.structures(outline?.area_m2())?;
        Some(Structures {
            structures_min,
            structures_max,
        })
    }

    fn kind(
        self,
        class: usize,
        best_score: f64,
        class_scores: &'a [f32],
        type_scores: &'a [f32],
    ) -> Kind<'a> {
        let best = type_scores
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        let best = best.and_then(|(i, p)| Some((self.types.get(i)?.as_str(), *p)));
        Kind {
            class: self.classes.get(class).map(String::as_str),
            score: score(best_score),
            class_scores: NamedScores {
                names: self.classes,
                scores: class_scores,
            },
            type_name: best.map(|(name, _)| name),
            type_score: best.map(|(_, probability)| score(f64::from(probability))),
            type_scores: best.map(|_| NamedScores {
                names: self.types,
                scores: type_scores,
            }),
        }
    }
}

/// Degrees with two decimals in 0 to 180, where rounding must not reach 180.
fn angle(ground: &GroundBox) -> f64 {
    let value = (ground.angle_deg * 100.0).round() / 100.0;
    if value >= 180.0 { 0.0 } else { value }
}

/// Properties of a detection.
#[derive(Debug, Clone, Serialize)]
pub struct DetectionRow<'a> {
    id: String,
    #[serde(flatten)]
    kind: Kind<'a>,
    scene: &'a str,
    date: Option<&'a str>,
    chip: String,
    width_m: f64,
    length_m: f64,
    angle_deg: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    area_m2: Option<f64>,
    #[serde(flatten)]
    structures: Option<Structures>,
    border: bool,
    cloud: Option<f64>,
    cloud_class: Option<&'static str>,
    model: &'a str,
}

impl Identified for DetectionRow<'_> {
    fn id(&self, _property: &str) -> Option<&str> {
        Some(&self.id)
    }
}

/// Properties of a site.
#[derive(Debug, Clone, Serialize)]
pub struct SiteRow<'a> {
    site_id: &'a str,
    #[serde(flatten)]
    kind: Kind<'a>,
    lon: f64,
    lat: f64,
    detections: usize,
    scenes: &'a [String],
    first_seen: Option<&'a str>,
    last_seen: Option<&'a str>,
    length_m: f64,
    width_m: f64,
    angle_deg: f64,
    area_m2: f64,
    #[serde(flatten)]
    structures: Option<Structures>,
    cluster_id: Option<&'a str>,
    border: bool,
    cloud: Option<f64>,
    cloud_class: Option<&'static str>,
    status: &'static str,
}

impl Identified for SiteRow<'_> {
    fn id(&self, _property: &str) -> Option<&str> {
        Some(self.site_id)
    }
}

/// Properties of a cluster.
#[derive(Debug, Clone, Serialize)]
pub struct ClusterRow<'a> {
    cluster_id: &'a str,
    sites: usize,
    area_km2: f64,
}

impl Identified for ClusterRow<'_> {
    fn id(&self, _property: &str) -> Option<&str> {
        Some(self.cluster_id)
    }
}

/// A row of `detections.geojson`. `scene` and `date` are those of its scene, `chip` the name of its chip.
pub fn detection_feature<'a>(
    d: &'a Detection,
    names: Names<'a>,
    scene: &'a str,
    date: Option<&'a str>,
    chip: String,
) -> Feature<DetectionRow<'a>> {
    let row = DetectionRow {
        id: format!("{scene}/{chip}/{}", d.n),
        kind: names.kind(d.class, d.score, &d.class_scores, &d.type_scores),
        scene,
        date,
        chip,
        width_m: rounded(d.ground.width_m, 1),
        length_m: rounded(d.ground.length_m, 1),
        angle_deg: angle(&d.ground),
        area_m2: d.outline.as_ref().map(|_| rounded(d.area_m2(), 0)),
        structures: names.structures(d.outline.as_ref()),
        border: d.border,
        cloud: cloud_share(d.cloud),
        cloud_class: cloud_class(d.cloud),
        model: names.model,
    };
    shape(d.corners, d.outline.as_ref(), row)
}

/// The share under cloud; `None` where no mask tells.
fn cloud_share(cover: Option<CloudCover>) -> Option<f64> {
    cover.map(|cover| rounded(cover.share, 3))
}

/// The class of most of that.
fn cloud_class(cover: Option<CloudCover>) -> Option<&'static str> {
    cover.and_then(|cover| cover.class).map(CloudClass::name)
}

/// The outline of an area, or the box where there is none.
fn shape<P>(corners: [LonLat; 4], outline: Option<&GroundArea>, properties: P) -> Feature<P> {
    match outline {
        Some(outline) => Feature {
            polygons: outline.polygons.clone(),
            properties,
        },
        None => Feature::of_ring(Ring::from(corners), properties),
    }
}

/// A row of `sites.geojson`.
pub fn site_feature<'a>(
    site: &'a Site,
    names: Names<'a>,
    cluster: Option<&'a Cluster>,
) -> Feature<SiteRow<'a>> {
    let row = SiteRow {
        site_id: &site.id,
        kind: names.kind(
            site.class,
            site.score,
            &site.class_scores,
            &site.type_scores,
        ),
        lon: rounded(site.ground.center.lon, 7),
        lat: rounded(site.ground.center.lat, 7),
        detections: site.detections,
        scenes: &site.scenes,
        first_seen: site.first_seen.as_deref(),
        last_seen: site.last_seen.as_deref(),
        length_m: rounded(site.ground.length_m, 1),
        width_m: rounded(site.ground.width_m, 1),
        angle_deg: angle(&site.ground),
        area_m2: rounded(site.area_m2(), 0),
        structures: names.structures(site.outline.as_ref()),
        cluster_id: cluster.map(|c| c.id.as_str()),
        border: site.border,
        cloud: cloud_share(site.cloud),
        cloud_class: cloud_class(site.cloud),
        status: "unverified",
    };
    shape(site.corners, site.outline.as_ref(), row)
}

/// A row of `clusters.geojson`.
pub fn cluster_feature(cluster: &Cluster, area_km2: f64) -> Feature<ClusterRow<'_>> {
    let row = ClusterRow {
        cluster_id: &cluster.id,
        sites: cluster.sites.len(),
        area_km2: rounded(area_km2, 4),
    };
    Feature::of_ring(cluster.hull.clone(), row)
}
