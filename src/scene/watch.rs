//! Whether the files of a scene are still those that were opened: chips read from two files do not belong together.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::content::{content_of_files, remote_content};
use super::raw::forget_remote;
use super::remote::is_remote;

/// What files were when a scene was opened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watch {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Sizes and samples of the files, or what a server says of the one that is remote.
    content: String,
    /// That remote one.
    remote: Option<String>,
}

/// What tells cheaply that a file was written or replaced.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stamp {
    bytes: u64,
    written: Option<SystemTime>,
    /// Number of the file in its file system: a file that is moved into the place of another has its own.
    inode: u64,
}

impl Watch {
    /// Watches files of this machine.
    pub(super) fn of_files(files: &[PathBuf]) -> Self {
        // Before the content is looked at: a change in between shows.
        let stamped = files.iter().map(|file| (file.clone(), stamp(file)));
        let stamped: Vec<_> = stamped.collect();
        Self {
            content: content_of_files(files),
            files: stamped,
            remote: None,
        }
    }

    /// Watches a file on a network, of which a server said `content`.
    pub(super) fn of_remote(raster: &str, content: &str) -> Self {
        Self {
            files: Vec::new(),
            content: content.to_owned(),
            remote: (is_remote(raster) && raster.starts_with("/vsi")).then(|| raster.to_owned()),
        }
    }

    /// Sizes and samples of the files.
    pub(super) fn content(&self) -> &str {
        &self.content
    }

    /// Whether another content has taken the place of what was opened. A file that was only touched, or copied over
    /// itself, has not changed; nor has one whose server is away.
    pub(super) fn is_broken(&self) -> bool {
        if let Some(remote) = &self.remote {
            forget_remote(remote);
            let now = remote_content(remote);
            return now.is_ok_and(|now| !self.content.is_empty() && now != self.content);
        }
        if self.files.iter().all(|(file, was)| stamp(file) == *was) {
            return false;
        }
        let files: Vec<PathBuf> = self.files.iter().map(|(file, _)| file.clone()).collect();
        content_of_files(&files) != self.content
    }
}

#[cfg(unix)]
fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp {
        bytes: metadata.len(),
        written: metadata.modified().ok(),
        inode: metadata.ino(),
    })
}

#[cfg(not(unix))]
fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(file).ok()?;
    Some(Stamp {
        bytes: metadata.len(),
        written: metadata.modified().ok(),
        inode: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_file_in_its_place_shows_and_a_touch_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, vec![7; 200_000]).unwrap();
        let watch = Watch::of_files(std::slice::from_ref(&path));
        assert!(!watch.is_broken());
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!watch.is_broken());
        let other = folder.path().join("b");
        std::fs::write(&other, vec![8; 200_000]).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(watch.is_broken());
        std::fs::remove_file(&path).unwrap();
        assert!(watch.is_broken());
        assert!(!Watch::default().is_broken());
    }
}
