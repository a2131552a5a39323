//! Models: the card, the ONNX file, and how raw outputs become oriented boxes.
//!
//! **In:** a model folder (or an `.onnx` file with a card beside it, or with metadata in it that make one) and the
//! pixels of a chip.
//! **Out:** [`ChipBox`]es in the chip's pixels.
//!
//! [`Detector`] is the seam, with [`Screen`] before it where a model has one: the pipeline knows nothing else, and its
//! tests put a detector and a screen of known behaviour there. Each output head has a file of its own and decodes plain arrays, so that it can be
//! tested without ONNX Runtime; [`Head`] is where the next one comes in.

mod activation;
mod anchors;
mod calibration;
mod card;
mod card_head;
mod card_input;
mod card_keys;
mod card_scaling;
mod card_screen;
mod center;
mod classifier;
mod detector;
mod detr;
mod device;
mod end2end;
mod input;
mod load;
mod mask;
mod metadata;
mod outputs;
mod python_literal;
mod reference;
mod runtime;
mod screen;
mod session;
mod tensor;
mod yolo;
mod yolo_obb;

use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::{OrientedBox, PixelArea};

pub use activation::Activation;
pub use calibration::Calibration;
pub use card::{CardError, ModelCard, Stretch, ValueScaling};
pub use card_screen::ScreenCard;
pub use center::{CenterHead, CenterOutputs};
pub use classifier::ClassifierHead;
pub use detector::OnnxDetector;
pub use detr::DetrHead;
pub use device::Device;
pub use end2end::End2EndHead;
pub use load::{CardSource, LoadError, Model, ScreenModel, shipped_models};
pub use mask::MaskHead;
pub use metadata::{MetadataError, Told};
pub use outputs::Outputs;
pub use reference::{Reference, ReferenceError};
pub use runtime::{RuntimeError, RuntimeInfo, runtime_info};
pub use screen::{OnnxScreen, Screen};
pub use session::SessionError;
pub use tensor::TensorInfo;
pub use yolo::YoloHead;
pub use yolo_obb::YoloObbHead;

/// What a model found, in the pixels of the chip it was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipBox {
    /// Where, in model pixels of the chip.
    pub shape: OrientedBox,
    /// Score of the best class, 0 to 1.
    pub score: f32,
    /// Number of the best class.
    pub class: usize,
    /// Scores of all classes, in the card's order.
    pub class_scores: Vec<f32>,
    /// Probabilities of the types within the class, where the model tells them.
    pub type_scores: Vec<f32>,
    /// The outline, for heads that find areas: `shape` is then the smallest rectangle round it.
    pub outline: Option<PixelArea>,
}

/// How areas are made of what chips report, for heads that find areas rather than objects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AreaRule {
    /// What areas are joined of.
    pub of: AreaPart,
    /// Smaller areas are left out, in square metres.
    pub min_area_m2: f64,
    /// How much outlines are simplified, in metres.
    pub simplify_m: f64,
    /// How much ground one structure of an area takes, least and most, in square metres; `None`: areas are not
    /// made of structures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structure_m2: Option<[f64; 2]>,
}

impl AreaRule {
    /// How many structures stand on so many square metres: fewest and most, at least one.
    pub fn structures(&self, area_m2: f64) -> Option<(u64, u64)> {
        let [small, large] = self.structure_m2?;
        let fewest = (area_m2 / large).floor().max(1.0) as u64;
        let most = (area_m2 / small).ceil().max(1.0) as u64;
        Some((fewest, most))
    }
}

/// What areas are joined of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AreaPart {
    /// Pixels of a class: joined first, and the whole held to the lowest score that is shown.
    Pixels,
    /// Chips, each with one score: held to the lowest score that is shown, and those left are joined.
    Chips,
}

/// Why a chip could not be put through a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DetectError {
    /// ONNX Runtime failed.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// The model answered in a shape that its card does not describe.
    #[error("output `{output}` has shape {shape:?}, expected {expected}")]
    Shape {
        /// Name of the output.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected, in words.
        expected: String,
    },
    /// Values that are no numbers: an overflow, or a division by zero.
    #[error(
        "output `{output}` holds values that are no numbers (NaN): the model fails on these pixels; check their range, or export it in float32"
    )]
    NotNumbers {
        /// Name of the output.
        output: String,
    },
    /// Scores that are no probabilities.
    #[error(
        "output `{output}` has scores up to {highest}, expected probabilities: export the model with its last activation"
    )]
    NotProbabilities {
        /// Name of the output.
        output: String,
        /// The highest of them.
        highest: f32,
    },
    /// Scores below zero: no probabilities either.
    #[error(
        "output `{output}` has scores down to {lowest}, expected probabilities: export the model with its last activation"
    )]
    Negative {
        /// Name of the output.
        output: String,
        /// The lowest of them.
        lowest: f32,
    },
    /// A class that the model does not have.
    #[error(
        "output `{output}` names class {class}, the model has {classes} classes, counted from 0"
    )]
    Class {
        /// Name of the output.
        output: String,
        /// The class.
        class: f32,
        /// How many there are.
        classes: usize,
    },
}

/// Something that finds boxes in the pixels of a chip (bands × rows × columns, in the model's input units).
pub trait Detector: Send {
    /// Boxes scoring at least `min_score`, in no particular order, before suppression.
    fn detect(
        &mut self,
        chip: ArrayView3<'_, f32>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError>;

    /// The same for several chips of one size: what was found in each, in their order.
    fn detect_all(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        min_score: f32,
    ) -> Vec<Result<Vec<ChipBox>, DetectError>> {
        chips
            .iter()
            .map(|chip| self.detect(chip.view(), min_score))
            .collect()
    }
}

/// The output heads that can be decoded. Each has a file of its own that knows its tensors and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// Heat map of centres with box sizes.
    Center(CenterHead),
    /// Candidate boxes before suppression.
    Yolo(YoloHead),
    /// Candidate boxes with an angle.
    YoloObb(YoloObbHead),
    /// Boxes that the model has suppressed itself.
    End2End(End2EndHead),
    /// A few hundred boxes with class scores.
    Detr(DetrHead),
    /// A class for every pixel.
    Mask(MaskHead),
    /// A class for every chip.
    Classifier(ClassifierHead),
}

impl Head {
    /// Its name on a card.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Center(_) => "center",
            Self::Yolo(_) => "yolo",
            Self::YoloObb(_) => "yolo-obb",
            Self::End2End(_) => "end2end",
            Self::Detr(_) => "detr",
            Self::Mask(_) => "mask",
            Self::Classifier(_) => "classifier",
        }
    }

    /// Types within a class that it tells apart; mostly none.
    pub fn types(&self) -> &[String] {
        match self {
            Self::Center(head) => &head.types,
            _ => &[],
        }
    }

    /// How areas are made of what it finds; `None` for a head that finds objects.
    pub fn areas(&self) -> Option<AreaRule> {
        match self {
            Self::Mask(head) => Some(head.areas()),
            Self::Classifier(_) => Some(ClassifierHead::areas()),
            _ => None,
        }
    }

    /// Finds among the outputs that an ONNX file declares those that this head reads, for a model of `classes`
    /// classes. Says in words what does not fit.
    pub(super) fn bind(&mut self, outputs: &[TensorInfo], classes: usize) -> Result<(), String> {
        match self {
            Self::Center(head) => head.check(outputs, classes),
            Self::Yolo(head) => head.bind(outputs),
            Self::YoloObb(head) => head.bind(outputs),
            Self::End2End(head) => head.bind(outputs),
            Self::Detr(head) => head.bind(outputs),
            Self::Mask(head) => head.bind(outputs),
            Self::Classifier(head) => head.bind(outputs),
        }
    }

    /// Names of the outputs that it reads, once bound.
    pub(super) fn reads(&self) -> Vec<String> {
        let one = |output: &Option<String>| output.iter().cloned().collect();
        match self {
            Self::Center(head) => head.reads(),
            Self::Yolo(head) => one(&head.output),
            Self::YoloObb(head) => one(&head.output),
            Self::End2End(head) => one(&head.output),
            Self::Detr(head) => head.reads(),
            Self::Mask(head) => one(&head.output),
            Self::Classifier(head) => one(&head.output),
        }
    }

    /// Boxes and areas scoring at least `min_score` in an input of `chip_size` (columns, rows) pixels.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        chip_size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        match self {
            Self::Center(head) => head.decode(&head.maps(outputs)?, chip_size, min_score),
            Self::Yolo(head) => head.decode(outputs, min_score),
            Self::YoloObb(head) => head.decode(outputs, min_score),
            Self::End2End(head) => head.decode(outputs, min_score),
            Self::Detr(head) => head.decode(outputs, chip_size, min_score),
            Self::Mask(head) => head.decode(outputs, chip_size, min_score),
            Self::Classifier(head) => head.decode(outputs, chip_size, min_score),
        }
    }
}
