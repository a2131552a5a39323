//! Names, types and shapes of tensors, as an ONNX file declares them.

use ort::value::{Outlet, TensorElementType, ValueType};

/// Name, type and shape of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Element type, if it is a tensor.
    pub element: Option<TensorElementType>,
    /// Sides; −1 where the file leaves them open.
    pub shape: Vec<i64>,
}

impl TensorInfo {
    pub(super) fn of(outlet: &Outlet) -> Self {
        let (element, shape) = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => (Some(*ty), shape.iter().copied().collect()),
            _ => (None, Vec::new()),
        };
        Self {
            name: outlet.name().to_owned(),
            element,
            shape,
        }
    }

    /// The tensor of a name among those that a file declares.
    pub(super) fn find<'a>(declared: &'a [Self], name: &str) -> Result<&'a Self, String> {
        declared.iter().find(|t| t.name == name).ok_or_else(|| {
            format!(
                "the card reads output `{name}`, the file has {}",
                names(declared)
            )
        })
    }

    /// The tensor of a name, or the first one where the card names none.
    pub(super) fn find_or_first<'a>(
        declared: &'a [Self],
        name: Option<&str>,
    ) -> Result<&'a Self, String> {
        match (name, declared) {
            (Some(name), _) => Self::find(declared, name),
            (None, [first, ..]) => Ok(first),
            (None, []) => Err("the file has no outputs".to_owned()),
        }
    }

    /// Its sides, which must be as many as `expected` names.
    pub(super) fn sides<const N: usize>(&self, expected: &str) -> Result<[i64; N], String> {
        <[i64; N]>::try_from(self.shape.as_slice()).map_err(|_other_length| {
            format!(
                "`{}` has shape {:?}, expected {expected}",
                self.name, self.shape
            )
        })
    }

    /// Checks for batch × channels × height × width with a known number of channels; `why` it must be that one.
    pub(super) fn check_channels(&self, channels: usize, why: &str) -> Result<(), String> {
        let Self { name, shape, .. } = self;
        let [_, found, _, last] = *shape.as_slice() else {
            return Err(format!(
                "`{name}` has shape {shape:?}, expected four dimensions"
            ));
        };
        let is = |side: i64| usize::try_from(side) == Ok(channels);
        if found > 0 && !is(found) {
            return Err(if is(last) {
                format!(
                    "`{name}` has shape {shape:?}, with the bands last (NHWC): export the model with bands first, [batch, {channels}, height, width]"
                )
            } else {
                format!("`{name}` has {found} channels, expected {channels}: {why}")
            });
        }
        Ok(())
    }
}

/// Names of tensors for a sentence.
pub(super) fn names(tensors: &[TensorInfo]) -> String {
    tensors
        .iter()
        .map(|t| format!("`{}`", t.name))
        .collect::<Vec<_>>()
        .join(", ")
}
