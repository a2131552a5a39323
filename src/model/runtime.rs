//! Finding and loading the ONNX Runtime library.
//!
//! The library is opened when it is first needed, so that everything that needs no model works without
//! it. It is looked for where `scripts/setup.sh` and packagers put it; no variable has to be set.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ort::environment::Environment;
use thiserror::Error;

/// Why ONNX Runtime cannot be used.
#[derive(Debug, Error, Clone)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Not found anywhere.
    #[error(
        "the ONNX Runtime library is not installed: run `scripts/setup.sh`, or set ORT_DYLIB_PATH to libonnxruntime.so (looked in {})",
        looked_in.join(", ")
    )]
    NotFound {
        /// Folders looked in.
        looked_in: Vec<String>,
    },
    /// Found, but it does not load.
    #[error(
        "the ONNX Runtime library `{path}` cannot be used: {reason}; run `scripts/setup.sh` to install a working one"
    )]
    Unusable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

/// The library in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// The file that was loaded.
    pub path: PathBuf,
    /// Its version and build, in its own words.
    pub build: String,
}

impl std::fmt::Display for RuntimeInfo {
    /// The file's name carries the version.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        write!(
            f,
            "{} ({})",
            name.display(),
            self.build.trim_start_matches("ORT Build Info: ")
        )
    }
}

static RUNTIME: OnceLock<Result<(Environment, RuntimeInfo), RuntimeError>> = OnceLock::new();

/// The process-wide ONNX Runtime environment.
pub(super) fn environment() -> Result<&'static Environment, RuntimeError> {
    loaded()
        .as_ref()
        .map(|(environment, _)| environment)
        .map_err(Clone::clone)
}

/// Which library is used. Loads it if that has not happened yet.
pub fn runtime_info() -> Result<RuntimeInfo, RuntimeError> {
    loaded()
        .as_ref()
        .map(|(_, info)| info.clone())
        .map_err(Clone::clone)
}

fn loaded() -> &'static Result<(Environment, RuntimeInfo), RuntimeError> {
    RUNTIME.get_or_init(|| {
        let path = find()?;
        let unusable = |reason: String| RuntimeError::Unusable {
            path: path.display().to_string(),
            reason,
        };
        let environment = ort::init_from(&path)
            .map_err(|e| unusable(e.to_string()))?
            .with_telemetry(false)
            .build()
            .map_err(|e| unusable(e.to_string()))?;
        Ok((
            environment,
            RuntimeInfo {
                path,
                build: ort::info().to_owned(),
            },
        ))
    })
}

fn find() -> Result<PathBuf, RuntimeError> {
    if let Some(given) = std::env::var_os("ORT_DYLIB_PATH").filter(|p| !p.is_empty()) {
        let path = PathBuf::from(given);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(RuntimeError::Unusable {
                path: path.display().to_string(),
                reason: "ORT_DYLIB_PATH points to it and there is no such file".to_owned(),
            })
        };
    }
    let folders = folders();
    folders
        .iter()
        .find_map(|folder| library_in(folder))
        .ok_or_else(|| RuntimeError::NotFound {
            looked_in: folders.iter().map(|f| f.display().to_string()).collect(),
        })
}

/// Where the library may be, first choice first.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(executable) = std::env::current_exe()
        && let Some(folder) = executable.parent()
    {
        folders.push(folder.to_path_buf());
        folders.extend(folder.parent().map(|up| up.join("lib/kilnsight")));
    }
    let data_home = std::env::var_os("XDG_DATA_HOME")
        .filter(|p| !p.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    folders.extend(data_home.map(|folder| folder.join("kilnsight/lib")));
    folders.extend(["/usr/local/lib", "/usr/lib"].map(PathBuf::from));
    folders
}

/// The library in a folder: the last in name order where there are several versions.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.file_name()
                .and_then(|n| n.to_str())
                .is_some_and(is_library_name)
        })
        .collect();
    found.sort();
    found.pop()
}

/// `libonnxruntime.so`, `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`; not the licence beside it.
fn is_library_name(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libonnxruntime.") else {
        return false;
    };
    let version = rest
        .strip_prefix("so")
        .or_else(|| rest.strip_suffix("dylib"));
    version.is_some_and(|v| v.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_library_is_taken_for_the_library() {
        for name in [
            "libonnxruntime.so",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.1.31.1.dylib",
            "libonnxruntime.dylib",
        ] {
            assert!(is_library_name(name), "{name}");
        }
        for name in [
            "libonnxruntime.so.1.31.1.LICENSE.txt",
            "libonnxruntime_providers_shared.so",
            "onnxruntime.so",
        ] {
            assert!(!is_library_name(name), "{name}");
        }
    }
}
