//! Exact overlap of convex polygons: what two oriented boxes share.
//!
//! The intersection is found by clipping one polygon with the half-planes of the other
//! (Sutherland & Hodgman, "Reentrant polygon clipping", CACM 17(1), 1974), on arrays of fixed
//! size, so nothing is allocated. Two rectangles share at most eight corners.

/// How much two boxes overlap. Both values are in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Intersection over union.
    pub iou: f64,
    /// Intersection over the smaller of the two areas: 1 when one box lies inside the other.
    pub ios: f64,
}

impl Overlap {
    /// No overlap at all.
    pub const NONE: Self = Self { iou: 0.0, ios: 0.0 };

    /// Overlap of two convex quadrilaterals in a plane (corners in order, either way round).
    pub fn of_quads(a: &[[f64; 2]; 4], b: &[[f64; 2]; 4]) -> Self {
        let (area_a, area_b) = (polygon_area(a).abs(), polygon_area(b).abs());
        let smaller = area_a.min(area_b);
        if !(smaller > 0.0 && smaller.is_finite()) {
            return Self::NONE;
        }
        let shared = convex_intersection_area(a, b).min(smaller);
        Self {
            iou: (shared / (area_a + area_b - shared)).clamp(0.0, 1.0),
            ios: (shared / smaller).clamp(0.0, 1.0),
        }
    }
}

/// When two boxes count as one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuppressionRule {
    /// Intersection over union at or above this.
    pub iou: f64,
    /// Or intersection over the smaller box at or above this (a part inside its whole).
    pub ios: f64,
}

impl SuppressionRule {
    /// Whether an overlap is large enough for the two boxes to show one thing.
    pub fn same(&self, overlap: Overlap) -> bool {
        overlap.iou >= self.iou || overlap.ios >= self.ios
    }
}

/// Signed area of a simple polygon (shoelace formula): positive when x towards y is the way round.
pub fn polygon_area(points: &[[f64; 2]]) -> f64 {
    let Some(&origin) = points.first() else {
        return 0.0;
    };
    // Relative to the first corner, so that far-away coordinates do not cost precision.
    let relative = |p: [f64; 2]| [p[0] - origin[0], p[1] - origin[1]];
    let mut twice = 0.0;
    for (i, &p) in points.iter().enumerate() {
        let (p, q) = (relative(p), relative(points[(i + 1) % points.len()]));
        twice += p[0] * q[1] - p[1] * q[0];
    }
    twice / 2.0
}

/// Corners that clipping a quadrilateral by a quadrilateral can make at most.
const MAX_CORNERS: usize = 8;

/// Area that two convex quadrilaterals share.
pub fn convex_intersection_area(a: &[[f64; 2]; 4], b: &[[f64; 2]; 4]) -> f64 {
    let origin = a[0];
    let local = |q: &[[f64; 2]; 4]| q.map(|p| [p[0] - origin[0], p[1] - origin[1]]);
    let (subject, mut clip) = (local(a), local(b));
    if polygon_area(&clip) < 0.0 {
        clip.reverse();
    }

    let mut current = [[0.0; 2]; MAX_CORNERS];
    current[..4].copy_from_slice(&subject);
    let mut count = 4;
    for edge in 0..4 {
        let (from, to) = (clip[edge], clip[(edge + 1) % 4]);
        // Positive on the inner side of the edge.
        let side = |p: [f64; 2]| {
            (to[0] - from[0]) * (p[1] - from[1]) - (to[1] - from[1]) * (p[0] - from[0])
        };
        let mut next = [[0.0; 2]; MAX_CORNERS];
        let mut kept = 0;
        let mut push = |p: [f64; 2]| {
            // Rounding can make a touching corner look like two crossings: a ninth corner adds no area.
            if kept < MAX_CORNERS {
                next[kept] = p;
                kept += 1;
            }
        };
        for i in 0..count {
            let (p, q) = (current[i], current[(i + 1) % count]);
            let (sp, sq) = (side(p), side(q));
            if sp >= 0.0 {
                push(p);
            }
            if (sp > 0.0 && sq < 0.0) || (sp < 0.0 && sq > 0.0) {
                let t = sp / (sp - sq);
                push([p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])]);
            }
        }
        if kept < 3 {
            return 0.0;
        }
        current = next;
        count = kept;
    }
    polygon_area(&current[..count]).abs()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::{OrientedBox, PixelPoint};

    fn quad(b: &OrientedBox) -> [[f64; 2]; 4] {
        b.corners().map(|p| [p.x, p.y])
    }

    fn upright(x0: f64, y0: f64, x1: f64, y1: f64) -> [[f64; 2]; 4] {
        [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
    }

    #[test]
    fn boxes_apart_in_both_axes_share_nothing() {
        // A product of two negative extents is positive: the trap of an unclamped intersection.
        let overlap = Overlap::of_quads(&upright(0.0, 0.0, 1.0, 1.0), &upright(2.0, 2.0, 3.0, 3.0));
        assert_eq!(overlap, Overlap::NONE);
    }

    #[test]
    fn half_covered_unit_square() {
        let overlap = Overlap::of_quads(&upright(0.0, 0.0, 1.0, 1.0), &upright(0.5, 0.0, 1.5, 1.0));
        assert!((overlap.iou - 1.0 / 3.0).abs() < 1e-12);
        assert!((overlap.ios - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_square_and_itself_turned_by_45_degrees() {
        // Regular octagon: area 2 (√2 − 1) of the unit square.
        let make = |angle| OrientedBox {
            center: PixelPoint::new(0.0, 0.0),
            length: 1.0,
            width: 1.0,
            angle,
        };
        let shared =
            convex_intersection_area(&quad(&make(0.0)), &quad(&make(std::f64::consts::FRAC_PI_4)));
        assert!((shared - 2.0 * (2f64.sqrt() - 1.0)).abs() < 1e-12);
    }

    #[test]
    fn a_box_inside_another_has_ios_one() {
        let overlap =
            Overlap::of_quads(&upright(0.0, 0.0, 10.0, 10.0), &upright(2.0, 2.0, 3.0, 4.0));
        assert!((overlap.ios - 1.0).abs() < 1e-12);
        assert!((overlap.iou - 0.02).abs() < 1e-12);
    }

    prop_compose! {
        fn any_box()(x in -50.0..50.0, y in -50.0..50.0, l in 0.1..40.0, w in 0.1..40.0, a in -7.0..7.0) -> OrientedBox {
            OrientedBox { center: PixelPoint::new(x, y), length: l, width: w, angle: a }
        }
    }

    proptest! {
        #[test]
        fn overlap_is_symmetric_and_bounded(a in any_box(), b in any_box()) {
            let (ab, ba) = (Overlap::of_quads(&quad(&a), &quad(&b)), Overlap::of_quads(&quad(&b), &quad(&a)));
            prop_assert!((ab.iou - ba.iou).abs() < 1e-9);
            prop_assert!((ab.ios - ba.ios).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&ab.iou) && ab.iou <= ab.ios + 1e-12);
        }

        #[test]
        fn a_box_overlaps_itself_fully(a in any_box()) {
            let own = Overlap::of_quads(&quad(&a), &quad(&a));
            prop_assert!((own.iou - 1.0).abs() < 1e-9);
        }

        #[test]
        fn boxes_farther_apart_than_their_radii_share_nothing(a in any_box(), b in any_box()) {
            let distance = (a.center.x - b.center.x).hypot(a.center.y - b.center.y);
            if distance > a.radius() + b.radius() {
                prop_assert_eq!(Overlap::of_quads(&quad(&a), &quad(&b)), Overlap::NONE);
            }
        }

        #[test]
        fn overlap_survives_a_rigid_motion(a in any_box(), b in any_box(), turn in 0.0..6.3f64, dx in -1e6..1e6f64) {
            let moved = |o: &OrientedBox| {
                let (sin, cos) = turn.sin_cos();
                OrientedBox {
                    center: PixelPoint::new(o.center.x * cos - o.center.y * sin + dx, o.center.x * sin + o.center.y * cos - dx),
                    angle: o.angle + turn,
                    ..*o
                }
            };
            let before = Overlap::of_quads(&quad(&a), &quad(&b));
            let after = Overlap::of_quads(&quad(&moved(&a)), &quad(&moved(&b)));
            prop_assert!((before.iou - after.iou).abs() < 1e-6, "{before:?} {after:?}");
        }

        #[test]
        fn intersection_agrees_with_a_general_polygon_clipper(a in any_box(), b in any_box()) {
            use geo::{Area, BooleanOps};
            let polygon = |o: &OrientedBox| {
                geo::Polygon::new(o.corners().iter().map(|p| geo::coord! { x: p.x, y: p.y }).collect(), vec![])
            };
            let expected = polygon(&a).intersection(&polygon(&b)).unsigned_area();
            prop_assert!((convex_intersection_area(&quad(&a), &quad(&b)) - expected).abs() < 1e-4 * (1.0 + expected));
        }
    }
}
