//! The edges of polygons, found by where they lie.
//!
//! An index of every single edge takes many times the room of the outline itself, and most of the time of planning when
//! it has a million corners. So the index holds chains of a few edges, and the edges stay in the outline.

use geo::{Line, LineString, MultiPolygon};
use rstar::{AABB, RTree, RTreeObject};

/// Edges of a chain.
const CHAIN: usize = 16;

/// An index of the edges of polygons, which stay with whoever asks.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    chains: RTree<Chain>,
}

/// Edges of a ring that follow one another.
#[derive(Debug, Clone)]
struct Chain {
    envelope: AABB<[f64; 2]>,
    polygon: usize,
    /// 0 is the outer one.
    ring: usize,
    /// The corner that the first of them begins at.
    first: usize,
}

impl RTreeObject for Chain {
    type Envelope = AABB<[f64; 2]>;

    fn envelope(&self) -> Self::Envelope {
        self.envelope
    }
}

impl Edges {
    pub(super) fn of(polygons: &MultiPolygon) -> Self {
        let mut chains = Vec::new();
        for (polygon, parts) in polygons.iter().enumerate() {
            let rings = std::iter::once(parts.exterior()).chain(parts.interiors());
            for (ring, corners) in rings.enumerate() {
                let firsts = (0..corners.0.len().saturating_sub(1)).step_by(CHAIN);
                chains.extend(firsts.map(|first| {
                    let points = (corners.0[first..].iter()).take(CHAIN + 1);
                    let points: Vec<[f64; 2]> = points.map(|c| [c.x, c.y]).collect();
                    Chain {
                        envelope: AABB::from_points(&points),
                        polygon,
                        ring,
                        first,
                    }
                }));
            }
        }
        Self {
            chains: RTree::bulk_load(chains),
        }
    }

    /// The edges, of the `polygons` that this was made of, whose bounds meet a rectangle.
    pub(super) fn near<'a>(
        &'a self,
        polygons: &'a MultiPolygon,
        rect: AABB<[f64; 2]>,
    ) -> impl Iterator<Item = Line> + 'a {
        let (low, high) = (rect.lower(), rect.upper());
        let meets = move |edge: &Line| {
            let (a, b) = (edge.start, edge.end);
            a.x.min(b.x) <= high[0]
                && a.x.max(b.x) >= low[0]
                && a.y.min(b.y) <= high[1]
                && a.y.max(b.y) >= low[1]
        };
        self.chains
            .locate_in_envelope_intersecting(rect)
            .flat_map(|chain| {
                let corners = &chain.ring_of(polygons).0[chain.first..];
                let corners = corners.iter().take(CHAIN + 1);
                let ends = corners.clone().skip(1);
                corners.zip(ends).map(|(&a, &b)| Line::new(a, b))
            })
            .filter(meets)
    }
}

impl Chain {
    fn ring_of<'a>(&self, polygons: &'a MultiPolygon) -> &'a LineString {
        let polygon = &polygons.0[self.polygon];
        match self.ring.checked_sub(1) {
            Some(hole) => &polygon.interiors()[hole],
            None => polygon.exterior(),
        }
    }
}

#[cfg(test)]
mod tests {
    use geo::{LinesIter, Polygon, coord};

    use super::*;

    /// A closed ring with so many corners.
    fn ring(corners: usize, radius: f64) -> LineString {
        (0..corners)
            .map(|i| {
                let (sin, cos) = (i as f64 / corners as f64 * std::f64::consts::TAU).sin_cos();
                coord! { x: radius * cos, y: radius * sin }
            })
            .collect()
    }

    #[test]
    fn every_edge_is_in_one_chain() {
        // Just below, at and above whole chains.
        for corners in [3, 15, 16, 17, 31, 32, 33, 100] {
            let hole = ring(corners + 1, 1.0);
            let polygon = Polygon::new(ring(corners, 2.0), vec![hole]);
            let polygons = MultiPolygon::new(vec![polygon.clone(), polygon]);
            let edges = Edges::of(&polygons);
            let in_order = |mut lines: Vec<Line>| {
                lines.sort_by(|a, b| {
                    let key = |l: &Line| [l.start.x, l.start.y, l.end.x, l.end.y];
                    key(a).partial_cmp(&key(b)).unwrap()
                });
                lines
            };
            for rect in [
                AABB::from_corners([-3.0, -3.0], [3.0, 3.0]),
                AABB::from_corners([0.1, 0.1], [1.5, 1.0]),
                AABB::from_corners([-0.2, -0.2], [0.2, 0.2]),
            ] {
                let meets = |l: &Line| {
                    let ends = [[l.start.x, l.start.y], [l.end.x, l.end.y]];
                    rstar::Envelope::intersects(&AABB::from_points(&ends), &rect)
                };
                let all: Vec<Line> = polygons.lines_iter().filter(meets).collect();
                let found: Vec<Line> = edges.near(&polygons, rect).collect();
                assert_eq!(in_order(found), in_order(all), "{corners} corners");
            }
        }
    }
}
