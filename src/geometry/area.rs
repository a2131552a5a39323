//! Areas: shapes that are no rectangles, in pixels and on the ground.

use geo::{
    BooleanOps, Distance, Euclidean, GeodesicArea, LineString, MapCoords, MinimumRotatedRect,
    MultiPolygon, Orient, Polygon, SimplifyVwPreserve, coord, orient::Direction, unary_union,
};

use super::{GroundBox, LonLat, OrientedBox, PixelPoint, PlanePoint};

/// Rings with no more corners than this are left as they are: there is nothing to gain.
const SIMPLE_CORNERS: usize = 8;

/// An area in pixels of a chip: an outer ring and its holes.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelArea {
    /// x to the right, y down.
    pub polygon: Polygon,
}

impl PixelArea {
    /// An area of rings of `[x, y]`, the first of which is the outer one. `None` where they are no rings.
    pub fn from_rings(rings: &[Vec<[f64; 2]>]) -> Option<Self> {
        let sound =
            |ring: &Vec<[f64; 2]>| ring.len() >= 3 && ring.iter().flatten().all(|v| v.is_finite());
        let (outer, holes) = rings.split_first()?;
        if !rings.iter().all(sound) {
            return None;
        }
        let line = |ring: &Vec<[f64; 2]>| -> LineString {
            ring.iter().map(|&[x, y]| coord! { x: x, y: y }).collect()
        };
        Some(Self {
            polygon: Polygon::new(line(outer), holes.iter().map(line).collect()),
        })
    }

    /// The rings without their repeated last corner, the outer one first.
    pub fn rings(&self) -> Vec<Vec<[f64; 2]>> {
        std::iter::once(self.polygon.exterior())
            .chain(self.polygon.interiors())
            .map(|ring| open(ring).iter().map(|c| [c.x, c.y]).collect())
            .collect()
    }

    /// The smallest rectangle round it, at any angle. `None` for an area that is none.
    pub fn bounding_box(&self) -> Option<OrientedBox> {
        let [a, b, c, d] = smallest_rectangle(&MultiPolygon::from(self.polygon.clone()))?;
        let side = |p: [f64; 2], q: [f64; 2]| (q[0] - p[0]).hypot(q[1] - p[1]);
        let shape = OrientedBox {
            center: PixelPoint::new(
                (a[0] + b[0] + c[0] + d[0]) / 4.0,
                (a[1] + b[1] + c[1] + d[1]) / 4.0,
            ),
            length: side(a, b),
            width: side(b, c),
            angle: (b[1] - a[1]).atan2(b[0] - a[0]),
        };
        shape.is_valid().then(|| shape.canonical())
    }
}

/// An area on the ground: polygons, each an outer ring (counter-clockwise) and its holes, without repeated last
/// corners.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundArea {
    /// Outer rings with their holes.
    pub polygons: Vec<(Vec<LonLat>, Vec<Vec<LonLat>>)>,
}

impl GroundArea {
    /// From polygons in metres (x east, y north) in the plane at `origin`.
    pub fn from_plane(origin: LonLat, plane: &MultiPolygon) -> Self {
        let place = |ring: &LineString| -> Vec<LonLat> {
            open(ring)
                .iter()
                .map(|c| {
                    origin.displaced(PlanePoint {
                        east: c.x,
                        north: c.y,
                    })
                })
                .collect()
        };
        Self {
            polygons: plane
                .orient(Direction::Default)
                .iter()
                .map(|p| {
                    (
                        place(p.exterior()),
                        p.interiors().iter().map(place).collect(),
                    )
                })
                .collect(),
        }
    }

    /// Its polygons in metres (x east, y north) in the plane at `origin`.
    pub fn in_plane(&self, origin: LonLat) -> MultiPolygon {
        let ring = |places: &Vec<LonLat>| -> LineString {
            places
                .iter()
                .map(|p| {
                    let at = origin.offset_to(*p);
                    coord! { x: at.east, y: at.north }
                })
                .collect()
        };
        let polygons = self.polygons.iter();
        MultiPolygon::new(
            polygons
                .map(|(outer, holes)| Polygon::new(ring(outer), holes.iter().map(ring).collect()))
                .collect(),
        )
    }

    /// Some place of it; `None` when it is empty.
    pub fn first_place(&self) -> Option<LonLat> {
        self.polygons.first()?.0.first().copied()
    }

    /// Area on the ellipsoid in square metres, holes taken off.
    pub fn area_m2(&self) -> f64 {
        let Some(origin) = self.first_place() else {
            return 0.0;
        };
        // Longitudes run on across the date line.
        let degrees = |c: geo::Coord| {
            let at = origin.displaced(PlanePoint {
                east: c.x,
                north: c.y,
            });
            let turns = ((at.lon - origin.lon) / 360.0).round();
            coord! { x: at.lon - 360.0 * turns, y: at.lat }
        };
        // The way round does not matter: that of a sliver is told by rounding.
        let plane = self.in_plane(origin).map_coords(degrees);
        plane.iter().map(|p| p.geodesic_area_signed().abs()).sum()
    }

    /// The smallest rectangle round it. `None` for an area that is none.
    pub fn bounding_box(&self) -> Option<GroundBox> {
        let origin = self.first_place()?;
        let [a, b, c, d] = smallest_rectangle(&self.in_plane(origin))?;
        let side = |p: [f64; 2], q: [f64; 2]| (q[0] - p[0], q[1] - p[1]);
        let (one, other) = (side(a, b), side(b, c));
        let length = |s: (f64, f64)| s.0.hypot(s.1);
        let (long, short) = if length(one) >= length(other) {
            (one, other)
        } else {
            (other, one)
        };
        let angle_deg = long.0.atan2(long.1).to_degrees().rem_euclid(180.0);
        let ground = GroundBox {
            center: origin.displaced(PlanePoint {
                east: (a[0] + b[0] + c[0] + d[0]) / 4.0,
                north: (a[1] + b[1] + c[1] + d[1]) / 4.0,
            }),
            length_m: length(long),
            width_m: length(short),
            angle_deg: if angle_deg >= 180.0 { 0.0 } else { angle_deg },
        };
        (ground.width_m > 0.0 && ground.length_m.is_finite()).then_some(ground)
    }

    /// The same with fewer corners: those that span a triangle of less than `tolerance_m` squared with their
    /// neighbours go (Visvalingam & Whyatt, "Line generalisation by repeated elimination of points", 1993), and
    /// no edge comes to cross another.
    #[must_use]
    pub fn simplified(&self, tolerance_m: f64) -> Self {
        let Some(origin) = self.first_place() else {
            return self.clone();
        };
        let simple = |polygon: Polygon| {
            if polygon.exterior().0.len() <= SIMPLE_CORNERS + 1 || tolerance_m <= 0.0 {
                polygon
            } else {
                polygon.simplify_vw_preserve(tolerance_m * tolerance_m)
            }
        };
        let plane = self.in_plane(origin).into_iter().map(simple).collect();
        Self::from_plane(origin, &plane)
    }

    /// Whether two areas lie within `reach_m` metres of one another.
    pub fn is_near(&self, other: &Self, reach_m: f64) -> bool {
        let Some(origin) = self.first_place() else {
            return false;
        };
        Euclidean.distance(&self.in_plane(origin), &other.in_plane(origin)) <= reach_m
    }

    /// What the areas cover together.
    pub fn union<'a>(areas: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut areas = areas.into_iter().peekable();
        let origin = areas.peek().and_then(|area| area.first_place());
        let Some(origin) = origin else {
            return Self {
                polygons: Vec::new(),
            };
        };
        let parts: Vec<MultiPolygon> = areas.map(|area| area.in_plane(origin)).collect();
        match parts.as_slice() {
            [only] => Self::from_plane(origin, only),
            many => Self::from_plane(origin, &unary_union(many)),
        }
    }
}

/// Whether two polygons make one: they overlap, or share a stretch of their edges. A corner alone is not enough.
pub fn polygons_join(a: &Polygon, b: &Polygon) -> bool {
    a.union(b).0.len() == 1
}

/// The corners of a ring without the repeated last one.
fn open(ring: &LineString) -> &[geo::Coord] {
    match ring.0.as_slice() {
        [rest @ .., last] if rest.first() == Some(last) => rest,
        all => all,
    }
}

/// Corners of the smallest rectangle round polygons, in order.
fn smallest_rectangle(polygons: &MultiPolygon) -> Option<[[f64; 2]; 4]> {
    let rectangle = polygons.minimum_rotated_rect()?;
    match open(rectangle.exterior()) {
        [a, b, c, d] => Some([a, b, c, d].map(|p| [p.x, p.y])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: LonLat = LonLat {
        lon: 78.0,
        lat: 27.0,
    };

    fn frame(x0: f64, y0: f64, x1: f64, y1: f64) -> LineString {
        LineString::from(vec![(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])
    }

    fn plane(outer: LineString, holes: Vec<LineString>) -> GroundArea {
        GroundArea::from_plane(HOME, &MultiPolygon::from(Polygon::new(outer, holes)))
    }

    #[test]
    fn a_hole_is_taken_off_the_area() {
        let area = plane(
            frame(0.0, 0.0, 400.0, 200.0),
            vec![frame(50.0, 50.0, 150.0, 150.0)],
        );
        // The plane is true to a millionth over this distance.
        assert!(
            (area.area_m2() - 70_000.0).abs() < 0.5,
            "{}",
            area.area_m2()
        );
        let at_the_date_line = GroundArea::from_plane(
            LonLat::new(179.9999, 10.0),
            &MultiPolygon::from(Polygon::new(frame(-50.0, 0.0, 150.0, 100.0), vec![])),
        );
        assert!((at_the_date_line.area_m2() - 20_000.0).abs() < 0.5);
    }

    #[test]
    fn the_rectangle_round_a_turned_shape_is_turned_with_it() {
        // An L with arms of 200 m and 100 m, whose long arm points 30° east of north.
        let (sin, cos) = 30f64.to_radians().sin_cos();
        let corner =
            |along: f64, across: f64| (along * sin + across * cos, along * cos - across * sin);
        let ring = [
            (0.0, 0.0),
            (200.0, 0.0),
            (200.0, 40.0),
            (40.0, 40.0),
            (40.0, 100.0),
            (0.0, 100.0),
        ];
        let area = plane(ring.map(|(l, w)| corner(l, w)).to_vec().into(), vec![]);
        let ground = area.bounding_box().unwrap();
        assert!((ground.length_m - 200.0).abs() < 1e-3 && (ground.width_m - 100.0).abs() < 1e-3);
        assert!(
            (ground.angle_deg - 30.0).abs() < 1e-3,
            "{}",
            ground.angle_deg
        );
    }

    #[test]
    fn stairs_become_slopes_and_corners_stay() {
        let mut ring: Vec<(f64, f64)> = (0..20)
            .flat_map(|i| {
                let at = f64::from(i) * 10.0;
                [(at, at), (at + 10.0, at)]
            })
            .collect();
        ring.push((200.0, 200.0));
        ring.push((0.0, 200.0));
        let area = plane(ring.into(), vec![]);
        let simple = area.simplified(7.5);
        // Of the 42 corners, more than half go; the outline stays within half a step of where it was.
        assert!((5..21).contains(&simple.polygons[0].0.len()));
        assert!((simple.area_m2() / area.area_m2() - 1.0).abs() < 0.06);
        assert_eq!(area.simplified(0.0).polygons[0].0.len(), 42);
    }

    #[test]
    fn polygons_join_along_edges_and_not_at_corners() {
        let square = |x: f64, y: f64| Polygon::new(frame(x, y, x + 64.0, y + 64.0), vec![]);
        let home = square(0.0, 0.0);
        assert!(polygons_join(&home, &square(64.0, 0.0)));
        assert!(polygons_join(&home, &square(63.0, 30.0)));
        assert!(!polygons_join(&home, &square(64.0, 64.0)));
        assert!(!polygons_join(&home, &square(65.0, 0.0)));
    }

    #[test]
    fn areas_that_overlap_become_one_and_those_apart_stay_two() {
        let one = plane(frame(0.0, 0.0, 100.0, 100.0), vec![]);
        let other = plane(frame(90.0, 0.0, 200.0, 100.0), vec![]);
        let far = plane(frame(300.0, 0.0, 400.0, 100.0), vec![]);
        assert!(one.is_near(&other, 0.0) && !one.is_near(&far, 150.0) && one.is_near(&far, 201.0));
        let joined = GroundArea::union([&one, &other, &far]);
        assert_eq!(joined.polygons.len(), 2);
        assert!((joined.area_m2() - 30_000.0).abs() < 1.0);
    }
}
