//! What a scene's files hold, as a short text that changes when they do.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use gdal::Dataset;
use sha2::{Digest, Sha256};

use super::raw::{VirtualFile, files_of, server_headers};
use super::remote::{is_remote, prepare_thread};

/// Bytes read at each of the sampled places of a file.
const SAMPLE_BYTES: u64 = 64 * 1024;
/// Sampled places of a scene of one file, first and last bytes included. Many files share them.
const SAMPLE_PLACES: u64 = 16;

/// The files of this machine that an open raster is made of.
pub(super) fn files_behind(dataset: &Dataset, path: &str) -> Vec<PathBuf> {
    if Path::new(path).is_dir() {
        return files_under(Path::new(path));
    }
    let mut files: Vec<PathBuf> = files_of(dataset)
        .iter()
        .map(|name| on_disk(name))
        .filter(|file| !is_aside(file) && file.is_file())
        .collect();
    if files.is_empty() {
        files.push(on_disk(path));
    }
    files
}

/// What a file holds, or all files in a folder.
pub(crate) fn content_of_path(path: &Path) -> String {
    if path.is_dir() {
        content_of_files(&files_under(path))
    } else {
        content_of_files(&[path.to_path_buf()])
    }
}

/// The same of a raster that is not open.
pub(super) fn content_of_raster(path: &str) -> String {
    if is_remote(path) {
        return remote_content(path).unwrap_or_default();
    }
    content_of_files(&[on_disk(path)])
}

/// A digest of sizes and of samples spread over the files: cheap for a scene of any size, and different for
/// one that was replaced, mended or cut short. Names do not matter. Empty when a file cannot be read.
pub(crate) fn content_of_files(files: &[PathBuf]) -> String {
    let mut files = files.to_vec();
    files.sort();
    files.dedup();
    let places = (SAMPLE_PLACES / (files.len().max(1) as u64)).max(2);
    let digest = || -> std::io::Result<String> {
        let mut hash = Sha256::new();
        let mut total = 0;
        for file in &files {
            total += sample(file, places, &mut hash)?;
        }
        let count = match files.len() {
            1 => String::new(),
            n => format!("{n} files, "),
        };
        Ok(format!(
            "{count}{total} bytes, sampled sha256 {}",
            hex(&hash.finalize())
        ))
    };
    if files.is_empty() {
        return String::new();
    }
    digest().unwrap_or_default()
}

/// What a server says of a file: its tag or its time of change, and its size. The error is GDAL's reason.
pub(crate) fn remote_content(path: &str) -> Result<String, String> {
    prepare_thread(path);
    let size = VirtualFile::open(path)?.size();
    let headers = server_headers(path);
    let version = (headers.get("etag").map(|tag| format!("etag {tag}, "))).or_else(|| {
        let time = headers.get("last-modified")?;
        Some(format!("of {time}, "))
    });
    Ok(format!("{}{size} bytes", version.unwrap_or_default()))
}

fn sample(path: &Path, places: u64, hash: &mut Sha256) -> std::io::Result<u64> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    hash.update(size.to_le_bytes());
    let mut buffer = Vec::with_capacity(SAMPLE_BYTES as usize);
    for place in 0..places {
        let start = (size.saturating_sub(SAMPLE_BYTES) / (places - 1)) * place;
        file.seek(SeekFrom::Start(start))?;
        buffer.clear();
        (&mut file).take(SAMPLE_BYTES).read_to_end(&mut buffer)?;
        hash.update(&buffer);
    }
    Ok(size)
}

/// The file on disk that holds what GDAL names: itself, or the archive it lies in.
pub(crate) fn on_disk(name: &str) -> PathBuf {
    let Some(inside) = name.strip_prefix("/vsizip/") else {
        return PathBuf::from(name);
    };
    let inside = inside.trim_start_matches('{');
    match inside.to_ascii_lowercase().find(".zip") {
        Some(at) => PathBuf::from(inside.get(..at + 4).unwrap_or(inside)),
        None => PathBuf::from(name),
    }
}

/// Notes that programs leave beside a raster (statistics, histograms), which change no pixel.
fn is_aside(file: &Path) -> bool {
    file.to_string_lossy()
        .to_ascii_lowercase()
        .ends_with(".aux.xml")
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) if !is_aside(&entry.path()) => files.push(entry.path()),
                Ok(_) | Err(_) => {}
            }
        }
    }
    files
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_in_any_of_the_files_shows() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let files = [write("a", b"first"), write("b", &vec![7; 200_000])];
        let before = content_of_files(&files);
        assert!(before.starts_with("2 files, 200005 bytes"), "{before}");
        assert_eq!(
            before,
            content_of_files(&[files[1].clone(), files[0].clone()])
        );
        write("a", b"again");
        assert_ne!(before, content_of_files(&files));
        assert_eq!(content_of_files(&[folder.path().join("gone")]), "");
    }

    #[test]
    fn what_lies_in_an_archive_is_on_disk_as_the_archive() {
        for (name, file) in [
            ("/d/a.tif", "/d/a.tif"),
            ("/vsizip//d/a.zip/b/c.jp2", "/d/a.zip"),
            ("/vsizip/{/d/a.ZIP}/c.jp2", "/d/a.ZIP"),
        ] {
            assert_eq!(on_disk(name), Path::new(file));
        }
    }
}
