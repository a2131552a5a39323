//! A folder with whole copies of remote files, shared by any number of scans.
//!
//! A copy is named after its address and what the server said of it, written beside its place, renamed into it,
//! and never changed: two processes that fetch the same file at once write the same bytes under the same name.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::access::{Access, Step, explain};
use super::address::Address;
use super::error::SourceError;
use crate::scene::{VirtualFile, hex, redacted};

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;
/// Ending of the note beside each copy that says what the server said.
const NOTE: &str = "content";

/// Names of parameters that sign an address or say who asks, and do not change what it stands for. Compared
/// in lower case; `x-amz-` and `x-goog-` stand for all that begin so.
const SIGNING: &[&str] = &[
    "x-amz-",
    "x-goog-",
    "sig",
    "signature",
    "se",
    "sp",
    "sr",
    "st",
    "sv",
    "spr",
    "skoid",
    "sktid",
    "skt",
    "ske",
    "sks",
    "skv",
    "token",
    "access_token",
    "api_key",
    "apikey",
    "key",
    "expires",
    "policy",
    "key-pair-id",
    "awsaccesskeyid",
    "googleaccessid",
    "subscription-key",
];

/// The folder.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in `folder`, which is made if need be.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let fail = |source| SourceError::Cache {
            path: folder.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fail)?;
        let folder = folder.canonicalize().map_err(fail)?;
        Ok(Self { folder })
    }

    /// The copy of a file of which the server says `content`, fetched unless it is there.
    pub(super) fn fetch(
        &self,
        address: &Address,
        content: &str,
        access: &Access<'_>,
    ) -> Result<String, SourceError> {
        let version = digest(content);
        let path = self.folder.join(format!(
            "{}-{version}-{}",
            digest(&identity(address)),
            safe_name(&address.name())
        ));
        let note = note_of(&path);
        if path.is_file() && note.is_file() {
            return Ok(path.to_string_lossy().into_owned());
        }
        let name = address.name();
        let copied = self.copy(address, &path, &name, access);
        (access.tell)(Step::Fetched);
        copied?;
        // The note comes last: a copy without one is fetched again.
        self.write(&note, |file| file.write_all(content.as_bytes()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// The copy that was fetched last, and what the server said of it then.
    pub(super) fn newest(&self, address: &Address) -> Option<(String, String)> {
        let prefix = format!("{}-", digest(&identity(address)));
        let entries = std::fs::read_dir(&self.folder).ok()?;
        let notes = entries.flatten().filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(&format!(".{NOTE}"))
        });
        let note = notes
            .max_by_key(|entry| entry.metadata().and_then(|m| m.modified()).ok())?
            .path();
        let copy = note.with_extension("");
        let content = std::fs::read_to_string(&note).ok()?;
        copy.is_file()
            .then(|| (copy.to_string_lossy().into_owned(), content))
    }

    fn copy(
        &self,
        address: &Address,
        path: &Path,
        name: &str,
        access: &Access<'_>,
    ) -> Result<(), SourceError> {
        let mut remote =
            VirtualFile::open(&address.gdal()).map_err(|reason| explain(address, &reason))?;
        let size = remote.size();
        (access.tell)(Step::Fetching(name, size));
        let mut piece = vec![0; PIECE_BYTES];
        let (mut done, mut stopped) = (0u64, Ok(()));
        let fail = |source| SourceError::Cache {
            path: path.to_path_buf(),
            source,
        };
        let mut temporary = NamedTempFile::new_in(&self.folder).map_err(fail)?;
        loop {
            let count = remote.read(&mut piece).map_err(fail)?;
            temporary
                .write_all(piece.get(..count).unwrap_or_default())
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
        keep(temporary, path).map_err(fail)
    }

    fn write(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<(), SourceError> {
        let fail = |source| SourceError::Cache {
            path: path.to_path_buf(),
            source,
        };
        let mut temporary = NamedTempFile::new_in(&self.folder).map_err(fail)?;
        write(temporary.as_file_mut()).map_err(fail)?;
        keep(temporary, path).map_err(fail)
    }
}

/// Renames a file into its place, durable and readable like any other.
fn keep(temporary: NamedTempFile, path: &Path) -> std::io::Result<()> {
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

fn note_of(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push(format!(".{NOTE}"));
    PathBuf::from(name)
}

/// What tells one address from another: all of it but its signature.
fn identity(address: &Address) -> String {
    let gdal = address.gdal();
    let Some((path, query)) = gdal.split_once('?') else {
        return address.shown();
    };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            let name = name.to_ascii_lowercase();
            !SIGNING.iter().any(|signing| {
                name == *signing || (signing.ends_with('-') && name.starts_with(signing))
            })
        })
        .collect();
    match kept.as_slice() {
        [] => address.shown(),
        kept => format!("{}?{}", redacted(path), kept.join("&")),
    }
}

/// Sixteen hexadecimal digits of a SHA-256.
fn digest(text: &str) -> String {
    let mut digest = hex(&Sha256::digest(text.as_bytes()));
    digest.truncate(16);
    digest
}

/// The name with its ending, by which GDAL knows some formats, and nothing a file system could object to.
fn safe_name(name: &str) -> String {
    let clean: Vec<char> = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let start = clean.len().saturating_sub(100);
    clean.get(start..).unwrap_or_default().iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_signature_is_the_same_address_and_another_parameter_is_not() {
        let identity = |text: &str| identity(&Address::new(text));
        assert_eq!(
            identity("https://h/a?id=1&sig=x&se=2&X-Amz-Date=3"),
            identity("https://h/a?sig=y&id=1")
        );
        assert_eq!(identity("https://h/a?sig=1"), identity("https://h/a"));
        assert_ne!(identity("https://h/a?id=1"), identity("https://h/a?id=2"));
        assert_ne!(identity("https://h/a"), identity("https://g/a"));
    }

    #[test]
    fn names_of_copies_are_harmless() {
        assert_eq!(safe_name("a b/ü.tif"), "a_b__.tif");
        assert_eq!(safe_name(&"x".repeat(300)).len(), 100);
    }
}
