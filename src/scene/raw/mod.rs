//! The one place that calls GDAL without its safe wrapper: one file per thing that the wrapper cannot do,
//! each behind a safe function.

#![expect(
    unsafe_code,
    reason = "GDAL functions that have no safe wrapper in gdal 0.19"
)]

mod files;
mod warp;
mod window;

pub(in crate::scene) use files::files_of;
pub(crate) use files::{VirtualFile, forget_remote, server_headers};
pub(in crate::scene) use warp::{affine_of_gcps, warped_vrt};
pub use window::set_block_cache_bytes;
pub(in crate::scene) use window::{Resampling, read_window};
