//! What kind of thing an argument is, and what it stands for.

use std::collections::HashSet;
use std::path::Path;

use super::access::Access;
use super::address::Address;
use super::error::SourceError;
use super::folder::{self, Entry, is_raster_name};
use super::{Found, Near, Unusable, Wanted, container, safe, stac};
use crate::scene::SceneSource;

/// Lists may name lists; more than this deep they name each other.
const LIST_DEPTH: usize = 16;
/// Endings of containers, which may hold several rasters.
const CONTAINERS: &[&str] = &["nc", "nc4", "h5", "hdf5", "he5", "hdf", "zarr", "gpkg"];

/// Arguments on their way to scenes.
pub(super) struct Expansion<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) access: &'a Access<'a>,
    /// Says of bounds whether anything there is wanted; `None`: everything is.
    pub(super) near: Option<&'a Near<'a>>,
    pub(super) found: Found,
    /// What lies elsewhere; only path and id are known.
    pub(super) passed_over: Vec<SceneSource>,
    /// STAC documents that were read, so that catalogues may lead back to one another.
    pub(super) documents: HashSet<String>,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(
        wanted: &'a Wanted,
        access: &'a Access<'a>,
        near: Option<&'a Near<'a>>,
    ) -> Self {
        Self {
            wanted,
            access,
            near,
            found: Found::default(),
            passed_over: Vec::new(),
            documents: HashSet::new(),
        }
    }

    /// One argument of the command line.
    pub(super) fn argument(&mut self, typed: &str) {
        self.expand(&Address::new(typed), &[]);
    }

    /// Something named by the user, by a list, or by a catalogue; `via` leads there.
    fn expand(&mut self, address: &Address, via: &[String]) {
        if let Err(error) = self.try_expand(address, via) {
            self.give_up(&address.shown(), &error);
        }
    }

    /// Notes that something cannot be used.
    pub(super) fn give_up(&mut self, path: &str, error: &SourceError) {
        self.found.unusable.push(Unusable {
            path: path.to_owned(),
            reason: error.to_string(),
            away: error.is_away(),
        });
    }

    fn try_expand(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        self.access.go_on()?;
        let typed = address.gdal();
        if let Some(list) = typed.strip_prefix('@') {
            return self.list(&Address::new(list), via);
        }
        if address.is_local() {
            let path = Path::new(&typed);
            if path.is_dir() {
                return self.folder(path, via);
            }
            if !path.exists() {
                if typed.contains(['*', '?', '[']) {
                    return self.pattern(&typed, via);
                }
                if typed.contains(char::REPLACEMENT_CHARACTER) {
                    return Err(SourceError::NotUtf8(typed));
                }
                // GDAL's own names of parts (`NETCDF:"a.nc":red`), or nothing: opening it will tell.
                self.push(SceneSource::file(typed), via);
                return Ok(());
            }
        } else if address.is_remote() && typed.ends_with('/') {
            return self.remote_folder(address, via);
        }
        self.file(address, via)
    }

    fn push(&mut self, source: SceneSource, via: &[String]) {
        self.found.sources.push(SceneSource {
            via: via.to_vec(),
            ..source
        });
    }

    fn extend(&mut self, sources: Vec<SceneSource>, via: &[String]) {
        for source in sources {
            self.push(source, via);
        }
    }

    fn file(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        let (name, ending) = (address.name(), address.ending());
        match ending.as_str() {
            "txt" | "lst" | "list" => self.list(address, via),
            "json" | "geojson" => self.stac(address, via),
            "xml" if safe::is_metadata_name(&name) => {
                let product = address.join(".");
                let sources = safe::product(&product, self.wanted, self.access)?;
                self.extend(sources, via);
                Ok(())
            }
            "safe" => {
                let sources = safe::product(address, self.wanted, self.access)?;
                self.extend(sources, via);
                Ok(())
            }
            "zip" => self.archive(address, via),
            _ if CONTAINERS.contains(&ending.as_str()) => {
                let reached = self.access.reach(address)?;
                let source = container::look_into(address, reached, self.wanted)?;
                self.push(source, via);
                Ok(())
            }
            _ if address.is_remote() && !is_raster_name(&name) && self.is_json(address)? => {
                self.stac(address, via)
            }
            _ => self.raster(address, via),
        }
    }

    /// Whether what an address without a telling name gives is JSON.
    fn is_json(&self, address: &Address) -> Result<bool, SourceError> {
        let head = self.access.head(address, 64)?;
        Ok(head.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{'))
    }

    /// A raster that GDAL opens as it is.
    fn raster(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        let reached = self.access.reach(address)?;
        let path = address.shown();
        self.push(
            SceneSource {
                raster: (reached.path != path).then_some(reached.path),
                content: reached.content,
                path,
                ..SceneSource::default()
            },
            via,
        );
        Ok(())
    }

    fn stac(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        stac::walk(self, address, via)
    }

    /// A `.zip`: a Sentinel-2 product, or rasters.
    fn archive(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        let reached = self.access.reach(address)?;
        let inside = if reached.path.starts_with("/vsi") {
            format!("/vsizip/{{{}}}", reached.path)
        } else {
            format!("/vsizip/{}", reached.path)
        };
        let unreadable = |reason: String| SourceError::Unreadable {
            path: address.shown(),
            reason,
        };
        crate::scene::prepare_thread(&inside);
        let names = gdal::vsi::read_dir(&inside, true)
            .map_err(|e| unreadable(crate::scene::gdal_words(&e)))?;
        let mut names: Vec<String> = names
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        if let Some(root) = names.iter().find_map(|name| safe::root_in_archive(name)) {
            let product = Address::new(if root.is_empty() {
                inside
            } else {
                format!("{inside}/{root}")
            });
            let shown = address.shown();
            let sources = safe::product_shown_as(
                &product,
                &shown,
                reached.content.as_deref(),
                self.wanted,
                self.access,
            )?;
            self.extend(sources, via);
            return Ok(());
        }
        let rasters: Vec<&String> = names.iter().filter(|name| is_raster_name(name)).collect();
        if rasters.is_empty() {
            return Err(unreadable(
                "the archive holds no raster and no Sentinel-2 product".to_owned(),
            ));
        }
        for name in rasters {
            self.push(
                SceneSource {
                    path: format!("{}/{name}", address.shown()),
                    raster: Some(format!("{inside}/{name}")),
                    content: reached.content.clone(),
                    ..SceneSource::default()
                },
                via,
            );
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path, via: &[String]) -> Result<(), SourceError> {
        let shown = folder.to_string_lossy().into_owned();
        if folder::is_safe(folder) {
            let address = Address::new(shown.trim_end_matches('/'));
            let sources = safe::product(&address, self.wanted, self.access)?;
            self.extend(sources, via);
            return Ok(());
        }
        if folder::is_zarr(folder) {
            let address = Address::new(shown.trim_end_matches('/'));
            let reached = self.access.reach(&address)?;
            let source = container::look_into(&address, reached, self.wanted)?;
            self.push(source, via);
            return Ok(());
        }
        let entries = folder::scenes_in(folder).map_err(|e| SourceError::Unreadable {
            path: shown.clone(),
            reason: e.to_string(),
        })?;
        if entries.is_empty() {
            return Err(SourceError::EmptyFolder {
                path: shown,
                looked_for: folder::ENDINGS.join(", "),
            });
        }
        for entry in entries {
            let (Entry::File(path) | Entry::Safe(path)) = entry;
            self.expand(&Address::new(path), via);
        }
        Ok(())
    }

    /// All rasters and products below a folder of a bucket.
    fn remote_folder(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        let gdal = address.gdal();
        crate::scene::prepare_thread("");
        let names = gdal::vsi::read_dir(gdal.trim_end_matches('/'), true).unwrap_or_default();
        let mut found: Vec<String> = names
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .filter_map(|name| match safe::root_in_archive(&name) {
                Some(root) => Some(root),
                None => (is_raster_name(&name) && !name.contains(".SAFE/")).then_some(name),
            })
            .collect();
        found.sort();
        found.dedup();
        if found.is_empty() {
            return Err(SourceError::EmptyFolder {
                path: address.shown(),
                looked_for: folder::ENDINGS.join(", "),
            });
        }
        for name in found {
            self.expand(&address.join(&name), via);
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &str, via: &[String]) -> Result<(), SourceError> {
        let matches = glob::glob(pattern).map_err(|e| SourceError::Pattern {
            path: pattern.to_owned(),
            reason: e.to_string(),
        })?;
        let mut any = false;
        for path in matches.flatten() {
            any = true;
            self.expand(&Address::new(path.to_string_lossy()), via);
        }
        if any {
            Ok(())
        } else {
            Err(SourceError::NoMatch(pattern.to_owned()))
        }
    }

    /// A text file of paths, one per line, relative to the file.
    fn list(&mut self, address: &Address, via: &[String]) -> Result<(), SourceError> {
        let shown = address.shown();
        if via.len() >= LIST_DEPTH || via.contains(&shown) {
            return Err(SourceError::TooFar {
                path: shown,
                reason: "lists name each other".to_owned(),
            });
        }
        let bytes = self.access.read(address)?;
        let text = String::from_utf8(bytes).map_err(|_not_text| SourceError::Unreadable {
            path: shown.clone(),
            reason: "it is not a text file of paths in UTF-8".to_owned(),
        })?;
        let via: Vec<String> = via.iter().cloned().chain([shown.clone()]).collect();
        let mut any = false;
        for line in text.trim_start_matches('\u{feff}').lines().map(str::trim) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            any = true;
            let nested = line.strip_prefix('@');
            let named = nested.unwrap_or(line);
            let address = if is_part_name(named) {
                Address::new(named)
            } else {
                address.join(named)
            };
            match nested {
                Some(_) => {
                    if let Err(error) = self.list(&address, &via) {
                        self.give_up(&address.shown(), &error);
                    }
                }
                None => self.expand(&address, &via),
            }
        }
        if any {
            Ok(())
        } else {
            Err(SourceError::EmptyList(shown))
        }
    }
}

/// Whether a text is one of GDAL's names of a part (`NETCDF:"a.nc":red`) and not a path.
fn is_part_name(text: &str) -> bool {
    text.split_once(':').is_some_and(|(driver, rest)| {
        driver.len() > 1
            && !rest.starts_with("//")
            && driver
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}
