//! Places on the WGS 84 ellipsoid: distances, directions, boxes in metres, and an index of places.
//!
//! Detections are compared in metres and never in raw degrees. Distances that a person reads are
//! geodesics (Karney, "Algorithms for geodesics", J. Geodesy 87, 2013, through `geographiclib-rs`).
//! Overlaps, which are needed by the million and only between boxes a few hundred metres apart, are
//! computed in the plane tangent to the ellipsoid half-way between the boxes; over one kilometre this
//! differs from the geodesic by less than a millimetre.

use geo::{Bearing, Distance, Geodesic};
use rstar::RTree;
use rstar::primitives::GeomWithData;
use serde::{Deserialize, Serialize};

use super::overlap::Overlap;

/// WGS 84 equatorial radius in metres.
const SEMI_MAJOR_M: f64 = 6_378_137.0;
/// WGS 84 first eccentricity squared: f (2 − f), with f = 1 / 298.257223563.
const ECCENTRICITY_2: f64 = 6.694_379_990_141_316e-3;

/// A place in WGS 84 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LonLat {
    /// Longitude, degrees east, −180 to 180.
    pub lon: f64,
    /// Latitude, degrees north.
    pub lat: f64,
}

/// A position in metres in a plane tangent to the ellipsoid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanePoint {
    /// Metres east.
    pub east: f64,
    /// Metres north.
    pub north: f64,
}

impl LonLat {
    /// A place from its coordinates; the longitude is brought into −180 to 180.
    pub fn new(lon: f64, lat: f64) -> Self {
        Self {
            lon: wrap_degrees(lon),
            lat,
        }
    }

    /// Geocentric coordinates on the ellipsoid, in metres.
    pub fn geocentric(self) -> [f64; 3] {
        let (sin_lat, cos_lat) = self.lat.to_radians().sin_cos();
        let (sin_lon, cos_lon) = self.lon.to_radians().sin_cos();
        let n = SEMI_MAJOR_M / (1.0 - ECCENTRICITY_2 * sin_lat * sin_lat).sqrt();
        [
            n * cos_lat * cos_lon,
            n * cos_lat * sin_lon,
            n * (1.0 - ECCENTRICITY_2) * sin_lat,
        ]
    }

    /// Where `other` lies as seen from here, in metres. Meant for places a few kilometres apart.
    pub fn offset_to(self, other: Self) -> PlanePoint {
        let [east_per_deg, north_per_deg] = metres_per_degree(f64::midpoint(self.lat, other.lat));
        PlanePoint {
            east: wrap_degrees(other.lon - self.lon) * east_per_deg,
            north: (other.lat - self.lat) * north_per_deg,
        }
    }

    /// The place at an offset in metres: the inverse of [`Self::offset_to`].
    #[must_use]
    pub fn displaced(self, by: PlanePoint) -> Self {
        // The scale is that of the latitude half-way, which two rounds find to well below a millimetre.
        let mut lat = self.lat;
        for _ in 0..3 {
            let [_, north_per_deg] = metres_per_degree(f64::midpoint(self.lat, lat));
            lat = self.lat + by.north / north_per_deg;
        }
        let [east_per_deg, _] = metres_per_degree(f64::midpoint(self.lat, lat));
        Self::new(self.lon + by.east / east_per_deg, lat)
    }

    fn to_point(self) -> geo::Point {
        geo::Point::new(self.lon, self.lat)
    }
}

/// Degrees brought into −180 (exclusive) to 180 (inclusive).
fn wrap_degrees(degrees: f64) -> f64 {
    if degrees > -180.0 && degrees <= 180.0 {
        return degrees;
    }
    let wrapped = (degrees + 180.0).rem_euclid(360.0) - 180.0;
    if wrapped == -180.0 { 180.0 } else { wrapped }
}

/// Metres per degree of longitude and of latitude at a latitude: the ellipsoid's radii of curvature.
fn metres_per_degree(lat: f64) -> [f64; 2] {
    let (sin, cos) = lat.to_radians().sin_cos();
    let w = 1.0 - ECCENTRICITY_2 * sin * sin;
    let prime_vertical = SEMI_MAJOR_M / w.sqrt();
    let meridian = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / (w * w.sqrt());
    let degree = std::f64::consts::PI / 180.0;
    // At the poles a degree of longitude has no length; a hair keeps the division defined.
    [prime_vertical * cos.max(1e-12) * degree, meridian * degree]
}

/// Geodesic distance between two places in metres.
pub fn distance_m(a: LonLat, b: LonLat) -> f64 {
    Geodesic.distance(a.to_point(), b.to_point())
}

/// Direction of the geodesic from `a` to `b` at `a`, in degrees clockwise from true north, 0 to 360.
pub fn azimuth_deg(a: LonLat, b: LonLat) -> f64 {
    Geodesic
        .bearing(a.to_point(), b.to_point())
        .rem_euclid(360.0)
}

/// An oriented box on the ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroundBox {
    /// Centre.
    pub center: LonLat,
    /// Longer side in metres.
    pub length_m: f64,
    /// Shorter side in metres.
    pub width_m: f64,
    /// Direction of the longer side, degrees clockwise from true north, 0 (inclusive) to 180 (exclusive).
    pub angle_deg: f64,
}

impl GroundBox {
    /// Half the diagonal in metres.
    pub fn radius_m(&self) -> f64 {
        self.length_m.hypot(self.width_m) / 2.0
    }

    /// Area in square metres.
    pub fn area_m2(&self) -> f64 {
        self.length_m * self.width_m
    }

    /// Exact overlap with another box, in the plane tangent to the ellipsoid between the two.
    pub fn overlap(&self, other: &Self) -> Overlap {
        let offset = self.center.offset_to(other.center);
        if offset.east.hypot(offset.north) >= self.radius_m() + other.radius_m() {
            return Overlap::NONE;
        }
        let here = PlanePoint {
            east: 0.0,
            north: 0.0,
        };
        Overlap::of_quads(&self.corners_at(here), &other.corners_at(offset))
    }

    /// The corners in order round the box, as places.
    pub fn corners(&self) -> [LonLat; 4] {
        self.corners_at(PlanePoint {
            east: 0.0,
            north: 0.0,
        })
        .map(|[east, north]| self.center.displaced(PlanePoint { east, north }))
    }

    /// Corners as (east, north) when the centre lies at `origin`.
    fn corners_at(&self, origin: PlanePoint) -> [[f64; 2]; 4] {
        let (sin, cos) = self.angle_deg.to_radians().sin_cos();
        let (l, w) = (self.length_m / 2.0, self.width_m / 2.0);
        [(l, w), (-l, w), (-l, -w), (l, -w)].map(|(along, across)| {
            [
                origin.east + along * sin + across * cos,
                origin.north + along * cos - across * sin,
            ]
        })
    }
}

/// Places in an R-tree in geocentric space, where there is no date line and no pole.
pub struct GroundIndex {
    tree: RTree<GeomWithData<[f64; 3], usize>>,
}

impl GroundIndex {
    /// An index of `places`; each is known by its position in the slice.
    pub fn new(places: impl IntoIterator<Item = LonLat>) -> Self {
        let entries = places
            .into_iter()
            .enumerate()
            .map(|(i, p)| GeomWithData::new(p.geocentric(), i))
            .collect();
        Self {
            tree: RTree::bulk_load(entries),
        }
    }

    /// Positions of the places within `radius_m` of `place` (straight-line distance, which for the
    /// few kilometres this is used for equals the geodesic to a millimetre), in no order.
    pub fn within(&self, place: LonLat, radius_m: f64) -> impl Iterator<Item = usize> + '_ {
        self.tree
            .locate_within_distance(place.geocentric(), radius_m * radius_m)
            .map(|entry| entry.data)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tolerance in metres for the local plane against the geodesic, within a kilometre.
    const PLANE_TOLERANCE_M: f64 = 1e-3;

    #[test]
    fn one_kilometre_north_and_east_at_27_north_78_east() {
        // A public dashboard swapped the axes here: one kilometre came out as 0.208 km or 1.122 km.
        let home = LonLat::new(78.0, 27.0);
        let north = home.displaced(PlanePoint {
            east: 0.0,
            north: 1000.0,
        });
        let east = home.displaced(PlanePoint {
            east: 1000.0,
            north: 0.0,
        });
        assert!((distance_m(home, north) - 1000.0).abs() < PLANE_TOLERANCE_M);
        assert!((distance_m(home, east) - 1000.0).abs() < PLANE_TOLERANCE_M);
        assert!(azimuth_deg(home, north).abs() < 1e-6);
        assert!((azimuth_deg(home, east) - 90.0).abs() < 0.01);
    }

    #[test]
    fn geodesic_length_of_a_degree_matches_published_values() {
        // One degree of latitude at the equator: 110 574.4 m; of longitude: 111 319.5 m (WGS 84).
        let o = LonLat::new(0.0, 0.0);
        assert!((distance_m(o, LonLat::new(0.0, 1.0)) - 110_574.4).abs() < 0.1);
        assert!((distance_m(o, LonLat::new(1.0, 0.0)) - 111_319.5).abs() < 0.1);
    }

    #[test]
    fn neighbours_across_the_date_line_are_near() {
        let (a, b) = (LonLat::new(179.9999, 10.0), LonLat::new(-179.9999, 10.0));
        let offset = a.offset_to(b);
        assert!(offset.east > 21.0 && offset.east < 22.5, "{offset:?}");
        let index = GroundIndex::new([b]);
        assert_eq!(index.within(a, 30.0).count(), 1);
    }

    #[test]
    fn boxes_end_to_end_touch_but_do_not_overlap() {
        let a = GroundBox {
            center: LonLat::new(78.0, 27.0),
            length_m: 120.0,
            width_m: 60.0,
            angle_deg: 0.0,
        };
        let b = GroundBox {
            center: a.center.displaced(PlanePoint {
                east: 0.0,
                north: 120.0,
            }),
            ..a
        };
        assert!(a.overlap(&b).iou < 1e-9);
        let half = GroundBox {
            center: a.center.displaced(PlanePoint {
                east: 0.0,
                north: 60.0,
            }),
            ..a
        };
        assert!((a.overlap(&half).iou - 1.0 / 3.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_local_plane_agrees_with_the_geodesic(
            lon in -180.0..180.0f64, lat in -80.0..80.0f64, east in -700.0..700.0f64, north in -700.0..700.0f64,
        ) {
            let home = LonLat::new(lon, lat);
            let there = home.displaced(PlanePoint { east, north });
            prop_assert!((distance_m(home, there) - east.hypot(north)).abs() < PLANE_TOLERANCE_M);
            let back = home.offset_to(there);
            prop_assert!((back.east - east).abs() < 1e-6 && (back.north - north).abs() < 1e-6);
        }

        #[test]
        fn overlap_does_not_depend_on_who_asks(
            lat in -70.0..70.0f64, east in -150.0..150.0f64, north in -150.0..150.0f64,
            l in 20.0..200.0f64, w in 20.0..200.0f64, t in 0.0..180.0f64, u in 0.0..180.0f64,
        ) {
            let a = GroundBox { center: LonLat::new(179.9995, lat), length_m: l, width_m: w, angle_deg: t };
            let b = GroundBox { center: a.center.displaced(PlanePoint { east, north }), length_m: w, width_m: l, angle_deg: u };
            prop_assert!((a.overlap(&b).iou - b.overlap(&a).iou).abs() < 1e-9);
        }
    }
}
