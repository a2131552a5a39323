//! Ids that come from places, not from the order in which things were found.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::geometry::LonLat;

/// Places are told apart on a grid of this many degrees (about 11 m): finer than any two kilns stand apart,
/// coarser than the rounding of a calculation.
const GRID_DEG: f64 = 1e-4;

/// Hands out ids. The same place gives the same id in every run that finds it there; in the rare case of two
/// sites in one grid cell, later ones get a number.
#[derive(Debug, Default)]
pub(super) struct SiteIds {
    /// How many times each digest was handed out.
    given: HashMap<u64, usize>,
}

impl SiteIds {
    /// The id of a site of a class at a place. The place cannot be read off it, but someone who knows roughly
    /// where a site lies can find it by trying: it protects from a glance, not from a search.
    pub(super) fn id(&mut self, class: &str, place: LonLat) -> String {
        let grid = |degrees: f64| (degrees / GRID_DEG).round() as i64;
        let key = format!(
            "kilnsight site\0{class}\0{}\0{}",
            grid(place.lon),
            grid(place.lat)
        );
        let digest = digest(key.as_bytes());
        let id = format!("site-{}", in_letters(digest));
        let count = self.given.entry(digest >> 4).or_insert(0);
        *count += 1;
        if *count == 1 {
            id
        } else {
            format!("{id}-{count}")
        }
    }
}

/// Digest of a class at a place, for things that are no sites but need an id that stays the same from run to run.
pub(crate) fn place_digest(class: &str, place: LonLat) -> String {
    let grid = |degrees: f64| (degrees / GRID_DEG).round() as i64;
    let key = format!(
        "kilnsight place\0{class}\0{}\0{}",
        grid(place.lon),
        grid(place.lat)
    );
    short_digest(key.as_bytes())
}

/// Twelve letters and digits of a SHA-256.
pub(super) fn short_digest(bytes: &[u8]) -> String {
    in_letters(digest(bytes))
}

/// The first 64 bits of a SHA-256.
fn digest(bytes: &[u8]) -> u64 {
    let digest = Sha256::digest(bytes);
    let first = digest.iter().take(8);
    first.fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The upper 60 bits as twelve letters and digits, in Crockford's base 32 without the letters that are mistaken for
/// digits.
fn in_letters(value: u64) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    (0..12)
        .map(|i| char::from(ALPHABET[(value >> (59 - 5 * i) & 31) as usize]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_the_place_alone() {
        let place = LonLat::new(3.123_456, 1.5);
        let a = SiteIds::default().id("kiln", place);
        let mut other = SiteIds::default();
        other.id("kiln", LonLat::new(0.0, 0.0));
        assert_eq!(a, other.id("kiln", place));
        assert_ne!(a, SiteIds::default().id("camp", place));
    }

    #[test]
    fn two_sites_in_one_cell_get_different_ids() {
        let mut ids = SiteIds::default();
        let place = LonLat::new(3.0, 1.0);
        assert_ne!(ids.id("kiln", place), ids.id("kiln", place));
    }

    #[test]
    fn ids_never_change_between_versions() {
        assert_eq!(
            SiteIds::default().id("kiln", LonLat::new(3.0, 1.0)),
            "site-hzwexws9s2rv"
        );
    }
}
