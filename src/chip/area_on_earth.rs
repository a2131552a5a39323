//! An area of interest in degrees: whether what is known by its bounds alone may touch it.

use super::area_of_interest::AreaOfInterest;
use super::plan::PixelRect;
use super::scene_area::SceneArea;

/// Bounds are rounded where they are written down …
const MARGIN_DEG: f64 = 0.01;
/// … and often those of the corners alone, between which the sides of a projected scene reach further out.
const MARGIN_SHARE: f64 = 0.02;
/// Nearer to a pole than this, the corners of a scene say little of its longitudes, nor whether it holds the pole.
const POLAR_DEG: f64 = 80.0;

/// An area of interest in degrees.
#[derive(Debug, Clone)]
pub struct AreaOnEarth {
    /// The index does not ask for the unit.
    degrees: SceneArea,
}

impl AreaOnEarth {
    /// From an area.
    pub fn new(area: &AreaOfInterest) -> Self {
        Self {
            degrees: SceneArea::new(area.polygons.clone()),
        }
    }

    /// Whether something within these bounds, or a little beside them, may touch the area: west, south, east, north in
    /// degrees, west > east across the antimeridian.
    pub fn may_touch(&self, [mut west, mut south, mut east, mut north]: [f64; 4]) -> bool {
        if west > east {
            east += 360.0;
        }
        let margin = |length: f64| MARGIN_DEG + MARGIN_SHARE * length;
        let (mx, my) = (margin(east - west), margin(north - south));
        (west, east) = (west - mx, east + mx);
        (south, north) = (south - my, north + my);
        if north > POLAR_DEG || south < -POLAR_DEG {
            (west, east) = (-180.0, 180.0);
            north = if north > POLAR_DEG { 90.0 } else { north };
            south = if south < -POLAR_DEG { -90.0 } else { south };
        }
        [-360.0, 0.0, 360.0].iter().any(|turn| {
            self.degrees.touches(&PixelRect {
                x0: west + turn,
                y0: south,
                x1: east + turn,
                y1: north,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_touch(area: &str, bounds: [f64; 4]) -> bool {
        AreaOnEarth::new(&AreaOfInterest::parse(area).unwrap()).may_touch(bounds)
    }

    #[test]
    fn bounds_touch_an_area_beside_round_and_in_them() {
        let area = "76,30,77,31";
        for (bounds, expected) in [
            ([76.2, 30.2, 76.4, 30.4], true),
            ([70.0, 20.0, 80.0, 40.0], true),
            ([77.005, 30.0, 77.1, 30.1], true),
            ([77.05, 30.0, 77.1, 30.1], false),
            ([76.2, 31.05, 76.4, 31.1], false),
            // A large scene, whose sides may bulge.
            ([77.03, 30.0, 79.0, 32.0], true),
            // A point, and the same ground a turn further.
            ([76.5, 30.5, 76.5, 30.5], true),
            ([436.2, 30.2, 436.4, 30.4], true),
        ] {
            assert_eq!(may_touch(area, bounds), expected, "{bounds:?}");
        }
    }

    #[test]
    fn the_antimeridian_is_no_border() {
        for area in ["179.8,-17,-179.8,-16", "-179.95,-17,-179.9,-16"] {
            for bounds in [
                [179.5, -17.0, -179.5, -16.0],
                [179.5, -17.0, 180.5, -16.0],
                [-180.5, -17.0, -179.5, -16.0],
            ] {
                assert!(may_touch(area, bounds), "{area} {bounds:?}");
            }
            assert!(!may_touch(area, [178.0, -17.0, 179.0, -16.0]));
            assert!(!may_touch(area, [-178.0, -17.0, -170.0, -16.0]));
        }
    }

    #[test]
    fn corners_near_a_pole_may_hold_it() {
        assert!(may_touch("10,89.8,20,90", [-135.0, 89.4, 135.0, 89.4]));
        assert!(may_touch(
            "170,-90,172,-89.9",
            [-135.0, -89.4, 135.0, -89.3]
        ));
        assert!(!may_touch("10,70,20,75", [-135.0, 89.4, 135.0, 89.4]));
    }
}
