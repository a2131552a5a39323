//! From an outline to a box: the rectangle that an annotator drew, or the smallest one around a polygon.
//!
//! Four corners that make a rectangle (up to the rounding of a file) come back as that rectangle, each
//! side the mean of two, so rounding averages out. Any other outline gets its enclosing rectangle of
//! least area, one side of which lies on the convex hull (Freeman & Shapira, CACM 18(7), 1975).

use geo::{Coord, LineString, MinimumRotatedRect};

use crate::geometry::{GroundBox, LonLat, PlanePoint};

/// How far four corners may be from a rectangle, as a share of its diagonal: half a pixel of rounding
/// on the smallest kilns labelled (8 px), and no more.
const RECTANGLE_TOLERANCE: f64 = 0.05;

/// A rectangle in a plane.
struct Rectangle {
    center: [f64; 2],
    /// The longer side, as a vector.
    length: [f64; 2],
    /// Length of the shorter side.
    width: f64,
}

/// The box of an outline's vertices (open or closed, either way round), computed in metres in the
/// plane tangent to the ellipsoid. None if the outline has no area.
pub(super) fn ground_box(vertices: &[LonLat]) -> Option<GroundBox> {
    let mut center = *vertices.first()?;
    let mut found = None;
    // The second round works in the plane at the box's own centre, as `GroundBox::corners` does.
    for _ in 0..2 {
        let plane: Vec<[f64; 2]> = vertices
            .iter()
            .map(|&v| center.offset_to(v))
            .map(|p| [p.east, p.north])
            .collect();
        let rectangle = enclosing(&plane)?;
        center = center.displaced(PlanePoint {
            east: rectangle.center[0],
            north: rectangle.center[1],
        });
        found = Some(rectangle);
    }
    let rectangle = found?;
    let [east, north] = rectangle.length;
    let angle = east.atan2(north).to_degrees().rem_euclid(180.0);
    Some(GroundBox {
        center,
        length_m: east.hypot(north),
        width_m: rectangle.width,
        // rem_euclid may round up to 180 for tiny negative angles.
        angle_deg: if angle < 180.0 { angle } else { 0.0 },
    })
}

fn enclosing(points: &[[f64; 2]]) -> Option<Rectangle> {
    let open = match points {
        [rest @ .., last] if points.len() > 1 && norm(minus(points[0], *last)) <= 0.0 => rest,
        all => all,
    };
    let corners = <[[f64; 2]; 4]>::try_from(open)
        .ok()
        .filter(is_rectangle)
        .or_else(|| smallest_around(open))?;
    let [p, q, r, s] = corners;
    let side = mean(minus(q, p), minus(r, s));
    let other = mean(minus(s, p), minus(r, q));
    let (length, width) = if norm(side) >= norm(other) {
        (side, norm(other))
    } else {
        (other, norm(side))
    };
    (width > 0.0 && norm(length).is_finite()).then(|| Rectangle {
        center: mean(mean(p, q), mean(r, s)),
        length,
        width,
    })
}

/// Whether four corners in order make a rectangle: the diagonals share their middle and their length.
fn is_rectangle(&[p, q, r, s]: &[[f64; 2]; 4]) -> bool {
    let diagonals = [norm(minus(r, p)), norm(minus(s, q))];
    let tolerance = RECTANGLE_TOLERANCE * diagonals[0].max(diagonals[1]);
    norm(minus(mean(p, r), mean(q, s))) * 2.0 <= tolerance
        && (diagonals[0] - diagonals[1]).abs() <= tolerance
}

fn smallest_around(points: &[[f64; 2]]) -> Option<[[f64; 2]; 4]> {
    let line: LineString = points.iter().map(|&[x, y]| Coord { x, y }).collect();
    let rectangle = line.minimum_rotated_rect()?;
    match rectangle.exterior().0.as_slice() {
        [p, q, r, s, ..] => Some([p, q, r, s].map(|c| [c.x, c.y])),
        _ => None,
    }
}

fn mean(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [f64::midpoint(a[0], b[0]), f64::midpoint(a[1], b[1])]
}

fn minus(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] - b[0], a[1] - b[1]]
}

fn norm(a: [f64; 2]) -> f64 {
    a[0].hypot(a[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::distance_m;

    fn at(origin: LonLat, east: f64, north: f64) -> LonLat {
        origin.displaced(PlanePoint { east, north })
    }

    #[test]
    fn an_l_shape_gets_the_smallest_rectangle_around_it() {
        // 100 m x 60 m with a bite of 50 m x 30 m out of one corner.
        let o = LonLat::new(3.0, 1.0);
        let outline = [
            (0.0, 0.0),
            (100.0, 0.0),
            (100.0, 30.0),
            (50.0, 30.0),
            (50.0, 60.0),
            (0.0, 60.0),
        ]
        .map(|(e, n)| at(o, e, n));
        let found = ground_box(&outline).unwrap();
        assert!((found.length_m - 100.0).abs() < 0.01, "{found:?}");
        assert!((found.width_m - 60.0).abs() < 0.01, "{found:?}");
        assert!((found.angle_deg - 90.0).abs() < 0.01, "{found:?}");
        assert!(distance_m(found.center, at(o, 50.0, 30.0)) < 0.01);
    }

    #[test]
    fn an_outline_without_area_is_no_box() {
        let o = LonLat::new(3.0, 1.0);
        assert!(ground_box(&[]).is_none());
        assert!(ground_box(&[o, o, o, o]).is_none());
        assert!(ground_box(&[o, LonLat::new(3.0, 1.001)]).is_none());
    }

    #[test]
    fn crossed_corners_still_give_the_rectangle() {
        let o = LonLat::new(3.0, 1.0);
        let bow = [(0.0, 0.0), (80.0, 40.0), (80.0, 0.0), (0.0, 40.0)].map(|(e, n)| at(o, e, n));
        let found = ground_box(&bow).unwrap();
        assert!((found.length_m - 80.0).abs() < 0.01 && (found.width_m - 40.0).abs() < 0.01);
    }

    proptest! {
        #[test]
        fn a_rectangle_comes_back_as_itself(
            lon in -180.0..180.0f64, lat in -75.0..75.0f64,
            length in 30.0..300.0f64, ratio in 0.2..0.95f64, angle in 0.0..180.0f64,
            closed: bool, reversed: bool, seven_decimals: bool,
        ) {
            let given = GroundBox { center: LonLat::new(lon, lat), length_m: length, width_m: length * ratio, angle_deg: angle };
            let mut ring = given.corners().to_vec();
            if seven_decimals {
                for p in &mut ring {
                    *p = LonLat::new((p.lon * 1e7).round() / 1e7, (p.lat * 1e7).round() / 1e7);
                }
            }
            if reversed {
                ring.reverse();
            }
            if closed {
                ring.push(ring[0]);
            }
            // A side runs between two corners, each up to half a unit of the seventh decimal
            // (0.56 cm) off either way along each axis: at worst 1.1 cm · √2. The centre is a mean.
            let tolerance_m = if seven_decimals { 0.016 } else { 0.001 };
            let found = ground_box(&ring).unwrap();
            prop_assert!(distance_m(found.center, given.center) < 0.01);
            prop_assert!((found.length_m - given.length_m).abs() < tolerance_m);
            prop_assert!((found.width_m - given.width_m).abs() < tolerance_m);
            let turn = (found.angle_deg - given.angle_deg).abs();
            prop_assert!(turn.min(180.0 - turn).to_radians() * length < 2.0 * tolerance_m, "{turn}");
        }
    }
}
