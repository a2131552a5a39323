//! The model card: the JSON beside an ONNX file that says how to feed and read it.
//!
//! Input bands, shape, value scaling and classes follow the STAC MLM extension (v1.5,
//! stac-extensions/mlm); what MLM has no field for stands under `kilnsight:`. A card may be a plain object
//! or a STAC Item with these fields under `properties`.

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::Head;
use super::calibration::{Calibration, RawCalibration};
use super::card_head::RawHead;

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
    /// SHA-256 of the ONNX file.
    pub sha256: Option<String>,
    /// `kilnsight:` keys that this version does not know: misspelt, or from a later version.
    pub unknown_keys: Vec<String>,
}

const KNOWN_KEYS: &[&str] = &[
    "kilnsight:card_version",
    "kilnsight:gsd_m",
    "kilnsight:chip_px",
    "kilnsight:size_multiple",
    "kilnsight:overlap_m",
    "kilnsight:head",
    "kilnsight:center",
    "kilnsight:types",
    "kilnsight:yolo",
    "kilnsight:yolo-obb",
    "kilnsight:end2end",
    "kilnsight:detr",
    "kilnsight:mask",
    "kilnsight:classifier",
    "kilnsight:padding",
    "kilnsight:nms_iou",
    "kilnsight:min_score",
    "kilnsight:reflectance",
    "kilnsight:stretch",
    "kilnsight:calibration",
    "kilnsight:sha256",
];

/// The version of the card format that this program reads.
const CARD_VERSION: u64 = 1;

impl ModelCard {
    /// Reads and checks a card.
    pub fn parse(text: &str) -> Result<Self, CardError> {
        let document: Value = serde_json::from_str(text)?;
        // A STAC Item keeps the fields of its extensions under `properties`.
        let fields = document
            .get("properties")
            .filter(|p| p.get("mlm:name").is_some())
            .unwrap_or(&document);
        let raw = RawCard::deserialize(fields)?;
        let unknown_keys = fields
            .as_object()
            .into_iter()
            .flat_map(serde_json::Map::keys)
            .filter(|key| key.starts_with("kilnsight:") && !KNOWN_KEYS.contains(&key.as_str()))
            .cloned()
            .collect();
        raw.check(unknown_keys)
    }
}

#[derive(Deserialize)]
struct RawCard {
    #[serde(rename = "mlm:name")]
    name: Option<String>,
    version: Option<String>,
    description: Option<String>,
    license: Option<String>,
    #[serde(rename = "mlm:architecture")]
    architecture: Option<String>,
    #[serde(rename = "mlm:input", default)]
    input: Vec<RawInput>,
    #[serde(rename = "mlm:output", default)]
    output: Vec<RawOutput>,
    #[serde(rename = "kilnsight:card_version")]
    card_version: Option<u64>,
    #[serde(rename = "kilnsight:gsd_m")]
    gsd_m: Option<f64>,
    #[serde(rename = "kilnsight:chip_px")]
    chip_px: Option<usize>,
    #[serde(rename = "kilnsight:size_multiple")]
    size_multiple: Option<usize>,
    #[serde(rename = "kilnsight:overlap_m")]
    overlap_m: Option<f64>,
    #[serde(flatten)]
    head: RawHead,
    #[serde(rename = "kilnsight:padding", default)]
    padding: f32,
    #[serde(rename = "kilnsight:nms_iou")]
    nms_iou: Option<f64>,
    #[serde(rename = "kilnsight:min_score")]
    min_score: Option<f64>,
    #[serde(rename = "kilnsight:reflectance")]
    reflectance: Option<[f64; 2]>,
    #[serde(rename = "kilnsight:stretch")]
    stretch: Option<Stretch>,
    #[serde(rename = "kilnsight:calibration")]
    calibration: Option<Value>,
    #[serde(rename = "kilnsight:sha256")]
    sha256: Option<String>,
}

#[derive(Deserialize)]
struct RawInput {
    name: String,
    #[serde(default)]
    bands: Vec<RawBand>,
    input: Option<RawTensor>,
    value_scaling: Option<Vec<RawScaling>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawBand {
    Name(String),
    Object { name: String },
}

#[derive(Deserialize)]
struct RawTensor {
    #[serde(default)]
    shape: Vec<i64>,
    #[serde(default)]
    dim_order: Vec<String>,
    data_type: Option<String>,
}

#[derive(Deserialize)]
struct RawScaling {
    #[serde(rename = "type")]
    kind: String,
    minimum: Option<f64>,
    maximum: Option<f64>,
    mean: Option<f64>,
    stddev: Option<f64>,
    value: Option<f64>,
}

#[derive(Deserialize)]
struct RawOutput {
    #[serde(rename = "classification:classes", default)]
    classes: Vec<RawClass>,
}

#[derive(Deserialize)]
struct RawClass {
    value: Option<i64>,
    name: String,
}

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

fn positive(key: &'static str, value: Option<f64>) -> Result<f64, CardError> {
    let value = value.ok_or(CardError::Missing(key))?;
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(wrong(key, value, "must be a positive number"))
    }
}

/// Beyond these bounds a number is a slip, and windows on scenes lose their meaning.
fn pixel_size(value: Option<f64>) -> Result<f64, CardError> {
    const KEY: &str = "kilnsight:gsd_m";
    let metres = positive(KEY, value)?;
    if (0.01..=100_000.0).contains(&metres) {
        Ok(metres)
    } else {
        Err(wrong(
            KEY,
            format!("{metres:e}"),
            "must lie between 0.01 and 100000 metres",
        ))
    }
}

fn fraction(key: &'static str, value: Option<f64>) -> Result<f64, CardError> {
    let value = value.ok_or(CardError::Missing(key))?;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(wrong(key, value, "must lie between 0 and 1"))
    }
}

fn calibration(value: &Value) -> Result<Calibration, CardError> {
    RawCalibration::deserialize(value)
        .map_err(|e| e.to_string())
        .and_then(RawCalibration::check)
        .map_err(|what| wrong("kilnsight:calibration", value, what))
}

impl RawCard {
    fn check(self, unknown_keys: Vec<String>) -> Result<ModelCard, CardError> {
        if let Some(version) = self.card_version.filter(|v| *v != CARD_VERSION) {
            return Err(wrong(
                "kilnsight:card_version",
                version,
                format!("this version reads {CARD_VERSION}"),
            ));
        }
        let calibration = self.calibration.as_ref().map(calibration).transpose()?;
        let gsd_m = pixel_size(self.gsd_m)?;
        let chip_px = self
            .chip_px
            .ok_or(CardError::Missing("kilnsight:chip_px"))?;
        if !(8..=8192).contains(&chip_px) {
            return Err(wrong(
                "kilnsight:chip_px",
                chip_px,
                "must lie between 8 and 8192",
            ));
        }
        if let Some(multiple) = self
            .size_multiple
            .filter(|m| *m == 0 || !chip_px.is_multiple_of(*m))
        {
            return Err(wrong(
                "kilnsight:size_multiple",
                multiple,
                format!("must divide the chip size {chip_px}"),
            ));
        }
        let overlap_m = self
            .overlap_m
            .ok_or(CardError::Missing("kilnsight:overlap_m"))?;
        if !(overlap_m >= 0.0 && overlap_m < chip_px as f64 * gsd_m) {
            return Err(wrong(
                "kilnsight:overlap_m",
                overlap_m,
                format!(
                    "must be at least 0 and less than a chip ({} m)",
                    chip_px as f64 * gsd_m
                ),
            ));
        }
        if let Some([low, high]) = self.reflectance
            && !(low < high && low >= 0.0 && high <= 2.0)
        {
            return Err(wrong(
                "kilnsight:reflectance",
                format!("{low} to {high}"),
                "must rise, within 0 to 2",
            ));
        }
        if let Some(s) = self.stretch.filter(|s| {
            let [low, high] = s.percentiles;
            !(0.0 <= low && low < high && high <= 100.0)
        }) {
            return Err(wrong(
                "kilnsight:stretch",
                format!("{:?}", s.percentiles),
                "percentiles must rise, within 0 to 100",
            ));
        }
        let classes = self.classes()?;
        let (input, bands, scaling) = self.input(chip_px)?;
        let head = self.head.check(&classes, gsd_m)?;
        Ok(ModelCard {
            name: self
                .name
                .filter(|n| !n.is_empty())
                .ok_or(CardError::Missing("mlm:name"))?,
            version: self.version,
            description: self.description,
            license: self.license,
            architecture: self.architecture,
            input,
            bands,
            scaling,
            classes,
            head,
            gsd_m,
            chip_px,
            size_multiple: self.size_multiple,
            overlap_m,
            nms_iou: fraction("kilnsight:nms_iou", self.nms_iou)?,
            min_score: fraction("kilnsight:min_score", self.min_score)?,
            calibration,
            padding: self.padding,
            reflectance: self.reflectance,
            stretch: self.stretch,
            sha256: self.sha256.map(|s| s.to_lowercase()),
            unknown_keys,
        })
    }

    fn classes(&self) -> Result<Vec<String>, CardError> {
        const KEY: &str = "classification:classes";
        let classes = &self
            .output
            .first()
            .ok_or(CardError::Missing("mlm:output"))?
            .classes;
        if classes.is_empty() {
            return Err(CardError::Missing(KEY));
        }
        for (i, class) in classes.iter().enumerate() {
            if let Some(value) = class.value.filter(|v| usize::try_from(*v) != Ok(i)) {
                return Err(wrong(
                    KEY,
                    value,
                    format!(
                        "class `{}` must have value {i}: values count from 0",
                        class.name
                    ),
                ));
            }
        }
        Ok(classes.iter().map(|c| c.name.clone()).collect())
    }

    fn input(&self, chip_px: usize) -> Result<(String, Vec<String>, ValueScaling), CardError> {
        const SHAPE: &str = "mlm:input shape";
        let [input] = self.input.as_slice() else {
            return Err(wrong(
                "mlm:input",
                format!("{} inputs", self.input.len()),
                "exactly one is supported",
            ));
        };
        let bands: Vec<String> = input
            .bands
            .iter()
            .map(|band| match band {
                RawBand::Name(name) | RawBand::Object { name } => name.clone(),
            })
            .collect();
        if bands.is_empty() {
            return Err(CardError::Missing("mlm:input bands"));
        }
        if let Some(tensor) = &input.input {
            let order: Vec<&str> = tensor.dim_order.iter().map(String::as_str).collect();
            if !order.is_empty()
                && !matches!(
                    order.as_slice(),
                    ["batch", "bands" | "channel", "height", "width"]
                )
            {
                return Err(wrong(
                    "mlm:input dim_order",
                    order.join(", "),
                    "must be batch, bands, height, width",
                ));
            }
            let fed = ["float32", "float16", "uint8"];
            if let Some(kind) = tensor.data_type.as_deref().filter(|t| !fed.contains(t)) {
                return Err(wrong(
                    "mlm:input data_type",
                    kind,
                    "float32, float16 and uint8 can be fed",
                ));
            }
            if let [_, channels, height, width] = *tensor.shape.as_slice() {
                if channels != -1 && usize::try_from(channels) != Ok(bands.len()) {
                    return Err(wrong(
                        SHAPE,
                        channels,
                        format!("the card names {} bands", bands.len()),
                    ));
                }
                for side in [height, width].into_iter().filter(|s| *s != -1) {
                    if usize::try_from(side) != Ok(chip_px) {
                        return Err(wrong(
                            SHAPE,
                            side,
                            format!("`kilnsight:chip_px` is {chip_px}"),
                        ));
                    }
                    if self.size_multiple.is_some() {
                        return Err(wrong(
                            SHAPE,
                            side,
                            "fixed, so `kilnsight:size_multiple` must not be given",
                        ));
                    }
                }
            } else if !tensor.shape.is_empty() {
                return Err(wrong(
                    SHAPE,
                    format!("{:?}", tensor.shape),
                    "must have four dimensions",
                ));
            }
        }
        let scaling = scaling(
            input.value_scaling.as_deref().unwrap_or_default(),
            bands.len(),
        )?;
        Ok((input.name.clone(), bands, scaling))
    }
}

/// MLM's `value_scaling`: one entry for all bands, or one per band.
fn scaling(entries: &[RawScaling], bands: usize) -> Result<ValueScaling, CardError> {
    const KEY: &str = "mlm:input value_scaling";
    if !matches!(entries.len(), 0 | 1) && entries.len() != bands {
        return Err(wrong(
            KEY,
            format!("{} entries", entries.len()),
            format!("must have 1 or {bands}"),
        ));
    }
    let mut range: Option<[f64; 2]> = None;
    let (mut gain, mut bias) = (Vec::with_capacity(bands), Vec::with_capacity(bands));
    for band in 0..bands {
        let Some(entry) = entries.get(if entries.len() == 1 { 0 } else { band }) else {
            gain.push(1.0);
            bias.push(0.0);
            continue;
        };
        let need = |value: Option<f64>, name: &str| {
            value
                .filter(|v| v.is_finite())
                .ok_or_else(|| wrong(KEY, &entry.kind, format!("needs `{name}`")))
        };
        let (g, b) = match entry.kind.as_str() {
            "min-max" => {
                let (low, high) = (
                    need(entry.minimum, "minimum")?,
                    need(entry.maximum, "maximum")?,
                );
                if low >= high {
                    return Err(wrong(
                        KEY,
                        format!("{low} to {high}"),
                        "minimum must be below maximum",
                    ));
                }
                let widest = range.unwrap_or([low, high]);
                range = Some([widest[0].min(low), widest[1].max(high)]);
                (1.0 / (high - low), -low / (high - low))
            }
            "z-score" => {
                let (mean, stddev) = (need(entry.mean, "mean")?, need(entry.stddev, "stddev")?);
                if stddev <= 0.0 {
                    return Err(wrong(KEY, stddev, "stddev must be positive"));
                }
                (1.0 / stddev, -mean / stddev)
            }
            "scale" => {
                let value = need(entry.value, "value")?;
                if value == 0.0 {
                    return Err(wrong(KEY, value, "scale must not be zero"));
                }
                (1.0 / value, 0.0)
            }
            "offset" => (1.0, -need(entry.value, "value")?),
            other => {
                return Err(wrong(
                    KEY,
                    other,
                    "this version knows `min-max`, `z-score`, `scale` and `offset`",
                ));
            }
        };
        gain.push(g);
        bias.push(b);
    }
    Ok(ValueScaling { range, gain, bias })
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
