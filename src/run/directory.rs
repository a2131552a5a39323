//! The directory of a run: one process at a time, and files that appear whole or not at all.

use std::fs::{File, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

/// Why the directory cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It cannot be made or written to.
    #[error(
        "`{path}` cannot be written: {source}; choose another `--out`, or make room or change its permissions"
    )]
    Unwritable {
        /// The directory or file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else has the name.
    #[error("`{path}` is not a folder: choose another `--out`")]
    NotAFolder {
        /// The path.
        path: String,
    },
    /// Another process works in it.
    #[error(
        "another kilnsight process is working in `{path}`: wait for it to end, or choose another `--out`"
    )]
    Locked {
        /// The directory.
        path: String,
    },
}

/// A run directory that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock. The system lets go of it when the process ends, however it ends.
    _lock: File,
}

/// Name of the file that carries the lock. It stays: deleting it would let two processes lock two files.
const LOCK_FILE: &str = ".lock";

impl RunDirectory {
    /// Makes the directory if need be and locks it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let unwritable = |source| DirectoryError::Unwritable {
            path: path.display().to_string(),
            source,
        };
        if path.exists() && !path.is_dir() {
            return Err(DirectoryError::NotAFolder {
                path: path.display().to_string(),
            });
        }
        std::fs::create_dir_all(path).map_err(unwritable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_path_buf(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(DirectoryError::Locked {
                path: path.display().to_string(),
            }),
            Err(TryLockError::Error(source)) => Err(unwritable(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Removes what an earlier scan left: the ledger and all that is made from it.
    pub fn clear(&self) -> Result<(), DirectoryError> {
        for name in [
            "ledger.sqlite",
            "ledger.sqlite-journal",
            "run.json",
            "detections.geojson",
            "sites.geojson",
            "clusters.geojson",
            "coverage.geojson",
            "overview.png",
        ] {
            let path = self.file(name);
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => {
                    return Err(DirectoryError::Unwritable {
                        path: path.display().to_string(),
                        source,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Writes a file beside its place, then renames it: readers see the old one or the new one, never a part.
pub fn write_atomically<T>(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<T>,
) -> Result<T, DirectoryError> {
    let unwritable = |source| DirectoryError::Unwritable {
        path: path.display().to_string(),
        source,
    };
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder).map_err(unwritable)?;
    let mut temporary = NamedTempFile::new_in(folder).map_err(unwritable)?;
    let mut buffered = BufWriter::new(temporary.as_file_mut());
    let value = write(&mut buffered).map_err(unwritable)?;
    buffered.flush().map_err(unwritable)?;
    drop(buffered);
    allow_reading(temporary.as_file()).map_err(unwritable)?;
    temporary.as_file().sync_all().map_err(unwritable)?;
    temporary.persist(path).map_err(|e| unwritable(e.error))?;
    Ok(value)
}

/// Temporary files are made for their owner's eyes only; a layer is as readable as any other new file.
#[cfg(unix)]
fn allow_reading(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn allow_reading(_file: &File) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_do_not_share_a_directory() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunDirectory::open(folder.path()).unwrap();
        assert!(matches!(
            RunDirectory::open(folder.path()),
            Err(DirectoryError::Locked { .. })
        ));
        drop(first);
        assert!(RunDirectory::open(folder.path()).is_ok());
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
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
