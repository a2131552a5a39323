//! An area of interest in the pixels of one scene.
//!
//! An outline may have a million corners (a coast, a district from a survey), and every chip and every box is asked
//! about: its edges are indexed, and rectangles are cut from the part of it that is near them.

use geo::{BooleanOps, CoordsIter, Intersects, MultiPolygon, Polygon, Rect, coord};
use rstar::AABB;

use super::edges::Edges;
use super::plan::PixelRect;
use super::polygons::clipped;
use crate::geometry::PixelPoint;

/// A part with no more corners than this is cut as it is.
const FEW_CORNERS: usize = 512;

/// An area of interest in the pixels of one scene. Its polygons do not overlap.
#[derive(Debug, Clone)]
pub struct SceneArea {
    polygons: MultiPolygon,
    edges: Edges,
}

impl SceneArea {
    /// From polygons in scene pixels that do not overlap one another.
    pub fn new(polygons: MultiPolygon) -> Self {
        let edges = Edges::of(&polygons);
        Self { polygons, edges }
    }

    /// Its polygons.
    pub fn polygons(&self) -> &MultiPolygon {
        &self.polygons
    }

    /// Whether nothing of the area lies in or near the scene.
    pub fn is_empty(&self) -> bool {
        self.polygons.0.is_empty()
    }

    /// Whether any of a rectangle lies in the area.
    pub fn touches(&self, rect: &PixelRect) -> bool {
        self.is_cut(rect) || self.contains(middle(rect))
    }

    /// Whether a position lies in the area: whether a ray from it to the right crosses an odd number of edges.
    pub fn contains(&self, p: PixelPoint) -> bool {
        let ray = AABB::from_corners([p.x, p.y], [f64::MAX, p.y]);
        let crossings = (self.edges.near(&self.polygons, ray))
            .filter(|edge| {
                let ((x0, y0), (x1, y1)) = (edge.start.x_y(), edge.end.x_y());
                // The lower end belongs to an edge, the upper does not, so that a corner counts once.
                (y0 > p.y) != (y1 > p.y) && p.x < x0 + (p.y - y0) / (y1 - y0) * (x1 - x0)
            })
            .count();
        crossings % 2 == 1
    }

    /// What of each rectangle lies in the area, in their order.
    pub fn cut(&self, rects: &[PixelRect]) -> Vec<Vec<Polygon>> {
        let mut parts = vec![Vec::new(); rects.len()];
        let mut on_edge = Vec::new();
        for (i, rect) in rects.iter().enumerate() {
            if self.is_cut(rect) {
                on_edge.push(i);
            } else if self.contains(middle(rect)) {
                parts[i].push(geo_rect(rect).to_polygon());
            }
        }
        divide(&self.polygons, rects, &mut on_edge, &mut parts);
        parts
    }

    /// Whether an edge of the area runs through a rectangle.
    fn is_cut(&self, rect: &PixelRect) -> bool {
        let bounds = AABB::from_corners([rect.x0, rect.y0], [rect.x1, rect.y1]);
        let rect = geo_rect(rect);
        (self.edges.near(&self.polygons, bounds)).any(|edge| edge.intersects(&rect))
    }
}

/// Cuts the rectangles numbered in `which` from `area`: half of them from the part of the area near that half, and
/// so on, until the parts are small.
fn divide(
    area: &MultiPolygon,
    rects: &[PixelRect],
    which: &mut [usize],
    parts: &mut [Vec<Polygon>],
) {
    let Some(bounds) = which.iter().map(|&i| geo_rect(&rects[i])).reduce(around) else {
        return;
    };
    // Clipped a little outside, so that edges along the sides of the clip lie in no rectangle.
    let near = clipped(area, grown(bounds));
    if which.len() == 1 || near.coords_count() <= FEW_CORNERS {
        for &mut i in which {
            parts[i] = near.intersection(&geo_rect(&rects[i]).to_polygon()).0;
        }
        return;
    }
    let along = |i: usize| {
        let at = middle(&rects[i]);
        if bounds.width() > bounds.height() {
            at.x
        } else {
            at.y
        }
    };
    which.sort_by(|&a, &b| along(a).total_cmp(&along(b)));
    let (one, other) = which.split_at_mut(which.len() / 2);
    divide(&near, rects, one, parts);
    divide(&near, rects, other, parts);
}

fn around(a: Rect, b: Rect) -> Rect {
    Rect::new(
        coord! { x: a.min().x.min(b.min().x), y: a.min().y.min(b.min().y) },
        coord! { x: a.max().x.max(b.max().x), y: a.max().y.max(b.max().y) },
    )
}

/// A rectangle with a pixel more on each side.
fn grown(rect: Rect) -> Rect {
    let pixel = coord! { x: 1.0, y: 1.0 };
    Rect::new(rect.min() - pixel, rect.max() + pixel)
}

fn geo_rect(rect: &PixelRect) -> Rect {
    Rect::new(
        coord! { x: rect.x0, y: rect.y0 },
        coord! { x: rect.x1, y: rect.y1 },
    )
}

fn middle(rect: &PixelRect) -> PixelPoint {
    PixelPoint {
        x: f64::midpoint(rect.x0, rect.x1),
        y: f64::midpoint(rect.y0, rect.y1),
    }
}

#[cfg(test)]
mod tests {
    use geo::{Area, Contains};
    use proptest::prelude::*;

    use super::*;

    /// A star with `corners` corners round (500, 500), and a hole in its middle.
    fn star(corners: usize) -> MultiPolygon {
        let ring = |count: usize, inner: f64, outer: f64| -> geo::LineString {
            (0..count)
                .map(|i| {
                    let (sin, cos) = (i as f64 / count as f64 * std::f64::consts::TAU).sin_cos();
                    let radius = if i % 2 == 0 { outer } else { inner };
                    coord! { x: 500.0 + radius * cos, y: 500.0 + radius * sin }
                })
                .collect()
        };
        let hole = ring(8, 90.0, 100.0);
        MultiPolygon::new(vec![Polygon::new(ring(corners, 380.0, 450.0), vec![hole])])
    }

    fn rect(x: f64, y: f64, width: f64, height: f64) -> PixelRect {
        PixelRect {
            x0: x,
            y0: y,
            x1: x + width,
            y1: y + height,
        }
    }

    proptest! {
        #[test]
        fn the_index_changes_nothing(x in -50.0..1000.0f64, y in -50.0..1000.0f64, w in 1.0..600.0f64, h in 1.0..600.0f64) {
            let polygons = star(60);
            let area = SceneArea::new(polygons.clone());
            let rect = rect(x, y, w, h);
            let shape = geo_rect(&rect).to_polygon();
            prop_assert_eq!(area.touches(&rect), polygons.intersects(&shape));
            prop_assert_eq!(area.contains(PixelPoint::new(x, y)), polygons.contains(&coord! { x: x, y: y }));
            let cut: f64 = area.cut(&[rect])[0].iter().map(Area::unsigned_area).sum();
            prop_assert!((cut - polygons.intersection(&shape).unsigned_area()).abs() < 1e-3);
        }
    }

    #[test]
    fn a_grid_cut_from_an_outline_of_many_corners_is_the_outline_again() {
        let polygons = star(3000);
        let area = SceneArea::new(polygons.clone());
        let grid: Vec<PixelRect> = (0..400)
            .map(|i| {
                rect(
                    f64::from(i % 20) * 50.0,
                    f64::from(i / 20) * 50.0,
                    50.0,
                    50.0,
                )
            })
            .collect();
        assert!(grid.iter().filter(|r| area.touches(r)).count() < 300);
        let parts = area.cut(&grid);
        let total: f64 = parts.iter().flatten().map(Area::unsigned_area).sum();
        assert!((total / polygons.unsigned_area() - 1.0).abs() < 1e-6);
        for (rect, parts) in grid.iter().zip(&parts) {
            let area: f64 = parts.iter().map(Area::unsigned_area).sum();
            assert!(area <= geo_rect(rect).unsigned_area() * (1.0 + 1e-6));
        }
    }
}
