//! The screen: a small model that sees a chip at low resolution and says whether the detector must see it at all.
//!
//! It is fed from the pixels that the detector would be fed, so nothing is read twice. Its output is a map, or one
//! number, of probabilities that there is something to find; the score of a chip is the highest of them.

use ndarray::{Array3, ArrayView3, IxDyn};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

use super::anchors::refuse_logits;
use super::detector::numbers;
use super::device::Device;
use super::input::{InputBuffers, InputSpec};
use super::load::{Model, ScreenModel};
use super::session::{SessionError, first_line, open, tensors};
use super::tensor::{TensorInfo, names};
use super::{DetectError, ModelCard, Outputs};

const EXPECTED: &str = "batch × 1 × rows × columns, or batch × 1";
/// Rounding may take a probability this far below zero.
const PROBABILITY_SLACK: f32 = 1e-3;

/// Something that says how likely a chip holds anything to find.
pub trait Screen: Send {
    /// The score of a chip (bands × rows × columns, in the model's input units), 0 to 1. `valid` has a 1 for each pixel
    /// that was measured, row by row.
    fn score(&mut self, chip: ArrayView3<'_, f32>, valid: &[u8]) -> Result<f32, DetectError>;
}

/// A screen backed by an ONNX file. Uses one thread: run one per worker.
pub struct OnnxScreen {
    session: Session,
    input: InputSpec,
    buffers: InputBuffers,
    /// Name of the output that is read.
    output: String,
    factor: usize,
    /// The chip at the screen's resolution, filled anew for each.
    reduced: Array3<f32>,
}

impl OnnxScreen {
    /// Loads the screen that the card of a model names, if it names one, and compares it with the card. It runs on the
    /// processor: chips come one by one, and are small.
    pub fn new(model: &Model) -> Result<Option<Self>, SessionError> {
        let Some(screen) = &model.screen else {
            return Ok(None);
        };
        let ScreenModel {
            card,
            onnx_path,
            onnx,
            ..
        } = screen;
        let session = open(onnx_path, onnx, GraphOptimizationLevel::Level3, Device::Cpu)?;
        let unfit = |what: String| SessionError::Screen {
            path: onnx_path.display().to_string(),
            what,
        };
        let mut input =
            input_spec(&tensors(session.inputs()), &model.card, card.factor).map_err(unfit)?;
        input.batch.get_or_insert(1);
        let outputs = tensors(session.outputs());
        let output = output(&outputs, card.output.as_deref()).map_err(unfit)?;
        Ok(Some(Self {
            session,
            input,
            buffers: InputBuffers::default(),
            output,
            factor: card.factor,
            reduced: Array3::default((0, 0, 0)),
        }))
    }
}

impl Screen for OnnxScreen {
    fn score(&mut self, chip: ArrayView3<'_, f32>, valid: &[u8]) -> Result<f32, DetectError> {
        let Self {
            session,
            input,
            buffers,
            output,
            factor,
            reduced,
        } = self;
        average(&chip, valid, *factor, reduced);
        let values = input
            .feed(&[reduced.view()], buffers, |name, tensor| {
                session.run(ort::inputs![name => tensor])
            })
            .map_err(|e| DetectError::Runtime(first_line(&e.to_string())))?;
        let value = values
            .get(output.as_str())
            .ok_or_else(|| DetectError::Runtime(format!("the model gave no output `{output}`")))?;
        let mut outputs = Outputs::default();
        outputs.insert(output, numbers(output, value)?, 0, input.batch.unwrap_or(1))?;
        highest(&outputs, output)
    }
}

/// The highest of the probabilities that a screen gives.
fn highest(outputs: &Outputs<'_>, name: &str) -> Result<f32, DetectError> {
    outputs.refuse_nan()?;
    let map = outputs.get::<IxDyn>(name, EXPECTED)?;
    if !matches!(map.shape(), [1] | [1, _, _]) || map.is_empty() {
        return Err(DetectError::Shape {
            output: name.to_owned(),
            shape: map.shape().to_vec(),
            expected: format!("{EXPECTED} (here without the batch)"),
        });
    }
    let (lowest, highest) = (map.iter())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
            (low.min(*v), high.max(*v))
        });
    refuse_logits(name, highest)?;
    // Logits of a chip with nothing in it may all be negative: taken for probabilities they would drop every chip.
    if lowest < -PROBABILITY_SLACK {
        return Err(DetectError::Negative {
            output: name.to_owned(),
            lowest,
        });
    }
    Ok(highest.clamp(0.0, 1.0))
}

/// Compares the input of a screen with the card of the model that it screens for.
fn input_spec(inputs: &[TensorInfo], card: &ModelCard, factor: usize) -> Result<InputSpec, String> {
    let [input] = inputs else {
        return Err(format!(
            "it wants {} inputs ({}), one is fed",
            inputs.len(),
            names(inputs)
        ));
    };
    input.check_channels(card.bands.len(), "the card names that many bands")?;
    let spec = InputSpec::of(input, card.padding)?;
    if let Some(side) = spec.fixed_side() {
        let wanted = card.chip_px.div_ceil(factor);
        if side != wanted || card.size_multiple.is_some() {
            let why = match card.size_multiple {
                Some(_) => "`kilnsight:size_multiple` says that chips vary: export it for any size",
                None => "the rest of the card says otherwise",
            };
            return Err(format!(
                "input `{}` is fixed to {side} pixels a side, a chip of {} by {factor} has {wanted}: {why}",
                input.name, card.chip_px
            ));
        }
    }
    Ok(spec)
}

/// The output that is read.
fn output(declared: &[TensorInfo], name: Option<&str>) -> Result<String, String> {
    let tensor = TensorInfo::find_or_first(declared, name)?;
    match *tensor.shape.as_slice() {
        [_, 1 | -1] | [_, 1 | -1, _, _] => Ok(tensor.name.clone()),
        _ => Err(format!(
            "output `{}` has shape {:?}, expected {EXPECTED}",
            tensor.name, tensor.shape
        )),
    }
}

/// Averages blocks of `factor` × `factor` pixels, without those that were not measured. Blocks at the right and lower
/// edge may be smaller. One in which nothing was measured takes the value of its first pixel: what the detector is fed
/// there.
fn average(chip: &ArrayView3<'_, f32>, valid: &[u8], factor: usize, into: &mut Array3<f32>) {
    let (bands, rows, columns) = chip.dim();
    let (down, across) = (rows.div_ceil(factor), columns.div_ceil(factor));
    if into.dim() == (bands, down, across) {
        into.fill(0.0);
    } else {
        *into = Array3::zeros((bands, down, across));
    }
    let mut measured = vec![0.0f32; down * across];
    for (row, line) in valid.chunks(columns).enumerate() {
        add_up(line, line, &mut measured[row / factor * across..], factor);
    }
    let chip = chip.as_standard_layout();
    let planes = chip.as_slice().unwrap_or_default().chunks(rows * columns);
    let means = into.as_slice_mut().unwrap_or_default();
    for (plane, means) in planes.zip(means.chunks_mut(down * across)) {
        let lines = plane.chunks(columns).zip(valid.chunks(columns));
        for (row, (values, line)) in lines.enumerate() {
            add_up(values, line, &mut means[row / factor * across..], factor);
        }
        for (block, (mean, count)) in means.iter_mut().zip(&measured).enumerate() {
            *mean = if *count > 0.0 {
                *mean / count
            } else {
                plane[(block / across * columns + block % across) * factor]
            };
        }
    }
}

/// Adds the values of a row of pixels to the sums of its blocks, where they count.
fn add_up<T: Copy + Into<f32>>(values: &[T], counts: &[u8], sums: &mut [f32], factor: usize) {
    let (mut block, mut left) = (0, factor);
    for (value, ok) in values.iter().zip(counts) {
        sums[block] += (*value).into() * f32::from(*ok);
        left -= 1;
        if left == 0 {
            (block, left) = (block + 1, factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, CowArray};

    use super::*;

    #[test]
    fn blocks_are_averaged_without_what_was_not_measured() {
        // 3 × 5 pixels by 2: the blocks at the right and lower edge are smaller.
        let chip = Array3::from_shape_fn((2, 3, 5), |(band, row, column)| {
            (100 * band + 10 * row + column) as f32
        });
        let mut valid = vec![1u8; 15];
        valid[0] = 0;
        valid[1] = 0;
        // The block of (0, 4) and (1, 4) is empty.
        valid[4] = 0;
        valid[9] = 0;
        let mut means = Array3::default((0, 0, 0));
        for _ in 0..2 {
            // Twice, since the buffer is used again.
            average(&chip.view(), &valid, 2, &mut means);
            let first = [10.5, 7.5, 4.0, 20.5, 22.5, 24.0];
            let expected: Vec<f32> = (first.into_iter())
                .chain(first.map(|mean| mean + 100.0))
                .collect();
            assert_eq!(means.dim(), (2, 2, 3));
            assert_eq!(means.iter().copied().collect::<Vec<_>>(), expected);
        }
    }

    fn read(shape: &[usize], values: Vec<f32>) -> Result<f32, String> {
        let tensor = ArrayD::from_shape_vec(shape, values).unwrap();
        let mut outputs = Outputs::default();
        outputs.insert("map", CowArray::from(tensor), 0, 1).unwrap();
        highest(&outputs, "map").map_err(|e| e.to_string())
    }

    #[test]
    fn the_score_is_the_highest_probability() {
        assert_eq!(read(&[1, 1, 1, 3], vec![0.25, 0.5, 0.125]), Ok(0.5));
        assert_eq!(read(&[1, 1], vec![1.0005]), Ok(1.0));
        assert_eq!(read(&[1, 1], vec![-0.0005]), Ok(0.0));
    }

    #[test]
    fn what_is_no_map_of_probabilities_is_an_error() {
        for (shape, values, said) in [
            (vec![1, 1], vec![-4.0], "down to -4"),
            (vec![1, 1], vec![4.0], "up to 4"),
            (vec![1, 1, 1, 2], vec![0.5, f32::NAN], "no numbers"),
            (vec![1, 2], vec![0.5, 0.5], "expected batch × 1"),
            (vec![1, 1, 0, 2], vec![], "expected batch × 1"),
        ] {
            let error = read(&shape, values).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    fn tensor(name: &str, shape: &[i64]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            element: None,
            shape: shape.to_vec(),
        }
    }

    #[test]
    fn outputs_are_found_by_name_or_place_and_compared() {
        let declared = [tensor("a", &[-1, 1, -1, -1]), tensor("b", &[-1, 2])];
        assert_eq!(output(&declared, None), Ok("a".to_owned()));
        assert!(
            output(&declared, Some("b"))
                .unwrap_err()
                .contains("[-1, 2]")
        );
        assert!(
            output(&declared, Some("c"))
                .unwrap_err()
                .contains("`a`, `b`")
        );
    }
}
