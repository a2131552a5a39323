//! A row of a layer: a shape on Earth and its properties, in any format.

use geo::{BooleanOps, BoundingRect, MultiPolygon, Polygon, coord};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::geometry::LonLat;

/// An open ring of places. Longitudes may run on past ±180, so that a shape across the antimeridian is whole.
pub type Ring = Vec<LonLat>;

/// A shape with properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature<P = Map<String, Value>> {
    /// Polygons: each an outer ring and its holes.
    pub polygons: Vec<(Ring, Vec<Ring>)>,
    /// Properties in the order they are written.
    pub properties: P,
}

/// Properties that can be written, one of which identifies the feature.
pub trait Identified: Serialize {
    /// The text of the property of this name that identifies the feature; `None` where it has none.
    fn id(&self, property: &str) -> Option<&str>;
}

impl Identified for Map<String, Value> {
    fn id(&self, property: &str) -> Option<&str> {
        self.get(property).and_then(Value::as_str)
    }
}

impl<P> Feature<P> {
    /// A feature of one polygon without holes.
    pub fn of_ring(ring: Ring, properties: P) -> Self {
        Self {
            polygons: vec![(ring, Vec::new())],
            properties,
        }
    }

    /// The shape as RFC 7946 wants it: rings closed, outer ones counter-clockwise and holes clockwise (3.1.6),
    /// cut at the antimeridian (3.1.9), longitudes within ±180.
    pub fn split_polygons(&self) -> Vec<Polygon> {
        let mut parts = Vec::new();
        for (outer, holes) in &self.polygons {
            let origin = outer.first().map_or(0.0, |p| p.lon);
            let polygon = Polygon::new(
                unwrapped(outer, origin),
                holes.iter().map(|h| unwrapped(h, origin)).collect(),
            );
            split(&polygon, &mut parts);
        }
        parts.iter_mut().for_each(orient);
        parts
    }
}

/// A ring whose longitudes follow one another without jumps, starting within half a turn of `origin`. A ring that goes
/// round a pole is closed along it.
fn unwrapped(ring: &[LonLat], origin: f64) -> geo::LineString {
    let mut previous = origin;
    let mut line: Vec<geo::Coord> = ring
        .iter()
        .map(|p| {
            previous += (p.lon - previous + 540.0).rem_euclid(360.0) - 180.0;
            // Adding and subtracting whole turns costs a rounding: keep the number where there was no jump.
            let lon = if (previous - p.lon).abs() < 1e-9 {
                p.lon
            } else {
                previous
            };
            coord! { x: lon, y: p.lat }
        })
        .collect();
    if let (Some(&first), Some(&last)) = (line.first(), line.last()) {
        let closing = (first.x - last.x + 540.0).rem_euclid(360.0) - 180.0;
        let turn = last.x + closing - first.x;
        if turn.abs() > 180.0 {
            let north = line.iter().map(|c| c.y).sum::<f64>() > 0.0;
            let pole = if north { 90.0 } else { -90.0 };
            line.extend([
                coord! { x: first.x + turn, y: first.y },
                coord! { x: first.x + turn, y: pole },
                coord! { x: first.x, y: pole },
            ]);
        }
    }
    line.into()
}

fn split(polygon: &Polygon, parts: &mut Vec<Polygon>) {
    let Some(bounds) = polygon.bounding_rect() else {
        return;
    };
    let (west, east) = (bounds.min().x, bounds.max().x);
    // On which side of a shape wider than half the Earth its inside lies is not told by its outline.
    let wide = east - west > 180.0;
    if west >= -180.0 && east <= 180.0 && !wide {
        parts.push(polygon.clone());
        return;
    }
    let step = if wide { 90 } else { 360 };
    for band in (-540..540).step_by(step) {
        let offset = f64::from((band + 180_i32).div_euclid(360)) * 360.0;
        // No wider than needed: intersections are computed on a grid as fine as the shapes are small, and
        // over the whole Earth that grid would show in the seventh decimal.
        let (from, to) = (
            west.max(f64::from(band)),
            east.min(f64::from(band) + step as f64),
        );
        if from >= to {
            continue;
        }
        let band = geo::Rect::new(
            coord! { x: from, y: bounds.min().y },
            coord! { x: to, y: bounds.max().y },
        );
        let inside: MultiPolygon = polygon.intersection(&band.to_polygon());
        parts.extend(inside.into_iter().filter(is_no_sliver).map(|mut part| {
            if wide {
                part = with_short_edges(&part);
            }
            // Intersections are exact to their grid only, which may reach a hair beyond the ends of the Earth.
            let place = |ring: &mut geo::LineString| {
                for c in &mut ring.0 {
                    c.x = (c.x - offset).clamp(-180.0, 180.0);
                    c.y = c.y.clamp(-90.0, 90.0);
                }
            };
            part.exterior_mut(place);
            part.interiors_mut(|rings| rings.iter_mut().for_each(place));
            part
        }));
    }
}

/// Whether something of a part is left when it is written with seven decimals. A shape that was cut at the antimeridian
/// before may reach a hair beyond it.
fn is_no_sliver(part: &Polygon) -> bool {
    const DEG: f64 = 2e-7;
    part.bounding_rect()
        .is_some_and(|bounds| bounds.width() >= DEG && bounds.height() >= DEG)
}

/// The polygon with a corner every degree: a parallel is straight here but no shortest way on the Earth, by which
/// areas are measured. At a pole all longitudes are one place.
fn with_short_edges(polygon: &Polygon) -> Polygon {
    let shortened = |ring: &geo::LineString| -> geo::LineString {
        let mut line: Vec<geo::Coord> = Vec::new();
        for edge in ring.lines() {
            let at_pole = edge.start.y.abs() >= 90.0 && edge.end.y.abs() >= 90.0;
            let pieces = if at_pole {
                1.0
            } else {
                edge.dx().abs().ceil().max(1.0)
            };
            line.extend(
                (0..pieces as usize).map(|i| edge.start + edge.delta() * (i as f64 / pieces)),
            );
        }
        line.extend(ring.0.last());
        line.into()
    };
    Polygon::new(
        shortened(polygon.exterior()),
        polygon.interiors().iter().map(shortened).collect(),
    )
}

fn orient(polygon: &mut Polygon) {
    use geo::orient::Direction;
    *polygon = geo::Orient::orient(polygon, Direction::Default);
}

#[cfg(test)]
mod tests {
    use geo::Area;

    use super::*;

    fn ring(points: &[(f64, f64)]) -> Ring {
        points
            .iter()
            .map(|&(lon, lat)| LonLat { lon, lat })
            .collect()
    }

    #[test]
    fn a_clockwise_ring_is_turned_round() {
        let feature = Feature::of_ring(
            ring(&[(0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]),
            Map::new(),
        );
        assert!(feature.split_polygons()[0].signed_area() > 0.0);
    }

    #[test]
    fn a_shape_across_the_antimeridian_is_cut_in_two() {
        let feature = Feature::of_ring(
            ring(&[(179.0, 0.0), (-179.0, 0.0), (-179.0, 1.0), (179.0, 1.0)]),
            Map::new(),
        );
        let parts = feature.split_polygons();
        assert_eq!(parts.len(), 2);
        let area: f64 = parts.iter().map(Area::signed_area).sum();
        assert!((area - 2.0).abs() < 1e-9);
        assert!(
            parts
                .iter()
                .flat_map(|p| p.exterior().coords())
                .all(|c| c.x.abs() <= 180.0)
        );
    }

    #[test]
    fn a_hair_beyond_the_antimeridian_is_no_part() {
        let square = ring(&[
            (179.0, 0.0),
            (180.0, 0.0),
            (-179.999_999_99, 1.0),
            (179.0, 1.0),
        ]);
        assert_eq!(
            Feature::of_ring(square, Map::new()).split_polygons().len(),
            1
        );
    }

    #[test]
    fn a_ring_round_a_pole_holds_it() {
        use geo::GeodesicArea;
        for (lat, clockwise) in [(80.0, false), (80.0, true), (-80.0, false)] {
            let mut points: Vec<(f64, f64)> =
                (0..72).map(|i| (f64::from(i) * 5.0 - 178.0, lat)).collect();
            if clockwise {
                points.reverse();
            }
            let parts = Feature::of_ring(ring(&points), Map::new()).split_polygons();
            let inside = |c: &geo::Coord| c.x.abs() <= 180.0 && c.y.abs() <= 90.0;
            assert!(parts.iter().all(|p| p.exterior().coords().all(inside)));
            let area: f64 = parts.iter().map(GeodesicArea::geodesic_area_unsigned).sum();
            // A cap of ten degrees: 2 π R² (1 − sin 80°) on the sphere.
            assert!((area / 3.89e12 - 1.0).abs() < 0.02, "{area}");
            let signed: f64 = parts.iter().map(Area::signed_area).sum();
            assert!((signed - 3600.0).abs() < 1e-6, "{signed}");
        }
    }

    #[test]
    fn cutting_moves_no_corner() {
        let corners = [
            (179.999_123_4, 16.500_123_4),
            (-179.999_412_3, 16.499_876_5),
            (-179.999_567_8, 16.501_234_5),
            (179.998_967_8, 16.501_481_4),
        ];
        let parts = Feature::of_ring(ring(&corners), Map::new()).split_polygons();
        for (x, y) in corners {
            let nearest = parts
                .iter()
                .flat_map(|p| p.exterior().coords())
                .map(|c| (c.x - x).abs().max((c.y - y).abs()))
                .fold(f64::INFINITY, f64::min);
            assert!(nearest < 1e-9, "a corner moved by {nearest} degrees");
        }
    }

    #[test]
    fn holes_run_clockwise() {
        let outer = ring(&[(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]);
        let hole = ring(&[(1.0, 1.0), (2.0, 1.0), (2.0, 2.0), (1.0, 2.0)]);
        let feature = Feature {
            polygons: vec![(outer, vec![hole])],
            properties: Map::new(),
        };
        let polygon = &feature.split_polygons()[0];
        let hole = Polygon::new(polygon.interiors()[0].clone(), vec![]);
        assert!(hole.signed_area() < 0.0);
    }
}
