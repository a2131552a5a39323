//! The keys of a card as they stand in the file, and what makes them a [`ModelCard`].

use serde::Deserialize;
use serde_json::Value;

use super::calibration::{Calibration, RawCalibration};
use super::card::{CardError, ModelCard, Stretch, wrong};
use super::card_head::RawHead;
use super::card_input::RawInput;
use super::card_screen::ScreenCard;

/// Keys that this version knows.
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
    "kilnsight:screen",
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
    #[serde(rename = "kilnsight:screen")]
    screen: Option<Value>,
    #[serde(rename = "kilnsight:sha256")]
    sha256: Option<String>,
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
    /// Checks all keys. `unknown_keys` are told as they are.
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
        let screen = (self.screen.as_ref())
            .map(|value| ScreenCard::parse(value, chip_px))
            .transpose()?;
        self.check_ranges()?;
        let classes = self.classes()?;
        let [input] = self.input.as_slice() else {
            return Err(wrong(
                "mlm:input",
                format!("{} inputs", self.input.len()),
                "exactly one is supported",
            ));
        };
        let (input, bands, scaling) = input.check(chip_px, self.size_multiple.is_some())?;
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
            screen,
            padding: self.padding,
            reflectance: self.reflectance,
            stretch: self.stretch,
            sha256: self.sha256.map(|s| s.to_lowercase()),
            unknown_keys,
        })
    }

    /// Ranges of reflectances and percentiles.
    fn check_ranges(&self) -> Result<(), CardError> {
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
        Ok(())
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
}
