//! The directory of a run: one process at a time, and nothing left over from one that was killed.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::staged::{StagedFile, remove_unfinished, sync_folder};

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

impl DirectoryError {
    /// Whether trying again later may help: another process works there, or the disk is away.
    pub fn is_passing(&self) -> bool {
        use std::io::ErrorKind;
        match self {
            Self::Locked { .. } => true,
            Self::NotAFolder { .. } => false,
            Self::Unwritable { source, .. } => {
                // EIO, which has no kind of its own: what network drives answer when their server is away.
                source.raw_os_error() == Some(5)
                    || matches!(
                        source.kind(),
                        ErrorKind::StaleNetworkFileHandle
                            | ErrorKind::TimedOut
                            | ErrorKind::HostUnreachable
                            | ErrorKind::NetworkUnreachable
                            | ErrorKind::NetworkDown
                    )
            }
        }
    }

    pub(super) fn unwritable(path: &Path, source: std::io::Error) -> Self {
        Self::Unwritable {
            path: path.display().to_string(),
            source,
        }
    }
}

/// A run directory that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock. The system lets go of it when the process ends, however it ends.
    _lock: File,
}

/// The record. Its presence says that the layers beside it are complete and belong together.
const RECORD_FILE: &str = "run.json";
/// Where the overview pictures of several scenes lie.
const OVERVIEWS: &str = "overview";
/// Name of the file that carries the lock. It stays: deleting it would let two processes lock two files.
const LOCK_FILE: &str = ".lock";

impl RunDirectory {
    /// Makes the directory if need be and locks it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let unwritable = |source| DirectoryError::unwritable(path, source);
        if path.exists() && !path.is_dir() {
            return Err(DirectoryError::NotAFolder {
                path: path.display().to_string(),
            });
        }
        make_folder(path).map_err(unwritable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {
                remove_unfinished(path);
                remove_unfinished(&path.join(OVERVIEWS));
                Ok(Self {
                    path: path.to_path_buf(),
                    _lock: lock,
                })
            }
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

    /// Where the record is kept.
    pub fn record(&self) -> PathBuf {
        self.file(RECORD_FILE)
    }

    /// Puts the layers of a scan in their places, then its record. The record of an earlier scan goes first, so
    /// that a directory with a record never holds layers of two scans, whenever the process ends.
    pub fn publish(
        &self,
        layers: Vec<StagedFile>,
        record: StagedFile,
    ) -> Result<(), DirectoryError> {
        self.remove(RECORD_FILE)?;
        sync_folder(&self.path).map_err(|e| DirectoryError::unwritable(&self.path, e))?;
        layers.into_iter().try_for_each(StagedFile::publish)?;
        record.publish()
    }

    fn remove(&self, name: &str) -> Result<(), DirectoryError> {
        let path = self.file(name);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(DirectoryError::unwritable(&path, e))
            }
            _gone => Ok(()),
        }
    }

    /// Removes what an earlier scan left: the ledger and all that is made from it.
    pub fn clear(&self) -> Result<(), DirectoryError> {
        for name in [
            "ledger.sqlite",
            "ledger.sqlite-journal",
            RECORD_FILE,
            "detections.geojson",
            "sites.geojson",
            "clusters.geojson",
            "coverage.geojson",
            "overview.png",
        ] {
            self.remove(name)?;
        }
        Ok(())
    }
}

/// Makes a folder with those above it, and makes each durable.
fn make_folder(path: &Path) -> std::io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.exists()).collect();
    std::fs::create_dir_all(path)?;
    for made in missing {
        match made.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
            Some(_here) => sync_folder(Path::new("."))?,
            None => {}
        }
    }
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
    fn a_record_never_stands_beside_layers_of_another_scan() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::open(folder.path()).unwrap();
        let stage = |name: &str| {
            let path = directory.file(name);
            StagedFile::write(&path, |out| out.write_all(b"new"))
                .unwrap()
                .0
        };
        std::fs::write(directory.record(), "old").unwrap();
        // A file cannot take the place of a folder: the second layer does not appear.
        std::fs::create_dir(directory.file("sites.geojson")).unwrap();
        let layers = vec![stage("detections.geojson"), stage("sites.geojson")];
        assert!(directory.publish(layers, stage(RECORD_FILE)).is_err());
        assert!(directory.file("detections.geojson").exists());
        assert!(!directory.record().exists());
    }
}
