//! Warping by GDAL's own `gdalwarp`, as a library: the wrapper offers no part of it.
//!
//! What comes back is the text of a virtual raster, which every thread opens for itself like a file.

use std::ffi::{CString, c_char, c_int};
use std::ptr::null_mut;

use gdal::errors::GdalError;
use gdal::{Dataset, Metadata};
use gdal_sys::GDALWarpAppOptions;

use super::window::last_error;

/// Options of `gdalwarp`, freed when dropped.
struct WarpOptions(*mut GDALWarpAppOptions);

impl Drop for WarpOptions {
    fn drop(&mut self) {
        // SAFETY: the pointer came from GDALWarpAppOptionsNew and is freed here only; null is allowed.
        unsafe { gdal_sys::GDALWarpAppOptionsFree(self.0) }
    }
}

/// The virtual raster (as text that GDAL opens) that `gdalwarp -of VRT` makes of `source` with these arguments.
pub(in crate::scene) fn warped_vrt(
    source: &Dataset,
    arguments: &[String],
) -> Result<String, GdalError> {
    // One thread: virtual warping with several gave wrong edges (OSGeo/gdal #13464).
    let fixed = ["-of", "VRT", "-wo", "NUM_THREADS=1"];
    let arguments = (fixed.iter().copied())
        .chain(arguments.iter().map(String::as_str))
        .map(CString::new)
        .collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<*mut c_char> = (arguments.iter().map(|a| a.as_ptr().cast_mut()))
        .chain([null_mut()])
        .collect();
    // SAFETY: `pointers` is a list of NUL-terminated strings closed by a null pointer; GDAL copies what it
    // needs, and does not write to them although the signature would let it. No program options are wanted.
    let options =
        WarpOptions(unsafe { gdal_sys::GDALWarpAppOptionsNew(pointers.as_mut_ptr(), null_mut()) });
    if options.0.is_null() {
        return Err(last_error(gdal_sys::CPLErr::CE_Failure));
    }
    let mut wrong_usage: c_int = 0;
    let mut sources = [source.c_dataset()];
    // SAFETY: the destination name is an empty C string (a raster in memory), there is no dataset to warp into,
    // `sources` holds the one handle that the count says, borrowed from `source` for the whole call, and the
    // options are valid until the end of this function.
    let warped = unsafe {
        gdal_sys::GDALWarp(
            c"".as_ptr(),
            null_mut(),
            1,
            sources.as_mut_ptr(),
            options.0.cast_const(),
            &raw mut wrong_usage,
        )
    };
    if warped.is_null() {
        return Err(last_error(gdal_sys::CPLErr::CE_Failure));
    }
    // SAFETY: a fresh handle that nobody else owns. It holds a reference on the source's handle and is closed at
    // the end of this function, before the borrow of `source` ends.
    let warped = unsafe { Dataset::from_c_dataset(warped) };
    (warped.metadata_domain("xml:VRT"))
        .and_then(|text| text.into_iter().next())
        .ok_or_else(|| last_error(gdal_sys::CPLErr::CE_Failure))
}

/// The geotransform that ground control points describe, if they describe one to a quarter of a pixel.
pub(in crate::scene) fn affine_of_gcps(dataset: &Dataset) -> Option<[f64; 6]> {
    let count = c_int::try_from(dataset.gcps().len()).ok()?;
    let mut geotransform = [0f64; 6];
    // SAFETY: GDALGetGCPs returns the `count` points that the open dataset owns, which outlives the call;
    // `geotransform` has room for the six numbers that are written.
    let fits = unsafe {
        let points = gdal_sys::GDALGetGCPs(dataset.c_dataset());
        !points.is_null()
            && gdal_sys::GDALGCPsToGeoTransform(count, points, geotransform.as_mut_ptr(), 0) != 0
    };
    fits.then_some(geotransform)
}
