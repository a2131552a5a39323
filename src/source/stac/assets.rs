//! The assets of a STAC Item, and which of them hold the wanted bands.
//!
//! Bands are known by `bands` (STAC 1.1), by `eo:bands` with `raster:bands` (1.0), else by the asset's key. Of
//! several assets with a band, the first in this order is taken: data before previews (`visual`, `overview`,
//! `thumbnail`), the resolution nearest to the model's from the finer side, cloud-optimised GeoTIFF before
//! GeoTIFF before JPEG 2000, then the key in alphabetical order.

use serde_json::Value;

use super::super::Wanted;
use crate::scene::{ALIASES, same_band};

/// A band of an asset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AssetBand {
    name: Option<String>,
    common: Option<String>,
    pub(super) scale: Option<f64>,
    pub(super) offset: Option<f64>,
    pub(super) nodata: Option<f64>,
}

/// An asset that could hold pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asset {
    pub(super) key: String,
    pub(super) href: String,
    preview: bool,
    format: u8,
    gsd_m: Option<f64>,
    pub(super) bands: Vec<AssetBand>,
    /// Whether the document lists its bands, or they are guessed from its key.
    pub(super) listed: bool,
}

/// Roles of assets that show the scene to people.
const PREVIEWS: &[&str] = &["visual", "overview", "thumbnail"];
/// Roles of assets that hold no picture of the ground.
const NO_PICTURES: &[&str] = &[
    "metadata",
    "cloud",
    "cloud-shadow",
    "snow-ice",
    "data-mask",
    "saturation",
];

/// The assets of an Item that could hold pixels. `sentinel` says that band names are those of Sentinel-2.
pub(super) fn assets(item: &Value) -> Vec<Asset> {
    let assets = item.get("assets").and_then(Value::as_object);
    let mut found: Vec<Asset> = assets
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| asset(key, value, item))
        .collect();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

fn asset(key: &str, value: &Value, item: &Value) -> Option<Asset> {
    let href = value.get("href")?.as_str()?.to_owned();
    let roles: Vec<&str> = value
        .get("roles")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if roles.iter().any(|role| NO_PICTURES.contains(role)) {
        return None;
    }
    let format = format_rank(value.get("type").and_then(Value::as_str), &href)?;
    let listed = value.get("bands").or_else(|| value.get("eo:bands"));
    let raster = value.get("raster:bands").and_then(Value::as_array);
    let number = |of: &Value, key: &str| of.get(key).and_then(Value::as_f64);
    let of_raster = |i: usize, key: &str| number(raster?.get(i)?, key);
    // STAC 1.1: what all bands share stands on the asset.
    let shared = |band: Option<&Value>, key: &str| {
        band.and_then(|b| number(b, key))
            .or_else(|| number(value, key))
    };
    let band = |i: usize, band: Option<&Value>, name: Option<String>| {
        let text = |key: &str| band?.get(key)?.as_str().map(str::to_owned);
        AssetBand {
            name: text("name").or(name),
            common: text("eo:common_name").or_else(|| text("common_name")),
            scale: of_raster(i, "scale").or_else(|| shared(band, "raster:scale")),
            offset: of_raster(i, "offset").or_else(|| shared(band, "raster:offset")),
            nodata: of_raster(i, "nodata").or_else(|| shared(band, "nodata")),
        }
    };
    let names = listed.and_then(Value::as_array).filter(|l| !l.is_empty());
    let bands: Vec<AssetBand> = match names {
        Some(list) => list
            .iter()
            .enumerate()
            .map(|(i, b)| {
                // A band without a name goes by the asset's, if it is the only one.
                let key = (list.len() == 1).then(|| key.to_owned());
                band(i, Some(b), key)
            })
            .collect(),
        None => vec![band(0, None, Some(key.to_owned()))],
    };
    Some(Asset {
        preview: PREVIEWS
            .iter()
            .any(|preview| roles.contains(preview) || key.eq_ignore_ascii_case(preview)),
        gsd_m: number(value, "gsd")
            .or_else(|| number(value, "raster:spatial_resolution"))
            .or_else(|| of_raster(0, "spatial_resolution"))
            .or_else(|| number(item.get("properties")?, "gsd")),
        key: key.to_owned(),
        href,
        format,
        listed: names.is_some(),
        bands,
    })
}

/// Which formats are preferred; `None` for what is no raster.
fn format_rank(media: Option<&str>, href: &str) -> Option<u8> {
    let media = media.unwrap_or_default().to_ascii_lowercase();
    let path = href.split(['?', '#']).next().unwrap_or_default();
    let ending = path
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if media.contains("cloud-optimized") {
        Some(0)
    } else if media.contains("tiff") || matches!(ending.as_str(), "tif" | "tiff") {
        Some(1)
    } else if media.contains("jp2") || ending == "jp2" {
        Some(2)
    } else if matches!(ending.as_str(), "vrt" | "nc" | "img" | "h5") || media.contains("netcdf") {
        Some(3)
    } else {
        None
    }
}

impl AssetBand {
    /// Whether this is the band of that name. Where the document states a common name, another product's
    /// numbering must not mislead: band 4 of one satellite is red and near infrared of the next.
    fn is(&self, wanted: &str, sentinel: bool) -> bool {
        let name = self.name.as_deref();
        let exact = name.is_some_and(|name| name.eq_ignore_ascii_case(wanted));
        let named = name.is_some_and(|name| same_band(name, wanted));
        match self.common.as_deref().filter(|common| is_known(common)) {
            Some(common) => exact || same_band(common, wanted) || (sentinel && named),
            None => named,
        }
    }

    fn shown(&self) -> &str {
        let common = self.common.as_deref();
        common.or(self.name.as_deref()).unwrap_or("?")
    }
}

fn is_known(common: &str) -> bool {
    ALIASES
        .iter()
        .flat_map(|group| group.iter())
        .any(|name| name.eq_ignore_ascii_case(common))
}

/// Asset and band (from 0) of each wanted band, or `None` where one is not there.
pub(super) fn choose<'a>(
    assets: &'a [Asset],
    wanted: &Wanted,
    sentinel: bool,
) -> Option<Vec<(&'a Asset, usize)>> {
    if wanted.bands.is_empty() {
        let best = assets
            .iter()
            .min_by(|a, b| order(a, wanted).cmp(&order(b, wanted)))?;
        return Some(vec![(best, 0)]);
    }
    wanted
        .bands
        .iter()
        .map(|name| {
            assets
                .iter()
                .filter_map(|asset| {
                    let band = asset.bands.iter().position(|b| b.is(name, sentinel))?;
                    Some((asset, band))
                })
                .min_by(|a, b| order(a.0, wanted).cmp(&order(b.0, wanted)))
        })
        .collect()
}

/// The order of preference.
fn order<'a>(asset: &'a Asset, wanted: &Wanted) -> (bool, u64, u8, &'a str) {
    let misfit = match (asset.gsd_m, wanted.gsd_m) {
        (Some(own), Some(model)) if own > 0.0 && own <= model * 1.01 => model / own,
        // Coarser than the model is worse than any finer resolution.
        (Some(own), Some(model)) if own > 0.0 && model > 0.0 => 1e6 * own / model,
        _ => 1.0,
    };
    (
        asset.preview,
        (misfit * 1000.0).round() as u64,
        asset.format,
        &asset.key,
    )
}

/// What an Item has, for a message.
pub(super) fn in_words(assets: &[Asset]) -> String {
    if assets.is_empty() {
        return "no raster among its assets".to_owned();
    }
    let words: Vec<String> = assets
        .iter()
        .map(|asset| {
            let bands: Vec<&str> = asset.bands.iter().map(AssetBand::shown).collect();
            if bands == [asset.key.as_str()] {
                asset.key.clone()
            } else {
                format!("{} ({})", asset.key, bands.join(", "))
            }
        })
        .collect();
    words.join(", ")
}

#[cfg(test)]
#[path = "assets_tests.rs"]
mod tests;
