//! Who uses what: copies that a scan has been given must not go before it ends, and scans share the folder.
//!
//! Each scan has a file of its own in the folder with the names that it uses, and holds a lock on it: where a scan
//! died, nothing holds its file any more. Whoever claims a copy or removes one holds the lock of the folder meanwhile,
//! so that no copy goes between the moment it is found and the moment it is claimed.

use std::collections::HashSet;
use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Locked by whoever claims or removes.
const LOCK: &str = ".lock";
/// What the names of scans' files begin with.
const CLAIMS: &str = ".used-";

/// What this scan uses; forgotten when dropped.
#[derive(Debug)]
pub(super) struct Claims {
    folder: PathBuf,
    mine: NamedTempFile,
}

/// The lock of the folder, held until dropped.
pub(super) struct Locked<'a> {
    claims: &'a Claims,
    _lock: File,
}

impl Claims {
    /// Begins to claim in a folder.
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        // A scan's file must not be taken for a dead one's before it is locked.
        let _lock = lock(folder)?;
        let mine = tempfile::Builder::new()
            .prefix(CLAIMS)
            .tempfile_in(folder)?;
        mine.as_file().lock()?;
        Ok(Self {
            folder: folder.to_path_buf(),
            mine,
        })
    }

    /// Waits for the lock of the folder. Nobody holds it for longer than it takes to list the folder.
    pub(super) fn lock(&self) -> io::Result<Locked<'_>> {
        Ok(Locked {
            claims: self,
            _lock: lock(&self.folder)?,
        })
    }
}

impl Locked<'_> {
    /// Claims a file of the folder.
    pub(super) fn claim(&self, name: &str) -> io::Result<()> {
        writeln!(self.claims.mine.as_file(), "{name}")
    }

    /// What scans that are under way use. Files of dead ones are removed.
    pub(super) fn in_use(&self) -> io::Result<HashSet<String>> {
        let mut names = HashSet::new();
        for entry in std::fs::read_dir(&self.claims.folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(CLAIMS) {
                continue;
            }
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            if path != self.claims.mine.path() {
                match file.try_lock() {
                    Ok(()) => {
                        std::fs::remove_file(&path)?;
                        continue;
                    }
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
            for line in BufReader::new(file).lines() {
                names.insert(line?);
            }
        }
        Ok(names)
    }
}

fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_hold_while_their_scan_lives() {
        let folder = tempfile::tempdir().unwrap();
        let in_use = |claims: &Claims| -> Vec<String> {
            let mut names: Vec<_> = claims
                .lock()
                .unwrap()
                .in_use()
                .unwrap()
                .into_iter()
                .collect();
            names.sort();
            names
        };
        let one = Claims::begin(folder.path()).unwrap();
        let two = Claims::begin(folder.path()).unwrap();
        one.lock().unwrap().claim("a").unwrap();
        two.lock().unwrap().claim("b").unwrap();
        assert_eq!(
            (in_use(&one), in_use(&two)),
            (in_use(&two), vec!["a".into(), "b".into()])
        );
        // As if it had been killed: the file stays, the lock does not.
        let dead = folder.path().join(format!("{CLAIMS}dead"));
        std::fs::write(&dead, "c\n").unwrap();
        assert_eq!(in_use(&one), ["a", "b"]);
        assert!(!dead.exists());
        drop(two);
        assert_eq!(in_use(&one), ["a"]);
    }
}
