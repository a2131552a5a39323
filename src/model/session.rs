//! One ONNX Runtime session, and the detector made of it.

use std::path::Path;

use ndarray::{ArrayD, ArrayView3, CowArray, IxDyn};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, TensorElementType};
use thiserror::Error;

use super::calibration::Calibration;
use super::card::ModelCard;
use super::device::Device;
use super::input::{InputBuffers, InputSpec};
use super::load::Model;
use super::metadata::OnnxFile;
use super::runtime::{RuntimeError, environment, runtime_info};
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
    /// The library cannot use the device.
    #[error(
        "`--device {device}` needs an ONNX Runtime built for it; {library} has {}: set ORT_DYLIB_PATH to another one, or leave `--device` out",
        built_in.join(", ")
    )]
    NoDevice {
        /// What was asked for.
        device: Device,
        /// The library in use.
        library: String,
        /// Devices that it was built for.
        built_in: Vec<&'static str>,
    },
    /// The device does not work.
    #[error("`--device {device}` cannot be used: {reason}")]
    Device {
        /// What was asked for.
        device: Device,
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
    calibration: Option<Calibration>,
}

impl OnnxDetector {
    /// Loads the model into ONNX Runtime, on the processor, and compares it with its card.
    pub fn new(model: &Model) -> Result<Self, SessionError> {
        Self::on(model, Device::Cpu)
    }

    /// The same on a device. What the device cannot compute runs on the processor, as ONNX Runtime decides; a device
    /// that is not there at all is an error.
    pub fn on(model: &Model, device: Device) -> Result<Self, SessionError> {
        let session = open(
            &model.onnx_path,
            &model.onnx,
            GraphOptimizationLevel::Level3,
            device,
        )?;
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
            calibration: card.calibration.clone(),
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

    /// What the head's outputs hold for a chip, by name and without the batch axis.
    pub(super) fn answer(
        &mut self,
        chip: &ArrayView3<'_, f32>,
    ) -> Result<Vec<(String, ArrayD<f32>)>, DetectError> {
        let answers = self.run(&[*chip], |_head, outputs, _size| {
            Ok(outputs.to_owned_arrays())
        })?;
        Ok(answers.into_iter().next().unwrap_or_default())
    }

    /// Puts chips of one size through the model, at most as many as its batch where the file fixes that, and hands
    /// the outputs of each to `read`, with the columns and rows of the input.
    fn run<T>(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        read: impl Fn(&Head, &Outputs<'_>, (usize, usize)) -> Result<T, DetectError>,
    ) -> Result<Vec<T>, DetectError> {
        let failed = |e: ort::Error| DetectError::Runtime(first_line(&e.to_string()));
        let size = self.input.size(chips);
        let slots = self.input.batch.unwrap_or(chips.len());
        let Self {
            session,
            input,
            buffers,
            head,
            reads,
            calibration: _,
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
                outputs.refuse_nan()?;
                read(head, &outputs, size)
            })
            .collect()
    }
}

/// Boxes with probabilities in place of scores; those below `min_score` go.
fn calibrated(boxes: Vec<ChipBox>, calibration: &Calibration, min_score: f32) -> Vec<ChipBox> {
    let mut boxes = boxes;
    for found in &mut boxes {
        found.score = calibration.apply(found.score);
        for score in &mut found.class_scores {
            *score = calibration.apply(*score);
        }
    }
    boxes.retain(|found| found.score >= min_score);
    boxes
}

/// Opens a session with one thread.
fn open(
    path: &Path,
    onnx: &[u8],
    optimization: GraphOptimizationLevel,
    device: Device,
) -> Result<Session, SessionError> {
    let load = |e: &dyn std::fmt::Display| SessionError::Load {
        path: path.display().to_string(),
        reason: first_line(&e.to_string()),
    };
    let mut builder = Session::builder(environment()?)
        .map_err(|e| load(&e))?
        .with_optimization_level(optimization)
        .map_err(|e| load(&e))?
        .with_intra_threads(1)
        .map_err(|e| load(&e))?
        .with_inter_threads(1)
        .map_err(|e| load(&e))?
        .with_intra_op_spinning(false)
        .map_err(|e| load(&e))?
        // The pattern of the first run would be laid out once more beside what that run took: as much memory again,
        // for no time saved.
        .with_memory_pattern(false)
        .map_err(|e| load(&e))?;
    if let Some(provider) = device.provider() {
        if !device.is_built_in() {
            return Err(SessionError::NoDevice {
                device,
                library: runtime_info()?.to_string(),
                built_in: Device::built_in(),
            });
        }
        builder =
            builder
                .with_execution_providers([provider])
                .map_err(|e| SessionError::Device {
                    device,
                    reason: first_line(&e.to_string()),
                })?;
    }
    builder.commit_from_memory(onnx).map_err(|e| load(&e))
}

/// Reads what an ONNX file says of itself.
pub(super) fn inspect(path: &Path, onnx: &[u8]) -> Result<OnnxFile, SessionError> {
    let session = open(path, onnx, GraphOptimizationLevel::Disable, Device::Cpu)?;
    let unreadable = |e: ort::Error| SessionError::Load {
        path: path.display().to_string(),
        reason: first_line(&e.to_string()),
    };
    let metadata = session.metadata().map_err(unreadable)?;
    let keys = metadata.custom_keys().map_err(unreadable)?;
    Ok(OnnxFile {
        inputs: tensors(session.inputs()),
        outputs: tensors(session.outputs()),
        metadata: keys
            .into_iter()
            .filter_map(|key| Some((key.clone(), metadata.custom(&key)?)))
            .collect(),
    })
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
        let calibration = self.calibration.clone();
        let lowest = calibration
            .as_ref()
            .map_or(min_score, |curve| curve.score_below(min_score));
        let found = self.run(&[chip], |head, outputs, size| {
            head.decode(outputs, size, lowest)
        })?;
        let boxes = found.into_iter().next().unwrap_or_default();
        Ok(match calibration {
            Some(curve) => calibrated(boxes, &curve, min_score),
            None => boxes,
        })
    }
}
