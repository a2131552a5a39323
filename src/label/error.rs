//! Why labels cannot be made.

use thiserror::Error;

use crate::chip::PlanError;
use crate::evaluate::EvaluateError;
use crate::run::LoadRunError;
use crate::scene::{GeoreferenceError, SceneError};

/// Why labels cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] LoadRunError),
    /// The layer of places cannot be read.
    #[error(transparent)]
    Layer(#[from] EvaluateError),
    /// A scene cannot be read.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A scene cannot be cut into chips.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Places cannot be found in a scene.
    #[error("scene `{scene}`: {source}")]
    Georeference {
        /// Its id.
        scene: String,
        /// Why.
        #[source]
        source: GeoreferenceError,
    },
    /// Nothing to learn from.
    #[error("no labels can be made: {0}")]
    Nothing(String),
    /// The model's input is no picture.
    #[error(
        "chips are pictures of 1 or 3 bands, and `{model}` takes {bands}: choose another model with `--model`"
    )]
    Bands {
        /// Name of the model.
        model: String,
        /// Its bands.
        bands: usize,
    },
    /// The run was made with another model.
    #[error(
        "run `{run}` was made with bands for `{made_with}`, and `{model}` takes {bands} bands where the run read {read}: name its model with `--model`"
    )]
    OtherModel {
        /// The run.
        run: String,
        /// Model of the run.
        made_with: String,
        /// Model given.
        model: String,
        /// Bands of the model given.
        bands: usize,
        /// Bands that the run read.
        read: usize,
    },
    /// The folder is in use.
    #[error("`{path}` exists and is not empty: choose another folder, or remove it first")]
    Exists {
        /// The folder.
        path: String,
    },
    /// The folder cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A picture cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Picture {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: image::ImageError,
    },
    /// The user stopped it.
    #[error("nothing was written; the same command starts again")]
    Interrupted,
}
