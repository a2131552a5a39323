//! Reads detections from any GeoJSON of boxes.

use std::path::Path;

use super::boxes::ScoredBox;
use super::error::EvaluateError;
use super::features::{Features, is_geojson, parse_json};
use super::outline::Outline;
use super::rectangle::ground_box;

/// Class of a detection that names none.
const UNNAMED_CLASS: &str = "unnamed";

/// The detections of one file.
#[derive(Debug, Clone)]
pub struct Detections {
    /// In the order of the file.
    pub boxes: Vec<ScoredBox>,
    /// What a person should know about the file: scores that were missing, features left out.
    pub notices: Vec<String>,
}

impl Detections {
    /// Reads polygons with the properties `score` (or `confidence`), `class` and `scene`.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let bytes = std::fs::read(path).map_err(|source| EvaluateError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(&bytes, path)
    }

    /// Parses the content of a file; `path` is named in errors. A file without features is no
    /// error: a detector may find nothing.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, EvaluateError> {
        let document = parse_json(bytes, path)?;
        if !is_geojson(&document) {
            return Err(EvaluateError::structure(
                path,
                "GeoJSON",
                "detections come as a run or as a FeatureCollection of polygons",
            ));
        }
        let features = Features::read(document, path)?;
        let mut left_out = features.left_out;
        let (mut boxes, mut unscored) = (Vec::new(), 0_usize);
        for feature in &features.list {
            if matches!(feature.outline, Outline::Point(_)) {
                left_out += 1;
                continue;
            }
            let ground = ground_box(&feature.outline.vertices())
                .ok_or_else(|| feature.refuse(path, "its polygon has no area"))?;
            let score = feature.number(&["score", "confidence"], path)?;
            unscored += usize::from(score.is_none());
            boxes.push(ScoredBox {
                scene: feature.text(&["scene"]),
                class: feature
                    .text(&["class"])
                    .unwrap_or_else(|| UNNAMED_CLASS.to_owned()),
                score: score.unwrap_or(1.0),
                ground,
                corners: ground.corners(),
            });
        }
        if boxes.is_empty() && left_out > 0 {
            return Err(EvaluateError::NoPolygons {
                path: path.to_path_buf(),
                features: left_out,
            });
        }
        let mut notices = Vec::new();
        if left_out > 0 {
            notices.push(format!(
                "{left_out} features of the detections are not polygons and were left out"
            ));
        }
        if unscored > 0 {
            notices.push(format!(
                "{unscored} of {} detections have no `score` or `confidence` and were taken as 1.0: \
                 AP then says little, precision and recall stand",
                boxes.len()
            ));
        }
        Ok(Self { boxes, notices })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::testing::path;

    const SQUARE: &str =
        r#"{"type":"Polygon","coordinates":[[[3,1],[3.001,1],[3.001,1.001],[3,1.001],[3,1]]]}"#;

    fn parse(features: &[(&str, &str)]) -> Result<Detections, EvaluateError> {
        let features: Vec<String> = features
            .iter()
            .map(|(properties, geometry)| {
                format!(r#"{{"type":"Feature","properties":{properties},"geometry":{geometry}}}"#)
            })
            .collect();
        let text = format!(
            r#"{{"type":"FeatureCollection","features":[{}]}}"#,
            features.join(",")
        );
        Detections::parse(text.as_bytes(), path())
    }

    #[test]
    fn scores_classes_and_scenes_are_read() {
        let found = parse(&[
            (r#"{"score":0.7,"class":"kiln","scene":"a"}"#, SQUARE),
            (r#"{"confidence":"0.25"}"#, SQUARE),
            ("null", SQUARE),
        ])
        .unwrap();
        let scores: Vec<f64> = found.boxes.iter().map(|b| b.score).collect();
        assert_eq!(scores, [0.7, 0.25, 1.0]);
        assert_eq!(found.boxes[0].scene.as_deref(), Some("a"));
        assert_eq!(found.boxes[1].class, UNNAMED_CLASS);
        assert!(found.notices[0].starts_with("1 of 3 detections have no `score`"));
    }

    #[test]
    fn finding_nothing_is_no_error_but_points_are() {
        assert!(parse(&[]).unwrap().boxes.is_empty());
        let point = r#"{"type":"Point","coordinates":[3,1]}"#;
        assert!(matches!(
            parse(&[("{}", point)]),
            Err(EvaluateError::NoPolygons { features: 1, .. })
        ));
        assert!(parse(&[("{}", point), ("{}", SQUARE)]).unwrap().notices[0].contains("left out"));
    }

    #[test]
    fn a_score_that_is_no_number_is_refused() {
        for score in [r#""high""#, r#""NaN""#, "[1]"] {
            let text = format!(r#"{{"score":{score}}}"#);
            let problem = parse(&[(text.as_str(), SQUARE)]).unwrap_err().to_string();
            assert!(problem.contains("feature 1: property `score`"), "{problem}");
        }
    }
}
