//! The reference chip: a picture that is made by rule and shows no place on Earth, and what a model answers to it.
//!
//! Stored beside the card, the answer tells whether a copy of a model, another version of ONNX Runtime or another
//! machine still computes what its makers saw.

use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayD};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{DetectError, Detector, Model, OnnxDetector, OnnxScreen, Screen};

/// Name of the file beside the card.
const REFERENCE: &str = "reference.json";
/// The version of the picture's rule and of the file.
const VERSION: u32 = 1;
/// Distance of the drawn objects in pixels.
const SPACING: i64 = 64;
/// Half axes of a drawn object.
const OBJECT: [i64; 2] = [6, 4];
/// Width of the pale yard round it.
const YARD: i64 = 3;
/// Numbers of each output that are stored, at even distances.
const SAMPLES: usize = 64;
/// How far numbers may differ, as a share of the range of their output: what other processors and versions make of
/// sums in another order.
const TOLERANCE: f32 = 1e-3;

/// Why a reference cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// The file cannot be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no reference.
    #[error(
        "`{path}` is no stored answer of a model: {reason}; write it anew with `kilnsight model check --write`"
    )]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The model does not answer.
    #[error(transparent)]
    Detect(#[from] DetectError),
}

/// What a model answers to the reference chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Version of the rule.
    version: u32,
    /// SHA-256 of the ONNX file that answered.
    pub model_sha256: String,
    /// Side of the chip in pixels.
    side: usize,
    /// Each output that the head reads, by name.
    outputs: Vec<Answer>,
    /// Boxes and areas found at the card's default score.
    pub found: usize,
    /// What the screen gives the chip, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<f32>,
}

/// An output in numbers that fit on a page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    name: String,
    shape: Vec<usize>,
    lowest: f32,
    highest: f32,
    mean: f32,
    samples: Vec<f32>,
}

impl Reference {
    /// Where the reference of a model is.
    pub fn path(model: &Model) -> PathBuf {
        model.onnx_path.with_file_name(REFERENCE)
    }

    /// Lets a model answer, and its screen.
    pub fn make(
        model: &Model,
        detector: &mut OnnxDetector,
        screen: Option<&mut OnnxScreen>,
    ) -> Result<Self, ReferenceError> {
        let card = &model.card;
        let side = card.chip_px;
        let mut chip = chip(card.bands.len(), side, side);
        if let Some([low, high]) = card.scaling.range {
            let bands = card.scaling.gain.iter().zip(&card.scaling.bias);
            for (mut band, (gain, bias)) in chip.outer_iter_mut().zip(bands) {
                let (gain, bias) = (gain * (high - low), gain * low + bias);
                band.mapv_inplace(|v| (f64::from(v) * gain + bias) as f32);
            }
        }
        let outputs = detector.answer(&chip.view())?;
        let found = detector.detect(chip.view(), card.min_score as f32)?;
        let measured = vec![1; side * side];
        let screen = screen
            .map(|screen| screen.score(chip.view(), &measured))
            .transpose()?;
        Ok(Self {
            version: VERSION,
            model_sha256: model.sha256.clone(),
            side,
            outputs: outputs
                .into_iter()
                .map(|(name, tensor)| Answer::of(name, &tensor))
                .collect(),
            found: found.len(),
            screen,
        })
    }

    /// The reference stored beside a model, if there is one.
    pub fn load(path: &Path) -> Result<Option<Self>, ReferenceError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(ReferenceError::File {
                    path: path.display().to_string(),
                    source,
                });
            }
        };
        let bad = |reason: String| ReferenceError::Content {
            path: path.display().to_string(),
            reason,
        };
        let reference: Self = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if reference.version == VERSION {
            Ok(Some(reference))
        } else {
            Err(bad(format!(
                "its version is {}, this program knows {VERSION}",
                reference.version
            )))
        }
    }

    /// Stores it.
    pub fn save(&self, path: &Path) -> Result<(), ReferenceError> {
        let text = serde_json::to_string_pretty(self).map_err(std::io::Error::from);
        text.and_then(|text| std::fs::write(path, text + "\n"))
            .map_err(|source| ReferenceError::File {
                path: path.display().to_string(),
                source,
            })
    }

    /// In what another answer differs from this one, in words; nothing where it is the same.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.model_sha256 != now.model_sha256 {
            found.push("the stored answer is that of another ONNX file".to_owned());
        }
        if self.side != now.side {
            found.push(format!(
                "chips had {} pixels a side, and have {} now",
                self.side, now.side
            ));
            return found;
        }
        for before in &self.outputs {
            match now.outputs.iter().find(|output| output.name == before.name) {
                None => found.push(format!("output `{}` is gone", before.name)),
                Some(output) => found.extend(before.difference(output)),
            }
        }
        if self.found != now.found {
            found.push(format!(
                "found {} at the default score, and finds {} now",
                self.found, now.found
            ));
        }
        found.extend(self.screen_difference(now));
        found
    }

    fn screen_difference(&self, now: &Self) -> Option<String> {
        match (self.screen, now.screen) {
            (None, None) => None,
            (Some(before), Some(now)) => ((before - now).abs() > TOLERANCE).then(|| {
                format!("the screen gave the chip {before:.4}, and gives it {now:.4} now")
            }),
            (Some(_), None) => Some("the model had a screen, and has none now".to_owned()),
            (None, Some(_)) => Some("the model had no screen, and has one now".to_owned()),
        }
    }
}

impl Answer {
    fn of(name: String, tensor: &ArrayD<f32>) -> Self {
        let values = || tensor.iter().copied();
        let step = tensor.len().div_ceil(SAMPLES).max(1);
        let sum: f64 = values().map(f64::from).sum();
        Self {
            name,
            shape: tensor.shape().to_vec(),
            lowest: values().fold(f32::INFINITY, f32::min),
            highest: values().fold(f32::NEG_INFINITY, f32::max),
            mean: (sum / tensor.len().max(1) as f64) as f32,
            samples: values().step_by(step).collect(),
        }
    }

    fn difference(&self, now: &Self) -> Option<String> {
        if self.shape != now.shape {
            return Some(format!(
                "output `{}` had shape {:?}, and has {:?} now",
                self.name, self.shape, now.shape
            ));
        }
        let numbers = |answer: &Self| {
            let mut numbers = vec![answer.lowest, answer.highest, answer.mean];
            numbers.extend(&answer.samples);
            numbers
        };
        let range = (self.highest - self.lowest).abs().max(f32::MIN_POSITIVE);
        let apart: Vec<f32> = numbers(self)
            .iter()
            .zip(numbers(now))
            .map(|(before, after)| (before - after).abs() / range)
            .collect();
        // What is no number is not the same either.
        if apart.iter().all(|share| *share <= TOLERANCE) {
            return None;
        }
        let furthest = apart.into_iter().fold(0.0, f32::max);
        Some(format!(
            "output `{}` differs by {:.2} % of its range, {:.1} % is allowed",
            self.name,
            100.0 * furthest,
            100.0 * TOLERANCE
        ))
    }
}

/// The picture: bands × rows × columns, 0 to 1, to be taken to the range of the input. A ground of small waves with red ellipses in pale yards, lying and
/// standing in turn, all in whole numbers, so that every machine and language draws the same.
fn chip(bands: usize, rows: usize, columns: usize) -> Array3<f32> {
    Array3::from_shape_fn((bands, rows, columns), |(band, row, column)| {
        let (band, row, column) = (band as i64, row as i64, column as i64);
        let (i, j) = (column / SPACING, row / SPACING);
        let x = column - i * SPACING - SPACING / 2;
        let y = row - j * SPACING - SPACING / 2;
        let [along, across] = OBJECT;
        let (a, b) = if (i + j) % 2 == 0 {
            (along, across)
        } else {
            (across, along)
        };
        let inside = |a: i64, b: i64| x * x * b * b + y * y * a * a <= a * a * b * b;
        let colour = |of: [i64; 3]| of[(band % 3) as usize];
        let value = if inside(a, b) {
            colour([200, 96, 72])
        } else if inside(a + YARD, b + YARD) {
            colour([176, 160, 136])
        } else {
            64 + 16 * (band % 3) + (7 * column + 13 * row + 29 * band) % 32
        };
        value as f32 / 255.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_what_its_rule_says() {
        let chip = chip(3, 64, 128);
        let byte = |band, row, column| (chip[[band, row, column]] * 255.0_f32).round() as u8;
        // The corner: ground. The middle: an object, lying on the left and standing on the right.
        assert_eq!([0, 1, 2].map(|band| byte(band, 0, 0)), [64, 109, 122]);
        assert_eq!([0, 1, 2].map(|band| byte(band, 32, 32)), [200, 96, 72]);
        assert_eq!((byte(0, 32, 38), byte(0, 38, 32)), (200, 176));
        assert_eq!((byte(0, 32, 102), byte(0, 38, 96)), (176, 200));
    }

    #[test]
    fn what_differs_is_named() {
        let answer = |shift: f32| {
            let tensor = ArrayD::from_shape_fn(vec![1, 10, 20], |i| {
                (i[1] * 20 + i[2]) as f32 / 200.0 + shift
            });
            Reference {
                version: VERSION,
                model_sha256: "a".to_owned(),
                side: 64,
                outputs: vec![Answer::of("heat".to_owned(), &tensor)],
                found: 2,
                screen: None,
            }
        };
        let before = answer(0.0);
        assert_eq!(before.outputs[0].samples.len(), 50);
        assert!(before.differences(&answer(0.0005)).is_empty());
        let other = Reference {
            found: 3,
            ..answer(0.01)
        };
        assert_eq!(
            before.differences(&other),
            [
                "output `heat` differs by 1.01 % of its range, 0.1 % is allowed",
                "found 2 at the default score, and finds 3 now"
            ]
        );
        assert_eq!(
            before.differences(&answer(f32::NAN)).len(),
            1,
            "no number is never the same"
        );
        let screened = |score| Reference {
            screen: Some(score),
            ..answer(0.0)
        };
        assert_eq!(
            screened(0.5).differences(&screened(0.75)),
            ["the screen gave the chip 0.5000, and gives it 0.7500 now"]
        );
        assert!(screened(0.5).differences(&screened(0.5005)).is_empty());
        assert_eq!(
            before.differences(&screened(0.5)),
            ["the model had no screen, and has one now"]
        );
        let smaller = Reference {
            side: 32,
            ..answer(0.0)
        };
        assert_eq!(
            before.differences(&smaller),
            ["chips had 64 pixels a side, and have 32 now"]
        );
    }
}
