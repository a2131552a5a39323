//! Files on a network: read, told apart from one another, and kept in a cache where the user wants one.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};

use super::address::Address;
use super::cache::Cache;
use super::error::SourceError;
use super::waiters::Waiters;
use crate::scene::{VirtualFile, means_away, prepare_thread, redacted, remote_content};

/// Documents above this size are something else.
const DOCUMENT_BYTES: u64 = 256 << 20;

/// What is going on, for whoever shows progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// A file of that many bytes is being fetched into the cache.
    Fetching(&'a str, u64),
    /// So many bytes more are there.
    Bytes(u64),
    /// The file is there, or given up.
    Fetched,
    /// There is no room for the file in the cache: it is read where it is.
    NoRoom(&'a str),
    /// Something was read to find scenes.
    Document(&'a str),
}

/// How files are reached.
pub struct Access<'a> {
    /// Where remote files are kept; `None`: they are read where they are.
    pub cache: Option<&'a Cache>,
    /// Raised when the user wants to stop.
    pub stop: &'a AtomicBool,
    /// Told what is going on.
    pub tell: &'a (dyn Fn(Step<'_>) + Sync),
    /// Who waits for servers.
    pub waiters: &'a Waiters,
}

/// A file that GDAL can open.
pub(super) struct Reached {
    /// What GDAL opens.
    pub(super) path: String,
    /// What it holds, where that is known without opening it.
    pub(super) content: Option<String>,
}

impl Access<'_> {
    /// Files of this machine as they are; files on a network identified, and fetched where there is a cache.
    pub(super) fn reach(&self, address: &Address) -> Result<Reached, SourceError> {
        self.go_on()?;
        let gdal = address.gdal();
        if !address.is_remote() {
            return Ok(Reached {
                path: gdal,
                content: None,
            });
        }
        let content = remote_content(&gdal).map_err(|reason| explain(address, &reason));
        let Some(cache) = self.cache else {
            return Ok(Reached {
                path: gdal,
                content: Some(content?),
            });
        };
        match content {
            Ok(content) => {
                let path = cache.fetch(address, &content, self)?.unwrap_or(gdal);
                Ok(Reached {
                    path,
                    content: Some(content),
                })
            }
            // What was fetched before serves while the server is away.
            Err(error) if error.is_away() => match cache.newest(address) {
                Some((path, content)) => Ok(Reached {
                    path,
                    content: Some(content),
                }),
                None => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The whole of a document.
    pub(super) fn read(&self, address: &Address) -> Result<Vec<u8>, SourceError> {
        self.go_on()?;
        let shown = address.shown();
        (self.tell)(Step::Document(&shown));
        let gdal = address.gdal();
        prepare_thread(&gdal);
        let file = VirtualFile::open(&gdal).map_err(|reason| explain(address, &reason))?;
        let size = file.size();
        let mut bytes = Vec::new();
        let read = file.take(DOCUMENT_BYTES + 1).read_to_end(&mut bytes);
        let unreadable = |reason: String| SourceError::Unreadable {
            path: shown.clone(),
            reason,
        };
        read.map_err(|e| unreadable(e.to_string()))?;
        if bytes.len() as u64 > DOCUMENT_BYTES {
            return Err(unreadable("it is larger than 256 MiB".to_owned()));
        }
        if address.is_remote() && (bytes.len() as u64) < size {
            return Err(SourceError::Away {
                path: shown,
                reason: format!("the answer ended after {} of {size} bytes", bytes.len()),
            });
        }
        Ok(bytes)
    }

    /// The first bytes of a file.
    pub(super) fn head(&self, address: &Address, length: u64) -> Result<Vec<u8>, SourceError> {
        self.go_on()?;
        let gdal = address.gdal();
        prepare_thread(&gdal);
        let file = VirtualFile::open(&gdal).map_err(|reason| explain(address, &reason))?;
        let mut bytes = Vec::new();
        let read = file.take(length).read_to_end(&mut bytes);
        read.map_err(|e| SourceError::Unreadable {
            path: address.shown(),
            reason: e.to_string(),
        })?;
        Ok(bytes)
    }

    pub(super) fn go_on(&self) -> Result<(), SourceError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(SourceError::Stopped);
        }
        Ok(())
    }
}

/// Whether there is such a file.
pub(super) fn exists(address: &Address) -> bool {
    let gdal = address.gdal();
    prepare_thread(&gdal);
    VirtualFile::open(&gdal).is_ok()
}

/// What GDAL's reason for not opening a file means.
pub(super) fn explain(address: &Address, reason: &str) -> SourceError {
    let path = address.shown();
    let reason = redacted(reason.trim());
    if means_away(&reason) {
        SourceError::Away { path, reason }
    } else if reason.is_empty() || is_any(&reason, NOT_THERE) {
        if address.is_remote() {
            SourceError::NotFound(path)
        } else if path.contains(char::REPLACEMENT_CHARACTER) {
            SourceError::NotUtf8(path)
        } else {
            SourceError::Missing(path)
        }
    } else if is_any(&reason, FORBIDDEN) {
        SourceError::Forbidden { path, reason }
    } else {
        SourceError::Unreadable { path, reason }
    }
}

/// How servers and systems say that there is no such file.
const NOT_THERE: &[&str] = &["code: 404", "code: 410", "does not exist", "No such"];
/// How they say that somebody else may have it.
const FORBIDDEN: &[&str] = &[
    "code: 401",
    "code: 403",
    "Denied",
    "denied",
    "redential",
    "ignature",
    "AWS_",
    "AccessKey",
    "Access Key",
];

fn is_any(reason: &str, words: &[&str]) -> bool {
    words.iter().any(|word| reason.contains(word))
}
