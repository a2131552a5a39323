//! The model card: the JSON beside an ONNX file that says how to feed and read it.
//!
//! Input bands, shape, value scaling and classes follow the STAC MLM extension (v1.5,
//! stac-extensions/mlm); what MLM has no field for stands under `kilnsight:`. A card may be a plain object
//! or a STAC Item with these fields under `properties`.

use serde::Deserialize;
use thiserror::Error;

use super::Head;
use super::calibration::Calibration;
use super::card_screen::ScreenCard;

/// Why a card cannot be used. Always names the key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CardError {
    /// Not JSON, or a key of the wrong type.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// A key is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A key has a value that makes no sense.
    #[error("`{key}` is {value}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
}

/// How values in the model's units become its input: per band, `value × gain + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueScaling {
    /// Range the values are held to before scaling, where the card states one.
    pub range: Option<[f64; 2]>,
    /// Factor per band.
    pub gain: Vec<f64>,
    /// Term per band.
    pub bias: Vec<f64>,
}

/// The stretch a model wants for scenes that are not stored in its units.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Stretch {
    /// Low and high percentile of the whole scene, taken to the ends of the model's range.
    pub percentiles: [f64; 2],
}

/// A card, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    /// Name of the model.
    pub name: String,
    /// Version of the model.
    pub version: Option<String>,
    /// What it finds, in a sentence.
    pub description: Option<String>,
    /// SPDX licence of the weights.
    pub license: Option<String>,
    /// Architecture in words.
    pub architecture: Option<String>,
    /// Name of the input tensor.
    pub input: String,
    /// Bands in order, by name.
    pub bands: Vec<String>,
    /// From the model's units to its input.
    pub scaling: ValueScaling,
    /// Classes in order.
    pub classes: Vec<String>,
    /// How its output is read.
    pub head: Head,
    /// Ground size of a pixel in metres.
    pub gsd_m: f64,
    /// Side of a chip in pixels.
    pub chip_px: usize,
    /// Chips may have any size that is a multiple of this; `None` means exactly `chip_px`.
    pub size_multiple: Option<usize>,
    /// Overlap of chips in metres.
    pub overlap_m: f64,
    /// Boxes overlapping this much (intersection over union) are one.
    pub nms_iou: f64,
    /// Score from which on a detection is shown, unless the user says otherwise.
    pub min_score: f64,
    /// From its scores to probabilities; `None`: its scores are what they are.
    pub calibration: Option<Calibration>,
    /// Value, in the model's input, of pixels that only fill the tensor up.
    pub padding: f32,
    /// Reflectances that go to the ends of the range of the input.
    pub reflectance: Option<[f64; 2]>,
    /// Stretch for scenes in other units.
    pub stretch: Option<Stretch>,
    /// The small model that says which chips need be seen at all.
    pub screen: Option<ScreenCard>,
    /// SHA-256 of the ONNX file.
    pub sha256: Option<String>,
    /// `kilnsight:` keys that this version does not know: misspelt, or from a later version.
    pub unknown_keys: Vec<String>,
}

/// The error of a key whose value makes no sense.
pub(super) fn wrong(
    key: &'static str,
    value: impl std::fmt::Display,
    expected: impl Into<String>,
) -> CardError {
    CardError::Value {
        key,
        value: value.to_string(),
        expected: expected.into(),
    }
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
