//! The detector made of an ONNX file: chips in, boxes out.

use ndarray::{ArrayD, ArrayView3, CowArray, IxDyn};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{DynValue, TensorElementType};

use super::calibration::Calibration;
use super::card::ModelCard;
use super::device::Device;
use super::input::{InputBuffers, InputSpec};
use super::load::Model;
use super::session::{SessionError, first_line, open, tensors};
use super::tensor::{TensorInfo, names};
use super::{ChipBox, DetectError, Detector, Head, Outputs};

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
        Self::on(model, Device::Cpu, 1)
    }

    /// The same on a device, for up to `batch` chips at once. What the device cannot compute runs on the processor, as
    /// ONNX Runtime decides; a device that is not there at all is an error.
    pub fn on(model: &Model, device: Device, batch: usize) -> Result<Self, SessionError> {
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
        let mut input = input_spec(&tensors(session.inputs()), card).map_err(disagree)?;
        match input.batch {
            Some(fixed) if batch > fixed => {
                return Err(SessionError::Batch {
                    path: model.onnx_path.display().to_string(),
                    asked: batch,
                    fixed,
                });
            }
            Some(_) => {}
            // Always the same number, whatever the number of chips: that a chip stands beside others must not show.
            None => input.batch = Some(batch),
        }
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
        answers.into_iter().next().unwrap_or_else(|| Ok(Vec::new()))
    }

    /// Puts chips of one size through the model, at most as many as its batch, and hands the outputs of each to
    /// `read`, with the columns and rows of the input.
    fn run<T>(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        read: impl Fn(&Head, &Outputs<'_>, (usize, usize)) -> Result<T, DetectError>,
    ) -> Result<Vec<Result<T, DetectError>>, DetectError> {
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
        let found = (0..chips.len()).map(|slot| {
            let mut outputs = Outputs::default();
            for name in &*reads {
                let value = values.get(name).ok_or_else(|| {
                    DetectError::Runtime(format!("the model gave no output `{name}`"))
                })?;
                outputs.insert(name, numbers(name, value)?, slot, slots)?;
            }
            outputs.refuse_nan()?;
            read(head, &outputs, size)
        });
        Ok(found.collect())
    }

    /// What is found in each of as many chips as go through together.
    fn found(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        min_score: f32,
    ) -> Result<Vec<Result<Vec<ChipBox>, DetectError>>, DetectError> {
        let calibration = self.calibration.clone();
        let lowest = calibration
            .as_ref()
            .map_or(min_score, |curve| curve.score_below(min_score));
        self.run(chips, |head, outputs, size| {
            let boxes = head.decode(outputs, size, lowest)?;
            Ok(match &calibration {
                Some(curve) => calibrated(boxes, curve, min_score),
                None => boxes,
            })
        })
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

impl Detector for OnnxDetector {
    fn detect(
        &mut self,
        chip: ArrayView3<'_, f32>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let found = self.found(&[chip], min_score)?;
        found.into_iter().next().unwrap_or_else(|| Ok(Vec::new()))
    }

    fn detect_all(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        min_score: f32,
    ) -> Vec<Result<Vec<ChipBox>, DetectError>> {
        let slots = self.input.batch.unwrap_or(chips.len()).max(1);
        let parts = chips.chunks(slots).flat_map(|part| {
            self.found(part, min_score).unwrap_or_else(|_all_failed| {
                // What is wrong with one must not cost the others.
                let alone = part.iter().map(|chip| self.detect(chip.view(), min_score));
                alone.collect()
            })
        });
        parts.collect()
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

/// The numbers of a tensor, whatever their type.
pub(super) fn numbers<'a>(
    name: &str,
    value: &'a DynValue,
) -> Result<CowArray<'a, f32, IxDyn>, DetectError> {
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
