//! Where a raster says it lies: a geotransform, ground control points, or rational polynomials (RPC).
//!
//! A geotransform may be rotated and is taken as it is, and so are control points that describe one. Anything
//! else is opened through GDAL's warper as a virtual raster, north up and in metres, so that whatever comes after sees
//! a plain grid.

use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, Metadata};

use super::error::{SceneError, gdal_words};
use super::raw::{affine_of_gcps, warped_vrt};
use super::validity::NodataOption;

/// Error that GDAL's warper may make to be faster, in pixels.
const MAX_WARP_ERROR_PX: &str = "0.05";

/// The place of a raster.
pub(super) struct Location {
    /// What to open instead of the raster, where it has to be warped.
    pub(super) warp: Option<Warp>,
    /// Geotransform of what is opened.
    pub(super) geotransform: [f64; 6],
    /// Its CRS.
    pub(super) crs: SpatialRef,
    /// Where these come from, in words.
    pub(super) origin: String,
}

/// How a raster is warped.
pub(super) struct Warp {
    /// The virtual raster for measurements.
    pub(super) raster: String,
    arguments: Vec<String>,
}

impl Warp {
    fn new(
        source: &Dataset,
        arguments: Vec<String>,
        nodata: NodataOption,
    ) -> gdal::errors::Result<Self> {
        let mut full = arguments.clone();
        full.extend(["-r", "bilinear", "-dstalpha"].map(str::to_owned));
        full.extend(source_nodata(source, nodata)?);
        Ok(Self {
            raster: warped_vrt(source, &full)?,
            arguments,
        })
    }

    /// The virtual raster for classes, between which there are no values.
    pub(super) fn of_classes(&self, source: &Dataset) -> gdal::errors::Result<String> {
        let near = ["-r", "near"].map(str::to_owned);
        warped_vrt(source, &[self.arguments.clone(), near.to_vec()].concat())
    }
}

/// Finds out where a raster at `path` lies.
pub(super) fn locate(
    dataset: &Dataset,
    path: &str,
    nodata: NodataOption,
) -> Result<Location, SceneError> {
    let none = |what| SceneError::NoGeoreference {
        path: path.to_owned(),
        what,
    };
    let on_earth = |crs: SpatialRef| {
        if crs.is_local() {
            Err(none("a local coordinate system that is tied to no place"))
        } else {
            Ok(crs)
        }
    };
    if let Ok(geotransform) = dataset.geo_transform() {
        let crs =
            (dataset.spatial_ref()).map_err(|_none| none("no coordinate reference system"))?;
        return Ok(Location {
            warp: None,
            geotransform,
            crs: on_earth(crs)?,
            origin: "geotransform".to_owned(),
        });
    }
    let points = dataset.gcps();
    if !points.is_empty() {
        let count = points.len();
        let crs = dataset
            .gcp_spatial_ref()
            .ok_or_else(|| none("ground control points, but no coordinate reference system"))?;
        let crs = on_earth(crs)?;
        if let Some(geotransform) = affine_of_gcps(dataset) {
            return Ok(Location {
                warp: None,
                geotransform,
                crs,
                origin: format!("{count} ground control points, which describe a geotransform"),
            });
        }
        let target = if crs.is_projected() {
            (crs.to_wkt()).map_err(|_none| none("a coordinate reference system without a text"))?
        } else {
            let places: Vec<(f64, f64)> = points.iter().map(|p| (p.x(), p.y())).collect();
            if jumps(&places) {
                return Err(SceneError::NotWarped {
                    path: path.to_owned(),
                    reason: "its control points jump from 180 to -180 degrees; let their longitudes run on (179, 180, 181)"
                        .to_owned(),
                });
            }
            metric_crs(middle(&places))
        };
        let arguments = ["-tps", "-t_srs", &target].map(str::to_owned).to_vec();
        let origin = format!("{count} ground control points, warped with a thin-plate spline");
        return warped(dataset, path, arguments, nodata, origin);
    }
    let rpc = |key: &str| -> Option<f64> {
        let text = dataset.metadata_item(key, "RPC")?;
        text.split_whitespace().next()?.parse().ok()
    };
    if let (Some(lon), Some(lat)) = (rpc("LONG_OFF"), rpc("LAT_OFF")) {
        let height = rpc("HEIGHT_OFF").unwrap_or(0.0);
        let arguments = [
            "-rpc",
            "-to",
            &format!("RPC_HEIGHT={height}"),
            "-t_srs",
            &metric_crs((lon, lat)),
        ]
        .map(str::to_owned);
        let origin = format!(
            "rational polynomials (RPC) at an assumed height of {height} m everywhere, without an elevation model: \
             ground that is higher or lower lies elsewhere than it seems"
        );
        return warped(dataset, path, arguments.to_vec(), nodata, origin);
    }
    Err(none("no geotransform, no ground control points, no RPC"))
}

fn warped(
    dataset: &Dataset,
    path: &str,
    mut arguments: Vec<String>,
    nodata: NodataOption,
    origin: String,
) -> Result<Location, SceneError> {
    arguments.extend(["-et", MAX_WARP_ERROR_PX].map(str::to_owned));
    let in_scene = |source| SceneError::NotWarped {
        path: path.to_owned(),
        reason: gdal_words(&source),
    };
    let warp = Warp::new(dataset, arguments, nodata).map_err(in_scene)?;
    let grid = Dataset::open(&warp.raster).map_err(in_scene)?;
    Ok(Location {
        geotransform: grid.geo_transform().map_err(in_scene)?,
        crs: grid.spatial_ref().map_err(in_scene)?,
        warp: Some(warp),
        origin,
    })
}

/// What the warper shall take for empty: the rules of [`ValidityRule`](super::ValidityRule), told in its words.
fn source_nodata(source: &Dataset, option: NodataOption) -> gdal::errors::Result<Vec<String>> {
    let value = match option {
        NodataOption::None => return Ok(["-srcnodata", "None"].map(str::to_owned).to_vec()),
        NodataOption::Value(value) => value,
        // The warper finds nodata values, masks and alpha by itself.
        NodataOption::Auto if !source.rasterband(1)?.mask_flags()?.is_all_valid() => {
            return Ok(Vec::new());
        }
        NodataOption::Auto => 0.0,
    };
    let value = value.to_string();
    Ok(["-srcnodata", &value, "-wo", "UNIFIED_SRC_NODATA=YES"]
        .map(str::to_owned)
        .to_vec())
}

/// Whether longitudes lie on both ends of the scale: between such control points a curve would go round the Earth.
fn jumps(places: &[(f64, f64)]) -> bool {
    let lons = || places.iter().map(|(lon, _)| *lon);
    lons().fold(f64::NEG_INFINITY, f64::max) - lons().fold(f64::INFINITY, f64::min) > 180.0
}

/// The middle of places in degrees, wherever the date line runs.
fn middle(places: &[(f64, f64)]) -> (f64, f64) {
    let count = places.len().max(1) as f64;
    let (x, y) = places.iter().fold((0.0, 0.0), |(x, y), (lon, _)| {
        let (sin, cos) = lon.to_radians().sin_cos();
        (x + cos, y + sin)
    });
    let lat = places.iter().map(|(_, lat)| lat).sum::<f64>() / count;
    (y.atan2(x).to_degrees(), lat)
}

/// A CRS in metres round a place: its UTM zone, or the polar grid (UPS) beyond UTM's ends.
fn metric_crs((lon, lat): (f64, f64)) -> String {
    let zone = (((lon + 180.0) / 6.0).floor() as i64).rem_euclid(60) + 1;
    let code = match lat {
        _ if lat >= 84.0 => 32661,
        _ if lat < -80.0 => 32761,
        _ if lat >= 0.0 => 32600 + zone,
        _ => 32700 + zone,
    };
    format!("EPSG:{code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_grid_in_metres() {
        for (place, code) in [
            ((79.0, 27.0), "EPSG:32644"),
            ((-180.0, -10.0), "EPSG:32701"),
            ((180.0, 10.0), "EPSG:32601"),
            ((179.9, 10.0), "EPSG:32660"),
            ((0.0, 89.0), "EPSG:32661"),
            ((0.0, -85.0), "EPSG:32761"),
        ] {
            assert_eq!(metric_crs(place), code);
        }
    }

    #[test]
    fn longitudes_that_run_on_do_not_jump() {
        assert!(jumps(&[(179.9, 1.0), (-179.9, 1.0)]));
        assert!(!jumps(&[(179.9, 1.0), (180.1, 1.0)]));
    }

    #[test]
    fn the_middle_of_places_on_both_sides_of_the_date_line_lies_between_them() {
        let (lon, lat) = middle(&[(179.0, 10.0), (-177.0, 12.0)]);
        assert!((lon + 179.0).abs() < 1e-9 && lat == 11.0, "{lon} {lat}");
    }
}
