//! Opening ONNX Runtime sessions, and what an ONNX file says of itself.

use std::path::Path;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use thiserror::Error;

use super::device::Device;
use super::metadata::OnnxFile;
use super::runtime::{RuntimeError, environment, runtime_info};
use super::tensor::TensorInfo;

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
    /// The file takes fewer chips at once.
    #[error(
        "`--batch {asked}` is more than `{path}` takes: it was exported for batches of {fixed}; give `--batch {fixed}` or less, or export it with a dynamic batch"
    )]
    Batch {
        /// The file.
        path: String,
        /// What was asked for.
        asked: usize,
        /// What the file says.
        fixed: usize,
    },
    /// The file of a screen is not what its card says.
    #[error("the screen `{path}` does not fit the card: {what}")]
    Screen {
        /// The file.
        path: String,
        /// What does not fit.
        what: String,
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

/// Opens a session with one thread.
pub(super) fn open(
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

/// Tensors as a session declares them.
pub(super) fn tensors(outlets: &[ort::value::Outlet]) -> Vec<TensorInfo> {
    outlets.iter().map(TensorInfo::of).collect()
}

/// What ONNX Runtime says, without the rest of its story.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
