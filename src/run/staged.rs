//! Files that appear whole or not at all, even when the power goes.
//!
//! A file is written beside its place and its content is on disk before it is renamed; the folder is on disk
//! before the next step. What a killed process leaves behind carries a name of its own, so that it can be removed.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::directory::DirectoryError;

/// How the names of unfinished files begin …
const UNFINISHED_PREFIX: &str = ".kilnsight-";
/// … and end.
const UNFINISHED_SUFFIX: &str = ".tmp";

/// A file that is complete and on disk, but not in its place yet. Dropped, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    temporary: TempPath,
    path: PathBuf,
}

impl StagedFile {
    /// Writes the file that shall stand at `path`. Returns what `write` returned, too.
    pub fn write<T>(
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<T>,
    ) -> Result<(Self, T), DirectoryError> {
        let unwritable = |source| DirectoryError::unwritable(path, source);
        let folder = folder_of(path);
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED_PREFIX).suffix(UNFINISHED_SUFFIX);
        readable_as_any_new_file(&mut builder);
        let mut temporary = builder.tempfile_in(folder).map_err(unwritable)?;
        let mut buffered = BufWriter::new(temporary.as_file_mut());
        let value = write(&mut buffered).map_err(unwritable)?;
        buffered.flush().map_err(unwritable)?;
        drop(buffered);
        temporary.as_file().sync_all().map_err(unwritable)?;
        let staged = Self {
            temporary: temporary.into_temp_path(),
            path: path.to_path_buf(),
        };
        Ok((staged, value))
    }

    /// Puts the file in its place, over one that may be there: readers see the old one or the new one.
    pub fn publish(self) -> Result<(), DirectoryError> {
        let path = self.path;
        self.temporary
            .persist(&path)
            .map_err(|e| DirectoryError::unwritable(&path, e.error))?;
        sync_folder(folder_of(&path)).map_err(|source| DirectoryError::unwritable(&path, source))
    }
}

/// Writes a file and puts it in its place.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<T>,
) -> Result<T, DirectoryError> {
    let (staged, value) = StagedFile::write(path, write)?;
    staged.publish()?;
    Ok(value)
}

/// Removes what killed processes left unfinished in a folder that no other process writes to.
pub(super) fn remove_unfinished(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let unfinished = name.to_str().is_some_and(|name| {
            name.starts_with(UNFINISHED_PREFIX) && name.ends_with(UNFINISHED_SUFFIX)
        });
        if unfinished && std::fs::remove_file(entry.path()).is_err() {
            // It is in nobody's way but the eye's.
            tracing::debug!(file = %entry.path().display(), "an unfinished file cannot be removed");
        }
    }
}

/// Makes the names in a folder durable: a file renamed in it, a folder made in it.
pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, Unsupported};
    match File::open(folder)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
        done => done,
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."))
}

/// Temporary files are made for their owner's eyes only; a layer is as readable as the user's `umask` says.
#[cfg(unix)]
fn readable_as_any_new_file(builder: &mut tempfile::Builder<'_, '_>) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(std::fs::Permissions::from_mode(0o666));
}

#[cfg(not(unix))]
fn readable_as_any_new_file(_builder: &mut tempfile::Builder<'_, '_>) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        std::fs::write(&path, "old").unwrap();
        let failed: Result<(), _> = write_atomically(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(std::io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(names(folder.path()), ["layer"]);
    }

    #[test]
    fn a_staged_file_shows_only_once_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        let stage = |text: &str| StagedFile::write(&path, |out| out.write_all(text.as_bytes()));
        drop(stage("given up").unwrap());
        assert_eq!(names(folder.path()), [""; 0]);
        let (staged, ()) = stage("new").unwrap();
        assert!(!path.exists());
        staged.publish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["layer"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("layer");
        let (staged, ()) = StagedFile::write(&path, |out| out.write_all(b"new")).unwrap();
        // As a kill would: nobody is left to remove it.
        staged.temporary.keep().unwrap();
        for mine in ["notes.tmp", ".kilnsight-notes"] {
            std::fs::write(folder.path().join(mine), "mine").unwrap();
        }
        remove_unfinished(folder.path());
        assert_eq!(names(folder.path()), [".kilnsight-notes", "notes.tmp"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_as_readable_as_any_other_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| {
            let path = folder.path().join(name);
            std::fs::metadata(path).unwrap().permissions().mode()
        };
        write_atomically(&folder.path().join("ours"), |out| out.write_all(b"x")).unwrap();
        std::fs::write(folder.path().join("plain"), "x").unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }
}
