//! Which scene something belongs to: the one it names, or those whose coverage holds it.

use std::collections::HashMap;

use geo::{BoundingRect, Coord, Intersects, MultiPolygon, Rect};

use super::boxes::SceneInput;
use super::outline::Outline;
use crate::geometry::LonLat;

/// Id of the one scene made where nothing tells scenes apart.
pub(super) const ALL: &str = "all";

/// Finds the scenes that something belongs to.
pub(super) struct Homes<'a> {
    scenes: &'a [SceneInput<'a>],
    ids: &'a HashMap<&'a str, usize>,
    bounds: Vec<Option<Rect>>,
}

impl<'a> Homes<'a> {
    pub(super) fn new(scenes: &'a [SceneInput<'a>], ids: &'a HashMap<&'a str, usize>) -> Self {
        let bounds = scenes
            .iter()
            .map(|s| s.coverage.and_then(BoundingRect::bounding_rect))
            .collect();
        Self {
            scenes,
            ids,
            bounds,
        }
    }

    /// Of a place: the scene it names, or all that hold it.
    pub(super) fn of(&self, name: Option<&str>, place: LonLat) -> Vec<usize> {
        let place = Coord {
            x: place.lon,
            y: place.lat,
        };
        self.matching(name, |coverage, bounds| {
            bounds.intersects(&place) && coverage.intersects(&place)
        })
    }

    /// Of an ignore region: the scene it names, or all that it touches.
    pub(super) fn of_region(&self, name: Option<&str>, outline: &Outline) -> Vec<usize> {
        match outline {
            Outline::Point(place) => self.of(name, *place),
            Outline::Area(area) => self.matching(name, |coverage, _| coverage.intersects(area)),
        }
    }

    fn matching(
        &self,
        name: Option<&str>,
        holds: impl Fn(&MultiPolygon, &Rect) -> bool,
    ) -> Vec<usize> {
        if let Some(name) = name {
            let (_, stem) = file_stem(name);
            let found = self.ids.get(name).or_else(|| self.ids.get(stem));
            if found.is_some() || self.scenes.len() != 1 || self.scenes[0].id != ALL {
                return found.copied().into_iter().collect();
            }
        }
        (0..self.scenes.len())
            .filter(|&i| match (self.scenes[i].coverage, &self.bounds[i]) {
                (None, _) => true,
                (Some(coverage), Some(bounds)) => holds(coverage, bounds),
                (Some(_), None) => false,
            })
            .collect()
    }
}

/// A file name without its folder, and without its last extension.
pub(super) fn file_stem(path: &str) -> (&str, &str) {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    (name, stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems() {
        for (path, name, stem) in [
            ("a/b/c.d.png", "c.d.png", "c.d"),
            ("x\\y.tif", "y.tif", "y"),
            ("plain", "plain", "plain"),
            ("", "", ""),
        ] {
            assert_eq!(file_stem(path), (name, stem));
        }
    }
}
