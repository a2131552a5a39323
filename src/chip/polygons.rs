//! Polygons of an area of interest: made to lie side by side, and clipped to rectangles.

use std::borrow::Cow;

use geo::{
    Area, BooleanOps, BoundingRect, Coord, LineString, MultiPolygon, Polygon, Rect, unary_union,
};
use rstar::primitives::Rectangle;
use rstar::{RTree, RTreeObject};

/// The same area in polygons that do not overlap one another. Whatever reads them asks how often a ray crosses an
/// edge, and ground that two of them cover would count as outside.
pub(super) fn disjoint(polygons: Vec<Polygon>) -> MultiPolygon {
    let boxes = polygons.iter().filter_map(BoundingRect::bounding_rect);
    let boxes = RTree::bulk_load(boxes.map(rectangle).collect());
    let alone = |one: &Rectangle<[f64; 2]>| {
        let near = boxes.locate_in_envelope_intersecting(one.envelope());
        near.take(2).count() == 1
    };
    if boxes.iter().all(alone) {
        return MultiPolygon::new(polygons);
    }
    // Each on its own first: edges that cross each other would turn the inside out for its neighbours.
    let nothing = MultiPolygon::new(Vec::new());
    let clean: Vec<MultiPolygon> = polygons.iter().map(|one| one.union(&nothing)).collect();
    unary_union(&clean)
}

fn rectangle(bounds: Rect) -> Rectangle<[f64; 2]> {
    Rectangle::from_corners(bounds.min().x_y().into(), bounds.max().x_y().into())
}

/// What of an area lies in a rectangle, at a cost that grows with the number of corners and no faster (Sutherland &
/// Hodgman, "Reentrant polygon clipping", 1974). Parts that hang together outside the rectangle hang together along
/// its sides: inside it the area is exact, on its sides edges may lie upon one another.
pub(super) fn clipped(area: &MultiPolygon, to: Rect) -> Cow<'_, MultiPolygon> {
    if area.bounding_rect().is_none_or(|bounds| holds(to, bounds)) {
        return Cow::Borrowed(area);
    }
    let parts = area.iter().filter_map(|polygon| {
        let holes = polygon.interiors().iter();
        Some(Polygon::new(
            clipped_ring(polygon.exterior(), to)?,
            holes.filter_map(|hole| clipped_ring(hole, to)).collect(),
        ))
    });
    Cow::Owned(parts.collect())
}

/// What of a polygon lies in a rectangle. An outline may have a million corners: it is taken apart only where it
/// has to be.
pub(super) fn within(polygon: &Polygon, rect: Rect) -> Vec<Polygon> {
    let Some(bounds) = polygon.bounding_rect() else {
        return Vec::new();
    };
    // Without area, its edges cross each other or it is none.
    if holds(rect, bounds) && polygon.unsigned_area() > 0.0 {
        return vec![polygon.clone()];
    }
    let polygon = MultiPolygon::from(polygon.clone());
    clipped(&polygon, rect).intersection(&rect.to_polygon()).0
}

/// Whether all of one rectangle lies in another.
fn holds(outer: Rect, inner: Rect) -> bool {
    outer.min().x <= inner.min().x
        && outer.min().y <= inner.min().y
        && inner.max().x <= outer.max().x
        && inner.max().y <= outer.max().y
}

fn clipped_ring(ring: &LineString, to: Rect) -> Option<LineString> {
    let bounds = ring.bounding_rect()?;
    let (low, high) = (to.min(), to.max());
    let apart = bounds.max().x < low.x
        || bounds.max().y < low.y
        || bounds.min().x > high.x
        || bounds.min().y > high.y;
    if apart {
        return None;
    }
    let mut corners = Cow::Borrowed(ring.0.as_slice());
    if bounds.min().x < low.x {
        corners = Cow::Owned(one_side(&corners, |c| c.x - low.x));
    }
    if bounds.max().x > high.x {
        corners = Cow::Owned(one_side(&corners, |c| high.x - c.x));
    }
    if bounds.min().y < low.y {
        corners = Cow::Owned(one_side(&corners, |c| c.y - low.y));
    }
    if bounds.max().y > high.y {
        corners = Cow::Owned(one_side(&corners, |c| high.y - c.y));
    }
    (corners.len() > 3).then(|| LineString::new(corners.into_owned()))
}

/// The part of a closed ring where `inside` is not negative, closed.
fn one_side(ring: &[Coord], inside: impl Fn(&Coord) -> f64) -> Vec<Coord> {
    let mut kept: Vec<Coord> = Vec::with_capacity(ring.len() / 2);
    for edge in ring.windows(2) {
        let (from, to) = (edge[0], edge[1]);
        let (a, b) = (inside(&from), inside(&to));
        if a >= 0.0 {
            kept.push(from);
        }
        if (a < 0.0) != (b < 0.0) {
            kept.push(from + (to - from) * (a / (a - b)));
        }
    }
    kept.extend(kept.first().copied());
    kept
}

#[cfg(test)]
mod tests {
    use geo::{coord, polygon};
    use proptest::prelude::*;

    use super::*;

    fn square(x: f64, y: f64, side: f64) -> Polygon {
        rect(x, y, side).to_polygon()
    }

    fn rect(x: f64, y: f64, side: f64) -> Rect {
        Rect::new(coord! { x: x, y: y }, coord! { x: x + side, y: y + side })
    }

    #[test]
    fn ground_that_two_polygons_cover_is_covered() {
        let area = disjoint(vec![square(0.0, 0.0, 2.0), square(1.0, 0.0, 2.0)]);
        assert!((area.unsigned_area() - 6.0).abs() < 1e-6);
        // Two that are the same, and one whose edges cross each other beside a third that covers it.
        assert!((disjoint(vec![square(0.0, 0.0, 2.0); 2]).unsigned_area() - 4.0).abs() < 1e-6);
        let bow = polygon![(x: 0.0, y: 0.0), (x: 2.0, y: 2.0), (x: 2.0, y: 0.0), (x: 0.0, y: 2.0)];
        let area = disjoint(vec![bow, square(0.0, 0.0, 2.0)]);
        assert!((area.unsigned_area() - 4.0).abs() < 1e-6);
        let apart = vec![square(0.0, 0.0, 1.0), square(5.0, 5.0, 1.0)];
        assert_eq!(disjoint(apart.clone()).0, apart);
    }

    proptest! {
        #[test]
        fn what_is_clipped_covers_the_same_of_the_rectangle(
            corners in prop::collection::vec((0.0..10.0f64, 0.0..10.0f64), 3..40),
            x in -1.0..9.0f64, y in -1.0..9.0f64, side in 0.5..6.0f64,
        ) {
            let outline: Vec<Coord> = corners.iter().map(|&(x, y)| coord! { x: x, y: y }).collect();
            let area = MultiPolygon::from(Polygon::new(outline.into(), Vec::new()));
            let inner = square(x + 0.1, y + 0.1, side - 0.2);
            let near = clipped(&area, rect(x, y, side));
            let (one, other) = (area.intersection(&inner), near.intersection(&inner));
            prop_assert!((one.unsigned_area() - other.unsigned_area()).abs() < 1e-6);
            prop_assert!(near.bounding_rect().is_none_or(|b| holds(rect(x - 1e-9, y - 1e-9, side + 2e-9), b)));
        }
    }
}
