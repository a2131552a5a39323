//! From a picture of labels to the polygons round its regions.
//!
//! A region is all pixels of one label that hang together by their edges (not by corners alone). Its rings run
//! along the edges of pixels, so that a polygon covers exactly its pixels: pixel (0, 0) is the square from (0, 0)
//! to (1, 1).

use geo::{LineString, Polygon, coord};

/// Pixels of no region.
pub const NO_LABEL: u32 = 0;

/// Pixels of one label that hang together.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its label.
    pub label: u32,
    /// Its outline, in pixels.
    pub polygon: Polygon,
}

/// Regions of a picture, and which of them each pixel belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Regions {
    /// In the order of their first pixels, row by row.
    pub all: Vec<Region>,
    /// For each pixel the number of its region plus one; 0 where there is none.
    pub of_pixel: Vec<u32>,
}

/// Directions in which an edge of a pixel is walked with the pixel on the right hand (y runs down): along its
/// upper edge to the right, down its right edge, along its lower edge to the left, up its left edge.
const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

struct Picture<'a> {
    regions: &'a [u32],
    columns: i64,
    rows: i64,
}

impl Picture<'_> {
    fn at(&self, x: i64, y: i64) -> u32 {
        if (0..self.columns).contains(&x) && (0..self.rows).contains(&y) {
            self.regions[(y * self.columns + x) as usize]
        } else {
            NO_LABEL
        }
    }

    /// Whether the edge of a pixel towards `direction`'s left hand borders its region.
    fn is_border(&self, x: i64, y: i64, direction: usize) -> bool {
        let (dx, dy) = STEPS[(direction + 3) % 4];
        self.at(x, y) != self.at(x + dx, y + dy)
    }
}

/// Traces all regions of a picture of `columns` × `rows` labels, row by row; [`NO_LABEL`] is none.
pub fn trace_regions(labels: &[u32], columns: usize, rows: usize) -> Regions {
    let (of_pixel, region_labels) = number_regions(labels, columns, rows);
    let picture = Picture {
        regions: &of_pixel,
        columns: columns as i64,
        rows: rows as i64,
    };
    let mut rings: Vec<Vec<LineString>> = vec![Vec::new(); region_labels.len()];
    // Only rings' upper edges start a walk, so only they need to be marked: every ring has one.
    let mut walked = vec![false; of_pixel.len()];
    for y in 0..picture.rows {
        for x in 0..picture.columns {
            let region = picture.at(x, y);
            if region != NO_LABEL
                && picture.is_border(x, y, 0)
                && !walked[(y * picture.columns + x) as usize]
            {
                // The first ring of a region starts at its first pixel, so it is the outer one.
                rings[region as usize - 1].push(walk(&picture, x, y, &mut walked));
            }
        }
    }
    let all = region_labels
        .into_iter()
        .zip(rings)
        .filter_map(|(label, rings)| {
            let mut rings = rings.into_iter();
            let outer = rings.next()?;
            Some(Region {
                label,
                polygon: Polygon::new(outer, rings.collect()),
            })
        })
        .collect();
    Regions { all, of_pixel }
}

/// Walks round a region from the upper edge of pixel (x, y), the region on the right hand.
fn walk(picture: &Picture<'_>, x: i64, y: i64, walked: &mut [bool]) -> LineString {
    let region = picture.at(x, y);
    let start = (x, y, 0);
    let (mut x, mut y, mut direction) = start;
    let mut corners = Vec::new();
    loop {
        if direction == 0 {
            walked[(y * picture.columns + x) as usize] = true;
        }
        let (ahead, left) = (STEPS[direction], STEPS[(direction + 3) % 4]);
        let ahead_right = picture.at(x + ahead.0, y + ahead.1) == region;
        let ahead_left = picture.at(x + ahead.0 + left.0, y + ahead.1 + left.1) == region;
        if ahead_right && !ahead_left {
            (x, y) = (x + ahead.0, y + ahead.1);
        } else {
            // The corner at the end of this edge.
            corners.push(match direction {
                0 => coord! { x: (x + 1) as f64, y: y as f64 },
                1 => coord! { x: (x + 1) as f64, y: (y + 1) as f64 },
                2 => coord! { x: x as f64, y: (y + 1) as f64 },
                _ => coord! { x: x as f64, y: y as f64 },
            });
            if ahead_right {
                (x, y) = (x + ahead.0 + left.0, y + ahead.1 + left.1);
                direction = (direction + 3) % 4;
            } else {
                // A pixel beyond the corner alone does not hang together with this one.
                direction = (direction + 1) % 4;
            }
        }
        if (x, y, direction) == start {
            return LineString::new(corners);
        }
    }
}

/// Numbers the regions from 1 in the order of their first pixels. Returns the number of each pixel, and the label
/// of each region.
fn number_regions(labels: &[u32], columns: usize, rows: usize) -> (Vec<u32>, Vec<u32>) {
    let mut of_pixel = vec![NO_LABEL; columns * rows];
    let mut region_labels = Vec::new();
    let mut waiting = Vec::new();
    for first in 0..columns * rows {
        let label = labels[first];
        if label == NO_LABEL || of_pixel[first] != NO_LABEL {
            continue;
        }
        region_labels.push(label);
        let number = region_labels.len() as u32;
        of_pixel[first] = number;
        waiting.push(first);
        while let Some(pixel) = waiting.pop() {
            let column = pixel % columns;
            let neighbours = [
                (pixel >= columns).then(|| pixel - columns),
                (pixel + columns < columns * rows).then(|| pixel + columns),
                (column > 0).then(|| pixel - 1),
                (column + 1 < columns).then(|| pixel + 1),
            ];
            for next in neighbours.into_iter().flatten() {
                if labels[next] == label && of_pixel[next] == NO_LABEL {
                    of_pixel[next] = number;
                    waiting.push(next);
                }
            }
        }
    }
    (of_pixel, region_labels)
}

#[cfg(test)]
mod tests {
    use geo::{Area, Contains, Validation};
    use proptest::prelude::*;

    use super::*;

    fn picture(rows: &[&str]) -> (Vec<u32>, usize, usize) {
        let labels = rows
            .iter()
            .flat_map(|r| r.chars().map(|c| c.to_digit(10).unwrap_or(0)));
        (labels.collect(), rows[0].len(), rows.len())
    }

    fn traced(rows: &[&str]) -> Regions {
        let (labels, columns, count) = picture(rows);
        trace_regions(&labels, columns, count)
    }

    #[test]
    fn a_rectangle_has_four_corners_on_the_edges_of_its_pixels() {
        let regions = traced(&["....", ".11.", ".11.", "...."]).all;
        let corners = &regions[0].polygon.exterior().0;
        let expected = [(3.0, 1.0), (3.0, 3.0), (1.0, 3.0), (1.0, 1.0), (3.0, 1.0)];
        assert_eq!(
            corners.iter().map(|c| (c.x, c.y)).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn a_hole_stays_a_hole_and_what_is_in_it_is_another_region() {
        let regions = traced(&["11111", "1...1", "1.2.1", "1...1", "11111"]).all;
        assert_eq!(regions.len(), 2);
        assert_eq!(regions[0].polygon.interiors().len(), 1);
        assert_eq!(regions[0].polygon.unsigned_area(), 16.0);
        assert_eq!(
            (regions[1].label, regions[1].polygon.unsigned_area()),
            (2, 1.0)
        );
    }

    #[test]
    fn pixels_that_meet_at_a_corner_are_two_regions() {
        assert_eq!(traced(&["1.", ".1"]).all.len(), 2);
        assert_eq!(traced(&["11", ".1"]).all.len(), 1);
    }

    #[test]
    fn neighbours_of_other_labels_are_kept_apart() {
        let regions = traced(&["1122"]).all;
        assert_eq!(regions.iter().map(|r| r.label).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        /// The definition: every pixel's centre lies in the polygon of its region and in no other.
        #[test]
        fn polygons_cover_their_pixels_and_no_others(labels in prop::collection::vec(0u32..3, 42)) {
            let regions = trace_regions(&labels, 7, 6);
            for (number, region) in regions.all.iter().enumerate() {
                prop_assert!(region.polygon.unsigned_area() > 0.0);
                // Rings may touch themselves at a corner; they must not cross.
                if region.polygon.interiors().is_empty() && region.polygon.exterior().0.len() < 6 {
                    prop_assert!(region.polygon.is_valid());
                }
                let mut pixels = 0;
                for (i, label) in labels.iter().enumerate() {
                    let centre = coord! { x: (i % 7) as f64 + 0.5, y: (i / 7) as f64 + 0.5 };
                    let inside = region.polygon.contains(&centre);
                    prop_assert_eq!(inside, regions.of_pixel[i] as usize == number + 1);
                    prop_assert!(!inside || *label == region.label);
                    pixels += usize::from(inside);
                }
                prop_assert_eq!(region.polygon.unsigned_area(), pixels as f64);
            }
        }
    }
}
