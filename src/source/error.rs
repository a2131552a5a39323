//! Why something that was named stands for no scene.

use std::path::PathBuf;

use thiserror::Error;

/// Why something that was named stands for no scene. Addresses are shown without their secrets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing there.
    #[error("`{0}` does not exist: check the path")]
    Missing(String),
    /// A name with bytes that are no UTF-8.
    #[error("`{0}` is not what the file is called: its name is not UTF-8; rename it")]
    NotUtf8(String),
    /// A server says that it has no such file.
    #[error("`{0}` is not there (the server has no such file): check the address")]
    NotFound(String),
    /// A server wants to know who asks.
    #[error(
        "`{path}` may not be read ({reason}): sign the address, or set the credentials (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_NO_SIGN_REQUEST=YES for a public bucket)"
    )]
    Forbidden {
        /// The address.
        path: String,
        /// What the server or GDAL says.
        reason: String,
    },
    /// A server does not answer for now.
    #[error("`{path}` cannot be reached for now ({reason}): try again later")]
    Away {
        /// The address.
        path: String,
        /// What GDAL says.
        reason: String,
    },
    /// A file cannot be read for another reason.
    #[error("`{path}` cannot be read: {reason}")]
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// A folder without anything that could be a scene.
    #[error("folder `{path}` holds no scene (looked for {looked_for}, in its folders too)")]
    EmptyFolder {
        /// The folder.
        path: String,
        /// Endings.
        looked_for: String,
    },
    /// A pattern that cannot be one.
    #[error("`{path}` is not a pattern: {reason}")]
    Pattern {
        /// The pattern.
        path: String,
        /// Why.
        reason: String,
    },
    /// A pattern that matches nothing.
    #[error("nothing matches `{0}`")]
    NoMatch(String),
    /// A list without a line.
    #[error("list `{0}` names no scene: write one path per line")]
    EmptyList(String),
    /// A list or catalogue that is too deep, or leads too far.
    #[error("`{path}` leads too far: {reason}")]
    TooFar {
        /// Where it was given up.
        path: String,
        /// Why.
        reason: String,
    },
    /// JSON of another kind, or none.
    #[error("`{path}` is not a STAC document: {reason}")]
    NotStac {
        /// The document.
        path: String,
        /// Why.
        reason: String,
    },
    /// The bands a model wants are not among those of a product.
    #[error("`{path}` does not have the bands that the model wants ({wanted}): it has {has}")]
    NoBands {
        /// The product.
        path: String,
        /// What the model wants.
        wanted: String,
        /// What the product has.
        has: String,
    },
    /// `--bands` by number, of a product whose bands are files.
    #[error(
        "`{0}` holds its bands in files of their own: name them instead of numbering them, e.g. `--bands B04,B03,B02`"
    )]
    BandsByNumber(String),
    /// A Sentinel-2 product that is not whole, or not as it should be.
    #[error("`{path}` is no Sentinel-2 product that can be used: {reason}")]
    Safe {
        /// The product.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A container of several rasters that do not tell which one is meant.
    #[error(
        "`{path}` holds several rasters, and their names do not tell which has {wanted}: name one of them ({parts})"
    )]
    Parts {
        /// The container.
        path: String,
        /// What the model wants.
        wanted: String,
        /// What can be named instead.
        parts: String,
    },
    /// Bands that do not fit on one another.
    #[error("the bands of `{path}` cannot be laid over each other: {reason}")]
    Stack {
        /// The product.
        path: String,
        /// Why.
        reason: String,
    },
    /// The cache folder fails.
    #[error(
        "`{}` in the cache folder cannot be written: {source}; make room, or give another `--cache`", path.display()
    )]
    Cache {
        /// File or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The user wants to stop.
    #[error("stopped")]
    Stopped,
}

impl SourceError {
    /// Whether trying again later may help.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }
}
