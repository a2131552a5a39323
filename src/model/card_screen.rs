//! The part of a card that names a screen: `kilnsight:screen`.

use serde::Deserialize;
use serde_json::Value;

use super::card::{CardError, wrong};

/// The key on a card.
const KEY: &str = "kilnsight:screen";
/// Largest number of model pixels a side that one pixel of a screen may stand for.
const MAX_FACTOR: usize = 64;

/// What a card says of its screen.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenCard {
    /// Name of its ONNX file, which lies beside the detector's.
    pub onnx: String,
    /// SHA-256 of that file.
    pub sha256: Option<String>,
    /// Model pixels a side that are averaged into one of its pixels.
    pub factor: usize,
    /// Chips that score less are not shown to the detector.
    pub threshold: f32,
    /// Name of its output; `None`: the file's first.
    pub output: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScreen {
    onnx: String,
    sha256: Option<String>,
    factor: usize,
    threshold: f32,
    output: Option<String>,
}

impl ScreenCard {
    /// Reads and checks the object under the key, for a model of chips of `chip_px` a side.
    pub(super) fn parse(value: &Value, chip_px: usize) -> Result<Self, CardError> {
        let raw = RawScreen::deserialize(value).map_err(|e| wrong(KEY, value, e.to_string()))?;
        let plain = !raw.onnx.is_empty() && !raw.onnx.contains(['/', '\\']) && raw.onnx != "..";
        if !plain {
            return Err(wrong(
                KEY,
                format!("`{}`", raw.onnx),
                "`onnx` must be the name of a file beside the card",
            ));
        }
        if !(1..=MAX_FACTOR.min(chip_px)).contains(&raw.factor) {
            return Err(wrong(
                KEY,
                raw.factor,
                format!(
                    "`factor` must be a whole number of pixels from 1 to {}",
                    MAX_FACTOR.min(chip_px)
                ),
            ));
        }
        if !(0.0..=1.0).contains(&raw.threshold) {
            return Err(wrong(
                KEY,
                raw.threshold,
                "`threshold` must lie between 0 and 1",
            ));
        }
        Ok(Self {
            onnx: raw.onnx,
            sha256: raw.sha256.map(|s| s.to_lowercase()),
            factor: raw.factor,
            threshold: raw.threshold,
            output: raw.output,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(key: &str, value: Value) -> Result<ScreenCard, CardError> {
        let mut card =
            json!({"onnx": "screen.onnx", "sha256": "AB", "factor": 2, "threshold": 0.01});
        card[key] = value;
        ScreenCard::parse(&card, 128)
    }

    #[test]
    fn a_whole_screen_is_read() {
        let screen = with("output", json!("kilns")).unwrap();
        assert_eq!((screen.onnx.as_str(), screen.factor), ("screen.onnx", 2));
        assert_eq!(screen.sha256.as_deref(), Some("ab"));
        assert_eq!(screen.output.as_deref(), Some("kilns"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (key, value, said) in [
            ("onnx", json!("../screen.onnx"), "beside the card"),
            ("onnx", json!(""), "beside the card"),
            ("factor", json!(0), "`factor` must be a whole number"),
            ("factor", json!(1.5), "invalid type"),
            ("factor", json!(200), "from 1 to 64"),
            ("threshold", json!(1.5), "`threshold` must lie between"),
            ("threshhold", json!(0.1), "unknown field `threshhold`"),
        ] {
            let error = with(key, value).unwrap_err().to_string();
            assert!(error.starts_with("`kilnsight:screen` is "), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }
}
