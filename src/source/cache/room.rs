//! What goes from the folder: copies of what a server has replaced since, and, to stay within a bound, those that were
//! used longest ago. Never what a scan uses, and never a file that is none of the cache's.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::name::{copy_of, id_in, note_of};

/// What the names of copies begin with while they are fetched.
pub(super) const PART: &str = ".part-";

/// A copy, or what there is of one.
struct Copy {
    name: String,
    bytes: u64,
    /// When its note was written or touched last; a copy without one is of no use.
    used: Option<SystemTime>,
}

/// Removes copies of which there is a newer one, of the address that names begin with `id` for or of all, and what was
/// fetched in part by scans that died.
pub(super) fn remove_superseded(
    folder: &Path,
    id: Option<&str>,
    in_use: &HashSet<String>,
) -> io::Result<()> {
    let mut copies = copies(folder)?;
    copies.sort_by_key(|copy| Reverse(copy.used));
    let mut newest: HashMap<&str, &str> = HashMap::new();
    for copy in &copies {
        if let Some(of) = id_in(&copy.name) {
            let kept = *newest.entry(of).or_insert(&copy.name);
            let asked = id.is_none_or(|id| id == of);
            if asked && kept != copy.name && !in_use.contains(&copy.name) {
                remove(folder, copy)?;
            }
        } else if id.is_none() && !in_use.contains(&copy.name) {
            remove(folder, copy)?;
        }
    }
    Ok(())
}

/// Makes room for `bytes` more in a folder that may hold `most`. Returns whether they fit; where they cannot, nothing
/// is removed.
pub(super) fn make_room(
    folder: &Path,
    bytes: u64,
    most: u64,
    in_use: &HashSet<String>,
) -> io::Result<bool> {
    let mut copies = copies(folder)?;
    let sum = |copies: &[Copy]| copies.iter().map(|copy| copy.bytes).sum::<u64>();
    let total = sum(&copies).saturating_add(bytes);
    copies.retain(|copy| !in_use.contains(&copy.name));
    if total.saturating_sub(sum(&copies)) > most {
        return Ok(false);
    }
    copies.sort_by(|a, b| (a.used, &a.name).cmp(&(b.used, &b.name)));
    let mut left = total;
    for copy in &copies {
        if left <= most {
            break;
        }
        remove(folder, copy)?;
        left -= copy.bytes;
    }
    Ok(true)
}

fn copies(folder: &Path) -> io::Result<Vec<Copy>> {
    let (mut copies, mut notes) = (Vec::new(), HashMap::new());
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let ours = name.starts_with(PART) || id_in(&name).is_some();
        let metadata = match entry.metadata() {
            Ok(metadata) if ours && metadata.is_file() => metadata,
            // Another scan's, renamed or removed meanwhile.
            _ => continue,
        };
        match copy_of(&name) {
            Some(copy) => {
                notes.insert(copy.to_owned(), metadata.modified()?);
            }
            None => copies.push(Copy {
                bytes: metadata.len(),
                name,
                used: None,
            }),
        }
    }
    for copy in &mut copies {
        copy.used = notes.get(&copy.name).copied();
    }
    Ok(copies)
}

/// The note goes first: a copy without one is fetched again.
fn remove(folder: &Path, copy: &Copy) -> io::Result<()> {
    for name in [note_of(&copy.name), copy.name.clone()] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    tracing::debug!("`{}` was removed from the cache", copy.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    /// A name of a copy: which address, which version.
    fn name(address: u8, version: u8) -> String {
        format!("{address:016x}-{version:016x}-a.tif")
    }

    /// A folder with copies of 10 bytes, each used a second after the one before.
    fn folder(copies: &[String]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (second, copy) in copies.iter().enumerate() {
            std::fs::write(folder.path().join(copy), [0; 10]).unwrap();
            let note = File::create(folder.path().join(note_of(copy))).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(second as u64);
            note.set_modified(used).unwrap();
        }
        for other in ["notes.txt", ".lock"] {
            std::fs::write(folder.path().join(other), [0; 100]).unwrap();
        }
        folder
    }

    fn left(folder: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| id_in(name).is_some()).collect();
        names.retain(|name| copy_of(name).is_none());
        names.sort();
        assert!(folder.path().join("notes.txt").exists() && folder.path().join(".lock").exists());
        names
    }

    fn set(names: &[String]) -> HashSet<String> {
        names.iter().cloned().collect()
    }

    #[test]
    fn superseded_copies_go_unless_they_are_used() {
        let all = [name(1, 3), name(1, 1), name(2, 1), name(1, 2), name(3, 1)];
        let folder = folder(&all);
        let in_use = set(&[name(1, 3)]);
        remove_superseded(folder.path(), id_in(&name(2, 1)), &in_use).unwrap();
        assert_eq!(left(&folder).len(), 5);
        let part = folder.path().join(format!("{PART}x"));
        std::fs::write(&part, [0; 10]).unwrap();
        remove_superseded(folder.path(), None, &set(&[format!("{PART}x"), name(1, 3)])).unwrap();
        assert_eq!(
            left(&folder),
            [name(1, 2), name(1, 3), name(2, 1), name(3, 1)]
        );
        assert!(part.exists());
        remove_superseded(folder.path(), None, &HashSet::new()).unwrap();
        assert_eq!(left(&folder), [name(1, 2), name(2, 1), name(3, 1)]);
        assert!(!part.exists());
    }

    #[test]
    fn room_is_made_where_nothing_was_used_for_longest() {
        let all = [name(4, 1), name(1, 1), name(2, 1), name(3, 1)];
        let folder = folder(&all);
        let used = set(&[name(1, 1)]);
        let room = |bytes, most| make_room(folder.path(), bytes, most, &used).unwrap();
        assert!(room(10, 50));
        assert_eq!(left(&folder).len(), 4);
        // Cannot fit beside what is used.
        assert!(!room(45, 50) && !room(51, 50));
        assert_eq!(left(&folder).len(), 4);
        assert!(room(21, 50));
        assert_eq!(left(&folder), [name(1, 1), name(3, 1)]);
    }
}
