//! Metadata that Ultralytics writes into its exports: `task`, `names`, `stride`, `imgsz`, `end2end`, `args`,
//! `channels`, each a Python literal.

use super::{Described, MetadataError, OnnxFile};
use crate::model::python_literal::Literal;
use crate::model::{
    Activation, ClassifierHead, DetrHead, End2EndHead, Head, YoloHead, YoloObbHead,
};

/// Tasks that are read.
const READ: &str = "tasks `detect`, `obb` and `classify`";
/// Confidence from which on Ultralytics shows a box, if not told otherwise.
const MIN_SCORE: f64 = 0.25;
/// The grey with which images are filled up to the size of the input while training and in use.
const PADDING: f64 = 114.0;
const STRIDE: f64 = 32.0;
/// A tensor of raw candidates has thousands of rows; one of finished boxes no more than this.
const FINISHED_BOXES: i64 = 1000;

pub(super) fn wrote(file: &OnnxFile) -> bool {
    let has = |key: &str| file.metadata.contains_key(key);
    has("names") && (has("task") || has("stride"))
}

pub(super) fn describe(file: &OnnxFile) -> Result<Described, MetadataError> {
    let names = names(file)?;
    let task = file.metadata.get("task").map_or("detect", String::as_str);
    let head = head(file, task, names.len())?;
    let channels = whole(file, "channels")?;
    Ok(Described {
        kind: "Ultralytics",
        channels,
        chip_px: image_size(file)?,
        stride: Some(whole(file, "stride")?.unwrap_or(STRIDE as usize)),
        scaling: vec![(1.0 / 255.0, 0.0)],
        padding: if matches!(head, Head::Classifier(_)) {
            0.0
        } else {
            PADDING
        },
        gsd_m: None,
        overlap_share: None,
        nms_iou: None,
        min_score: if matches!(head, Head::Classifier(_)) {
            0.5
        } else {
            MIN_SCORE
        },
        classes: names,
        head,
    })
}

/// A key as a literal.
fn literal(file: &OnnxFile, key: &'static str) -> Result<Option<Literal>, MetadataError> {
    let Some(text) = file.metadata.get(key).filter(|t| !t.trim().is_empty()) else {
        return Ok(None);
    };
    Literal::parse(text)
        .map(Some)
        .map_err(|e| MetadataError::Value {
            key,
            value: shown(text),
            expected: e.to_string(),
        })
}

/// The beginning of a value.
fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}

fn wrong(file: &OnnxFile, key: &'static str, expected: &str) -> MetadataError {
    MetadataError::Value {
        key,
        value: shown(file.metadata.get(key).map_or("", String::as_str)),
        expected: expected.to_owned(),
    }
}

fn names(file: &OnnxFile) -> Result<Vec<String>, MetadataError> {
    const EXPECTED: &str = "expected a name for each class, numbered from 0";
    let names = literal(file, "names")?.ok_or(MetadataError::Missing("names"))?;
    let texts: Option<Vec<String>> = names.in_order().and_then(|values| {
        values
            .into_iter()
            .map(|v| match v {
                Literal::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect()
    });
    texts
        .filter(|t| !t.is_empty())
        .ok_or_else(|| wrong(file, "names", EXPECTED))
}

/// A positive whole number.
fn whole(file: &OnnxFile, key: &'static str) -> Result<Option<usize>, MetadataError> {
    let Some(value) = literal(file, key)? else {
        return Ok(None);
    };
    match value.as_number() {
        Some(number) if number >= 1.0 && number.fract() == 0.0 && number < 65536.0 => {
            Ok(Some(number as usize))
        }
        _ => Err(wrong(file, key, "expected a positive whole number")),
    }
}

/// The shorter side of `imgsz`.
fn image_size(file: &OnnxFile) -> Result<Option<usize>, MetadataError> {
    let Some(value) = literal(file, "imgsz")? else {
        return Ok(None);
    };
    let sides = match &value {
        Literal::Number(side) => Some(vec![*side]),
        list => list
            .in_order()
            .and_then(|sides| sides.into_iter().map(Literal::as_number).collect()),
    };
    let shorter = sides.and_then(|sides| sides.into_iter().reduce(f64::min));
    match shorter {
        Some(side) if side >= 1.0 && side.fract() == 0.0 => Ok(Some(side as usize)),
        _ => Err(wrong(file, "imgsz", "expected one or two sides in pixels")),
    }
}

fn head(file: &OnnxFile, task: &str, classes: usize) -> Result<Head, MetadataError> {
    let numbers = match task {
        "detect" => 6,
        "obb" => 7,
        "classify" => {
            return Ok(Head::Classifier(ClassifierHead {
                output: None,
                // The export ends in a softmax.
                activation: Activation::None,
                background: None,
                classes,
            }));
        }
        other => {
            return Err(MetadataError::Unsupported {
                seen: format!("task `{}`", other.chars().take(40).collect::<String>()),
                read: READ,
            });
        }
    };
    let suppressed = match literal(file, "args")? {
        Some(args) => args.get("nms") == Some(&Literal::Bool(true)),
        None => false,
    };
    let shape = file.outputs.first().map_or(&[][..], |t| t.shape.as_slice());
    let few = |rows: i64| (1..=FINISHED_BOXES).contains(&rows);
    let attributes = 4 + classes as i64 + i64::from(task == "obb");
    let looks_finished = matches!(*shape, [_, a, b] if b == numbers && few(a) && a != attributes);
    let boxes_first = matches!(*shape, [_, a, b] if b == attributes && few(a) && a != attributes);
    let detr = Head::Detr(DetrHead {
        boxes: None,
        scores: None,
        activation: None,
        classes,
    });
    if is_rt_detr(file) {
        return Ok(detr);
    }
    let end2end = literal(file, "end2end")?;
    if looks_finished && boxes_first && task == "detect" && !suppressed && end2end.is_none() {
        return Err(MetadataError::Tensors(format!(
            "output of shape {shape:?} may be an end-to-end export or RT-DETR of two classes, and the metadata do not say which: write a card, see docs/models.md"
        )));
    }
    if end2end == Some(Literal::Bool(true)) || suppressed || looks_finished {
        return Ok(Head::End2End(End2EndHead {
            output: None,
            classes,
        }));
    }
    // Of all its detectors, RT-DETR alone puts boxes first, and has a few hundred.
    if task == "detect" && boxes_first {
        return Ok(detr);
    }
    Ok(if task == "obb" {
        Head::YoloObb(YoloObbHead {
            output: None,
            classes,
        })
    } else {
        Head::Yolo(YoloHead {
            output: None,
            classes,
        })
    })
}

/// Whether the file calls itself RT-DETR.
fn is_rt_detr(file: &OnnxFile) -> bool {
    ["description", "head"].iter().any(|key| {
        let text = file.metadata.get(*key).map_or("", String::as_str);
        text.to_lowercase().replace('-', "").contains("rtdetr")
    })
}
