//! The output tensors of one chip, as plain arrays: what heads decode.

use ndarray::{ArrayD, ArrayView, ArrayViewD, Axis, CowArray, Dimension, IxDyn};

use super::DetectError;

/// Named output tensors of one chip, without the batch axis. Whatever a model answers in (half floats, bytes),
/// heads see `f32`.
#[derive(Debug, Default)]
pub struct Outputs<'a> {
    tensors: Vec<(String, CowArray<'a, f32, IxDyn>)>,
}

impl<'a> Outputs<'a> {
    /// Adds chip `slot` of a tensor whose first axis is a batch of `slots` chips.
    pub fn insert(
        &mut self,
        name: &str,
        batch: CowArray<'a, f32, IxDyn>,
        slot: usize,
        slots: usize,
    ) -> Result<(), DetectError> {
        if batch.shape().first() != Some(&slots) || slot >= slots {
            return Err(DetectError::Shape {
                output: name.to_owned(),
                shape: batch.shape().to_vec(),
                expected: format!("a batch of {slots} first"),
            });
        }
        self.tensors
            .push((name.to_owned(), batch.index_axis_move(Axis(0), slot)));
        Ok(())
    }

    /// All of them, by name.
    pub(super) fn to_owned_arrays(&self) -> Vec<(String, ArrayD<f32>)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.to_owned()))
            .collect()
    }

    /// Makes sure that all are numbers. What a model cannot work out is not "nothing there".
    pub fn refuse_nan(&self) -> Result<(), DetectError> {
        match self
            .tensors
            .iter()
            .find(|(_, tensor)| tensor.iter().any(|v| v.is_nan()))
        {
            Some((name, _)) => Err(DetectError::NotNumbers {
                output: name.clone(),
            }),
            None => Ok(()),
        }
    }

    /// The tensor of a name, which must have as many axes as `D`; `expected` says which, in words.
    pub fn get<D: Dimension>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<ArrayView<'_, f32, D>, DetectError> {
        let wrong = |shape: &[usize]| DetectError::Shape {
            output: name.to_owned(),
            shape: shape.to_vec(),
            expected: expected.to_owned(),
        };
        let tensor: ArrayViewD<'_, f32> = self
            .tensors
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, tensor)| tensor.view())
            .ok_or_else(|| wrong(&[]))?;
        let shape = tensor.shape().to_vec();
        tensor
            .into_dimensionality()
            .map_err(|_other_axes| wrong(&shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_an_error_and_not_an_empty_chip() {
        let mut tensor = ArrayD::from_elem(vec![1, 2, 3], f32::INFINITY);
        let refused = |tensor: &ArrayD<f32>| {
            let mut outputs = Outputs::default();
            outputs
                .insert("heat", CowArray::from(tensor.view()), 0, 1)
                .unwrap();
            outputs.refuse_nan().err().map(|e| e.to_string())
        };
        assert_eq!(refused(&tensor), None);
        tensor[[0, 1, 2]] = f32::NAN;
        assert_eq!(
            refused(&tensor).unwrap(),
            "output `heat` holds values that are no numbers (NaN): the model fails on these pixels; check their range, or export it in float32"
        );
    }
}
