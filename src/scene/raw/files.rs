//! Files through GDAL's virtual file systems: opened with the reason when that fails, and what the server says.
//!
//! The wrapper reads no files but those in memory, and keeps GDAL's file errors to itself.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io::{self, Read};

use gdal::Dataset;
use gdal_sys::VSILFILE;

unsafe extern "C" {
    // Part of GDAL's exported C interface (cpl_vsi_error.h), left out of the generated bindings.
    fn VSIErrorReset();
    fn VSIGetLastErrorMsg() -> *const c_char;
}

/// An open file, read from its beginning to its end.
pub(crate) struct VirtualFile {
    handle: *mut VSILFILE,
    size: u64,
}

impl VirtualFile {
    /// Opens a file, wherever GDAL finds it. Returns GDAL's reason when there is none.
    pub(crate) fn open(path: &str) -> Result<Self, String> {
        const SEEK_END: c_int = 2;
        const SEEK_SET: c_int = 0;
        let c_path = CString::new(path).map_err(|e| e.to_string())?;
        // SAFETY: both strings are NUL-terminated and outlive the call; the error functions read and write
        // state of this thread, and the message is copied before the next call into GDAL.
        let (handle, message) = unsafe {
            VSIErrorReset();
            let handle = gdal_sys::VSIFOpenExL(c_path.as_ptr(), c"rb".as_ptr(), 1);
            let message = VSIGetLastErrorMsg();
            let message = if message.is_null() {
                String::new()
            } else {
                CStr::from_ptr(message).to_string_lossy().into_owned()
            };
            (handle, message)
        };
        if handle.is_null() {
            return Err(message);
        }
        let mut file = Self { handle, size: 0 };
        // SAFETY: the handle is open, and closed only when `file` is dropped.
        unsafe {
            if gdal_sys::VSIFSeekL(file.handle, 0, SEEK_END) == 0 {
                file.size = gdal_sys::VSIFTellL(file.handle);
            }
            gdal_sys::VSIFSeekL(file.handle, 0, SEEK_SET);
        }
        Ok(file)
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

impl Read for VirtualFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the handle is open; the buffer is writable and as long as said.
        let count = unsafe {
            gdal_sys::VSIFReadL(
                buffer.as_mut_ptr().cast::<c_void>(),
                1,
                buffer.len(),
                self.handle,
            )
        };
        Ok(count)
    }
}

impl Drop for VirtualFile {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and nobody uses it after this.
        unsafe {
            gdal_sys::VSIFCloseL(self.handle);
        }
    }
}

/// What a server says of a file in the headers of its answer, by lower-case name. Empty for files that do not
/// come from a server.
pub(crate) fn server_headers(path: &str) -> BTreeMap<String, String> {
    let Ok(c_path) = CString::new(path) else {
        return BTreeMap::new();
    };
    // SAFETY: the strings are NUL-terminated and outlive the call; no options are given.
    let list = unsafe {
        gdal_sys::VSIGetFileMetadata(c_path.as_ptr(), c"HEADERS".as_ptr(), std::ptr::null_mut())
    };
    take_list(list)
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

/// Forgets what GDAL knows of a file on a network and keeps of its bytes, so that the server is asked again.
pub(crate) fn forget_remote(path: &str) {
    let Ok(c_path) = CString::new(path) else {
        return;
    };
    // SAFETY: the string is NUL-terminated and outlives the call; GDAL guards its caches with locks of its own.
    unsafe { gdal_sys::VSICurlPartialClearCache(c_path.as_ptr()) }
}

/// The files that a dataset is made of, as GDAL names them.
pub(in crate::scene) fn files_of(dataset: &Dataset) -> Vec<String> {
    // SAFETY: the dataset is open for the whole call.
    take_list(unsafe { gdal_sys::GDALGetFileList(dataset.c_dataset()) })
}

/// Copies a list of strings that GDAL hands over, and frees it.
fn take_list(list: *mut *mut c_char) -> Vec<String> {
    let mut items = Vec::new();
    if list.is_null() {
        return items;
    }
    let mut at = list;
    // SAFETY: GDAL's string lists end with a null pointer; each item before it is NUL-terminated. The list is
    // ours, and freed once.
    unsafe {
        while !(*at).is_null() {
            items.push(CStr::from_ptr(*at).to_string_lossy().into_owned());
            at = at.add(1);
        }
        gdal_sys::CSLDestroy(list);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_and_a_missing_one_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "twelve bytes").unwrap();
        let mut file = VirtualFile::open(path.to_str().unwrap()).unwrap();
        assert_eq!(file.size(), 12);
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "twelve bytes");
        assert!(VirtualFile::open(folder.path().join("gone").to_str().unwrap()).is_err());
        assert!(server_headers(path.to_str().unwrap()).is_empty());
    }
}
