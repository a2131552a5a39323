//! From stored numbers to the units a model was trained on.
//!
//! One factor and one term for each band of a whole scene, recorded in `run.json` with where they come from. Never
//! per chip: neighbouring chips must agree on what a grey value means.
//!
//! [`Radiometry::settle`] is the one place that decides. In this order:
//!
//! 1. What is stored becomes a quantity, `stored × scale + offset`: as the user says; else as the product says
//!    (SAFE, STAC); else as the file's bands say (GDAL scale and offset). Nothing is guessed from a date.
//! 2. For a model that states a range of reflectance, that quantity is reflectance: what lies below zero is zero,
//!    and the range goes to the ends of the model's own range.
//! 3. For other models, what the user says gives the model's units as it is; what a product or a file says does
//!    where the model takes small numbers.
//! 4. Where nothing is known, bytes go into a model of bytes as stored (and wider numbers into a model of wider
//!    numbers), and the rest by the stretch that the model asks for.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::SceneError;
use super::open::Scene;
use super::sample::percentiles_of;
use super::source::BandScaling;

/// What the user says about pixel values: `stored × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RadiometryOptions {
    /// Factor.
    pub scale: Option<f64>,
    /// Term added after the factor.
    pub offset: Option<f64>,
}

/// What a model wants of pixel values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct WantedValues {
    /// Range of its own units, where it states one.
    pub range: Option<[f64; 2]>,
    /// Reflectances that go to the ends of that range.
    pub reflectance: Option<[f64; 2]>,
    /// Percentiles of a scene in other units that go to the ends of that range.
    pub percentiles: Option<[f64; 2]>,
}

/// Where the scaling of a scene is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScalingOrigin {
    /// Beside the raster, by the product: SAFE, STAC.
    Product,
    /// In the metadata of the file's bands.
    File,
}

/// How stored numbers become the model's units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Radiometry {
    /// `stored × scale + offset`, for each used band.
    pub bands: Vec<BandScaling>,
    /// Lower values are raised to this one: reflectance is not negative.
    pub floor: Option<f64>,
    /// Where the numbers come from, in words.
    pub origin: String,
    /// The values that the scene's percentiles were found at, where a stretch was measured.
    pub measured: Option<[f64; 2]>,
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
    /// An offset in stored numbers instead of reflectance.
    #[error(
        "`--offset {offset}` is no reflectance, which lies between 0 and 1 (stored × scale + offset): for an offset of -1000 in stored numbers and a scale of 0.0001, give `--scale 0.0001 --offset -0.1`"
    )]
    OffsetUnits {
        /// As given.
        offset: f64,
    },
    /// Reading the sample failed.
    #[error(transparent)]
    Scene(#[from] SceneError),
}

/// A model whose values end below this takes physical quantities, such as reflectance, as they are.
const SMALL_NUMBERS: f64 = 2.0;

impl Radiometry {
    /// Values as stored.
    pub fn as_stored(bands: usize) -> Self {
        Self::same_in_all(bands, 1.0, 0.0, "as stored".to_owned())
    }

    fn same_in_all(bands: usize, scale: f64, offset: f64, origin: String) -> Self {
        Self {
            bands: vec![BandScaling { scale, offset }; bands],
            floor: None,
            origin,
            measured: None,
        }
    }

    /// Decides for a scene; the module says how. `before` is what an earlier part of the same scan measured.
    pub fn settle(
        scene: &Scene,
        wanted: &WantedValues,
        options: RadiometryOptions,
        before: Option<&Self>,
    ) -> Result<Self, RadiometryError> {
        let given = options.scale.is_some() || options.offset.is_some();
        if let (Some(offset), Some(_)) = (options.offset, wanted.reflectance)
            && offset.abs() > 1.0
        {
            return Err(RadiometryError::OffsetUnits { offset });
        }
        if let Some((bands, origin)) = stated(scene, options) {
            if let Some(reflectance) = wanted.reflectance {
                return Ok(Self::of_reflectance(
                    &bands,
                    reflectance,
                    wanted.range.unwrap_or(reflectance),
                    &origin,
                ));
            }
            if given || wanted.range.is_none_or(|[_, high]| high <= SMALL_NUMBERS) {
                let product = !given && scene.scaling_origin == Some(ScalingOrigin::Product);
                return Ok(Self {
                    floor: product.then_some(0.0),
                    bands,
                    origin,
                    measured: None,
                });
            }
        }
        let Some(range) = wanted.range else {
            return Ok(Self::as_stored(scene.bands.len()));
        };
        // Bytes into a model of bytes; or wider numbers into a model that expects more than a byte can hold.
        let model_wants_bytes = range[0] >= 0.0 && range[1] <= 255.0 && range[1] > 1.0;
        if (scene.data_type == "Byte") == model_wants_bytes {
            return Ok(Self::as_stored(scene.bands.len()));
        }
        let Some(percentiles) = wanted.percentiles else {
            return Err(RadiometryError::Unknown {
                path: scene.path.clone(),
                data_type: scene.data_type.clone(),
                low: range[0],
                high: range[1],
            });
        };
        if let Some(before) = before.filter(|before| before.measured.is_some()) {
            return Ok(before.clone());
        }
        Ok(match percentiles_of(scene, percentiles)? {
            Some(values) => Self::stretch(scene.bands.len(), percentiles, values, range),
            None => Self::as_stored(scene.bands.len()),
        })
    }

    /// From `bands`, which give reflectance, to a model whose `range` stands for reflectances of `reflectance`.
    fn of_reflectance(
        bands: &[BandScaling],
        reflectance: [f64; 2],
        range: [f64; 2],
        origin: &str,
    ) -> Self {
        let gain = (range[1] - range[0]) / (reflectance[1] - reflectance[0]);
        let bias = range[0] - reflectance[0] * gain;
        let [r0, r1] = reflectance;
        Self {
            bands: bands
                .iter()
                .map(|band| BandScaling {
                    scale: band.scale * gain,
                    offset: band.offset * gain + bias,
                })
                .collect(),
            floor: Some(bias),
            origin: format!(
                "reflectance, {origin}; {r0} to {r1} taken to {} to {}",
                range[0], range[1]
            ),
            measured: None,
        }
    }

    /// The stretch that takes `values` (low, high; of all bands together, so that colours keep their balance) to
    /// the ends of `range`.
    fn stretch(bands: usize, percentiles: [f64; 2], values: [f64; 2], range: [f64; 2]) -> Self {
        let [low, high] = values;
        // A scene of one single value has nothing to stretch: keep its value at the low end.
        let scale = if high > low {
            (range[1] - range[0]) / (high - low)
        } else {
            1.0
        };
        let origin = format!(
            "scene-wide stretch: percentiles {} to {} of the scene, {low} to {high}, to {} to {}",
            percentiles[0], percentiles[1], range[0], range[1]
        );
        Self {
            measured: Some(values),
            ..Self::same_in_all(bands, scale, range[0] - low * scale, origin)
        }
    }
}

/// The scaling that is known for a scene, and where from. What the user says replaces the same part of what the
/// product or the file says.
fn stated(scene: &Scene, options: RadiometryOptions) -> Option<(Vec<BandScaling>, String)> {
    let of_scene = scene.scaling.as_deref();
    let from = match scene.scaling_origin {
        Some(ScalingOrigin::Product) => "as the product states",
        _ => "as the file's bands state",
    };
    let identity = BandScaling {
        scale: 1.0,
        offset: 0.0,
    };
    let bands: Vec<BandScaling> = (0..scene.bands.len())
        .map(|i| {
            let band = of_scene.map_or(identity, |all| all[i]);
            BandScaling {
                scale: options.scale.unwrap_or(band.scale),
                offset: options.offset.unwrap_or(band.offset),
            }
        })
        .collect();
    let origin = match (options.scale, options.offset) {
        (None, None) => {
            of_scene?;
            from.to_owned()
        }
        (Some(_), None) if of_scene.is_some() => format!("scale as given, offset {from}"),
        (None, Some(_)) if of_scene.is_some() => format!("offset as given, scale {from}"),
        _ => "as given".to_owned(),
    };
    let origin = with_numbers(&bands, &origin);
    Some((bands, origin))
}

/// The words with the numbers behind them: `× 0.0001 - 0.1`, or those of each band where they differ.
fn with_numbers(bands: &[BandScaling], origin: &str) -> String {
    let words = |band: &BandScaling| {
        let sign = if band.offset < 0.0 { '-' } else { '+' };
        format!("× {} {sign} {}", band.scale, band.offset.abs())
    };
    let mut all: Vec<String> = bands.iter().map(words).collect();
    all.dedup();
    format!("{origin}: stored {}", all.join(", "))
}

#[cfg(test)]
#[path = "radiometry_tests.rs"]
mod tests;
