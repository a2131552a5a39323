//! Reading a window whose corners lie between pixels, and sizing the block cache.
//!
//! The wrapper takes whole-pixel windows only. A 10 m model on 15 m pixels needs windows such as
//! 170.67 pixels wide; rounding them would shift and stretch every detection.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use gdal::errors::GdalError;
use gdal::raster::{GdalType, RasterBand};
use gdal_sys::{CPLErr, GDALRIOResampleAlg, GDALRWFlag, GDALRasterIOExtraArg};

use crate::scene::Window;

/// How pixels between the stored ones are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scene) enum Resampling {
    /// The stored pixel that the centre falls into: for masks.
    Nearest,
    /// Linear between pixel centres; when shrinking, GDAL widens the kernel so that every pixel counts.
    Bilinear,
}

/// Reads `window` of `band` into `buffer`, which has `size.0` columns and `size.1` rows. Fails when `stop` is raised
/// meanwhile: a window may be a whole scene.
///
/// The window must lie inside the raster.
pub(in crate::scene) fn read_window<T: GdalType + Copy>(
    band: &RasterBand<'_>,
    window: Window,
    size: (usize, usize),
    resampling: Resampling,
    stop: Option<&AtomicBool>,
    buffer: &mut [T],
) -> Result<(), GdalError> {
    if buffer.len() != size.0 * size.1 {
        return Err(GdalError::BufferSizeMismatch(buffer.len(), size));
    }
    let (raster_width, raster_height) = band.size();
    // GDAL wants the whole-pixel window beside the exact one, within a pixel of it.
    let whole = |start: f64, length: f64, limit: usize| -> Result<(c_int, c_int), GdalError> {
        let limit = c_int::try_from(limit)?;
        let offset = (start.floor() as c_int).clamp(0, limit - 1);
        Ok((offset, (length.round() as c_int).clamp(1, limit - offset)))
    };
    let (x_offset, x_size) = whole(window.x, window.width, raster_width)?;
    let (y_offset, y_size) = whole(window.y, window.height, raster_height)?;
    let mut extra = GDALRasterIOExtraArg {
        nVersion: 1,
        eResampleAlg: match resampling {
            Resampling::Nearest => GDALRIOResampleAlg::GRIORA_NearestNeighbour,
            Resampling::Bilinear => GDALRIOResampleAlg::GRIORA_Bilinear,
        },
        pfnProgress: stop.map(|_| goes_on as ProgressFunction),
        pProgressData: stop.map_or(std::ptr::null_mut(), |stop| {
            std::ptr::from_ref(stop).cast_mut().cast::<c_void>()
        }),
        bFloatingPointWindowValidity: 1,
        dfXOff: window.x,
        dfYOff: window.y,
        dfXSize: window.width,
        dfYSize: window.height,
    };
    // SAFETY: the band borrows its open dataset for the whole call; the buffer holds exactly
    // size.0 × size.1 values of T (checked above) and T::gdal_ordinal() names T's layout with the
    // default spacing (0, 0); `extra` is a fully initialised version 1 structure that outlives the call, as
    // does the flag that it points to where it names a function.
    let status = unsafe {
        gdal_sys::GDALRasterIOEx(
            band.c_rasterband(),
            GDALRWFlag::GF_Read,
            x_offset,
            y_offset,
            x_size,
            y_size,
            buffer.as_mut_ptr().cast::<c_void>(),
            c_int::try_from(size.0)?,
            c_int::try_from(size.1)?,
            T::gdal_ordinal(),
            0,
            0,
            &raw mut extra,
        )
    };
    if status == CPLErr::CE_None {
        Ok(())
    } else {
        Err(last_error(status))
    }
}

type ProgressFunction = unsafe extern "C" fn(f64, *const c_char, *mut c_void) -> c_int;

/// What GDAL calls now and then while it reads: 0 to give up.
unsafe extern "C" fn goes_on(_done: f64, _message: *const c_char, stop: *mut c_void) -> c_int {
    // SAFETY: `read_window` hands over the address of an atomic flag that is borrowed for the whole call.
    let stop = unsafe { &*stop.cast::<AtomicBool>() };
    c_int::from(!stop.load(Ordering::Relaxed))
}

/// GDAL's own words for its last error on this thread.
pub(super) fn last_error(class: CPLErr::Type) -> GdalError {
    // SAFETY: both calls read thread-local state; the message is a NUL-terminated string that stays
    // valid until the next GDAL call on this thread, and it is copied before that.
    let (number, message) = unsafe {
        let message = std::ffi::CStr::from_ptr(gdal_sys::CPLGetLastErrorMsg());
        (
            gdal_sys::CPLGetLastErrorNo(),
            message.to_string_lossy().into_owned(),
        )
    };
    GdalError::CplError {
        class,
        number,
        msg: message,
    }
}

/// Sets the size of GDAL's block cache, which all scenes and threads share.
pub fn set_block_cache_bytes(bytes: u64) {
    // SAFETY: a plain setter that GDAL guards with its own lock.
    unsafe { gdal_sys::GDALSetCacheMax64(i64::try_from(bytes).unwrap_or(i64::MAX)) }
}
