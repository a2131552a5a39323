//! Metadata of the model zoos of GeoDeep and the QGIS plugin Deepness: `model_type`, `det_type`, `class_names`,
//! `resolution` and others, each as JSON.

use super::{Described, MetadataError, OnnxFile};
use crate::model::python_literal::Literal;
use crate::model::{Activation, Head, MaskHead, YoloHead, YoloObbHead};

/// Confidence where the file tells none.
const DET_CONF: f64 = 0.3;
/// Probability of a pixel's class where the file tells none.
const SEG_THRESH: f64 = 0.5;
const READ_TYPES: &str = "`model_type` Detector and Segmentor";
const READ_DETECTORS: &str = "`det_type` YOLO_v5_or_v7_default, YOLO_v6, YOLO_v8, YOLO_v9, YOLO_Ultralytics and YOLO_Ultralytics_obb";

pub(super) fn wrote(file: &OnnxFile) -> bool {
    ["model_type", "det_type", "class_names"]
        .iter()
        .any(|key| file.metadata.contains_key(*key))
}

pub(super) fn describe(file: &OnnxFile) -> Result<Described, MetadataError> {
    let kind = text(file, "model_type").ok_or(MetadataError::Missing("model_type"))?;
    let mut classes = names(file)?;
    let (head, min_score) = match kind.to_lowercase().as_str() {
        "detector" => (
            detector(file, classes.len())?,
            number(file, "det_conf", 0.0..=1.0)?.unwrap_or(DET_CONF),
        ),
        "segmentor" => {
            let mask = mask(file, &mut classes)?;
            let threshold = f64::from(mask.threshold);
            (Head::Mask(mask), threshold)
        }
        _ => {
            return Err(MetadataError::Unsupported {
                seen: format!("`model_type` {kind}"),
                read: READ_TYPES,
            });
        }
    };
    let resolution_cm = number(file, "resolution", 0.01..=1e6)?;
    let overlap_percent = number(file, "tiles_overlap", 0.0..=95.0)?;
    let tile = number(file, "tiles_size", 8.0..=8192.0)?;
    Ok(Described {
        kind: "GeoDeep/Deepness",
        classes,
        head,
        channels: None,
        chip_px: tile.map(|px| px as usize),
        stride: None,
        scaling: scaling(file)?,
        padding: 0.0,
        gsd_m: resolution_cm.map(|cm| cm / 100.0),
        overlap_share: overlap_percent.map(|percent| percent / 100.0),
        nms_iou: number(file, "det_iou_thresh", 0.0..=1.0)?,
        min_score,
    })
}

/// A key as text; JSON puts it in quotes.
fn text(file: &OnnxFile, key: &str) -> Option<String> {
    let text = file.metadata.get(key)?;
    match Literal::parse(text) {
        Ok(Literal::Text(inner)) => Some(inner),
        _ => Some(text.trim().to_owned()),
    }
}

fn wrong(file: &OnnxFile, key: &'static str, expected: String) -> MetadataError {
    let value: String = file
        .metadata
        .get(key)
        .map_or("", String::as_str)
        .chars()
        .take(60)
        .collect();
    MetadataError::Value {
        key,
        value: format!("`{value}`"),
        expected,
    }
}

fn number(
    file: &OnnxFile,
    key: &'static str,
    range: std::ops::RangeInclusive<f64>,
) -> Result<Option<f64>, MetadataError> {
    let Some(given) = text(file, key) else {
        return Ok(None);
    };
    match given.parse::<f64>() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(wrong(
            file,
            key,
            format!(
                "expected a number from {} to {}",
                range.start(),
                range.end()
            ),
        )),
    }
}

fn names(file: &OnnxFile) -> Result<Vec<String>, MetadataError> {
    const KEY: &str = "class_names";
    let given = file.metadata.get(KEY).ok_or(MetadataError::Missing(KEY))?;
    let parsed = Literal::parse(given).map_err(|e| wrong(file, KEY, e.to_string()))?;
    let texts: Option<Vec<String>> = parsed.in_order().and_then(|values| {
        let texts = values.into_iter().map(|v| match v {
            Literal::Text(text) => Some(text.clone()),
            _ => None,
        });
        texts.collect()
    });
    texts.filter(|t| !t.is_empty()).ok_or_else(|| {
        wrong(
            file,
            KEY,
            "expected a name for each class, numbered from 0".into(),
        )
    })
}

fn detector(file: &OnnxFile, classes: usize) -> Result<Head, MetadataError> {
    let kind = text(file, "det_type").unwrap_or_else(|| "YOLO_v5_or_v7_default".to_owned());
    let output = None;
    match kind.to_lowercase().as_str() {
        // Which of their layouts it is follows from the shape.
        "yolo_v5_or_v7_default"
        | "yolo_v6"
        | "yolo_v7"
        | "yolo_v8"
        | "yolo_v9"
        | "yolo_ultralytics" => Ok(Head::Yolo(YoloHead { output, classes })),
        "yolo_ultralytics_obb" => Ok(Head::YoloObb(YoloObbHead { output, classes })),
        _ => Err(MetadataError::Unsupported {
            seen: format!("`det_type` {kind}"),
            read: READ_DETECTORS,
        }),
    }
}

/// The mask head. Models of several channels count the background among them; where `class_names` leaves it out,
/// it is the first.
fn mask(file: &OnnxFile, classes: &mut Vec<String>) -> Result<MaskHead, MetadataError> {
    let channels = file.outputs.first().and_then(|t| t.shape.get(1)).copied();
    let is_background = |name: &String| {
        name.trim_start_matches('_')
            .eq_ignore_ascii_case("background")
    };
    if channels == Some(1) && classes.len() == 2 {
        // One channel tells the second class from the first.
        classes.remove(0);
    } else if channels == Some(classes.len() as i64 + 1) && !classes.iter().any(is_background) {
        classes.insert(0, "background".to_owned());
    }
    Ok(MaskHead {
        output: None,
        activation: Activation::None,
        background: classes.iter().position(is_background),
        threshold: number(file, "seg_thresh", 0.0..=1.0)?.unwrap_or(SEG_THRESH) as f32,
        min_area_m2: 0.0,
        // Known when the resolution is.
        simplify_m: 0.0,
        structure_m2: None,
        classes: classes.len(),
    })
}

/// `standardization_mean` and `standardization_std` per band, of values from 0 to 1.
fn scaling(file: &OnnxFile) -> Result<Vec<(f64, f64)>, MetadataError> {
    let list = |key: &'static str| -> Result<Option<Vec<f64>>, MetadataError> {
        let Some(given) = file.metadata.get(key) else {
            return Ok(None);
        };
        let parsed = Literal::parse(given).ok();
        let numbers: Option<Vec<f64>> = parsed
            .as_ref()
            .and_then(Literal::in_order)
            .and_then(|values| values.into_iter().map(Literal::as_number).collect());
        match numbers {
            Some(numbers) if !numbers.is_empty() => Ok(Some(numbers)),
            _ => Err(wrong(file, key, "expected a list of numbers".into())),
        }
    };
    let (mean, deviation) = (list("standardization_mean")?, list("standardization_std")?);
    match (mean, deviation) {
        (None, None) => Ok(vec![(1.0 / 255.0, 0.0)]),
        (Some(mean), Some(deviation)) if mean.len() == deviation.len() => {
            if deviation.iter().any(|d| *d <= 0.0) {
                return Err(wrong(
                    file,
                    "standardization_std",
                    "must be positive".into(),
                ));
            }
            let bands = mean.iter().zip(&deviation);
            Ok(bands.map(|(m, d)| (1.0 / (255.0 * d), -m / d)).collect())
        }
        _ => Err(wrong(
            file,
            "standardization_mean",
            "needs a `standardization_std` of as many bands".into(),
        )),
    }
}
