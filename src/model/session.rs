//! One ONNX Runtime session, and the detector made of it.

use ndarray::{ArrayView3, ArrayView4, Axis, CowArray};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{TensorElementType, TensorRef, ValueType};
use thiserror::Error;

use super::card::ModelCard;
use super::load::Model;
use super::runtime::{RuntimeError, environment};
use super::{ChipBox, DetectError, Detector, Head, Outputs};

/// Why a model cannot be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No ONNX Runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The file is no ONNX model, or a damaged one.
    #[error("`{path}` cannot be loaded as an ONNX model: {reason}")]
    Load {
        /// The file.
        path: String,
        /// ONNX Runtime's words.
        reason: String,
    },
    /// Card and ONNX file contradict each other.
    #[error("the card of `{model}` disagrees with its ONNX file: {what}")]
    Disagreement {
        /// Name of the model.
        model: String,
        /// What does not fit.
        what: String,
    },
}

/// Name, type and shape of an input or output, as the ONNX file declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Element type, if it is a tensor.
    pub element: Option<String>,
    /// Sides; −1 where the file leaves them open.
    pub shape: Vec<i64>,
}

/// A detector backed by an ONNX file. Uses one thread: run one per worker.
pub struct OnnxDetector {
    session: Session,
    input: String,
    head: Head,
}

impl OnnxDetector {
    /// Loads the model into ONNX Runtime and compares it with its card.
    pub fn new(model: &Model) -> Result<Self, SessionError> {
        let load = |reason: String| SessionError::Load {
            path: model.onnx_path.display().to_string(),
            reason,
        };
        let builder = || -> Result<Session, String> {
            let text = |e: &dyn std::fmt::Display| first_line(&e.to_string());
            Session::builder(environment().map_err(|e| e.to_string())?)
                .map_err(|e| text(&e))?
                .with_optimization_level(GraphOptimizationLevel::Level3)
                .map_err(|e| text(&e))?
                .with_intra_threads(1)
                .map_err(|e| text(&e))?
                .with_inter_threads(1)
                .map_err(|e| text(&e))?
                .with_intra_op_spinning(false)
                .map_err(|e| text(&e))?
                .commit_from_memory(&model.onnx)
                .map_err(|e| text(&e))
        };
        environment()?;
        let session = builder().map_err(load)?;
        let detector = Self {
            session,
            input: model.card.input.clone(),
            head: model.card.head.clone(),
        };
        detector.compare(&model.card)?;
        Ok(detector)
    }

    /// Inputs as declared by the file.
    pub fn inputs(&self) -> Vec<TensorInfo> {
        self.session.inputs().iter().map(tensor_info).collect()
    }

    /// Outputs as declared by the file.
    pub fn outputs(&self) -> Vec<TensorInfo> {
        self.session.outputs().iter().map(tensor_info).collect()
    }

    /// Checks that names, types and channels of the file are those of the card.
    fn compare(&self, card: &ModelCard) -> Result<(), SessionError> {
        let disagree = |what: String| SessionError::Disagreement {
            model: card.name.clone(),
            what,
        };
        let inputs = self.inputs();
        let Some(input) = inputs.iter().find(|t| t.name == card.input) else {
            return Err(disagree(format!(
                "the card feeds `{}`, the file has {}",
                card.input,
                names(&inputs)
            )));
        };
        if let Some(element) = input
            .element
            .as_deref()
            .filter(|e| *e != TensorElementType::Float32.to_string())
        {
            return Err(disagree(format!(
                "input `{}` takes {element}, the card says float32",
                input.name
            )));
        }
        if inputs.len() > 1 {
            return Err(disagree(format!(
                "the file wants {} inputs ({}), the card feeds one",
                inputs.len(),
                names(&inputs)
            )));
        }
        input
            .check_channels(card.bands.len(), "the card names that many bands")
            .map_err(disagree)?;
        for side in input.shape.iter().skip(2).filter(|s| **s > 0) {
            if usize::try_from(*side) != Ok(card.chip_px) {
                return Err(disagree(format!(
                    "input `{}` is {side} pixels a side, the card says {}",
                    input.name, card.chip_px
                )));
            }
            if card.size_multiple.is_some() {
                return Err(disagree(format!(
                    "input `{}` is fixed to {side} pixels a side, the card's `kilnsight:size_multiple` says it may vary",
                    input.name
                )));
            }
        }
        card.head
            .check(&self.outputs(), card.classes.len())
            .map_err(disagree)
    }
}

impl TensorInfo {
    /// The tensor of a name among those that a file declares.
    pub(super) fn find<'a>(declared: &'a [Self], name: &str) -> Result<&'a Self, String> {
        declared.iter().find(|t| t.name == name).ok_or_else(|| {
            format!(
                "the card reads output `{name}`, the file has {}",
                names(declared)
            )
        })
    }

    /// Checks for batch × channels × height × width with a known number of channels; `why` it must be that one.
    pub(super) fn check_channels(&self, channels: usize, why: &str) -> Result<(), String> {
        let Self { name, shape, .. } = self;
        if shape.len() != 4 {
            return Err(format!(
                "`{name}` has shape {shape:?}, expected four dimensions"
            ));
        }
        if shape[1] > 0 && usize::try_from(shape[1]) != Ok(channels) {
            return Err(format!(
                "`{name}` has {} channels, expected {channels}: {why}",
                shape[1]
            ));
        }
        Ok(())
    }
}

fn names(tensors: &[TensorInfo]) -> String {
    tensors
        .iter()
        .map(|t| format!("`{}`", t.name))
        .collect::<Vec<_>>()
        .join(", ")
}

fn tensor_info(outlet: &ort::value::Outlet) -> TensorInfo {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => TensorInfo {
            name: outlet.name().to_owned(),
            element: Some(ty.to_string()),
            shape: shape.iter().copied().collect(),
        },
        _ => TensorInfo {
            name: outlet.name().to_owned(),
            element: None,
            shape: Vec::new(),
        },
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

impl Detector for OnnxDetector {
    fn detect(
        &mut self,
        chip: ArrayView3<'_, f32>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let failed = |e: ort::Error| DetectError::Runtime(first_line(&e.to_string()));
        let (_, rows, columns) = chip.dim();
        let batch: ArrayView4<'_, f32> = chip.insert_axis(Axis(0));
        let outputs = self
            .session
            .run(ort::inputs![self.input.as_str() => TensorRef::from_array_view(batch).map_err(failed)?])
            .map_err(failed)?;
        let mut tensors = Outputs::default();
        let values: Vec<_> = outputs.iter().collect();
        for (name, value) in &values {
            let array = value.try_extract_array::<f32>().map_err(failed)?;
            tensors.insert(name, CowArray::from(array))?;
        }
        self.head.decode(&tensors, (columns, rows), min_score)
    }
}
