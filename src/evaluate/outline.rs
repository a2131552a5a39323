//! Shapes as labels give them, and what can be asked of them.

use geo::{
    Area, BooleanOps, BoundingRect, Coord, Intersects, LineString, MultiPolygon, Polygon, Rect,
};

use crate::geometry::{LonLat, distance_m};

/// Share of a detection (or of the region, if that is smaller) that must lie in an ignore region.
pub const IGNORE_IOS: f64 = 0.5;

/// Coordinates equal to within this many degrees are the same: two units in the seventh decimal.
const SAME_DEGREES: f64 = 2e-7;

/// A shape on the ground, in WGS 84 degrees.
#[derive(Debug, Clone, PartialEq)]
pub enum Outline {
    /// A place without extent.
    Point(LonLat),
    /// Polygons (x is longitude, y latitude) that together are one object.
    Area(MultiPolygon),
}

impl Outline {
    /// An area from the vertices of one ring, open or closed.
    pub fn from_ring(vertices: &[LonLat]) -> Self {
        let ring: LineString = vertices
            .iter()
            .map(|p| Coord { x: p.lon, y: p.lat })
            .collect();
        Self::Area(MultiPolygon::new(vec![Polygon::new(ring, vec![])]))
    }

    /// Vertices of the outer rings, without the closing ones.
    pub fn vertices(&self) -> Vec<LonLat> {
        match self {
            Self::Point(place) => vec![*place],
            Self::Area(area) => area
                .iter()
                .flat_map(|polygon| polygon.exterior().0.iter().skip(1))
                .map(|c| LonLat::new(c.x, c.y))
                .collect(),
        }
    }

    /// Whether the shape is a rectangle along meridians and parallels: it then says where an object
    /// is and how large, and nothing about its direction.
    pub fn is_north_up(&self) -> bool {
        let vertices = self.vertices();
        let Some(&first) = vertices.first() else {
            return true;
        };
        let relative: Vec<[f64; 2]> = vertices
            .iter()
            .map(|v| [LonLat::new(v.lon - first.lon, 0.0).lon, v.lat])
            .collect();
        (0..2).all(|axis| {
            let values = relative.iter().map(|v| v[axis]);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
            values
                .into_iter()
                .all(|v| (v - low).min(high - v) <= SAME_DEGREES)
        })
    }
}

/// A part of the ground where detections are neither rewarded nor punished.
#[derive(Debug, Clone)]
pub struct IgnoreRegion {
    /// The class it applies to; none means every class.
    pub class: Option<String>,
    shape: Shape,
}

#[derive(Debug, Clone)]
enum Shape {
    Point(LonLat),
    /// In degrees, longitudes counted from `origin_lon`, so that the date line is nowhere near.
    Area {
        origin_lon: f64,
        area: MultiPolygon,
        bounds: Rect,
        square_degrees: f64,
    },
    Nothing,
}

impl IgnoreRegion {
    /// The region inside an outline.
    pub fn new(outline: &Outline, class: Option<String>) -> Self {
        let shape = match outline {
            Outline::Point(place) => Shape::Point(*place),
            Outline::Area(area) => Shape::of_area(area),
        };
        Self { class, shape }
    }

    /// Whether a box (its centre and corners in order) falls to this region: its centre lies inside, or
    /// at least [`IGNORE_IOS`] of the smaller of the two is shared. A region given as a point takes
    /// boxes with their centre within `reach_m` metres, and boxes that hold the point.
    pub fn takes(&self, center: LonLat, corners: &[LonLat; 4], reach_m: f64) -> bool {
        match &self.shape {
            Shape::Nothing => false,
            Shape::Point(place) => {
                distance_m(center, *place) <= reach_m
                    || quad(corners, place.lon).intersects(&Coord {
                        x: 0.0,
                        y: place.lat,
                    })
            }
            Shape::Area {
                origin_lon,
                area,
                bounds,
                square_degrees,
            } => {
                let quad = quad(corners, *origin_lon);
                if !quad.bounding_rect().is_some_and(|r| r.intersects(bounds)) {
                    return false;
                }
                let inside = Coord {
                    x: LonLat::new(center.lon - origin_lon, 0.0).lon,
                    y: center.lat,
                };
                if area.intersects(&inside) {
                    return true;
                }
                let smaller = quad.unsigned_area().min(*square_degrees);
                let shared = area
                    .intersection(&MultiPolygon::new(vec![quad]))
                    .unsigned_area();
                smaller > 0.0 && shared >= IGNORE_IOS * smaller
            }
        }
    }
}

impl Shape {
    fn of_area(area: &MultiPolygon) -> Self {
        let Some(origin_lon) = area
            .iter()
            .find_map(|p| p.exterior().0.first())
            .map(|c| c.x)
        else {
            return Self::Nothing;
        };
        let ring = |line: &LineString| -> LineString {
            line.0
                .iter()
                .map(|c| Coord {
                    x: LonLat::new(c.x - origin_lon, 0.0).lon,
                    y: c.y,
                })
                .collect()
        };
        let area: MultiPolygon = area
            .iter()
            .map(|p| Polygon::new(ring(p.exterior()), p.interiors().iter().map(ring).collect()))
            .collect();
        match area.bounding_rect() {
            Some(bounds) => Self::Area {
                origin_lon,
                square_degrees: area.unsigned_area(),
                area,
                bounds,
            },
            None => Self::Nothing,
        }
    }
}

/// Corners as a polygon in degrees, longitudes counted from `origin_lon`.
fn quad(corners: &[LonLat; 4], origin_lon: f64) -> Polygon {
    let ring: LineString = corners
        .iter()
        .map(|p| Coord {
            x: LonLat::new(p.lon - origin_lon, 0.0).lon,
            y: p.lat,
        })
        .collect();
    Polygon::new(ring, vec![])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{GroundBox, PlanePoint};

    fn square(center: LonLat, side_m: f64, angle_deg: f64) -> GroundBox {
        GroundBox {
            center,
            length_m: side_m,
            width_m: side_m,
            angle_deg,
        }
    }

    fn takes(region: &IgnoreRegion, b: GroundBox) -> bool {
        region.takes(b.center, &b.corners(), 50.0)
    }

    #[test]
    fn a_region_takes_what_has_its_centre_or_half_its_area_inside() {
        // Across the date line, to see that it makes no difference.
        let home = LonLat::new(180.0, 1.0);
        let region = IgnoreRegion::new(
            &Outline::from_ring(&square(home, 400.0, 0.0).corners()),
            None,
        );
        let east = |east| square(home.displaced(PlanePoint { east, north: 0.0 }), 100.0, 0.0);
        assert!(takes(&region, east(0.0)));
        assert!(takes(&region, east(199.0)));
        // Centre 10 m outside: 40 % of the box is inside.
        assert!(!takes(&region, east(210.0)));
        // A box twice as large as the region, centred outside it, that covers it wholly: IoS is 1.
        let around = square(
            home.displaced(PlanePoint {
                east: 250.0,
                north: 0.0,
            }),
            1000.0,
            0.0,
        );
        assert!(takes(&region, around));
    }

    #[test]
    fn a_hole_in_a_region_is_not_ignored() {
        let home = LonLat::new(3.0, 1.0);
        let ring = |side| -> LineString {
            square(home, side, 0.0)
                .corners()
                .iter()
                .map(|p| Coord { x: p.lon, y: p.lat })
                .collect()
        };
        let holed = Outline::Area(MultiPolygon::new(vec![Polygon::new(
            ring(1000.0),
            vec![ring(500.0)],
        )]));
        let region = IgnoreRegion::new(&holed, None);
        assert!(!takes(&region, square(home, 100.0, 30.0)));
        let north = home.displaced(PlanePoint {
            east: 0.0,
            north: 400.0,
        });
        assert!(takes(&region, square(north, 100.0, 30.0)));
    }

    #[test]
    fn a_region_given_as_a_point_takes_what_is_near_it() {
        let home = LonLat::new(3.0, 1.0);
        let region = IgnoreRegion::new(&Outline::Point(home), None);
        let at = |east, side| square(home.displaced(PlanePoint { east, north: 0.0 }), side, 0.0);
        assert!(takes(&region, at(49.0, 10.0)));
        assert!(!takes(&region, at(51.0, 10.0)));
        assert!(takes(&region, at(51.0, 120.0)));
    }

    #[test]
    fn north_up_is_told_from_turned() {
        let home = LonLat::new(3.0, 1.0);
        assert!(Outline::from_ring(&square(home, 100.0, 90.0).corners()).is_north_up());
        assert!(!Outline::from_ring(&square(home, 100.0, 2.0).corners()).is_north_up());
    }
}
