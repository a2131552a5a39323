//! Scenes: what a raster file holds, where it lies, and how to read a window of it.
//!
//! **In:** a path GDAL can open, and what the user says about it. **Out:** a [`Scene`] (a plain
//! description that is recorded in the run) and [`SceneReader`]s (one per thread) that deliver
//! windows as `f32` planes with a validity mask, resampled to the size asked for.
//!
//! Nothing here knows of models: bands are asked for by name or number, values stay as stored.

mod bands;
mod clouds;
mod georeference;
mod ground_scale;
mod open;
mod radiometry;
mod raw;
mod reader;
mod sample;
mod source;
mod thumbnail;
mod validity;

pub use bands::BandError;
pub use clouds::{CloudClass, CloudOptions, CloudReader};
pub(crate) use georeference::wgs84;
pub use georeference::{Georeference, GeoreferenceError};
pub use ground_scale::GroundScale;
pub use open::{BlockLayout, Scene, SceneError, SceneOptions, unique_ids};
pub(crate) use open::{gdal_words, hex};
pub use radiometry::{Radiometry, RadiometryError, RadiometryOptions, ScalingOrigin, WantedValues};
pub use raw::set_block_cache_bytes;
pub use reader::{SceneReader, Window};
pub use source::{BandScaling, CloudCodes, CloudMask, SceneSource};
pub use thumbnail::Thumbnail;
pub use validity::{NodataOption, ValidityRule};
