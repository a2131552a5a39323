//! Coverage: what was looked at and what was not, with the reason, as polygons.
//!
//! "Not detected" means something only where the scene was scanned. The layer is made from the ledger: a chip
//! answers for its core, and where part of the core was not measured, for each of its
//! [`CELLS`] × `CELLS` cells (a sixteenth of a core: about 140 m for a 10 m model).

use geo::{GeodesicArea, Polygon, Rect, coord, unary_union};
use serde_json::{Map, json};

use super::{Feature, Ring};
use crate::chip::{AreaOfInterest, Chip, PixelRect};
use crate::detect::{CELLS, Cell, ChipRecord, ChipStatus, PlaceError, PlannedScene};
use crate::geometry::{LonLat, PixelPoint};
use crate::scene::{Georeference, GeoreferenceError, GroundScale};

/// What a patch of ground is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoverageStatus {
    /// Seen by the model, or by its screen alone.
    Scanned,
    /// Nothing measured there.
    Nodata,
    /// Under cloud, by the scene's mask.
    Cloud,
    /// Could not be read.
    Failed,
    /// In the area of interest, but in no scene.
    Outside,
}

impl CoverageStatus {
    /// As written in the layer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scanned => "scanned",
            Self::Nodata => "nodata",
            Self::Cloud => "cloud",
            Self::Failed => "failed",
            Self::Outside => "outside",
        }
    }
}

/// A patch of the coverage layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// What it is.
    pub status: CoverageStatus,
    /// Geodesic area in square kilometres.
    pub area_km2: f64,
    /// For the layer.
    pub feature: Feature,
}

/// Rectangles of one status.
#[derive(Debug, Default)]
struct Rects {
    all: Vec<PixelRect>,
}

impl Rects {
    /// Neighbours in a row are joined at once: chips come in order, and of most scenes little more than a
    /// rectangle for each row of chips is ever held.
    fn add(&mut self, rect: PixelRect) {
        match self.all.last_mut() {
            Some(last) if meet_in_row(last, &rect) => last.x1 = rect.x1,
            _ => self.all.push(rect),
        }
    }

    /// The same ground in fewer rectangles: neighbours in a row become one, then equal ones in a column.
    ///
    /// Edges that meet are equal to the last bit, since both sides compute them in the same way. A union into
    /// general polygons would have fewer parts still, but takes minutes where measured and empty ground
    /// alternate like a chessboard.
    fn merged(&self) -> Vec<PixelRect> {
        let mut rects = self.all.clone();
        rects.sort_by(|a, b| {
            let key = |r: &PixelRect| [r.y0, r.y1, r.x0];
            compare(&key(a), &key(b))
        });
        let mut rects = joined(rects, meet_in_row, |a, b| a.x1 = b.x1);
        rects.sort_by(|a, b| {
            let key = |r: &PixelRect| [r.x0, r.x1, r.y0];
            compare(&key(a), &key(b))
        });
        let in_column = |a: &PixelRect, b: &PixelRect| a.x0 == b.x0 && a.x1 == b.x1 && a.y1 == b.y0;
        let mut rects = joined(rects, in_column, |a, b| a.y1 = b.y1);
        rects.sort_by(|a, b| compare(&[a.y0, a.x0, a.y1], &[b.y0, b.x0, b.y1]));
        rects
    }
}

fn meet_in_row(a: &PixelRect, b: &PixelRect) -> bool {
    a.y0 == b.y0 && a.y1 == b.y1 && a.x1 == b.x0
}

fn compare(a: &[f64; 3], b: &[f64; 3]) -> std::cmp::Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| a.total_cmp(b))
        .find(|o| o.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Joins each rectangle to the one before it where they meet.
fn joined(
    rects: Vec<PixelRect>,
    meet: impl Fn(&PixelRect, &PixelRect) -> bool,
    join: impl Fn(&mut PixelRect, &PixelRect),
) -> Vec<PixelRect> {
    let mut result: Vec<PixelRect> = Vec::with_capacity(rects.len());
    for rect in rects {
        match result.last_mut() {
            Some(last) if meet(last, &rect) => join(last, &rect),
            _ => result.push(rect),
        }
    }
    result
}

fn whole(rect: &PixelRect) -> Polygon {
    Rect::new(
        coord! { x: rect.x0, y: rect.y0 },
        coord! { x: rect.x1, y: rect.y1 },
    )
    .to_polygon()
}

/// Collects the chips of one scene.
#[derive(Debug, Default)]
pub struct SceneCoverage {
    scanned: Rects,
    nodata: Rects,
    cloud: Rects,
    failed: Rects,
}

impl SceneCoverage {
    /// Adds a chip. Chips come in order.
    pub fn add(&mut self, chip: &Chip, record: &ChipRecord) {
        let core = chip.core;
        match (record.status, &record.cells) {
            (ChipStatus::Failed, _) => self.failed.add(core),
            (ChipStatus::Nodata, _) => self.nodata.add(core),
            (ChipStatus::Scanned | ChipStatus::Screened, None) => self.scanned.add(core),
            (ChipStatus::Cloud, None) => self.cloud.add(core),
            (ChipStatus::Scanned | ChipStatus::Screened | ChipStatus::Cloud, Some(cells)) => {
                let at = |from: f64, to: f64, i: usize| {
                    if i == CELLS {
                        to
                    } else {
                        from + (to - from) * i as f64 / CELLS as f64
                    }
                };
                let not_shown = record.status == ChipStatus::Cloud;
                for (i, cell) in cells.iter().enumerate() {
                    let (row, column) = (i / CELLS, i % CELLS);
                    let rect = PixelRect {
                        x0: at(core.x0, core.x1, column),
                        y0: at(core.y0, core.y1, row),
                        x1: at(core.x0, core.x1, column + 1),
                        y1: at(core.y0, core.y1, row + 1),
                    };
                    match cell {
                        Cell::Empty => self.nodata.add(rect),
                        Cell::Seen if !not_shown => self.scanned.add(rect),
                        Cell::Seen | Cell::Cloud => self.cloud.add(rect),
                    }
                }
            }
        }
    }

    /// The patches of the scene, cut to the area of interest.
    pub fn patches(
        &self,
        planned: &PlannedScene,
        georeference: &Georeference,
    ) -> Result<Vec<Patch>, GeoreferenceError> {
        let longest_edge = longest_edge(planned);
        let mut patches = Vec::new();
        for (status, rects) in [
            (CoverageStatus::Scanned, &self.scanned),
            (CoverageStatus::Nodata, &self.nodata),
            (CoverageStatus::Cloud, &self.cloud),
            (CoverageStatus::Failed, &self.failed),
        ] {
            let merged = rects.merged();
            let parts: Vec<Vec<Polygon>> = match &planned.area {
                None => merged.iter().map(|rect| vec![whole(rect)]).collect(),
                Some(area) => area.cut(&merged),
            };
            for polygon in parts.into_iter().flatten() {
                let ring = |ring: &geo::LineString| to_ground(ring, longest_edge, georeference);
                let outer = ring(polygon.exterior())?;
                let holes = polygon
                    .interiors()
                    .iter()
                    .map(ring)
                    .collect::<Result<Vec<_>, _>>()?;
                let scene = Some((planned.scene.id.as_str(), planned.scene.date.as_deref()));
                patches.extend(patch(status, outer, holes, scene));
            }
        }
        Ok(patches)
    }
}

/// Parts of the area of interest that lie in no scene.
pub fn outside(area: &AreaOfInterest, scenes: &[PlannedScene]) -> Result<Vec<Patch>, PlaceError> {
    let mut footprints = Vec::new();
    for planned in scenes {
        let scene = &planned.scene;
        let whole = Rect::new(
            coord! { x: 0.0, y: 0.0 },
            coord! { x: scene.width as f64, y: scene.height as f64 },
        );
        let ring = to_ground(
            whole.to_polygon().exterior(),
            longest_edge(planned),
            &scene.georeference()?,
        )
        .map_err(|source| PlaceError::Georeference {
            scene: scene.id.clone(),
            source,
        })?;
        footprints.extend(Feature::of_ring(ring, Map::new()).split_polygons());
    }
    let rest = area.beyond(&unary_union(&footprints));
    let open = |ring: &geo::LineString| -> Ring {
        ring.0
            .iter()
            .take(ring.0.len().saturating_sub(1))
            .map(|c| LonLat { lon: c.x, lat: c.y })
            .collect()
    };
    let patches = rest.iter().filter_map(|p| {
        patch(
            CoverageStatus::Outside,
            open(p.exterior()),
            p.interiors().iter().map(open).collect(),
            None,
        )
    });
    // Slivers along the edges of scenes come from their densified outlines, not from gaps.
    Ok(patches.filter(|patch| patch.area_km2 >= 1e-4).collect())
}

/// Longest edge, in scene pixels, that is taken as straight on the ground: a chip or 100 km. Where ground sizes change,
/// also an eighth of the scene: a chip near a pole may go round it.
fn longest_edge(planned: &PlannedScene) -> f64 {
    const STRAIGHT_M: f64 = 100_000.0;
    let chip =
        (planned.plan.chip(0)).map_or(256.0, |chip| chip.window.width.max(chip.window.height));
    let [x_m, y_m] = planned.scene.gsd_m;
    let straight = chip.min(STRAIGHT_M / x_m.max(y_m)).max(1.0);
    match planned.scene.ground_scale {
        GroundScale::Uniform { .. } => straight,
        GroundScale::ByRow => straight.min((planned.scene.width as f64 / 8.0).max(1.0)),
    }
}

fn patch(
    status: CoverageStatus,
    outer: Ring,
    holes: Vec<Ring>,
    scene: Option<(&str, Option<&str>)>,
) -> Option<Patch> {
    let mut feature = Feature {
        polygons: vec![(outer, holes)],
        properties: Map::new(),
    };
    let area_km2 = feature.split_polygons().iter().map(area_km2).sum::<f64>();
    // Slivers of rounding have no area, or none that is a number.
    if area_km2.is_nan() || area_km2 <= 0.0 {
        return None;
    }
    let p = &mut feature.properties;
    p.insert("status".into(), json!(status.name()));
    p.insert("scene".into(), json!(scene.map(|s| s.0)));
    p.insert("date".into(), json!(scene.and_then(|s| s.1)));
    p.insert("area_km2".into(), json!((area_km2 * 1e6).round() / 1e6));
    Some(Patch {
        status,
        area_km2,
        feature,
    })
}

/// Area on the ellipsoid of a polygon that covers less than half of it. The way round does not matter: that of a sliver
/// is told by rounding, and the Earth without the sliver is meant never.
pub fn area_km2(polygon: &Polygon) -> f64 {
    polygon.geodesic_area_signed().abs() / 1e6
}

/// A closed ring of scene pixels as an open ring of places. Long edges get more points: a straight line in
/// the scene is not one in degrees.
fn to_ground(
    ring: &geo::LineString,
    longest_edge: f64,
    georeference: &Georeference,
) -> Result<Ring, GeoreferenceError> {
    let mut points = Vec::new();
    for edge in ring.lines() {
        let pieces = (edge.dx().hypot(edge.dy()) / longest_edge).ceil().max(1.0) as usize;
        points.extend((0..pieces).map(|i| {
            let at = edge.start + edge.delta() * (i as f64 / pieces as f64);
            PixelPoint { x: at.x, y: at.y }
        }));
    }
    georeference.to_lonlat(&points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x0: f64, y0: f64, x1: f64, y1: f64) -> PixelRect {
        PixelRect { x0, y0, x1, y1 }
    }

    fn merged(all: &[PixelRect]) -> Vec<PixelRect> {
        Rects { all: all.to_vec() }.merged()
    }

    #[test]
    fn a_full_grid_becomes_one_rectangle_in_any_order() {
        let mut grid: Vec<PixelRect> = (0..12)
            .map(|i| {
                let (x, y) = (f64::from(i % 4), f64::from(i / 4));
                rect(x, y, x + 1.0, y + 1.0)
            })
            .collect();
        grid.reverse();
        assert_eq!(merged(&grid), [rect(0.0, 0.0, 4.0, 3.0)]);
    }

    #[test]
    fn a_sliver_wound_the_wrong_way_is_not_the_earth() {
        let ring = |lons: [f64; 3]| geo::LineString::from_iter(lons.map(|lon| (lon, lon / 2.0)));
        for lons in [[3.0, 3.1, 3.05], [3.1, 3.0, 3.05]] {
            assert!(area_km2(&Polygon::new(ring(lons), Vec::new())) < 1.0);
        }
        let square = Rect::new(coord! { x: 3.0, y: 0.0 }, coord! { x: 3.1, y: 0.1 }).to_polygon();
        let mut turned = square.clone();
        turned.exterior_mut(|ring| ring.0.reverse());
        assert!((area_km2(&square) - 123.1).abs() < 0.1);
        assert!((area_km2(&turned) - area_km2(&square)).abs() < 1e-6);
    }

    #[test]
    fn a_gap_keeps_rectangles_apart() {
        let parts = [
            rect(0.0, 0.0, 1.0, 1.0),
            rect(2.0, 0.0, 3.0, 1.0),
            rect(0.0, 2.0, 1.0, 3.0),
        ];
        assert_eq!(merged(&parts), parts);
    }

    #[test]
    fn a_large_chessboard_is_no_trouble() {
        // A union into polygons took longer than anyone would wait for a sparse mosaic of this kind.
        let board: Vec<PixelRect> = (0..600)
            .flat_map(|y| (0..600).map(move |x| (x, y)))
            .filter(|(x, y)| (x + y) % 2 == 0)
            .map(|(x, y)| {
                rect(
                    f64::from(x),
                    f64::from(y),
                    f64::from(x + 1),
                    f64::from(y + 1),
                )
            })
            .collect();
        assert_eq!(merged(&board).len(), board.len());
    }
}
