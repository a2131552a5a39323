//! A folder with whole copies of remote files, shared by any number of scans.
//!
//! A copy is named after its address and what the server said of it, written beside its place, renamed into it,
//! and never changed: two processes that fetch the same file at once write the same bytes under the same name. A note
//! beside it says what the server said, and when it was used last by its time.
//!
//! ```text
//! name     how copies are called
//! claims   who uses what
//! room     what goes
//! ```

mod claims;
mod name;
mod room;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::access::{Access, Step, explain};
use super::address::Address;
use super::error::SourceError;
use crate::scene::VirtualFile;
use claims::{Claims, Locked};
use name::{copy_of, id_in, id_of, name_of, note_of};

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// The folder. What a scan was given out of it stays at least as long as this lives.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Bytes that copies may take together.
    most: Option<u64>,
    /// `None` where the folder may only be read, or its file system has no locks: then nothing is removed.
    claims: Option<Claims>,
}

impl Cache {
    /// A cache in `folder`, which is made if need be. Where `most` is given, copies take no more bytes together, as long as
    /// all who use the folder say so.
    pub fn open(folder: &Path, most: Option<u64>) -> Result<Self, SourceError> {
        let fail = |source| SourceError::Cache {
            path: folder.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fail)?;
        let folder = folder.canonicalize().map_err(fail)?;
        let claims = Claims::begin(&folder);
        let cache = Self {
            folder,
            most,
            claims: (claims
                .inspect_err(|error| tracing::warn!("the cache stays as it is: {error}")))
            .ok(),
        };
        cache.remove_superseded(None);
        Ok(cache)
    }

    /// The copy of a file of which the server says `content`, fetched unless it is there. `None` where there is no room
    /// for it.
    pub(super) fn fetch(
        &self,
        address: &Address,
        content: &str,
        access: &Access<'_>,
    ) -> Result<Option<String>, SourceError> {
        let name = name_of(address, content);
        let path = self.folder.join(&name);
        let there = || Ok(Some(path.to_string_lossy().into_owned()));
        if self.claim(&name) {
            return there();
        }
        let copied = self.copy(address, &path, access);
        (access.tell)(Step::Fetched);
        if !copied? {
            return Ok(None);
        }
        // The note comes last: a copy without one is fetched again.
        let note = self.folder.join(note_of(&name));
        self.write_note(&note, content)
            .map_err(|source| SourceError::Cache { path: note, source })?;
        self.remove_superseded(id_in(&name));
        there()
    }

    /// The copy that was fetched or used last, and what the server said of it then.
    pub(super) fn newest(&self, address: &Address) -> Option<(String, String)> {
        let id = id_of(address);
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let notes = entries.flatten().filter_map(|entry| {
            let note = entry.file_name().into_string().ok()?;
            let name = copy_of(&note)
                .filter(|copy| id_in(copy) == Some(&id))?
                .to_owned();
            Some((entry.metadata().and_then(|m| m.modified()).ok()?, name))
        });
        let (_, name) = notes.max()?;
        let content = std::fs::read_to_string(self.folder.join(note_of(&name))).ok()?;
        let path = self.folder.join(&name).to_string_lossy().into_owned();
        self.claim(&name).then_some((path, content))
    }

    /// Whether there is a copy of that name. If so, it stays until the scan ends.
    fn claim(&self, name: &str) -> bool {
        let lock = self.lock();
        if let Some(lock) = &lock {
            log_failure(lock.claim(name));
        }
        let note = self.folder.join(note_of(name));
        let there = self.folder.join(name).is_file() && note.is_file();
        if there && lock.is_some() {
            let touched = File::options().write(true).open(note);
            log_failure(touched.and_then(|note| note.set_modified(SystemTime::now())));
        }
        there
    }

    fn lock(&self) -> Option<Locked<'_>> {
        let lock = self.claims.as_ref()?.lock();
        lock.inspect_err(|error| tracing::warn!("the cache cannot be locked: {error}"))
            .ok()
    }

    /// Removes copies of which there is a newer one: of the address that names begin with `id` for, or of all.
    fn remove_superseded(&self, id: Option<&str>) {
        if let Some(lock) = self.lock() {
            let in_use = lock.in_use();
            log_failure(in_use.and_then(|used| room::remove_superseded(&self.folder, id, &used)));
        }
    }

    /// A file to fetch `bytes` into. `None` where there is no room for them.
    fn begin(&self, bytes: u64) -> io::Result<Option<NamedTempFile>> {
        let lock = self.lock();
        if let Some(most) = self.most {
            let fits = match &lock {
                Some(lock) => room::make_room(&self.folder, bytes, most, &lock.in_use()?)?,
                None => false,
            };
            if !fits {
                return Ok(None);
            }
        }
        let part = tempfile::Builder::new()
            .prefix(room::PART)
            .tempfile_in(&self.folder)?;
        if let Some(lock) = &lock {
            let name = part.path().file_name().unwrap_or_default();
            lock.claim(&name.to_string_lossy())?;
        }
        if self.most.is_some() {
            // Counts from now on, whoever else wants room.
            part.as_file().set_len(bytes)?;
        }
        Ok(Some(part))
    }

    /// Whether there was room for a copy.
    fn copy(
        &self,
        address: &Address,
        path: &Path,
        access: &Access<'_>,
    ) -> Result<bool, SourceError> {
        let mut remote =
            VirtualFile::open(&address.gdal()).map_err(|reason| explain(address, &reason))?;
        let (name, size) = (address.name(), remote.size());
        let fail = |source| SourceError::Cache {
            path: path.to_path_buf(),
            source,
        };
        let Some(mut part) = self.begin(size).map_err(fail)? else {
            (access.tell)(Step::NoRoom(&address.shown()));
            return Ok(false);
        };
        (access.tell)(Step::Fetching(&name, size));
        let mut piece = vec![0; PIECE_BYTES];
        let (mut done, mut stopped) = (0u64, Ok(()));
        loop {
            let count = remote.read(&mut piece).map_err(fail)?;
            part.write_all(piece.get(..count).unwrap_or_default())
                .map_err(fail)?;
            done += count as u64;
            (access.tell)(Step::Bytes(count as u64));
            stopped = stopped.and_then(|()| access.go_on());
            if count == 0 || stopped.is_err() {
                break;
            }
        }
        stopped?;
        if done != size {
            return Err(SourceError::Away {
                path: address.shown(),
                reason: format!("the answer ended after {done} of {size} bytes"),
            });
        }
        keep(part, path).map_err(fail)?;
        Ok(true)
    }

    fn write_note(&self, path: &Path, content: &str) -> io::Result<()> {
        let mut note = NamedTempFile::new_in(&self.folder)?;
        note.write_all(content.as_bytes())?;
        keep(note, path)
    }
}

/// Notes what a scan can do without.
fn log_failure(done: io::Result<()>) {
    if let Err(error) = done {
        tracing::warn!("in the cache folder: {error}");
    }
}

/// Renames a file into its place, durable and readable like any other.
fn keep(temporary: NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o644);
        temporary.as_file().set_permissions(readable)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path)?;
    Ok(())
}
