//! Containers of several rasters (netCDF, HDF5, Zarr): the one that has the wanted bands, where that is clear.

use gdal::{Dataset, Metadata};

use super::access::Reached;
use super::address::Address;
use super::error::SourceError;
use super::stack::{Layer, stack};
use super::{Wanted, access::explain};
use crate::scene::{ALIASES, SceneSource, content_of_path, gdal_words, open_dataset, same_band};

/// Parts named in a message.
const NAMED_PARTS: usize = 6;
/// Names of arrays that hold coordinates, not pixels.
const COORDINATES: &[&str] = &[
    "x",
    "y",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "time",
    "crs",
    "spatial_ref",
];

/// The scene in a container. A file that has bands of its own is taken as it is.
pub(super) fn look_into(
    address: &Address,
    reached: Reached,
    wanted: &Wanted,
) -> Result<SceneSource, SourceError> {
    let path = address.shown();
    let dataset =
        open_dataset(&reached.path).map_err(|e| explain_opening(address, &gdal_words(&e)))?;
    let parts = parts_of(&dataset);
    let as_it_is = dataset.raster_count() > 0 || parts.is_empty();
    drop(dataset);
    let raster = if as_it_is {
        reached.path
    } else {
        pick(&path, &parts, wanted)?
    };
    Ok(SceneSource {
        raster: (raster != path).then_some(raster),
        // GDAL does not say which file a part lies in.
        content: (reached.content)
            .or_else(|| (!as_it_is).then(|| content_of_path(std::path::Path::new(&path)))),
        path,
        ..SceneSource::default()
    })
}

fn explain_opening(address: &Address, reason: &str) -> SourceError {
    match explain(address, reason) {
        SourceError::Missing(path) | SourceError::NotFound(path) => SourceError::Unreadable {
            path,
            reason: reason.to_owned(),
        },
        other => other,
    }
}

/// Names under which GDAL opens the parts that hold pixels.
fn parts_of(dataset: &Dataset) -> Vec<String> {
    // The whole list: asked for a single item of it, the netCDF driver knows none.
    dataset
        .metadata_domain("SUBDATASETS")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let (key, value) = entry.split_once('=')?;
            key.ends_with("_NAME").then(|| value.to_owned())
        })
        .filter(|part| {
            let name = short_name(part).to_ascii_lowercase();
            !COORDINATES.contains(&name.as_str())
        })
        .collect()
}

/// What GDAL opens for the wanted bands: parts that are named like them, or numbered ones if there are as many,
/// or the only part with as many bands of its own.
fn pick(path: &str, parts: &[String], wanted: &Wanted) -> Result<String, SourceError> {
    let unclear = || {
        let mut named: Vec<String> = parts
            .iter()
            .take(NAMED_PARTS)
            .map(|part| format!("`{part}`"))
            .collect();
        if parts.len() > NAMED_PARTS {
            named.push(format!("… {} in all", parts.len()));
        }
        SourceError::Parts {
            path: path.to_owned(),
            wanted: wanted.bands.join(", "),
            parts: named.join(", "),
        }
    };
    if wanted.bands.is_empty() {
        return parts.first().cloned().ok_or_else(unclear);
    }
    if let Some(named) = parts_by_name(parts, &wanted.bands) {
        return layers(path, &named, wanted);
    }
    if let Some(numbered) = parts_in_order(parts)
        && numbered.len() == wanted.bands.len()
        && !wanted.by_number
    {
        return layers(path, &numbered, wanted);
    }
    let with_bands: Vec<&String> = parts
        .iter()
        .filter(|part| {
            open_dataset(part).is_ok_and(|dataset| {
                let count = dataset.raster_count();
                count == wanted.bands.len() || (wanted.by_number && count > 0)
            })
        })
        .collect();
    match with_bands.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(unclear()),
    }
}

/// The part of each wanted band, where each has exactly one of its name.
fn parts_by_name<'a>(parts: &'a [String], bands: &[String]) -> Option<Vec<&'a String>> {
    bands
        .iter()
        .map(|band| {
            let mut named = parts
                .iter()
                .filter(|part| same_band(short_name(part), band));
            named.next().filter(|_| named.next().is_none())
        })
        .collect()
}

/// The name of a part within its container: what follows the last `:`, `/` or `"`.
fn short_name(part: &str) -> &str {
    part.trim_matches('"')
        .rsplit([':', '/', '"'])
        .next()
        .unwrap_or(part)
}

/// The parts in the order of the numbers at their ends, where they differ in nothing else, count from 0 or 1, and
/// are not called like the bands of a satellite.
fn parts_in_order(parts: &[String]) -> Option<Vec<&String>> {
    let split = |part: &'_ String| {
        let stem = part.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        Some((stem, part.get(stem..)?.parse::<usize>().ok()?))
    };
    let (stem, _) = split(parts.first()?)?;
    let prefix = parts.first()?.get(..stem)?;
    let mut numbered = Vec::with_capacity(parts.len());
    for part in parts {
        let known = ALIASES
            .iter()
            .flat_map(|group| group.iter())
            .any(|name| name.eq_ignore_ascii_case(short_name(part)));
        let (stem, number) = split(part)?;
        if known || part.get(..stem)? != prefix {
            return None;
        }
        numbered.push((number, part));
    }
    numbered.sort();
    let first = numbered.first()?.0;
    let counts = numbered.iter().zip(first..).all(|((n, _), i)| *n == i);
    (first <= 1 && counts).then(|| numbered.into_iter().map(|(_, part)| part).collect())
}

fn layers(path: &str, parts: &[&String], wanted: &Wanted) -> Result<String, SourceError> {
    let layers: Vec<Layer> = parts
        .iter()
        .zip(&wanted.bands)
        .map(|(part, name)| Layer {
            path: (*part).clone(),
            band: 1,
            name: name.clone(),
            nodata: None,
        })
        .collect();
    stack(path, &layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn parts_are_known_by_their_names() {
        let parts = owned(&[
            "NETCDF:\"d/a.nc\":time_bnds",
            "NETCDF:\"d/a.nc\":B04",
            "ZARR:\"d/a.zarr\":/group/green",
            "HDF5:\"d/a.h5\"://blue",
        ]);
        let rgb = owned(&["red", "green", "blue"]);
        let picked = parts_by_name(&parts, &rgb).unwrap();
        assert_eq!(picked, parts[1..].iter().collect::<Vec<_>>());
        let doubled = [parts.clone(), owned(&["NETCDF:\"d/a.nc\":red"])].concat();
        assert!(parts_by_name(&doubled, &rgb).is_none());
    }

    #[test]
    fn numbered_parts_are_taken_in_order() {
        let order = |names: &[&str]| {
            let parts = owned(names);
            parts_in_order(&parts).map(|parts| parts.into_iter().cloned().collect::<Vec<_>>())
        };
        let slices = ["ZARR:\"a\":/x:0", "ZARR:\"a\":/x:1"];
        assert_eq!(order(&slices), Some(owned(&slices)));
        let bands = [
            "NETCDF:\"a\":Band2",
            "NETCDF:\"a\":Band10",
            "NETCDF:\"a\":Band1",
        ];
        assert_eq!(order(&bands), None);
        assert_eq!(
            order(&[bands[0], bands[2]]),
            Some(owned(&[bands[2], bands[0]]))
        );
        // B1 to B3 are coastal, blue and green, in whatever order a model wants its own.
        assert_eq!(order(&["N:a:B1", "N:a:B2", "N:a:B3"]), None);
        assert_eq!(order(&["N:a:x1", "N:a:y2"]), None);
        assert_eq!(order(&["N:a:x", "N:a:y"]), None);
        assert_eq!(order(&[]), None);
    }
}
