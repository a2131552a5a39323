//! What the user names, made into scenes to open.
//!
//! **In:** arguments (files, folders, patterns, lists, products, STAC documents, addresses) and the bands that a
//! model wants. **Out:** one [`SceneSource`] per scene, in an order that depends on nothing but their paths, and what could
//! not be used, with the reason.
//!
//! ```text
//! expand      what kind of thing an argument is; folders, patterns, lists
//! address     paths and URLs in GDAL's words; relative references
//! access      files on a network: read, identified, kept in a cache
//! waiters     several answers waited for at once
//! safe        Sentinel-2 products ─┐
//! stac        Items, catalogues   ─┼─► stack: one virtual raster of the wanted bands
//! container   netCDF, HDF5, Zarr  ─┘
//! ```

mod access;
mod address;
mod cache;
mod container;
mod error;
mod expand;
mod folder;
mod safe;
mod safe_metadata;
mod stac;
mod stack;
mod waiters;

pub use access::{Access, Step};
pub use cache::Cache;
pub use error::SourceError;
pub use waiters::Waiters;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::scene::SceneSource;

/// What a model wants to see of a scene.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// Names of bands, in the model's order. Empty: any one band will do.
    pub bands: Vec<String>,
    /// Ground size of the model's pixels in metres: which of a product's resolutions to take.
    pub gsd_m: Option<f64>,
    /// The user names bands by number, which says nothing of a product whose bands are files.
    pub by_number: bool,
}

impl Wanted {
    /// What a model wants, after `--bands`.
    pub fn new(bands: &[String], gsd_m: f64, request: Option<&[String]>) -> Self {
        let bands = request.unwrap_or(bands).to_vec();
        Self {
            by_number: bands.iter().any(|name| name.parse::<usize>().is_ok()),
            bands,
            gsd_m: Some(gsd_m),
        }
    }
}

/// Whether anything within bounds is wanted: west, south, east, north in degrees, west > east across the antimeridian.
pub type Near<'a> = dyn Fn([f64; 4]) -> bool + 'a;

/// Something that was named and cannot be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Unusable {
    /// As the user names it, or the address that a list or catalogue gives.
    pub path: String,
    /// Why.
    pub reason: String,
    /// Whether trying again later may help.
    pub away: bool,
}

/// What the arguments stand for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// Scenes, sorted by path, each once, with ids that differ.
    pub sources: Vec<SceneSource>,
    /// What cannot be used.
    pub unusable: Vec<Unusable>,
    /// How many STAC Items say that they lie elsewhere, and were not looked at.
    pub passed_over: usize,
}

/// Scenes from what was typed. The order of arguments does not matter. Of STAC Items, those that say that they lie where
/// `near` wants nothing are passed over, and their files are never asked for.
pub fn find_scenes(
    arguments: &[String],
    wanted: &Wanted,
    access: &Access<'_>,
    near: Option<&Near<'_>>,
) -> Found {
    let mut expansion = expand::Expansion::new(wanted, access, near);
    for argument in arguments {
        expansion.argument(argument);
    }
    let Found {
        mut sources,
        mut unusable,
        ..
    } = expansion.found;
    let mut passed_over = expansion.passed_over;
    // The same scene may be found by several ways; the order of the arguments must not show.
    sources.sort_by(|a, b| (&a.path, &a.raster, &a.via).cmp(&(&b.path, &b.raster, &b.via)));
    sources.dedup_by(|a, b| a.path == b.path && a.raster == b.raster);
    unusable.sort_by(|a, b| a.path.cmp(&b.path));
    unusable.dedup_by(|a, b| a.path == b.path);
    passed_over.sort_by(|a, b| a.path.cmp(&b.path));
    passed_over.dedup_by(|a, b| a.path == b.path);
    give_ids(&mut sources, &mut passed_over, &unusable);
    Found {
        sources,
        unusable,
        passed_over: passed_over.len(),
    }
}

/// Gives scenes of the same name different ids (`a`, `a-2`), in the order of their paths. What is passed over counts too,
/// so that ids do not depend on the area of interest; and so does what cannot be used now, so that they stay as they are
/// when it can be used later.
fn give_ids(sources: &mut [SceneSource], passed_over: &mut [SceneSource], unusable: &[Unusable]) {
    let mut sources: Vec<&mut SceneSource> = sources.iter_mut().chain(passed_over).collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    let name_of = |source: &SceneSource| source.id.clone().unwrap_or_else(|| stem(&source.path));
    // A file may be called just as the second of some name would be.
    let given: HashSet<String> = (sources.iter().map(|source| name_of(source)))
        .chain(unusable.iter().map(|u| stem(&u.path)))
        .collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut failed = unusable.iter().peekable();
    for source in sources {
        while let Some(passed) = failed.next_if(|u| u.path < source.path) {
            *seen.entry(stem(&passed.path)).or_insert(0) += 1;
        }
        let name = name_of(&*source);
        let count = seen.entry(name.clone()).or_insert(0);
        *count += 1;
        let mut id = name.clone();
        while *count > 1 {
            id = format!("{name}-{count}");
            if !given.contains(&id) {
                break;
            }
            *count += 1;
        }
        source.id = Some(id);
    }
}

fn stem(path: &str) -> String {
    Path::new(path)
        .file_stem()
        .map_or_else(|| path.to_owned(), |s| s.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_depend_on_what_can_be_used_today() {
        let ids = |given: &[&str], failed: &[&str]| {
            let mut sources: Vec<_> = given.iter().map(|p| SceneSource::file(*p)).collect();
            let unusable: Vec<_> = failed
                .iter()
                .map(|path| Unusable {
                    path: (*path).to_owned(),
                    reason: String::new(),
                    away: false,
                })
                .collect();
            give_ids(&mut sources, &mut [], &unusable);
            sources.into_iter().filter_map(|s| s.id).collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&["a/s.tif", "b/s.tif", "c/t.tif"], &[]),
            ["s", "s-2", "t"]
        );
        assert_eq!(ids(&["b/s.tif", "c/t.tif"], &["a/s.tif"]), ["s-2", "t"]);
    }
}
