//! The folder in which a project is made before it appears, and what killed makers left of theirs.
//!
//! A maker holds a lock on its folder, which ends with the process, however that ends: a folder that can be locked is
//! nobody's.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// What names of such folders begin with.
const PREFIX: &str = ".init-";

/// A folder to make a project in. It goes when this is dropped.
pub(super) struct Workshop {
    folder: TempDir,
    _lock: Option<File>,
}

impl Workshop {
    /// Makes one in the folder of a project, and removes those that nobody works in.
    pub(super) fn open(project: &Path) -> io::Result<Self> {
        remove_abandoned(project);
        loop {
            let folder = tempfile::Builder::new()
                .prefix(PREFIX)
                .tempdir_in(project)?;
            let lock = match lock_of(folder.path()) {
                Ok(lock) => lock,
                // Between making and locking it was taken for nobody's.
                Err(error) if is_taken(&error) => continue,
                Err(error) => return Err(error),
            };
            if folder.path().is_dir() {
                return Ok(Self {
                    folder,
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotFound
    )
}

/// The lock of a folder; none where the file system knows no locks: there nobody removes what is not theirs either.
fn lock_of(folder: &Path) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Removes what makers left that were killed. What cannot be removed now stays until the next time: it does no harm.
pub(super) fn remove_abandoned(project: &Path) {
    let Ok(entries) = std::fs::read_dir(project) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !ours {
            continue;
        }
        if let Ok(Some(_lock)) = lock_of(&entry.path())
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!("`{}` stays for now: {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_abandoned_goes_and_what_is_in_use_stays() {
        let project = tempfile::tempdir().unwrap();
        let dead = project.path().join(".init-dead");
        std::fs::create_dir_all(dead.join("deeper")).unwrap();
        std::fs::write(dead.join("project.sqlite"), b"half of it").unwrap();
        std::fs::create_dir(project.path().join("mine")).unwrap();
        std::fs::write(project.path().join(".init-file"), b"somebody's").unwrap();

        let first = Workshop::open(project.path()).unwrap();
        assert!(!dead.exists(), "nobody works in it");
        let second = Workshop::open(project.path()).unwrap();
        assert!(first.path().is_dir(), "somebody works in it");
        assert!(
            project.path().join("mine").is_dir() && project.path().join(".init-file").is_file()
        );

        // Killed: the lock ends, the folder stays.
        let Workshop {
            folder,
            _lock: lock,
        } = first;
        let left = folder.keep();
        drop(lock);
        remove_abandoned(project.path());
        assert!(!left.exists() && second.path().is_dir());
    }
}
