//! The places that people looked at, and what came of it.

use std::path::Path;

use super::error::LabelError;
use crate::evaluate::{EvaluateError, Features, Outline, TruthBox, parse_json};
use crate::geometry::{GroundBox, LonLat};

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is there.
    Confirmed,
    /// There is nothing of the kind: ground that looks like it, and is not.
    Rejected,
    /// Nobody has looked, people disagree, or the picture showed nothing. Neither an object nor ground.
    Undecided,
}

/// A place of the layer.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedPlace {
    /// Its class.
    pub class: String,
    /// What is known of it.
    pub standing: Standing,
    /// Its box on the ground.
    pub shape: GroundBox,
    /// Its outline, without the closing vertex.
    pub outline: Vec<LonLat>,
}

/// The places of a layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    /// In the order of the file.
    pub list: Vec<VerifiedPlace>,
    /// Features that have no extent: points and lines.
    pub left_out: usize,
}

impl Places {
    /// Reads a layer of `kilnsight verify export`, or any GeoJSON of polygons: without a `status` a place counts as
    /// confirmed, without a `class` as `class`.
    pub fn read(path: &Path, class: &str) -> Result<Self, LabelError> {
        let bytes = std::fs::read(path).map_err(|source| EvaluateError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let features = Features::read(parse_json(&bytes, path)?, path)?;
        let mut places = Self {
            left_out: features.left_out,
            list: Vec::new(),
        };
        for feature in &features.list {
            let standing = match feature.text(&["status"]).as_deref() {
                None | Some("confirmed") => Standing::Confirmed,
                Some("rejected") => Standing::Rejected,
                Some("unverified" | "contested" | "imagery_problem") => Standing::Undecided,
                Some(other) => {
                    return Err(feature
                        .refuse(
                            path,
                            format!(
                                "its `status` is `{other}`: confirmed, rejected, contested, imagery_problem and unverified are known"
                            ),
                        )
                        .into());
                }
            };
            let class = feature.text(&["class"]).unwrap_or_else(|| class.to_owned());
            let extent = match &feature.outline {
                Outline::Point(_) => None,
                Outline::Area(_) => {
                    TruthBox::from_outline(&feature.outline, None)
                        .ok_or_else(|| feature.refuse(path, "its polygon has no area"))?
                        .extent
                }
            };
            let Some(extent) = extent else {
                places.left_out += 1;
                continue;
            };
            places.list.push(VerifiedPlace {
                class,
                standing,
                shape: extent.ground,
                outline: feature.outline.vertices(),
            });
        }
        Ok(places)
    }

    /// Classes of what is confirmed, in alphabetical order.
    pub fn classes(&self) -> Vec<String> {
        let confirmed = |place: &&VerifiedPlace| place.standing == Standing::Confirmed;
        let mut classes: Vec<String> = (self.list.iter().filter(confirmed))
            .map(|place| place.class.clone())
            .collect();
        classes.sort();
        classes.dedup();
        classes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Standing::{Confirmed, Rejected, Undecided};
    use super::*;

    fn read(features: &serde_json::Value) -> Result<Places, LabelError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer.geojson");
        let layer = json!({"type": "FeatureCollection", "features": features});
        std::fs::write(&path, layer.to_string()).unwrap();
        Places::read(&path, "kiln")
    }

    fn feature(properties: &serde_json::Value) -> serde_json::Value {
        let ring = [
            [10.0, 1.0],
            [10.001, 1.0],
            [10.001, 1.0005],
            [10.0, 1.0005],
            [10.0, 1.0],
        ];
        json!({"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    }

    #[test]
    fn a_status_says_what_a_place_is_good_for() {
        let places = read(&json!([
            feature(&json!({"status": "confirmed", "class": "camp"})),
            feature(&json!({"status": "rejected"})),
            feature(&json!({"status": "contested"})),
            feature(&json!({"status": "unverified"})),
            feature(&json!({})),
            {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1.0, 2.0]}},
        ]))
        .unwrap();
        let standings: Vec<Standing> = places.list.iter().map(|p| p.standing).collect();
        assert_eq!(
            standings,
            [Confirmed, Rejected, Undecided, Undecided, Confirmed]
        );
        assert_eq!(
            (places.left_out, places.classes()),
            (1, vec!["camp".to_owned(), "kiln".to_owned()])
        );
        assert!((places.list[0].shape.length_m - 111.3).abs() < 0.2);
    }

    #[test]
    fn an_unknown_status_is_refused_and_no_place_is_told() {
        let error = read(&json!([feature(&json!({"status": "maybe"}))]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("feature 1") && error.contains("`maybe`"),
            "{error}"
        );
        assert!(!error.contains("10.0"), "{error}");
    }
}
