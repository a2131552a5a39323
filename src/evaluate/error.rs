//! What can be wrong with labels and detections read from files: one line each, with what to do.
//!
//! Texts name the file and the number of the feature or annotation, and no coordinates: places are
//! sensitive, and an error line ends up in logs and screenshots.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::scene::GeoreferenceError;

/// Why labels and detections cannot be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The file cannot be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not JSON.
    #[error(
        "`{}` is not JSON: {source}; give GeoJSON or COCO (NaN and Infinity are not JSON numbers)",
        path.display()
    )]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where and why the parser stopped.
        source: serde_json::Error,
    },
    /// The file is JSON of some other kind.
    #[error(
        "`{}` is neither GeoJSON (a FeatureCollection of polygons) nor COCO (`images` and `annotations`); export the labels as one of the two",
        path.display()
    )]
    UnknownKind {
        /// The file.
        path: PathBuf,
    },
    /// The file says it is GeoJSON or COCO, and its structure is not.
    #[error("`{}` is not valid {kind}: {reason}", path.display())]
    Structure {
        /// The file.
        path: PathBuf,
        /// GeoJSON or `COCO`.
        kind: &'static str,
        /// What is missing or of the wrong type.
        reason: String,
    },
    /// No feature can serve as a label.
    #[error(
        "`{}` holds no polygons and no points ({features} features read); export the layer as polygons",
        path.display()
    )]
    NoPolygons {
        /// The file.
        path: PathBuf,
        /// Features in the file.
        features: usize,
    },
    /// One feature, image or annotation cannot be used.
    #[error("`{}`: {record}: {problem}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Which one, such as `feature 3` (counted from 1).
        record: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Labels and scenes have no place or name in common.
    #[error("`{}`: {problem}", path.display())]
    NothingInCommon {
        /// The file of labels.
        path: PathBuf,
        /// What was looked for and what to do.
        problem: String,
    },
    /// Two scenes have one id, so labels and detections cannot be told apart.
    #[error("two scenes have the id `{id}`; give each its own")]
    DuplicateScene {
        /// The id.
        id: String,
    },
    /// The labels are in pixels and nothing says where the scene's pixels lie.
    #[error(
        "the labels are in pixels, and scene `{scene}` has no georeference; give the scene it was scanned from"
    )]
    NoGeoreference {
        /// Id of the scene.
        scene: String,
    },
    /// Pixels of a scene cannot be placed on Earth, or places in its pixels.
    #[error("scene `{scene}`: {source}")]
    Georeference {
        /// Id of the scene.
        scene: String,
        /// Why.
        source: GeoreferenceError,
    },
    /// An option has a value with which nothing can be measured.
    #[error("{0}")]
    Option(String),
}

impl EvaluateError {
    /// A record of `path` that cannot be used.
    pub(super) fn record(path: &Path, record: String, problem: impl Into<String>) -> Self {
        Self::Record {
            path: path.to_path_buf(),
            record,
            problem: problem.into(),
        }
    }

    /// A file of the right kind with the wrong structure.
    pub(super) fn structure(path: &Path, kind: &'static str, reason: impl Into<String>) -> Self {
        Self::Structure {
            path: path.to_path_buf(),
            kind,
            reason: reason.into(),
        }
    }
}
