//! The part of a card that says how outputs are read: `kilnsight:head`, and an object under the head's name where
//! the defaults do not fit.

use serde::Deserialize;

use super::card::{CardError, wrong};
use super::center::CenterHead;
use super::{Head, YoloHead, YoloObbHead};

/// Heads that can be named on a card, in the order of the documentation.
const HEADS: &str = "`center`, `yolo` and `yolo-obb`";

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

impl RawHead {
    /// The head of a model of `classes` classes.
    pub(super) fn check(self, classes: usize) -> Result<Head, CardError> {
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
            Some(other) => Err(wrong(
                "kilnsight:head",
                other,
                format!("this version reads {HEADS}"),
            )),
        }
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
