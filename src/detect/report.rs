//! What a chip tells of its core: how much of it was seen, and which of the boxes found in it are its own.

use super::areas;
use super::outcome::{CELLS, Cell, Ownership, RawDetection};
use crate::chip::{Chip, ChipClouds, ChipPixels};
use crate::geometry::{OrientedBox, PixelPoint, SuppressionRule, suppress_planar};
use crate::model::ChipBox;

/// How far outside its core, as a share of the overlap, a chip may still report a box.
///
/// Two neighbours see the same object at slightly different positions. Were the cores taken strictly, an
/// object on their boundary could be placed by each in the core of the other, and be lost. Reporting it twice
/// is harmless: suppression after the ledger keeps one.
const OWNERSHIP_SLACK: f64 = 0.125;

/// What a chip shows of its core.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CoreView {
    /// Its cells, row by row; `None` when every pixel was measured and no cell lies under cloud.
    pub(super) cells: Option<Vec<Cell>>,
    /// Whether any cell was measured.
    pub(super) any_measured: bool,
    /// Share of the measured pixels under cloud that hides the ground.
    pub(super) cloud_share: f64,
}

/// Looks at a chip's core. A cell counts as measured with at least half of its pixels, and as cloud with at least
/// half of those.
pub(super) fn view_core(chip: &Chip, pixels: &ChipPixels, clouds: Option<&ChipClouds>) -> CoreView {
    let (columns, rows) = chip.size;
    let mut measured = [0u32; CELLS * CELLS];
    let mut hidden = [0u32; CELLS * CELLS];
    let mut total = [0u32; CELLS * CELLS];
    let cell_of = |position: f64, from: f64, to: f64| -> Option<usize> {
        let share = (position - from) / (to - from);
        (0.0..1.0)
            .contains(&share)
            .then(|| ((share * CELLS as f64) as usize).min(CELLS - 1))
    };
    let cell_columns: Vec<Option<usize>> = (0..columns)
        .map(|c| {
            cell_of(
                chip.window.x + (c as f64 + 0.5) * chip.scale.0,
                chip.core.x0,
                chip.core.x1,
            )
        })
        .collect();
    let row_middle = |row: usize| chip.window.y + (row as f64 + 0.5) * chip.scale.1;
    if pixels.complete && clouds.is_none() {
        // Nothing to count, unless the core is too small to hold the middle of a pixel.
        let in_core = |row| cell_of(row_middle(row), chip.core.y0, chip.core.y1).is_some();
        if cell_columns.iter().any(Option::is_some) && (0..rows).any(in_core) {
            return CoreView {
                cells: None,
                any_measured: true,
                cloud_share: 0.0,
            };
        }
    }
    for row in 0..rows {
        let Some(cell_row) = cell_of(row_middle(row), chip.core.y0, chip.core.y1) else {
            continue;
        };
        for (column, cell_column) in cell_columns.iter().enumerate() {
            if let Some(cell_column) = cell_column {
                let (cell, pixel) = (cell_row * CELLS + cell_column, row * columns + column);
                total[cell] += 1;
                let valid = pixels.valid[pixel] == 1;
                measured[cell] += u32::from(valid);
                hidden[cell] += u32::from(valid && clouds.is_some_and(|c| c.hides(pixel)));
            }
        }
    }
    let sum = |counts: &[u32]| counts.iter().sum::<u32>();
    let (seen, all, under_cloud) = (sum(&measured), sum(&total), sum(&hidden));
    let cell = |i: usize| {
        // A cell too small to hold the middle of a pixel goes with the chip as a whole.
        if total[i] == 0 && seen > 0 {
            Cell::Seen
        } else if measured[i] * 2 < total[i].max(1) {
            Cell::Empty
        } else if hidden[i] * 2 >= measured[i] {
            Cell::Cloud
        } else {
            Cell::Seen
        }
    };
    let cells: Vec<Cell> = (0..CELLS * CELLS).map(cell).collect();
    let whole = seen == all && all > 0 && !cells.contains(&Cell::Cloud);
    CoreView {
        any_measured: cells.iter().any(|cell| *cell != Cell::Empty),
        cells: (!whole).then_some(cells),
        cloud_share: f64::from(under_cloud) / f64::from(seen.max(1)),
    }
}

/// From all boxes of a chip to those it reports: suppressed within the chip, owned by it, on measured ground.
pub(super) fn report(
    chip: &Chip,
    pixels: &ChipPixels,
    clouds: Option<&ChipClouds>,
    mut boxes: Vec<ChipBox>,
    rule: SuppressionRule,
    ownership: Ownership<'_>,
) -> Vec<RawDetection> {
    boxes.retain(|b| b.shape.is_valid() && b.score.is_finite());
    let (areas, mut boxes): (Vec<_>, Vec<_>) = boxes.into_iter().partition(|b| b.outline.is_some());
    boxes.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.shape.center.y.total_cmp(&b.shape.center.y))
            .then(a.shape.center.x.total_cmp(&b.shape.center.x))
    });
    let shapes: Vec<OrientedBox> = boxes.iter().map(|b| b.shape).collect();
    let slack = ownership.overlap_px * OWNERSHIP_SLACK;
    let (width, height) = ownership.scene_size;
    let owned = |shape: &OrientedBox| {
        let at = chip.scene_point(shape.center);
        let in_scene = at.x >= 0.0 && at.y >= 0.0 && at.x < width && at.y < height;
        in_scene
            && chip
                .core
                .contains(at, slack * chip.scale.0, slack * chip.scale.1)
            && pixels.is_valid(shape.center.x.floor() as i64, shape.center.y.floor() as i64)
            && ownership.area.is_none_or(|area| area.contains(at))
    };
    let reported_areas = areas
        .iter()
        .flat_map(|area| report_area(chip, pixels, clouds, area, ownership));
    suppress_planar(&shapes, rule)
        .into_iter()
        .filter(|&i| owned(&shapes[i]))
        .map(|i| {
            let found = &boxes[i];
            RawDetection {
                shape: found.shape,
                score: found.score,
                class: found.class,
                class_scores: found.class_scores.clone(),
                type_scores: found.type_scores.clone(),
                border: reaches_unseen(chip, pixels, &found.shape, (width, height)),
                cloud: clouds.map(|clouds| clouds.over(&found.shape)),
                outline: None,
            }
        })
        .chain(reported_areas)
        .collect()
}

/// What a chip reports of an area: the parts that it owns, as found.
fn report_area(
    chip: &Chip,
    pixels: &ChipPixels,
    clouds: Option<&ChipClouds>,
    found: &ChipBox,
    ownership: Ownership<'_>,
) -> Vec<RawDetection> {
    let parts = found
        .outline
        .iter()
        .flat_map(|outline| areas::clip(chip, pixels, outline, ownership));
    parts
        .filter_map(|part| {
            let shape = part.bounding_box()?;
            Some(RawDetection {
                shape,
                score: found.score,
                class: found.class,
                class_scores: found.class_scores.clone(),
                type_scores: found.type_scores.clone(),
                border: areas::ends_unseen(chip, pixels, &part, ownership.scene_size),
                cloud: clouds.map(|clouds| clouds.over(&shape)),
                outline: Some(part),
            })
        })
        .collect()
}

/// Whether a corner lies off the scene or on a pixel that was not measured. A corner beyond the chip but in
/// the scene is seen by a neighbour.
fn reaches_unseen(
    chip: &Chip,
    pixels: &ChipPixels,
    shape: &OrientedBox,
    scene_size: (f64, f64),
) -> bool {
    let (columns, rows) = chip.size;
    shape.corners().iter().any(|corner: &PixelPoint| {
        let at = chip.scene_point(*corner);
        let off_scene = at.x < 0.0 || at.y < 0.0 || at.x > scene_size.0 || at.y > scene_size.1;
        let in_chip = corner.x >= 0.0
            && corner.y >= 0.0
            && corner.x < columns as f64
            && corner.y < rows as f64;
        off_scene || (in_chip && !pixels.is_valid(corner.x.floor() as i64, corner.y.floor() as i64))
    })
}
