//! Where a pixel lies on Earth: the affine geotransform, then the CRS's way to WGS 84.
//!
//! GDAL does the arithmetic (PROJ underneath); nothing is approximated, so positions agree with
//! `gdaltransform` to rounding. Longitude always comes first, whatever axis order the CRS declares.

use gdal::GeoTransformEx;
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use thiserror::Error;

use crate::geometry::{LonLat, PixelPoint};

/// Why pixels cannot be placed on Earth, or places in pixels.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GeoreferenceError {
    /// The affine transform has no inverse.
    #[error("the geotransform {0:?} cannot be inverted")]
    Singular([f64; 6]),
    /// GDAL or PROJ cannot read the CRS.
    #[error("the coordinate reference system cannot be used: {0}")]
    Crs(#[source] gdal::errors::GdalError),
    /// A position lies outside the area in which the CRS is defined.
    #[error("a position cannot be transformed between the scene's CRS and WGS 84: {0}")]
    Transform(#[source] gdal::errors::GdalError),
    /// The transformation gave no usable number.
    #[error("position ({x}, {y}) lies outside the area in which the scene's CRS is defined")]
    Outside {
        /// First coordinate of the position that could not be transformed.
        x: f64,
        /// Second coordinate.
        y: f64,
    },
}

/// The two-way mapping between a scene's pixels and WGS 84.
///
/// Holds PROJ state, so each thread makes its own with [`Georeference::new`].
pub struct Georeference {
    geotransform: [f64; 6],
    inverse: [f64; 6],
    to_wgs84: CoordTransform,
    from_wgs84: CoordTransform,
}

impl Georeference {
    /// From a GDAL geotransform (pixel corner convention) and the WKT of its CRS.
    pub fn new(geotransform: [f64; 6], crs_wkt: &str) -> Result<Self, GeoreferenceError> {
        let inverse = geotransform
            .invert()
            .map_err(|_singular| GeoreferenceError::Singular(geotransform))?;
        let mut crs = SpatialRef::from_wkt(crs_wkt).map_err(GeoreferenceError::Crs)?;
        crs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
        let wgs84 = wgs84().map_err(GeoreferenceError::Crs)?;
        Ok(Self {
            geotransform,
            inverse,
            to_wgs84: CoordTransform::new(&crs, &wgs84).map_err(GeoreferenceError::Crs)?,
            from_wgs84: CoordTransform::new(&wgs84, &crs).map_err(GeoreferenceError::Crs)?,
        })
    }

    /// Places of pixel positions.
    pub fn to_lonlat(&self, points: &[PixelPoint]) -> Result<Vec<LonLat>, GeoreferenceError> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = points
            .iter()
            .map(|p| self.geotransform.apply(p.x, p.y))
            .unzip();
        transform(&self.to_wgs84, &mut x, &mut y)?;
        Ok(x.into_iter()
            .zip(y)
            .map(|(lon, lat)| LonLat::new(lon, lat))
            .collect())
    }

    /// Pixel positions of places.
    pub fn to_pixels(&self, places: &[LonLat]) -> Result<Vec<PixelPoint>, GeoreferenceError> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = places.iter().map(|p| (p.lon, p.lat)).unzip();
        transform(&self.from_wgs84, &mut x, &mut y)?;
        Ok(x.into_iter()
            .zip(y)
            .map(|(x, y)| {
                let (x, y) = self.inverse.apply(x, y);
                PixelPoint { x, y }
            })
            .collect())
    }
}

/// WGS 84 with longitude first.
pub(crate) fn wgs84() -> Result<SpatialRef, gdal::errors::GdalError> {
    let mut wgs84 = SpatialRef::from_epsg(4326)?;
    wgs84.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(wgs84)
}

fn transform(by: &CoordTransform, x: &mut [f64], y: &mut [f64]) -> Result<(), GeoreferenceError> {
    if x.is_empty() {
        return Ok(());
    }
    let given = (x.to_vec(), y.to_vec());
    by.transform_coords(x, y, &mut [])
        .map_err(GeoreferenceError::Transform)?;
    // PROJ marks what it cannot place with infinity instead of an error.
    match x
        .iter()
        .zip(y.iter())
        .position(|(x, y)| !(x.is_finite() && y.is_finite()))
    {
        Some(bad) => Err(GeoreferenceError::Outside {
            x: given.0[bad],
            y: given.1[bad],
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A north-up UTM 31N grid of 10 m, in the Gulf of Guinea.
    fn utm() -> Georeference {
        let wkt = SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap();
        Georeference::new([500_000.0, 10.0, 0.0, 200_000.0, 0.0, -10.0], &wkt).unwrap()
    }

    #[test]
    fn the_central_meridian_of_utm_31_north_is_three_degrees_east() {
        let place = utm().to_lonlat(&[PixelPoint::new(0.0, 20_000.0)]).unwrap()[0];
        assert!(
            (place.lon - 3.0).abs() < 1e-9 && place.lat.abs() < 1e-9,
            "{place:?}"
        );
    }

    #[test]
    fn there_and_back_again_is_exact_to_a_thousandth_of_a_pixel() {
        let georeference = utm();
        let points: Vec<PixelPoint> = (0..50)
            .map(|i| PixelPoint::new(f64::from(i) * 37.3, f64::from(i) * 91.7))
            .collect();
        let back = georeference
            .to_pixels(&georeference.to_lonlat(&points).unwrap())
            .unwrap();
        for (p, q) in points.iter().zip(back) {
            assert!((p.x - q.x).hypot(p.y - q.y) < 1e-3);
        }
    }

    #[test]
    fn an_axis_order_of_latitude_first_does_not_swap_coordinates() {
        let wkt = SpatialRef::from_epsg(4326).unwrap().to_wkt().unwrap();
        let degrees = Georeference::new([78.0, 1e-4, 0.0, 27.0, 0.0, -1e-4], &wkt).unwrap();
        let place = degrees.to_lonlat(&[PixelPoint::new(0.0, 0.0)]).unwrap()[0];
        assert_eq!((place.lon, place.lat), (78.0, 27.0));
    }

    #[test]
    fn a_flat_geotransform_is_refused() {
        let wkt = SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap();
        assert!(matches!(
            Georeference::new([0.0; 6], &wkt),
            Err(GeoreferenceError::Singular(_))
        ));
    }
}
