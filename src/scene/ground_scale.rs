//! How many metres a pixel covers, and where in the scene.
//!
//! In a UTM scene a pixel covers the same ground everywhere. In degrees, or in Web Mercator, it shrinks
//! towards the poles: a chip near the top of such a scene must take in more pixels than one near its
//! bottom to show the same ground to the model.

use serde::{Deserialize, Serialize};

use super::georeference::{Georeference, GeoreferenceError};
use crate::geometry::{PixelPoint, distance_m};

/// A projection whose scale stays this close to one is taken at its word: a "10 m" UTM pixel is 9.996
/// to 10.010 m on the ground, and resampling by 0.04 % would blur the scene and gain nothing.
const NOMINAL_TOLERANCE: f64 = 0.01;

/// Ground size of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroundScale {
    /// The same everywhere: metres per pixel along x and y.
    Uniform {
        /// Metres per pixel to the right.
        x_m: f64,
        /// Metres per pixel down.
        y_m: f64,
    },
    /// Changes with the row: measured on the ellipsoid where it is asked for.
    ByRow,
}

impl GroundScale {
    /// Finds out which of the two a scene is. `metres_per_unit` is the size of the CRS's unit if it is a length.
    pub(super) fn of(
        georeference: &Georeference,
        geotransform: &[f64; 6],
        size: (usize, usize),
        metres_per_unit: Option<f64>,
    ) -> Self {
        let Some(unit) = metres_per_unit else {
            return Self::ByRow;
        };
        let x_m = geotransform[1].hypot(geotransform[4]) * unit;
        let y_m = geotransform[2].hypot(geotransform[5]) * unit;
        let (w, h) = (size.0 as f64, size.1 as f64);
        for corner in [
            (w / 2.0, h / 2.0),
            (0.5, 0.5),
            (w - 0.5, 0.5),
            (w - 0.5, h - 0.5),
            (0.5, h - 0.5),
        ] {
            // A corner of a projected scene may lie off the Earth; it says nothing about the scale then.
            let Ok((x_here, y_here)) = measure(georeference, PixelPoint::new(corner.0, corner.1))
            else {
                continue;
            };
            if (x_here / x_m - 1.0).abs() > NOMINAL_TOLERANCE
                || (y_here / y_m - 1.0).abs() > NOMINAL_TOLERANCE
            {
                return Self::ByRow;
            }
        }
        Self::Uniform { x_m, y_m }
    }

    /// Metres per pixel along x and y at row `y` of a scene `width` pixels wide.
    pub fn at_row(
        &self,
        georeference: &Georeference,
        width: usize,
        y: f64,
    ) -> Result<(f64, f64), GeoreferenceError> {
        match *self {
            Self::Uniform { x_m, y_m } => Ok((x_m, y_m)),
            Self::ByRow => measure(georeference, PixelPoint::new(width as f64 / 2.0, y)),
        }
    }
}

/// Geodesic size of the pixel centred at `at`.
fn measure(georeference: &Georeference, at: PixelPoint) -> Result<(f64, f64), GeoreferenceError> {
    let ends = georeference.to_lonlat(&[
        PixelPoint::new(at.x - 0.5, at.y),
        PixelPoint::new(at.x + 0.5, at.y),
        PixelPoint::new(at.x, at.y - 0.5),
        PixelPoint::new(at.x, at.y + 0.5),
    ])?;
    Ok((distance_m(ends[0], ends[1]), distance_m(ends[2], ends[3])))
}

#[cfg(test)]
mod tests {
    use gdal::spatial_ref::SpatialRef;

    use super::*;

    fn georeference(epsg: u32, geotransform: [f64; 6]) -> Georeference {
        Georeference::new(
            geotransform,
            (1000, 1000),
            &SpatialRef::from_epsg(epsg).unwrap().to_wkt().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn ten_metre_utm_pixels_are_exactly_ten_metres() {
        let geotransform = [500_000.0, 10.0, 0.0, 3_000_000.0, 0.0, -10.0];
        let scale = GroundScale::of(
            &georeference(32644, geotransform),
            &geotransform,
            (1000, 1000),
            Some(1.0),
        );
        assert_eq!(
            scale,
            GroundScale::Uniform {
                x_m: 10.0,
                y_m: 10.0
            }
        );
    }

    #[test]
    fn web_mercator_at_60_degrees_covers_half_the_ground() {
        let geotransform = [0.0, 10.0, 0.0, 8_399_737.0, 0.0, -10.0];
        let georeference = georeference(3857, geotransform);
        let scale = GroundScale::of(&georeference, &geotransform, (100, 100), Some(1.0));
        assert_eq!(scale, GroundScale::ByRow);
        let (x_m, y_m) = scale.at_row(&georeference, 100, 0.0).unwrap();
        // cos 60° on the sphere; the ellipsoid adds a little.
        assert!(
            (x_m - 5.0).abs() < 0.05 && (y_m - 5.0).abs() < 0.05,
            "{x_m} {y_m}"
        );
    }

    #[test]
    fn degrees_shrink_with_the_cosine_of_latitude() {
        let geotransform = [78.0, 1e-4, 0.0, 60.0, 0.0, -1e-4];
        let georeference = georeference(4326, geotransform);
        let scale = GroundScale::of(&georeference, &geotransform, (100, 100), None);
        let (x_m, y_m) = scale.at_row(&georeference, 100, 0.0).unwrap();
        assert!(
            (x_m - 5.58).abs() < 0.01 && (y_m - 11.14).abs() < 0.01,
            "{x_m} {y_m}"
        );
    }
}
