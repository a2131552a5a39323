//! From chips to the input tensor: its type, its batch, its size.

use ndarray::{Array4, ArrayView3, ArrayView4, Axis, s};
use ort::session::SessionInputValue;
use ort::value::{TensorElementType, TensorRef};

use super::TensorInfo;

/// Types of the input that can be fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    Float32,
    Float16,
    Uint8,
}

/// How the model wants its input.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct InputSpec {
    name: String,
    element: Element,
    /// Chips per batch, where the file fixes it.
    pub(super) batch: Option<usize>,
    /// Rows and columns, where the file fixes them.
    rows: Option<usize>,
    columns: Option<usize>,
    /// Value of pixels that only fill the tensor up.
    padding: f32,
}

/// Tensors that are filled anew for each batch.
#[derive(Debug, Default)]
pub(super) struct InputBuffers {
    float32: Array4<f32>,
    float16: Array4<half::f16>,
    uint8: Array4<u8>,
}

impl InputSpec {
    /// What a file declares. Says in words what cannot be fed.
    pub(super) fn of(declared: &TensorInfo, padding: f32) -> Result<Self, String> {
        let TensorInfo {
            name,
            element,
            shape,
        } = declared;
        let element = match element {
            None | Some(TensorElementType::Float32) => Element::Float32,
            Some(TensorElementType::Float16) => Element::Float16,
            Some(TensorElementType::Uint8) => Element::Uint8,
            Some(other) => {
                return Err(format!(
                    "input `{name}` takes {other}; float32, float16 and uint8 can be fed"
                ));
            }
        };
        let fixed = |axis: usize| {
            let side = shape.get(axis).copied().filter(|s| *s > 0)?;
            usize::try_from(side).ok()
        };
        Ok(Self {
            name: name.clone(),
            element,
            batch: fixed(0),
            rows: fixed(2),
            columns: fixed(3),
            padding,
        })
    }

    /// The shorter side of the chips that a file of fixed size takes; chips are square.
    pub(super) fn fixed_side(&self) -> Option<usize> {
        match (self.rows, self.columns) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Columns and rows of the tensor made of chips.
    pub(super) fn size(&self, chips: &[ArrayView3<'_, f32>]) -> (usize, usize) {
        let (_, rows, columns) = chips.first().map_or((0, 0, 0), ArrayView3::dim);
        (
            self.columns.unwrap_or(columns).max(columns),
            self.rows.unwrap_or(rows).max(rows),
        )
    }

    /// Hands the tensor made of `chips` (bands × rows × columns, all of one size) to `run`. Chips stand in the
    /// upper left of a larger tensor, and what is left of it, or of a batch, is padding.
    pub(super) fn feed<T>(
        &self,
        chips: &[ArrayView3<'_, f32>],
        buffers: &mut InputBuffers,
        run: impl FnOnce(&str, SessionInputValue<'_>) -> ort::Result<T>,
    ) -> ort::Result<T> {
        let (bands, rows, columns) = chips.first().map_or((0, 0, 0), ArrayView3::dim);
        let (width, height) = self.size(chips);
        let batch = self.batch.unwrap_or(chips.len()).max(chips.len());
        let shape = (batch, bands, height, width);
        let name = self.name.as_str();
        match self.element {
            Element::Float32 => {
                if let [only] = chips
                    && shape == (1, bands, rows, columns)
                    && only.is_standard_layout()
                {
                    // As it lies in memory: nothing is copied.
                    let view: ArrayView4<'_, f32> = only.view().insert_axis(Axis(0));
                    return run(name, TensorRef::from_array_view(view)?.into());
                }
                fill(&mut buffers.float32, shape, chips, self.padding, |v| v);
                run(
                    name,
                    TensorRef::from_array_view(buffers.float32.view())?.into(),
                )
            }
            Element::Float16 => {
                fill(
                    &mut buffers.float16,
                    shape,
                    chips,
                    self.padding,
                    half::f16::from_f32,
                );
                run(
                    name,
                    TensorRef::from_array_view(buffers.float16.view())?.into(),
                )
            }
            Element::Uint8 => {
                // Rounded and held to the range: the cast saturates.
                let byte = |v: f32| v.round() as u8;
                fill(&mut buffers.uint8, shape, chips, self.padding, byte);
                run(
                    name,
                    TensorRef::from_array_view(buffers.uint8.view())?.into(),
                )
            }
        }
    }
}

/// Fills a buffer of `shape` with chips, and with padding where there is none.
fn fill<T: Copy + Default>(
    buffer: &mut Array4<T>,
    shape: (usize, usize, usize, usize),
    chips: &[ArrayView3<'_, f32>],
    padding: f32,
    convert: impl Fn(f32) -> T + Copy,
) {
    if buffer.dim() != shape {
        *buffer = Array4::default(shape);
    }
    let (bands, rows, columns) = chips.first().map_or((0, 0, 0), ArrayView3::dim);
    if (chips.len(), bands, rows, columns) != shape {
        buffer.fill(convert(padding));
    }
    for (mut slot, chip) in buffer.outer_iter_mut().zip(chips) {
        slot.slice_mut(s![.., ..rows, ..columns])
            .zip_mut_with(chip, |into, value| *into = convert(*value));
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn a_chip_in_a_larger_batch_and_frame_is_padded() {
        let chip = Array3::from_elem((1, 2, 2), 0.25f32);
        let mut buffer = Array4::default((0, 0, 0, 0));
        for _ in 0..2 {
            // Twice, since the buffer is used again.
            fill(&mut buffer, (2, 1, 2, 3), &[chip.view()], 0.5, |v| v);
            let expected = [
                0.25, 0.25, 0.5, 0.25, 0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5,
            ];
            assert_eq!(buffer.iter().copied().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn bytes_are_rounded_and_held_to_their_range() {
        let chip = Array3::from_shape_vec((1, 1, 4), vec![-3.0, 0.6, 254.5, 300.0]).unwrap();
        let mut buffer = Array4::default((0, 0, 0, 0));
        fill(&mut buffer, (1, 1, 1, 4), &[chip.view()], 0.0, |v| {
            v.round() as u8
        });
        assert_eq!(buffer.iter().copied().collect::<Vec<_>>(), [0, 1, 255, 255]);
    }
}
