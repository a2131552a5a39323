//! Folders and what in them could be a scene.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Endings of files taken from a folder.
pub(super) const ENDINGS: &[&str] = &[
    "tif", "tiff", "vrt", "jp2", "img", "nc", "nc4", "mbtiles", "SAFE", "zarr",
];

/// Something in a folder that stands for a scene.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// A raster, or a container of rasters.
    File(String),
    /// A Sentinel-2 product: its folder, or its archive.
    Safe(String),
}

/// Whether a folder is a Sentinel-2 product.
pub(super) fn is_safe(folder: &Path) -> bool {
    let named = folder
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("SAFE"));
    named || (folder.join("GRANULE").is_dir() && super::safe::metadata_in(folder))
}

/// Whether a folder is a Zarr store.
pub(super) fn is_zarr(folder: &Path) -> bool {
    [".zgroup", ".zarray", "zarr.json"]
        .iter()
        .any(|name| folder.join(name).is_file())
}

/// Whether an archive holds a Sentinel-2 product, by its name.
pub(super) fn is_safe_archive(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let product = name.strip_suffix(".ZIP");
    product.is_some_and(|product| {
        product.split('.').next_back() == Some("SAFE")
            || (product.starts_with('S') && product.contains("_MSIL"))
    })
}

/// What in a folder, and in the folders in it, could be a scene. Hidden folders are left out, and links that
/// lead back up are followed once.
pub(super) fn scenes_in(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut folders = vec![folder.to_path_buf()];
    let mut first = true;
    while let Some(folder) = folders.pop() {
        if !seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            continue;
        }
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if first => return Err(error),
            // A folder inside that may not be read is as good as empty.
            Err(error) => {
                tracing::warn!("folder `{}` cannot be read: {error}", folder.display());
                continue;
            }
            Ok(entries) => entries,
        };
        first = false;
        for path in entries.flatten().map(|entry| entry.path()) {
            match look_at(&path) {
                Some(Look::Scene(entry)) => found.push(entry),
                Some(Look::Folder) => folders.push(path),
                None => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

enum Look {
    Scene(Entry),
    Folder,
}

fn look_at(path: &Path) -> Option<Look> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    let shown = || path.to_string_lossy().into_owned();
    if path.is_dir() {
        return if name.starts_with('.') {
            None
        } else if is_safe(path) {
            Some(Look::Scene(Entry::Safe(shown())))
        } else if is_zarr(path) {
            Some(Look::Scene(Entry::File(shown())))
        } else {
            Some(Look::Folder)
        };
    }
    if is_safe_archive(&name) {
        return Some(Look::Scene(Entry::Safe(shown())));
    }
    is_raster_name(&name).then(|| Look::Scene(Entry::File(shown())))
}

/// Whether a file's name ends like one of a raster.
pub(super) fn is_raster_name(name: &str) -> bool {
    PathBuf::from(name)
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_scenes_in_it_and_below() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [
            "b.tif",
            "deep/er/a.JP2",
            "notes.txt",
            ".hidden/c.tif",
            "x.SAFE/GRANULE/i.jp2",
            "S2A_MSIL2A_20240131T053021.zip",
            "other.zip",
            "store.zarr/.zgroup",
            "store.zarr/0.tif",
        ] {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), "").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder.path(), path("deep/up")).unwrap();
        let shown = |name: &str| path(name).to_string_lossy().into_owned();
        assert_eq!(
            scenes_in(folder.path()).unwrap(),
            [
                Entry::File(shown("b.tif")),
                Entry::File(shown("deep/er/a.JP2")),
                Entry::File(shown("store.zarr")),
                Entry::Safe(shown("S2A_MSIL2A_20240131T053021.zip")),
                Entry::Safe(shown("x.SAFE")),
            ]
        );
        assert!(scenes_in(&path("gone")).is_err());
    }
}
