//! Things in the file system that are no files: opening a pipe waits for somebody to write to it, for ever.

use std::path::Path;

/// Whether there is something at a path that is neither a file nor a folder: a pipe, a socket, a device.
pub(crate) fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}
