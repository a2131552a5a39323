//! Models: the card, the ONNX file, and how raw outputs become oriented boxes.
//!
//! **In:** a model folder (or an `.onnx` file with a card beside it) and the pixels of a chip.
//! **Out:** [`ChipBox`]es in the chip's pixels.
//!
//! [`Detector`] is the seam: the pipeline knows nothing else, and its tests put a detector of known
//! behaviour there. Each output head has a file of its own and decodes plain arrays, so that it can be
//! tested without ONNX Runtime; [`Head`] is where the next one comes in.

mod card;
mod center;
mod load;
mod outputs;
mod runtime;
mod session;

use ndarray::ArrayView3;
use thiserror::Error;

use crate::geometry::OrientedBox;

pub use card::{CardError, ModelCard, Stretch, ValueScaling};
pub use center::{CenterHead, CenterOutputs};
pub use load::{LoadError, Model, shipped_models};
pub use outputs::Outputs;
pub use runtime::{RuntimeError, RuntimeInfo, runtime_info};
pub use session::{OnnxDetector, SessionError, TensorInfo};

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
}

/// Something that finds boxes in the pixels of a chip (bands × rows × columns, in the model's input units).
pub trait Detector: Send {
    /// Boxes scoring at least `min_score`, in no particular order, before suppression.
    fn detect(
        &mut self,
        chip: ArrayView3<'_, f32>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError>;
}

/// The output heads that can be decoded. Each has a file of its own that knows its tensors and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// Heat map of centres with box sizes.
    Center(CenterHead),
}

impl Head {
    /// Its name on a card.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Center(_) => "center",
        }
    }

    /// Types within a class that it tells apart; mostly none.
    pub fn types(&self) -> &[String] {
        match self {
            Self::Center(head) => &head.types,
        }
    }

    /// Whether the outputs that an ONNX file declares are those that this head reads, for a model of `classes`
    /// classes. Says in words what does not fit.
    pub(super) fn check(&self, outputs: &[TensorInfo], classes: usize) -> Result<(), String> {
        match self {
            Self::Center(head) => head.check(outputs, classes),
        }
    }

    /// Boxes scoring at least `min_score` in a chip of `chip_size` (columns, rows) pixels.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        chip_size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        match self {
            Self::Center(head) => head.decode(&head.maps(outputs)?, chip_size, min_score),
        }
    }
}
