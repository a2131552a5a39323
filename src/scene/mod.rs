//! Scenes: what a raster file holds, where it lies, and how to read a window of it.
//!
//! **In:** a path GDAL can open, and what the user says about it. **Out:** a [`Scene`] (a plain
//! description that is recorded in the run) and [`SceneReader`]s (one per thread) that deliver
//! windows as `f32` planes with a validity mask, resampled to the size asked for.
//!
//! Nothing here knows of models: bands are asked for by name or number, values stay as stored.

mod bands;
mod clouds;
mod content;
mod date;
mod error;
mod geolocate;
mod georeference;
mod ground_scale;
mod open;
mod radiometry;
mod raw;
mod reader;
mod remote;
mod sample;
mod source;
mod special;
mod stored;
mod thumbnail;
mod validity;
mod watch;

pub use bands::BandError;
pub(crate) use bands::{ALIASES, same_band};
pub use clouds::{CloudClass, CloudOptions, CloudReader};
pub(crate) use content::{content_of_files, content_of_path, hex, on_disk, remote_content};
pub(crate) use date::day_of;
pub use date::{DateOrigin, SceneDate};
pub use error::SceneError;
pub(crate) use error::gdal_words;
pub(crate) use georeference::wgs84;
pub use georeference::{Georeference, GeoreferenceError};
pub use ground_scale::GroundScale;
pub use open::{BlockLayout, Scene, SceneOptions};
pub use radiometry::{Radiometry, RadiometryError, RadiometryOptions, ScalingOrigin, WantedValues};
pub(crate) use raw::VirtualFile;
pub use raw::set_block_cache_bytes;
pub use reader::{SceneReader, Window};
pub use remote::redacted;
pub(crate) use remote::{is_remote, means_away, open_dataset, prepare_thread};
pub use source::{BandScaling, CloudCodes, CloudMask, SceneSource};
pub(crate) use special::is_special;
pub use stored::{EmptyPixels, Samples, StoredPixels};
pub use thumbnail::Thumbnail;
pub use validity::{NodataOption, ValidityRule};
pub use watch::Watch;
