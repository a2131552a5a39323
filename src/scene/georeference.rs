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
    /// Longitude of the middle of a scene in degrees. Such a scene may count on past ±180: in which turn a longitude
    /// lies is told by how near it is to this.
    middle_lon: Option<f64>,
    to_wgs84: CoordTransform,
    from_wgs84: CoordTransform,
}

impl Georeference {
    /// From a GDAL geotransform (pixel corner convention), the columns and rows of the scene, and the WKT of its CRS.
    pub fn new(
        geotransform: [f64; 6],
        size: (usize, usize),
        crs_wkt: &str,
    ) -> Result<Self, GeoreferenceError> {
        let inverse = geotransform
            .invert()
            .map_err(|_singular| GeoreferenceError::Singular(geotransform))?;
        let mut crs = SpatialRef::from_wkt(crs_wkt).map_err(GeoreferenceError::Crs)?;
        crs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
        let wgs84 = wgs84().map_err(GeoreferenceError::Crs)?;
        let middle = geotransform.apply(size.0 as f64 / 2.0, size.1 as f64 / 2.0);
        Ok(Self {
            geotransform,
            inverse,
            middle_lon: crs.is_geographic().then_some(middle.0),
            to_wgs84: CoordTransform::new(&crs, &wgs84).map_err(GeoreferenceError::Crs)?,
            from_wgs84: CoordTransform::new(&wgs84, &crs).map_err(GeoreferenceError::Crs)?,
        })
    }

    /// Longitude of the middle of a scene in degrees, as the scene counts it.
    pub(crate) fn middle_lon(&self) -> Option<f64> {
        self.middle_lon
    }

    /// Places of pixel positions.
    pub fn to_lonlat(&self, points: &[PixelPoint]) -> Result<Vec<LonLat>, GeoreferenceError> {
        let (mut x, mut y): (Vec<f64>, Vec<f64>) = points
            .iter()
            .map(|p| self.geotransform.apply(p.x, p.y))
            .unzip();
        if self.middle_lon.is_some() {
            // The rows of a grid of pixel centres may reach half a pixel beyond a pole.
            for lat in &mut y {
                *lat = lat.clamp(-90.0, 90.0);
            }
        }
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
        if let Some(middle) = self.middle_lon {
            // Whole turns only: a longitude that needs none stays as it is to the last bit, and so does one on the
            // edge of a scene that goes round the Earth.
            for lon in &mut x {
                let turns = (*lon - middle) / 360.0;
                if turns.abs() > 0.5 + 1e-9 {
                    *lon -= turns.round() * 360.0;
                }
            }
        }
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
        let geotransform = [500_000.0, 10.0, 0.0, 200_000.0, 0.0, -10.0];
        Georeference::new(geotransform, (20_000, 20_000), &wkt).unwrap()
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
        let geotransform = [78.0, 1e-4, 0.0, 27.0, 0.0, -1e-4];
        let degrees = Georeference::new(geotransform, (100, 100), &wkt).unwrap();
        let place = degrees.to_lonlat(&[PixelPoint::new(0.0, 0.0)]).unwrap()[0];
        assert_eq!((place.lon, place.lat), (78.0, 27.0));
    }

    #[test]
    fn a_flat_geotransform_is_refused() {
        let wkt = SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap();
        assert!(matches!(
            Georeference::new([0.0; 6], (10, 10), &wkt),
            Err(GeoreferenceError::Singular(_))
        ));
    }

    #[test]
    fn rows_beyond_a_pole_lie_on_it() {
        let wkt = SpatialRef::from_epsg(4326).unwrap().to_wkt().unwrap();
        let geotransform = [-180.05, 0.1, 0.0, 90.05, 0.0, -0.1];
        let globe = Georeference::new(geotransform, (3600, 1801), &wkt).unwrap();
        let places = globe
            .to_lonlat(&[PixelPoint::new(10.0, 0.0), PixelPoint::new(10.0, 1801.0)])
            .unwrap();
        assert_eq!((places[0].lat, places[1].lat), (90.0, -90.0));
    }

    proptest::proptest! {
        #[test]
        fn degrees_may_begin_anywhere_and_run_on_past_the_antimeridian(
            west in -360.0..360.0f64,
            width in 1.0..359.0f64,
            x in 0.0..1.0f64,
            y in 0.0..1.0f64,
        ) {
            let wkt = SpatialRef::from_epsg(4326).unwrap().to_wkt().unwrap();
            let pixel = width / 1000.0;
            let georeference =
                Georeference::new([west, pixel, 0.0, 40.0, 0.0, -0.01], (1000, 500), &wkt).unwrap();
            let given = PixelPoint::new(x * 1000.0, y * 500.0);
            let place = georeference.to_lonlat(&[given]).unwrap()[0];
            proptest::prop_assert!(place.lon.abs() <= 180.0);
            let back = georeference.to_pixels(&[place]).unwrap()[0];
            proptest::prop_assert!((back.x - given.x).hypot(back.y - given.y) < 1e-6, "{back:?}");
        }
    }
}
