//! A row of a layer: a shape on Earth and its properties, in any format.

use geo::{BooleanOps, BoundingRect, MultiPolygon, Polygon, coord};
use serde_json::{Map, Value};

use crate::geometry::LonLat;

/// An open ring of places. Longitudes may run on past ±180, so that a shape across the antimeridian is whole.
pub type Ring = Vec<LonLat>;

/// A shape with properties.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// Polygons: each an outer ring and its holes.
    pub polygons: Vec<(Ring, Vec<Ring>)>,
    /// Properties in the order they are written.
    pub properties: Map<String, Value>,
}

impl Feature {
    /// A feature of one polygon without holes.
    pub fn of_ring(ring: Ring, properties: Map<String, Value>) -> Self {
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

/// A ring whose longitudes follow one another without jumps, starting within half a turn of `origin`.
fn unwrapped(ring: &[LonLat], origin: f64) -> geo::LineString {
    let mut previous = origin;
    ring.iter()
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
        .collect()
}

fn split(polygon: &Polygon, parts: &mut Vec<Polygon>) {
    let Some(bounds) = polygon.bounding_rect() else {
        return;
    };
    let (west, east) = (bounds.min().x, bounds.max().x);
    if west >= -180.0 && east <= 180.0 {
        parts.push(polygon.clone());
        return;
    }
    for turn in -1..=1 {
        let offset = f64::from(turn) * 360.0;
        // No wider than needed: intersections are computed on a grid as fine as the shapes are small, and
        // over the whole Earth that grid would show in the seventh decimal.
        let (from, to) = (west.max(offset - 180.0), east.min(offset + 180.0));
        if from >= to {
            continue;
        }
        let band = geo::Rect::new(
            coord! { x: from, y: bounds.min().y },
            coord! { x: to, y: bounds.max().y },
        );
        let inside: MultiPolygon = polygon.intersection(&band.to_polygon());
        parts.extend(inside.into_iter().map(|mut part| {
            part.exterior_mut(|ring| ring.0.iter_mut().for_each(|c| c.x -= offset));
            part.interiors_mut(|rings| {
                rings
                    .iter_mut()
                    .flat_map(|r| &mut r.0)
                    .for_each(|c| c.x -= offset);
            });
            part
        }));
    }
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
