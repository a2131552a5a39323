//! The part of a card that says how outputs are read: `kilnsight:head`, and an object under the head's name where
//! the defaults do not fit.

use serde::Deserialize;

use super::card::{CardError, wrong};
use super::center::CenterHead;
use super::{
    Activation, ClassifierHead, DetrHead, End2EndHead, Head, MaskHead, YoloHead, YoloObbHead,
};

/// Heads that can be named on a card, in the order of the documentation.
const HEADS: &str = "`center`, `yolo`, `yolo-obb`, `end2end`, `detr`, `mask` and `classifier`";

/// Outlines of masks are simplified by this many pixels where the card does not say: enough to turn the stairs of
/// pixels into slopes, and no more.
pub(super) const SIMPLIFY_PX: f64 = 0.75;
/// Probability from which on a pixel belongs to its class where the card does not say.
const MASK_THRESHOLD: f32 = 0.5;

#[derive(Deserialize)]
pub(super) struct RawHead {
    #[serde(rename = "kilnsight:head")]
    name: Option<String>,
    #[serde(rename = "kilnsight:center")]
    center: Option<RawCenter>,
    #[serde(rename = "kilnsight:types", default)]
    types: Vec<String>,
    #[serde(rename = "kilnsight:yolo", default)]
    yolo: RawOutput,
    #[serde(rename = "kilnsight:yolo-obb", default)]
    yolo_obb: RawOutput,
    #[serde(rename = "kilnsight:end2end", default)]
    end2end: RawOutput,
    #[serde(rename = "kilnsight:detr", default)]
    detr: RawDetr,
    #[serde(rename = "kilnsight:mask", default)]
    mask: RawMask,
    #[serde(rename = "kilnsight:classifier", default)]
    classifier: RawClassifier,
}

/// Names of the `center` head's outputs.
#[derive(Deserialize)]
struct RawCenter {
    heatmap: String,
    size: String,
    offset: Option<String>,
    angle: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// Of heads that read one output.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOutput {
    output: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDetr {
    boxes: Option<String>,
    scores: Option<String>,
    activation: Option<Activation>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMask {
    output: Option<String>,
    activation: Option<Activation>,
    background: Option<String>,
    threshold: Option<f32>,
    min_area_m2: Option<f64>,
    simplify_m: Option<f64>,
    structure_m2: Option<[f64; 2]>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClassifier {
    output: Option<String>,
    activation: Option<Activation>,
    background: Option<String>,
}

impl RawHead {
    /// The head of a model of these classes, whose pixels are `gsd_m` metres.
    pub(super) fn check(self, names: &[String], gsd_m: f64) -> Result<Head, CardError> {
        let classes = names.len();
        match self.name.as_deref() {
            None => Err(CardError::Missing("kilnsight:head")),
            Some("center") => center(self.center, self.types),
            Some("yolo") => Ok(Head::Yolo(YoloHead {
                output: self.yolo.output,
                classes,
            })),
            Some("yolo-obb") => Ok(Head::YoloObb(YoloObbHead {
                output: self.yolo_obb.output,
                classes,
            })),
            Some("end2end") => Ok(Head::End2End(End2EndHead {
                output: self.end2end.output,
                classes,
            })),
            Some("detr") => Ok(Head::Detr(DetrHead {
                boxes: self.detr.boxes,
                scores: self.detr.scores,
                activation: self.detr.activation,
                classes,
            })),
            Some("mask") => mask(self.mask, names, gsd_m),
            Some("classifier") => {
                let raw = self.classifier;
                Ok(Head::Classifier(ClassifierHead {
                    output: raw.output,
                    activation: raw.activation.unwrap_or(Activation::None),
                    background: background("kilnsight:classifier", raw.background, names)?,
                    classes,
                }))
            }
            Some(other) => Err(wrong(
                "kilnsight:head",
                other,
                format!("this version reads {HEADS}"),
            )),
        }
    }
}

fn mask(raw: RawMask, names: &[String], gsd_m: f64) -> Result<Head, CardError> {
    const KEY: &str = "kilnsight:mask";
    let threshold = raw.threshold.unwrap_or(MASK_THRESHOLD);
    if !(0.0..=1.0).contains(&threshold) {
        return Err(wrong(
            KEY,
            threshold,
            "`threshold` must lie between 0 and 1",
        ));
    }
    let metres = |value: Option<f64>, default: f64, expected: &str| match value {
        Some(value) if !(value.is_finite() && value >= 0.0) => Err(wrong(KEY, value, expected)),
        given => Ok(given.unwrap_or(default)),
    };
    if let Some([small, large]) = raw.structure_m2
        && !(small > 0.0 && small <= large && large.is_finite())
    {
        return Err(wrong(
            KEY,
            format!("[{small}, {large}]"),
            "`structure_m2` must be [least, most] square metres, above 0",
        ));
    }
    Ok(Head::Mask(MaskHead {
        output: raw.output,
        activation: raw.activation.unwrap_or(Activation::None),
        background: background(KEY, raw.background, names)?,
        threshold,
        min_area_m2: metres(raw.min_area_m2, 0.0, "`min_area_m2` must not be negative")?,
        simplify_m: metres(
            raw.simplify_m,
            SIMPLIFY_PX * gsd_m,
            "`simplify_m` must not be negative",
        )?,
        structure_m2: raw.structure_m2,
        classes: names.len(),
    }))
}

/// The number of the class that stands for nothing.
fn background(
    key: &'static str,
    name: Option<String>,
    classes: &[String],
) -> Result<Option<usize>, CardError> {
    let Some(name) = name else {
        return Ok(None);
    };
    match classes.iter().position(|class| *class == name) {
        Some(class) => Ok(Some(class)),
        None => Err(wrong(
            key,
            name,
            format!(
                "`background` must be one of the classes: {}",
                classes.join(", ")
            ),
        )),
    }
}

fn center(names: Option<RawCenter>, types: Vec<String>) -> Result<Head, CardError> {
    let names = names.ok_or(CardError::Missing("kilnsight:center"))?;
    if names.kind.is_some() && types.is_empty() {
        return Err(CardError::Missing("kilnsight:types"));
    }
    Ok(Head::Center(CenterHead {
        heatmap: names.heatmap,
        size: names.size,
        offset: names.offset,
        angle: names.angle,
        types: if names.kind.is_some() {
            types
        } else {
            Vec::new()
        },
        kind: names.kind,
    }))
}
