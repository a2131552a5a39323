//! Reads labels: GeoJSON on the ground, or COCO in the pixels of images.

use std::path::{Path, PathBuf};

use super::boxes::TruthBox;
use super::coco::{self, ImageLabels};
use super::error::EvaluateError;
use super::features::{Feature, Features, is_geojson, parse_json};
use super::outline::Outline;

/// The labels of one file.
#[derive(Debug, Clone)]
pub struct Truth {
    pub(super) path: PathBuf,
    pub(super) labels: Labels,
    /// What a person should know about the file: features left out, points without extent.
    pub notices: Vec<String>,
}

/// Labels by the frame their coordinates are in.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    /// WGS 84 degrees.
    Ground(Vec<GroundLabel>),
    /// Pixels of each image.
    Pixels(Vec<ImageLabels>),
}

/// One feature of a GeoJSON file.
#[derive(Debug, Clone)]
pub(super) struct GroundLabel {
    pub(super) outline: Outline,
    pub(super) truth: TruthBox,
    pub(super) ignore: bool,
    pub(super) region: Option<String>,
    pub(super) scene: Option<String>,
}

impl Truth {
    /// Reads GeoJSON or COCO; which of the two is seen from the content.
    pub fn read(path: &Path) -> Result<Self, EvaluateError> {
        let bytes = std::fs::read(path).map_err(|source| EvaluateError::Read {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(&bytes, path)
    }

    /// Parses the content of a file; `path` is named in errors.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, EvaluateError> {
        let document = parse_json(bytes, path)?;
        let mut notices = Vec::new();
        let labels = if is_geojson(&document) {
            Labels::Ground(ground_labels(document, path, &mut notices)?)
        } else if coco::is_coco(&document) {
            Labels::Pixels(coco::read(document, path)?)
        } else {
            return Err(EvaluateError::UnknownKind {
                path: path.to_path_buf(),
            });
        };
        Ok(Self {
            path: path.to_path_buf(),
            labels,
            notices,
        })
    }

    /// Whether the labels are in pixels, so that scenes and their georeference are needed.
    pub fn is_in_pixels(&self) -> bool {
        matches!(self.labels, Labels::Pixels(_))
    }

    /// Objects that count (ignore regions are not among them).
    pub fn len(&self) -> usize {
        match &self.labels {
            Labels::Ground(labels) => labels.iter().filter(|l| !l.ignore).count(),
            Labels::Pixels(images) => images
                .iter()
                .flat_map(|image| &image.labels)
                .filter(|l| !l.ignore)
                .count(),
        }
    }

    /// Whether no object counts.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn ground_labels(
    document: serde_json::Value,
    path: &Path,
    notices: &mut Vec<String>,
) -> Result<Vec<GroundLabel>, EvaluateError> {
    let features = Features::read(document, path)?;
    if features.list.is_empty() {
        return Err(EvaluateError::NoPolygons {
            path: path.to_path_buf(),
            features: features.left_out,
        });
    }
    if features.left_out > 0 {
        notices.push(format!(
            "{} features of the truth are neither polygons nor points and were left out",
            features.left_out
        ));
    }
    let labels = features
        .list
        .iter()
        .map(|feature| ground_label(feature, path))
        .collect::<Result<Vec<_>, _>>()?;
    let points = labels
        .iter()
        .filter(|l| !l.ignore && l.truth.extent.is_none())
        .count();
    if points > 0 {
        notices.push(format!(
            "{points} of {} true objects are points: they have a place and no extent, so only the \
             distance between centres is measured, and no IoU",
            labels.iter().filter(|l| !l.ignore).count()
        ));
    }
    Ok(labels)
}

fn ground_label(feature: &Feature, path: &Path) -> Result<GroundLabel, EvaluateError> {
    let truth = TruthBox::from_outline(&feature.outline, feature.text(&["class"]))
        .ok_or_else(|| feature.refuse(path, "its polygon has no area"))?;
    Ok(GroundLabel {
        outline: feature.outline.clone(),
        truth,
        ignore: feature.flag(&["ignore", "iscrowd"], path)?,
        region: feature.text(&["region"]),
        scene: feature.text(&["scene"]),
    })
}

#[cfg(test)]
#[path = "truth_tests.rs"]
mod tests;
