//! From stored numbers to the units a model was trained on.
//!
//! One gain and one offset for a whole scene, recorded in `run.json`. Never per chip: neighbouring
//! chips must agree on what a grey value means.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::open::{Scene, SceneError};
use super::thumbnail::Thumbnail;

/// The side of the sample that percentiles are taken from, in pixels.
const SAMPLE_SIDE: usize = 1024;

/// What the user says about pixel values: `value × scale + offset` gives the model's units.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RadiometryOptions {
    /// Factor.
    pub scale: Option<f64>,
    /// Term added after the factor.
    pub offset: Option<f64>,
}

/// How stored numbers become the model's units: `stored × scale + offset`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Radiometry {
    /// Factor.
    pub scale: f64,
    /// Term added after the factor.
    pub offset: f64,
    /// Where the two come from, in words.
    pub origin: String,
}

/// Why pixel values cannot be brought into the model's units.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RadiometryError {
    /// 16-bit or float pixels, and nothing says how they relate to the model's range.
    #[error(
        "`{path}` stores {data_type} and the model expects {low} to {high}: say how with `--scale` and `--offset` (stored × scale + offset)"
    )]
    Unknown {
        /// The scene.
        path: String,
        /// Its data type.
        data_type: String,
        /// Lower end of the model's range.
        low: f64,
        /// Upper end.
        high: f64,
    },
    /// Reading the sample failed.
    #[error(transparent)]
    Scene(#[from] SceneError),
}

impl Radiometry {
    /// Values as stored.
    pub fn as_stored() -> Self {
        Self {
            scale: 1.0,
            offset: 0.0,
            origin: "as stored".to_owned(),
        }
    }

    /// What the user gave, if anything.
    pub fn given(options: RadiometryOptions) -> Option<Self> {
        if options.scale.is_none() && options.offset.is_none() {
            return None;
        }
        Some(Self {
            scale: options.scale.unwrap_or(1.0),
            offset: options.offset.unwrap_or(0.0),
            origin: "as given".to_owned(),
        })
    }
}

/// The stretch that takes the `percentiles` (low, high; of all used bands together, so that colours keep
/// their balance) of a scene to `range`. `None` when the scene has no measured pixels.
pub fn measure_stretch(
    scene: &Scene,
    percentiles: [f64; 2],
    range: [f64; 2],
) -> Result<Option<Radiometry>, SceneError> {
    let size = (scene.width.min(SAMPLE_SIDE), scene.height.min(SAMPLE_SIDE));
    let Some([low, high]) = Thumbnail::read(scene, size)?.percentiles(percentiles) else {
        return Ok(None);
    };
    // A scene of one single value has nothing to stretch: keep its value at the low end.
    let scale = if high > low {
        (range[1] - range[0]) / (high - low)
    } else {
        1.0
    };
    Ok(Some(Radiometry {
        scale,
        offset: range[0] - low * scale,
        origin: format!(
            "scene-wide stretch: percentiles {} to {} of the scene, {low} to {high}, to {} to {}",
            percentiles[0], percentiles[1], range[0], range[1]
        ),
    }))
}
