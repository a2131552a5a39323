//! Where the pixels of a scene come from: what the user named, and what GDAL opens in its place.
//!
//! A file that GDAL opens as it is stands for itself. Products of many files (a Sentinel-2 SAFE, a STAC Item)
//! become one virtual raster of the bands that a model wants, with what the product says of them.

use serde::{Deserialize, Serialize, Serializer};

use super::date::SceneDate;
use super::remote::redacted;

/// How one band's stored numbers become a physical quantity: `stored × scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BandScaling {
    /// Factor.
    pub scale: f64,
    /// Term added after the factor.
    pub offset: f64,
}

/// What the values of a cloud mask mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudCodes {
    /// Sentinel-2 scene classification: 3 shadow, 8 and 9 cloud, 10 thin cirrus.
    SceneClassification,
    /// Anything but zero is cloud.
    NonZero,
    /// These values are cloud.
    Listed(Vec<u16>),
}

/// A raster of the same ground that tells where clouds are. It may have another resolution than the scene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CloudMask {
    /// What GDAL opens. Recorded without the secrets of addresses.
    #[serde(serialize_with = "without_secrets")]
    pub raster: String,
    /// The band that is the mask, numbered from 1.
    pub band: usize,
    /// What its values mean.
    pub codes: CloudCodes,
}

/// Records what GDAL opens without the secrets of addresses.
fn without_secrets<S: Serializer>(raster: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&redacted(raster))
}

/// The same where there may be none.
#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
pub(super) fn without_secrets_if_any<S: Serializer>(
    raster: &Option<String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    raster.as_deref().map(redacted).serialize(serializer)
}

/// A scene before it is opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneSource {
    /// As the user names it, without secrets of an address; what is shown and recorded.
    pub path: String,
    /// What GDAL opens, where that is not `path`: a virtual raster, a part of a container, a remote address.
    pub raster: Option<String>,
    /// Short name, where the product has one; else the file name without its ending.
    pub id: Option<String>,
    /// Acquisition date that the product states.
    pub date: Option<SceneDate>,
    /// To reflectance, one entry per band of the raster, where the product states it beside the raster.
    pub scaling: Option<Vec<BandScaling>>,
    /// Where that scaling comes from, in words, with what speaks against it.
    pub scaling_note: Option<String>,
    /// What the user should know before trusting it.
    pub warning: Option<String>,
    /// Where clouds are, if the product tells.
    pub clouds: Option<CloudMask>,
    /// What its files hold, where the product tells which they are; `None`: to be found out when it is opened.
    pub content: Option<String>,
    /// Lists and catalogues that led to it, from the user's argument on.
    pub via: Vec<String>,
}

impl SceneSource {
    /// A raster that GDAL opens as it is.
    pub fn file(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// What GDAL opens.
    pub fn raster(&self) -> &str {
        self.raster.as_deref().unwrap_or(&self.path)
    }
}
