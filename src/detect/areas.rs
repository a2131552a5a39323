//! Areas: clipped to what a chip owns before the ledger, joined across chips after it.
//!
//! The cores of chips tile a scene, so what chips report of an area tiles it too. Each chip reports half a pixel
//! beyond its core, where it sees that far: parts of one area then overlap at the seam instead of touching, and
//! joining them needs no exact arithmetic. An area whose parts share no more than a corner stays two, as within a
//! chip.

use geo::{
    Area, BooleanOps, BoundingRect, Contains, CoordsIter, MapCoords, MultiPolygon, Polygon, Rect,
    coord, unary_union,
};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::outcome::{Ownership, RawDetection};
use crate::chip::{Chip, ChipPixels, CloudCover};
use crate::geometry::{PixelArea, PixelPoint, polygons_join, trace_regions};

/// How far beyond its core a chip reports an area, in model pixels.
const SEAM_PX: f64 = 0.5;
/// Parts smaller than this are left by rounding, in square pixels.
const LEAST_PART: f64 = 1e-6;
/// Corners are rounded to this part of a scene pixel, so that rounding in seams leaves no extra ones.
const CORNERS_PER_PIXEL: f64 = 1024.0;

/// What a chip reports of an area: the parts in its core, in the area of interest, on measured ground.
pub(super) fn clip(
    chip: &Chip,
    pixels: &ChipPixels,
    area: &PixelArea,
    ownership: Ownership<'_>,
) -> Vec<PixelArea> {
    let Some(owned) = owned_rect(chip, ownership.scene_size) else {
        return Vec::new();
    };
    let polygon = area.polygon.clone();
    let inside = polygon
        .bounding_rect()
        .is_some_and(|bounds| owned.contains(&bounds));
    let mut kept = if inside {
        MultiPolygon::from(polygon)
    } else {
        polygon.intersection(&owned.to_polygon())
    };
    if pixels.valid.contains(&0) {
        let labels: Vec<u32> = pixels.valid.iter().map(|v| u32::from(*v)).collect();
        let measured = trace_regions(&labels, chip.size.0, chip.size.1);
        let measured = measured.all.into_iter().map(|r| r.polygon);
        kept = kept.intersection(&MultiPolygon::new(measured.collect()));
    }
    if let Some(of_interest) = ownership.area {
        let in_chip = of_interest.polygons().map_coords(|c| {
            coord! {
                x: (c.x - chip.window.x) / chip.scale.0,
                y: (c.y - chip.window.y) / chip.scale.1,
            }
        });
        kept = kept.intersection(&in_chip);
    }
    let mut parts: Vec<Polygon> = kept.into_iter().collect();
    parts.retain(|part| part.unsigned_area() > LEAST_PART);
    parts.sort_by(|a, b| {
        let first = |p: &Polygon| p.bounding_rect().map(|r| (r.min().y, r.min().x));
        first(a)
            .partial_cmp(&first(b))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    parts
        .into_iter()
        .map(|polygon| PixelArea { polygon })
        .collect()
}

/// The core with its seam, without what lies off the scene, in the chip's pixels.
fn owned_rect(chip: &Chip, (width, height): (f64, f64)) -> Option<Rect> {
    let along = |(from, to): (f64, f64), end: f64, start: f64, scale: f64, pixels: usize| {
        let low = ((from - start) / scale - SEAM_PX).max(0.0);
        let high = ((to - start) / scale + SEAM_PX)
            .min((end - start) / scale)
            .min(pixels as f64);
        (low, high)
    };
    let core = &chip.core;
    let window = &chip.window;
    let (columns, rows) = chip.size;
    let (x0, x1) = along((core.x0, core.x1), width, window.x, chip.scale.0, columns);
    let (y0, y1) = along((core.y0, core.y1), height, window.y, chip.scale.1, rows);
    (x0 < x1 && y0 < y1).then(|| Rect::new(coord! { x: x0, y: y0 }, coord! { x: x1, y: y1 }))
}

/// Whether an area ends where the scene does, or beside a pixel that was not measured: it may go on there.
pub(super) fn ends_unseen(
    chip: &Chip,
    pixels: &ChipPixels,
    area: &PixelArea,
    (width, height): (f64, f64),
) -> bool {
    const SLACK: f64 = 1e-3;
    let (columns, rows) = (chip.size.0 as i64, chip.size.1 as i64);
    area.polygon.exterior_coords_iter().any(|c| {
        let at = chip.scene_point(PixelPoint::new(c.x, c.y));
        let off = at.x <= SLACK || at.y <= SLACK || at.x >= width - SLACK || at.y >= height - SLACK;
        let beside = |dx: f64, dy: f64| {
            let (x, y) = ((c.x + dx).floor() as i64, (c.y + dy).floor() as i64);
            let in_chip = (0..columns).contains(&x) && (0..rows).contains(&y);
            in_chip && !pixels.is_valid(x, y)
        };
        off || [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
            .into_iter()
            .any(|(dx, dy)| beside(dx, dy))
    })
}

/// An area joined of its parts, in scene pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SceneAreaFound {
    /// Chip of its first part.
    pub(super) chip: usize,
    /// That part's place in its chip.
    pub(super) n: usize,
    /// Class, scores (means over its parts by area) and border of the whole; its shape is not used.
    pub(super) detection: RawDetection,
    /// Its polygons.
    pub(super) polygons: MultiPolygon,
}

/// Joins the parts of areas of one class that overlap at the seams of chips. `parts` come by chip and order, with
/// their polygons in scene pixels. The result does not depend on how the scene was cut.
pub(super) fn join(parts: &[(usize, usize, RawDetection, Polygon)]) -> Vec<SceneAreaFound> {
    let index = RTree::bulk_load(
        parts
            .iter()
            .enumerate()
            .filter_map(|(i, (.., polygon))| {
                let bounds = polygon.bounding_rect()?;
                let corner = |c: geo::Coord| [c.x, c.y];
                Some(GeomWithData::new(
                    Rectangle::from_corners(corner(bounds.min()), corner(bounds.max())),
                    i,
                ))
            })
            .collect(),
    );
    let mut groups = Groups::new(parts.len());
    for (i, (chip, _, found, polygon)) in parts.iter().enumerate() {
        let Some(bounds) = polygon.bounding_rect() else {
            continue;
        };
        let reach = AABB::from_corners(
            [bounds.min().x, bounds.min().y],
            [bounds.max().x, bounds.max().y],
        );
        for near in index.locate_in_envelope_intersecting(reach) {
            let j = near.data;
            let (other_chip, _, other, other_polygon) = &parts[j];
            if j > i
                && other_chip != chip
                && other.class == found.class
                && groups.root(i) != groups.root(j)
                && polygons_join(polygon, other_polygon)
            {
                groups.join(i, j);
            }
        }
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); parts.len()];
    for i in 0..parts.len() {
        members[groups.root(i)].push(i);
    }
    members
        .into_iter()
        .filter(|group| !group.is_empty())
        .filter_map(|group| whole(parts, &group))
        .collect()
}

/// The area of a group of parts.
fn whole(
    parts: &[(usize, usize, RawDetection, Polygon)],
    group: &[usize],
) -> Option<SceneAreaFound> {
    let polygons = unary_union(group.iter().map(|&i| &parts[i].3));
    let polygons = MultiPolygon::new(polygons.into_iter().filter_map(|p| tidied(&p)).collect());
    let (chip, n, first, _) = &parts[*group.first()?];
    let mut detection = first.clone();
    let total: f64 = group.iter().map(|&i| parts[i].3.unsigned_area()).sum();
    let mean = |score: &dyn Fn(&RawDetection) -> f32| {
        let sum: f64 = group
            .iter()
            .map(|&i| parts[i].3.unsigned_area() * f64::from(score(&parts[i].2)))
            .sum();
        (sum / total) as f32
    };
    detection.score = mean(&|d| d.score);
    for class in 0..detection.class_scores.len() {
        detection.class_scores[class] =
            mean(&|d| d.class_scores.get(class).copied().unwrap_or_default());
    }
    detection.cloud = cloud_over(parts, group);
    detection.border = group.iter().any(|&i| parts[i].2.border);
    detection.outline = None;
    (!polygons.0.is_empty() && total > 0.0).then_some(SceneAreaFound {
        chip: *chip,
        n: *n,
        detection,
        polygons,
    })
}

/// Cloud over a group of parts: the mean share by area, and the class of the part with most of it.
fn cloud_over(
    parts: &[(usize, usize, RawDetection, Polygon)],
    group: &[usize],
) -> Option<CloudCover> {
    let (mut total, mut clouded) = (0.0, 0.0);
    let mut most: Option<(f64, CloudCover)> = None;
    for &i in group {
        let (.., part, polygon) = &parts[i];
        let cover = part.cloud?;
        let area = polygon.unsigned_area();
        total += area;
        clouded += area * cover.share;
        if most.is_none_or(|(before, _)| area * cover.share > before) {
            most = Some((area * cover.share, cover));
        }
    }
    most.filter(|_| total > 0.0).map(|(_, cover)| CloudCover {
        share: clouded / total,
        class: cover.class,
    })
}

/// A position in scene pixels as corners are rounded: edges that two chips share fall on the same line.
pub(super) fn rounded(v: f64) -> f64 {
    (v * CORNERS_PER_PIXEL).round() / CORNERS_PER_PIXEL
}

/// A polygon with its corners rounded, without those that lie on a straight line, each ring beginning at its
/// leftmost (of these: uppermost) corner. `None` where nothing is left.
fn tidied(polygon: &Polygon) -> Option<Polygon> {
    let ring = |ring: &geo::LineString| -> Option<geo::LineString> {
        let mut corners: Vec<geo::Coord> = ring
            .0
            .iter()
            .map(|c| coord! { x: rounded(c.x), y: rounded(c.y) })
            .collect();
        corners.dedup();
        if corners.first() == corners.last() {
            corners.pop();
        }
        // The leftmost corner is one whatever the others are.
        let first = (0..corners.len()).min_by(|&i, &j| {
            let key = |i: usize| (corners[i].x, corners[i].y);
            key(i)
                .partial_cmp(&key(j))
                .unwrap_or(std::cmp::Ordering::Equal)
        })?;
        corners.rotate_left(first);
        let mut kept: Vec<geo::Coord> = Vec::with_capacity(corners.len());
        for (i, corner) in corners.iter().enumerate() {
            let next = corners[(i + 1) % corners.len()];
            if !kept
                .last()
                .is_some_and(|last| is_straight(*last, *corner, next))
            {
                kept.push(*corner);
            }
        }
        (kept.len() >= 3).then(|| kept.into())
    };
    let outer = ring(polygon.exterior())?;
    let holes = polygon.interiors().iter().filter_map(ring).collect();
    Some(Polygon::new(outer, holes))
}

/// Whether the way from `a` over `b` to `c` does not turn by more than rounding.
fn is_straight(a: geo::Coord, b: geo::Coord, c: geo::Coord) -> bool {
    let (to, on) = (b - a, c - b);
    (to.x * on.y - to.y * on.x).abs() <= 1.0 / CORNERS_PER_PIXEL && to.x * on.x + to.y * on.y >= 0.0
}

/// Disjoint sets of parts; the root of a set is its first member.
struct Groups {
    parent: Vec<usize>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Self {
            parent: (0..count).collect(),
        }
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.parent[i] != i {
            self.parent[i] = self.parent[self.parent[i]];
            i = self.parent[i];
        }
        i
    }

    fn join(&mut self, i: usize, j: usize) {
        let (a, b) = (self.root(i), self.root(j));
        self.parent[a.max(b)] = a.min(b);
    }
}
