//! Detections, sites and clusters as tables of features: the properties that users script against.

use serde_json::{Map, Value, json};

use super::{Feature, Ring};
use crate::detect::Detection;
use crate::geometry::{GroundArea, GroundBox, LonLat};
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
}

/// A number rounded to `decimals`: more would be noise, and would differ between machines.
fn rounded(value: f64, decimals: i32) -> Value {
    let factor = 10f64.powi(decimals);
    json!((value * factor).round() / factor + 0.0)
}

/// Scores keep six decimals.
fn score(value: f64) -> Value {
    rounded(value, 6)
}

fn named_scores(names: &[String], scores: &[f32]) -> Value {
    names
        .iter()
        .zip(scores)
        .map(|(name, s)| (name.clone(), score(f64::from(*s))))
        .collect::<Map<_, _>>()
        .into()
}

impl Names<'_> {
    fn class(&self, class: usize) -> Value {
        self.classes
            .get(class)
            .map_or(Value::Null, |name| json!(name))
    }

    /// The likeliest type with its probability, where the model tells types.
    fn add_type(&self, type_scores: &[f32], properties: &mut Map<String, Value>) {
        let best = type_scores
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        if let Some((name, probability)) = best.and_then(|(i, p)| Some((self.types.get(i)?, *p))) {
            properties.insert("type".into(), json!(name));
            properties.insert("type_score".into(), score(f64::from(probability)));
            properties.insert("type_scores".into(), named_scores(self.types, type_scores));
        }
    }
}

/// Degrees with two decimals in 0 to 180, where rounding must not reach 180.
fn angle(ground: &GroundBox) -> Value {
    let value = (ground.angle_deg * 100.0).round() / 100.0;
    json!(if value >= 180.0 { 0.0 } else { value })
}

/// A row of `detections.geojson`. `scene` and `date` are those of its scene, `chip` the name of its chip.
pub fn detection_feature(
    d: &Detection,
    names: Names<'_>,
    scene: &str,
    date: Option<&str>,
    chip: &str,
) -> Feature {
    let mut p = Map::new();
    p.insert("id".into(), json!(format!("{scene}/{chip}/{}", d.n)));
    p.insert("class".into(), names.class(d.class));
    p.insert("score".into(), score(d.score));
    p.insert(
        "class_scores".into(),
        named_scores(names.classes, &d.class_scores),
    );
    names.add_type(&d.type_scores, &mut p);
    p.insert("scene".into(), json!(scene));
    p.insert("date".into(), json!(date));
    p.insert("chip".into(), json!(chip));
    p.insert("width_m".into(), rounded(d.ground.width_m, 1));
    p.insert("length_m".into(), rounded(d.ground.length_m, 1));
    p.insert("angle_deg".into(), angle(&d.ground));
    if d.outline.is_some() {
        p.insert("area_m2".into(), rounded(d.area_m2(), 0));
    }
    p.insert("border".into(), json!(d.border));
    let cloud = d.cloud.map(|cover| rounded(cover.share, 3));
    p.insert("cloud".into(), cloud.unwrap_or(Value::Null));
    let class = d.cloud.and_then(|cover| cover.class);
    p.insert("cloud_class".into(), json!(class.map(CloudClass::name)));
    p.insert("model".into(), json!(names.model));
    shape(d.corners, d.outline.as_ref(), p)
}

/// The outline of an area, or the box where there is none.
fn shape(
    corners: [LonLat; 4],
    outline: Option<&GroundArea>,
    properties: Map<String, Value>,
) -> Feature {
    match outline {
        Some(outline) => Feature {
            polygons: outline.polygons.clone(),
            properties,
        },
        None => Feature::of_ring(Ring::from(corners), properties),
    }
}

/// A row of `sites.geojson`.
pub fn site_feature(site: &Site, names: Names<'_>, cluster: Option<&Cluster>) -> Feature {
    let mut p = Map::new();
    p.insert("site_id".into(), json!(site.id));
    p.insert("class".into(), names.class(site.class));
    p.insert("score".into(), score(site.score));
    p.insert(
        "class_scores".into(),
        named_scores(names.classes, &site.class_scores),
    );
    names.add_type(&site.type_scores, &mut p);
    p.insert("lon".into(), rounded(site.ground.center.lon, 7));
    p.insert("lat".into(), rounded(site.ground.center.lat, 7));
    p.insert("detections".into(), json!(site.detections));
    p.insert("scenes".into(), json!(site.scenes));
    p.insert("first_seen".into(), json!(site.first_seen));
    p.insert("last_seen".into(), json!(site.last_seen));
    p.insert("length_m".into(), rounded(site.ground.length_m, 1));
    p.insert("width_m".into(), rounded(site.ground.width_m, 1));
    p.insert("angle_deg".into(), angle(&site.ground));
    p.insert("area_m2".into(), rounded(site.area_m2(), 0));
    p.insert("cluster_id".into(), json!(cluster.map(|c| c.id.as_str())));
    p.insert("border".into(), json!(site.border));
    p.insert("status".into(), json!("unverified"));
    shape(site.corners, site.outline.as_ref(), p)
}

/// A row of `clusters.geojson`.
pub fn cluster_feature(cluster: &Cluster, area_km2: f64) -> Feature {
    let mut p = Map::new();
    p.insert("cluster_id".into(), json!(cluster.id));
    p.insert("sites".into(), json!(cluster.sites.len()));
    p.insert("area_km2".into(), rounded(area_km2, 4));
    Feature::of_ring(cluster.hull.clone(), p)
}
