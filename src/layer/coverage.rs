//! Coverage: what was looked at and what was not, with the reason, as polygons.
//!
//! "Not detected" means something only where the scene was scanned. The layer is made from the ledger: a chip
//! answers for its core, and where part of the core was not measured, for each of its
//! [`CELLS`](crate::detect::CELLS) × `CELLS` cells (a sixteenth of a core: about 140 m for a 10 m model).

use geo::{BooleanOps, GeodesicArea, MultiPolygon, Polygon, Rect, coord, unary_union};
use serde_json::{Map, json};

use super::{Feature, Ring};
use crate::chip::{AreaOfInterest, Chip, PixelRect};
use crate::detect::{CELLS, ChipRecord, ChipStatus, PlannedScene};
use crate::geometry::{LonLat, PixelPoint};
use crate::scene::{Georeference, GeoreferenceError};

/// What a patch of ground is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoverageStatus {
    /// Seen by the model.
    Scanned,
    /// Nothing measured there.
    Nodata,
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

/// Rectangles of one status, grown row by row: neighbours in a row become one, so that their number grows
/// with the rows of a scene rather than with its chips.
#[derive(Debug, Default)]
struct Rects {
    done: Vec<PixelRect>,
}

impl Rects {
    fn add(&mut self, rect: PixelRect) {
        if let Some(last) = self.done.last_mut()
            && last.x1 == rect.x0
            && last.y0 == rect.y0
            && last.y1 == rect.y1
        {
            last.x1 = rect.x1;
        } else {
            self.done.push(rect);
        }
    }

    fn union(&self) -> MultiPolygon {
        let polygons: Vec<Polygon> = self
            .done
            .iter()
            .map(|r| {
                Rect::new(coord! { x: r.x0, y: r.y0 }, coord! { x: r.x1, y: r.y1 }).to_polygon()
            })
            .collect();
        unary_union(&polygons)
    }
}

/// Collects the chips of one scene.
#[derive(Debug, Default)]
pub struct SceneCoverage {
    scanned: Rects,
    nodata: Rects,
    failed: Rects,
}

impl SceneCoverage {
    /// Adds a chip. Chips come in order.
    pub fn add(&mut self, chip: &Chip, record: &ChipRecord) {
        let core = chip.core;
        match (record.status, &record.cells) {
            (ChipStatus::Failed, _) => self.failed.add(core),
            (ChipStatus::Nodata, _) => self.nodata.add(core),
            (ChipStatus::Scanned, None) => self.scanned.add(core),
            (ChipStatus::Scanned, Some(cells)) => {
                let at = |from: f64, to: f64, i: usize| {
                    if i == CELLS {
                        to
                    } else {
                        from + (to - from) * i as f64 / CELLS as f64
                    }
                };
                for (i, measured) in cells.iter().enumerate() {
                    let (row, column) = (i / CELLS, i % CELLS);
                    let rect = PixelRect {
                        x0: at(core.x0, core.x1, column),
                        y0: at(core.y0, core.y1, row),
                        x1: at(core.x0, core.x1, column + 1),
                        y1: at(core.y0, core.y1, row + 1),
                    };
                    if *measured == 1 {
                        self.scanned.add(rect);
                    } else {
                        self.nodata.add(rect);
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
        let longest_edge = planned
            .plan
            .chip(0)
            .map_or(256.0, |chip| chip.window.width.max(chip.window.height));
        let mut patches = Vec::new();
        for (status, rects) in [
            (CoverageStatus::Scanned, &self.scanned),
            (CoverageStatus::Nodata, &self.nodata),
            (CoverageStatus::Failed, &self.failed),
        ] {
            let mut shape = rects.union();
            if let Some(area) = &planned.area {
                shape = shape.intersection(&area.polygons);
            }
            for polygon in &shape {
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

/// Parts of the area of interest that lie in no scene. `seen` are the patches of all scenes.
pub fn outside(area: &AreaOfInterest, seen: &[Patch]) -> Vec<Patch> {
    let seen: Vec<Polygon> = seen
        .iter()
        .flat_map(|p| p.feature.split_polygons())
        .collect();
    let rest = area.polygons.difference(&unary_union(&seen));
    let ring = |ring: &geo::LineString| -> Ring {
        ring.0
            .iter()
            .take(ring.0.len().saturating_sub(1))
            .map(|c| LonLat { lon: c.x, lat: c.y })
            .collect()
    };
    rest.iter()
        .filter_map(|p| {
            patch(
                CoverageStatus::Outside,
                ring(p.exterior()),
                p.interiors().iter().map(ring).collect(),
                None,
            )
        })
        // Slivers along the edges of scenes come from their densified outlines, not from gaps.
        .filter(|patch| patch.area_km2 >= 1e-4)
        .collect()
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

/// Area on the ellipsoid.
pub fn area_km2(polygon: &Polygon) -> f64 {
    polygon.geodesic_area_unsigned() / 1e6
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
