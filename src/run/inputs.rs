//! Which scenes the user means: files, folders and patterns.

use std::path::Path;

/// File endings taken from a folder.
const SCENE_ENDINGS: &[&str] = &["tif", "tiff", "vrt"];

/// Scene paths from what was typed: a folder stands for the rasters in it, a pattern for what it matches,
/// anything else for itself. Sorted, each path once, so that the order of arguments does not matter.
///
/// Returns the reason when a folder or pattern stands for nothing.
pub fn expand_scenes(given: &[String]) -> Result<Vec<String>, String> {
    let mut scenes = Vec::new();
    for argument in given {
        let path = Path::new(argument);
        if path.is_dir() {
            let entries = std::fs::read_dir(path)
                .map_err(|e| format!("folder `{argument}` cannot be read: {e}"))?;
            let before = scenes.len();
            scenes.extend(
                entries
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|p| {
                        p.extension().and_then(|e| e.to_str()).is_some_and(|e| {
                            SCENE_ENDINGS.iter().any(|s| e.eq_ignore_ascii_case(s))
                        })
                    })
                    .map(|p| p.to_string_lossy().into_owned()),
            );
            if scenes.len() == before {
                return Err(format!(
                    "folder `{argument}` holds no {} file",
                    SCENE_ENDINGS.join(", ")
                ));
            }
        } else if !path.exists() && argument.contains(['*', '?', '[']) {
            let matches =
                glob::glob(argument).map_err(|e| format!("`{argument}` is not a pattern: {e}"))?;
            let before = scenes.len();
            scenes.extend(matches.flatten().map(|p| p.to_string_lossy().into_owned()));
            if scenes.len() == before {
                return Err(format!("nothing matches `{argument}`"));
            }
        } else {
            scenes.push(argument.clone());
        }
    }
    scenes.sort();
    scenes.dedup();
    Ok(scenes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_patterns_stand_for_their_rasters() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.tif", "a.TIF", "notes.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let path = folder.path().to_str().unwrap().to_owned();
        let expected = vec![format!("{path}/a.TIF"), format!("{path}/b.tif")];
        assert_eq!(
            expand_scenes(std::slice::from_ref(&path)).unwrap(),
            expected
        );
        assert_eq!(
            expand_scenes(&[format!("{path}/*.tif"), path.clone()]).unwrap(),
            expected
        );
        assert!(expand_scenes(&[format!("{path}/*.jp2")]).is_err());
        assert_eq!(expand_scenes(&["/gone.tif".into()]).unwrap(), ["/gone.tif"]);
    }
}
