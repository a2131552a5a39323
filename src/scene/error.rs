//! What can be wrong with a scene, in words.

use gdal::errors::GdalError;
use thiserror::Error;

use super::bands::BandError;
use super::georeference::GeoreferenceError;
use super::remote::{means_away, redacted};

/// Why a file cannot serve as a scene.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SceneError {
    /// Nothing at this path.
    #[error("`{path}` does not exist: check the path")]
    Missing {
        /// The path as given.
        path: String,
    },
    /// A pipe, a socket, a device.
    #[error("`{path}` is a pipe or a device, not a file: write the raster to a file first")]
    Special {
        /// The path as given.
        path: String,
    },
    /// GDAL does not open it.
    #[error("`{path}` cannot be opened as a raster: {}", gdal_words(source))]
    NotARaster {
        /// The path as given.
        path: String,
        /// GDAL's reason.
        #[source]
        source: GdalError,
    },
    /// It has no bands (a container of subdatasets, for example).
    #[error("`{path}` holds no raster bands{hint}")]
    NoBands {
        /// The path as given.
        path: String,
        /// What to try instead.
        hint: String,
    },
    /// No position on Earth.
    #[error(
        "`{path}` has no georeference ({what}): add one with `gdal_edit.py -a_srs … -a_ullr …`, or warp it with `gdalwarp`"
    )]
    NoGeoreference {
        /// The path as given.
        path: String,
        /// What is missing.
        what: &'static str,
    },
    /// Ground control points or RPC that cannot be used.
    #[error("`{path}` cannot be warped to where it lies: {reason}")]
    NotWarped {
        /// The path as given.
        path: String,
        /// GDAL's reason.
        reason: String,
    },
    /// A georeference that cannot be used.
    #[error("`{path}`: {source}")]
    Georeference {
        /// The path as given.
        path: String,
        /// What is wrong with it.
        #[source]
        source: GeoreferenceError,
    },
    /// The bands a model needs are not there.
    #[error("`{path}` does not fit the model: {source}")]
    Bands {
        /// The path as given.
        path: String,
        /// What is wrong.
        #[source]
        source: BandError,
    },
    /// Complex numbers and the like.
    #[error(
        "`{path}` stores {data_type} pixels, which no model here can take: convert it with `gdal_translate -ot Float32`"
    )]
    DataType {
        /// The path as given.
        path: String,
        /// GDAL's name of the type.
        data_type: String,
    },
    /// The cloud mask cannot be used.
    #[error(
        "`{path}`: its cloud mask `{mask}` cannot be used: {reason}; name another with `--cloud-mask`, or go without by `--cloud-mask none`"
    )]
    CloudMask {
        /// The path as given.
        path: String,
        /// The mask.
        mask: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server of a scene stopped answering while it was read.
    #[error(
        "`{path}` cannot be reached any more ({reason}): give the same command again when it can, it goes on from there"
    )]
    Away {
        /// The path as given.
        path: String,
        /// What GDAL says.
        reason: String,
    },
    /// The server of a cloud mask does not answer.
    #[error(
        "the cloud mask `{mask}` of `{path}` cannot be reached ({reason}): give the same command again when it can, it goes on from there; or go without by `--cloud-mask none`"
    )]
    CloudMaskAway {
        /// The path of the scene as given.
        path: String,
        /// The mask.
        mask: String,
        /// What GDAL says.
        reason: String,
    },
    /// A window could not be read.
    #[error(
        "`{path}` cannot be read near column {column}, row {row}: {}; {}",
        gdal_words(source),
        likely_reason(source)
    )]
    Read {
        /// The path as given.
        path: String,
        /// Left edge of the window.
        column: u64,
        /// Upper edge of the window.
        row: u64,
        /// GDAL's reason.
        #[source]
        source: GdalError,
    },
}

impl SceneError {
    /// Whether trying again later may help: a server does not answer for now.
    pub fn is_away(&self) -> bool {
        match self {
            Self::NotARaster { source, .. } | Self::Read { source, .. } => {
                means_away(&gdal_words(source))
            }
            Self::Away { .. } | Self::CloudMaskAway { .. } => true,
            _ => false,
        }
    }
}

/// How GDAL says that a server sends whole files only.
const NO_RANGES: &str = "Range downloading not supported";

/// GDAL's message alone, without the wrapper's struct around it and without secrets of addresses, on one line.
pub(crate) fn gdal_words(error: &GdalError) -> String {
    let text = match error {
        GdalError::NullPointer { msg, .. } if msg.is_empty() => {
            "GDAL does not know its format".to_owned()
        }
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } if !msg.is_empty() => {
            msg.clone()
        }
        other => other.to_string(),
    };
    let words = redacted(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    if words.contains(NO_RANGES) {
        return format!("{words} Give `--cache DIR`: whole files are fetched then");
    }
    words
}

/// Why a raster that opens cannot be read, as far as GDAL's message tells.
fn likely_reason(error: &GdalError) -> &'static str {
    if gdal_words(error).contains("Recursion detected") {
        "a virtual raster is a source of itself: take it out of its sources"
    } else {
        "the file may be truncated or damaged"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_whole_files_is_no_dead_end() {
        let error = |msg: &str| GdalError::CplError {
            class: 3,
            number: 1,
            msg: msg.to_owned(),
        };
        let words = gdal_words(&error("Range downloading not supported by this server!"));
        assert!(
            words.ends_with("server! Give `--cache DIR`: whole files are fetched then"),
            "{words}"
        );
        assert_eq!(gdal_words(&error("no  more")), "no more");
    }
}
