//! Which pixels hold a measurement: nodata values, mask bands, alpha, and black that nobody declared.

use std::fmt;

use gdal::Dataset;
use gdal::errors::GdalError;
use gdal::raster::ColorInterpretation;
use serde::{Deserialize, Serialize};

/// What the user says about nodata.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodataOption {
    /// As the file declares it; where it declares nothing, zero in all bands counts as nodata.
    #[default]
    Auto,
    /// Every pixel is a measurement.
    None,
    /// This value in all bands means nodata.
    Value(f64),
}

/// How a scene tells measured pixels from empty ones. In all cases a pixel that is not finite is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidityRule {
    /// Every pixel is measured.
    AllValid,
    /// An alpha band or a mask that all bands share: empty where it is zero.
    SharedMask,
    /// An alpha band, by its number: empty where it is zero.
    AlphaBand(usize),
    /// Each band has a nodata value or mask of its own: empty where all used bands are.
    BandMasks,
    /// Empty where all used bands hold this value, as the user says.
    Given(f64),
    /// The file declares nothing: zero in all used bands is taken for empty.
    AssumedZero,
}

impl fmt::Display for ValidityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllValid => write!(f, "none"),
            Self::SharedMask => write!(f, "mask or alpha band"),
            Self::AlphaBand(number) => write!(f, "alpha band {number}"),
            Self::BandMasks => write!(f, "declared nodata value"),
            Self::Given(value) => write!(f, "{value} in all bands, as given"),
            Self::AssumedZero => write!(f, "0 in all bands, assumed: the file declares none"),
        }
    }
}

impl ValidityRule {
    /// The rule for the used `bands` of a raster.
    pub(super) fn of(
        dataset: &Dataset,
        bands: &[usize],
        option: NodataOption,
    ) -> Result<Self, GdalError> {
        match option {
            NodataOption::None => return Ok(Self::AllValid),
            NodataOption::Value(value) => return Ok(Self::Given(value)),
            NodataOption::Auto => {}
        }
        let Some(&first) = bands.first() else {
            return Ok(Self::AllValid);
        };
        let flags = dataset.rasterband(first)?.mask_flags()?;
        Ok(if flags.is_nodata() {
            Self::BandMasks
        } else if flags.is_all_valid() {
            // GDAL sees the alpha among two or four bands only.
            alpha_band(dataset).map_or(Self::AssumedZero, Self::AlphaBand)
        } else {
            Self::SharedMask
        })
    }
}

/// The last band, where it is an alpha band.
pub(super) fn alpha_band(dataset: &Dataset) -> Option<usize> {
    let last = dataset.raster_count();
    let band = dataset.rasterband(last).ok()?;
    (band.color_interpretation() == ColorInterpretation::AlphaBand).then_some(last)
}
