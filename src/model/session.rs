//! One ONNX Runtime session, and the detector made of it.

use ndarray::{ArrayD, ArrayView3, CowArray, IxDyn};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, TensorElementType};
use thiserror::Error;

use super::card::ModelCard;
use super::input::{InputBuffers, InputSpec};
use super::load::Model;
use super::runtime::{RuntimeError, environment};
use super::tensor::{TensorInfo, names};
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

/// A detector backed by an ONNX file. Uses one thread: run one per worker.
pub struct OnnxDetector {
    session: Session,
    input: InputSpec,
    buffers: InputBuffers,
    head: Head,
    /// Names of the outputs that the head reads.
    reads: Vec<String>,
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
        let card = &model.card;
        let disagree = |what: String| SessionError::Disagreement {
            model: card.name.clone(),
            what,
        };
        let input = input_spec(&tensors(session.inputs()), card).map_err(disagree)?;
        let mut head = card.head.clone();
        head.bind(&tensors(session.outputs()), card.classes.len())
            .map_err(disagree)?;
        let reads = head.reads();
        Ok(Self {
            session,
            input,
            buffers: InputBuffers::default(),
            head,
            reads,
        })
    }

    /// Inputs as declared by the file.
    pub fn inputs(&self) -> Vec<TensorInfo> {
        tensors(self.session.inputs())
    }

    /// Outputs as declared by the file.
    pub fn outputs(&self) -> Vec<TensorInfo> {
        tensors(self.session.outputs())
    }

    /// Puts chips of one size through the model, at most as many as its batch where the file fixes that.
    fn run(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        min_score: f32,
    ) -> Result<Vec<Vec<ChipBox>>, DetectError> {
        let failed = |e: ort::Error| DetectError::Runtime(first_line(&e.to_string()));
        let (_, rows, columns) = chips.first().map_or((0, 0, 0), ArrayView3::dim);
        let slots = self.input.batch.unwrap_or(chips.len());
        let Self {
            session,
            input,
            buffers,
            head,
            reads,
        } = self;
        let values = input
            .feed(chips, buffers, |name, tensor| {
                session.run(ort::inputs![name => tensor])
            })
            .map_err(failed)?;
        (0..chips.len())
            .map(|slot| {
                let mut outputs = Outputs::default();
                for name in &*reads {
                    let value = values.get(name).ok_or_else(|| {
                        DetectError::Runtime(format!("the model gave no output `{name}`"))
                    })?;
                    outputs.insert(name, numbers(name, value)?, slot, slots)?;
                }
                head.decode(&outputs, (columns, rows), min_score)
            })
            .collect()
    }
}

/// Compares the inputs of a file with its card.
fn input_spec(inputs: &[TensorInfo], card: &ModelCard) -> Result<InputSpec, String> {
    let Some(input) = inputs.iter().find(|t| t.name == card.input) else {
        return Err(format!(
            "the card feeds `{}`, the file has {}",
            card.input,
            names(inputs)
        ));
    };
    if inputs.len() > 1 {
        return Err(format!(
            "the file wants {} inputs ({}), the card feeds one",
            inputs.len(),
            names(inputs)
        ));
    }
    input.check_channels(card.bands.len(), "the card names that many bands")?;
    let spec = InputSpec::of(input, card.padding)?;
    if let Some(side) = spec.fixed_side() {
        if side != card.chip_px {
            return Err(format!(
                "input `{}` is {side} pixels a side, the card says {}",
                input.name, card.chip_px
            ));
        }
        if card.size_multiple.is_some() {
            return Err(format!(
                "input `{}` is fixed to {side} pixels a side, the card's `kilnsight:size_multiple` says it may vary",
                input.name
            ));
        }
    }
    Ok(spec)
}

fn tensors(outlets: &[ort::value::Outlet]) -> Vec<TensorInfo> {
    outlets.iter().map(TensorInfo::of).collect()
}

/// The numbers of a tensor, whatever their type.
fn numbers<'a>(name: &str, value: &'a DynValue) -> Result<CowArray<'a, f32, IxDyn>, DetectError> {
    let failed = |e: ort::Error| DetectError::Runtime(first_line(&e.to_string()));
    let element = value.dtype().tensor_type();
    let owned: ArrayD<f32> = match element {
        Some(TensorElementType::Float32) => {
            return Ok(value.try_extract_array::<f32>().map_err(failed)?.into());
        }
        Some(TensorElementType::Float16) => {
            let halves = value.try_extract_array::<half::f16>().map_err(failed)?;
            halves.mapv(half::f16::to_f32)
        }
        Some(TensorElementType::Float64) => {
            let doubles = value.try_extract_array::<f64>().map_err(failed)?;
            doubles.mapv(|v| v as f32)
        }
        Some(TensorElementType::Uint8) => {
            let bytes = value.try_extract_array::<u8>().map_err(failed)?;
            bytes.mapv(f32::from)
        }
        Some(TensorElementType::Int32) => {
            let whole = value.try_extract_array::<i32>().map_err(failed)?;
            whole.mapv(|v| v as f32)
        }
        Some(TensorElementType::Int64) => {
            let whole = value.try_extract_array::<i64>().map_err(failed)?;
            whole.mapv(|v| v as f32)
        }
        other => {
            let kind = other.map_or_else(|| "no tensor".to_owned(), |t| t.to_string());
            return Err(DetectError::Runtime(format!(
                "output `{name}` is {kind}; float32, float16, float64, uint8, int32 and int64 can be read"
            )));
        }
    };
    Ok(owned.into())
}

pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

impl Detector for OnnxDetector {
    fn detect(
        &mut self,
        chip: ArrayView3<'_, f32>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let found = self.run(&[chip], min_score)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}
