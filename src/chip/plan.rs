//! The windows over a scene.
//!
//! Chips overlap, so that an object at the edge of one is whole in another, and each chip *owns* a core:
//! the cores tile the scene without gap or overlap, each boundary half-way through the overlap of two
//! neighbours. The last chip of a row or column is shifted inwards, so that it sees real pixels rather
//! than padding; only a scene smaller than a chip is padded.
//!
//! A chip is measured in *model pixels* (`gsd_m` metres each). How many scene pixels that is may differ
//! from row to row of chips (see [`GroundScale`](crate::scene::GroundScale)) and need not be a whole number.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::geometry::PixelPoint;
use crate::scene::{Georeference, GeoreferenceError, Scene, Window};

/// What a model asks of its chips.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChipSpec {
    /// Ground size of a model pixel in metres.
    pub gsd_m: f64,
    /// Side of a full chip in model pixels.
    pub chip_px: usize,
    /// Overlap of neighbouring chips in metres: at least the longest object.
    pub overlap_m: f64,
    /// For models that take chips of any size: sides must be multiples of this. A scene smaller than a
    /// chip then gets a chip of its own size instead of much padding.
    pub size_multiple: Option<usize>,
    /// Shifts the grid of chips by this many model pixels. What is found must not depend on it.
    pub grid_shift_px: f64,
}

/// Why no chips can be planned.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Overlap and chip size leave no room.
    #[error(
        "an overlap of {overlap_m} m is not smaller than a chip of {chip_px} pixels of {gsd_m} m"
    )]
    Overlap {
        /// Overlap asked for.
        overlap_m: f64,
        /// Chip side.
        chip_px: usize,
        /// Model pixel.
        gsd_m: f64,
    },
    /// The scene's pixels have no usable ground size.
    #[error(
        "scene `{scene}`: a pixel near row {row} covers {x_m} m × {y_m} m, which cannot be resampled to {gsd_m} m"
    )]
    GroundSize {
        /// Scene id.
        scene: String,
        /// Row of the scene.
        row: u64,
        /// Metres along x.
        x_m: f64,
        /// Metres along y.
        y_m: f64,
        /// Model pixel.
        gsd_m: f64,
    },
    /// All of the scene lies within one pixel of the model.
    #[error(
        "scene `{scene}` as a whole is smaller than one pixel of the model ({gsd_m} m): check its georeference"
    )]
    LessThanAPixel {
        /// Scene id.
        scene: String,
        /// Model pixel.
        gsd_m: f64,
    },
    /// Too many chips to number.
    #[error(
        "scene `{scene}` of {width} × {height} pixels would need more than {limit} chips: check its georeference and the model's `gsd_m`"
    )]
    TooMany {
        /// Scene id.
        scene: String,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
        /// The limit.
        limit: usize,
    },
    /// A row of chips cannot be placed on Earth.
    #[error("scene `{scene}`: {source}")]
    Georeference {
        /// Scene id.
        scene: String,
        /// Why.
        #[source]
        source: GeoreferenceError,
    },
}

/// More chips than this in one scene mean a wrong georeference rather than a large scene: at 10 m and
/// 2 km a chip it is more than twice the surface of the Earth.
const MAX_CHIPS: usize = 1 << 28;
/// Rows of chips are kept in memory. At 60 m a row this many reach round the Earth.
const MAX_ROWS: usize = 1 << 20;

/// A rectangle in scene pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelRect {
    /// Left edge.
    pub x0: f64,
    /// Upper edge.
    pub y0: f64,
    /// Right edge.
    pub x1: f64,
    /// Lower edge.
    pub y1: f64,
}

impl PixelRect {
    /// Whether a point lies inside or within `margin` pixels of the edge.
    pub fn contains(&self, p: PixelPoint, margin_x: f64, margin_y: f64) -> bool {
        p.x >= self.x0 - margin_x
            && p.x < self.x1 + margin_x
            && p.y >= self.y0 - margin_y
            && p.y < self.y1 + margin_y
    }
}

/// One chip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Chip {
    /// Number in the scene, row by row.
    pub index: usize,
    /// Row of chips.
    pub row: usize,
    /// Column of chips.
    pub column: usize,
    /// What it sees, in scene pixels. Reaches past the right and lower edge of a scene smaller than a chip.
    pub window: Window,
    /// What it owns, in scene pixels.
    pub core: PixelRect,
    /// Columns and rows in model pixels.
    pub size: (usize, usize),
    /// Scene pixels per model pixel, along x and y.
    pub scale: (f64, f64),
}

impl Chip {
    /// Name within the scene: `r0003c0012`. Carries no coordinates.
    pub fn name(&self) -> String {
        format!("r{:04}c{:04}", self.row, self.column)
    }

    /// Whether its pixels are the scene's own, so that reading it needs no resampling.
    pub fn is_native(&self) -> bool {
        self.scale == (1.0, 1.0) && self.window.x.fract() == 0.0 && self.window.y.fract() == 0.0
    }

    /// Scene pixel of a position in the chip's model pixels.
    pub fn scene_point(&self, p: PixelPoint) -> PixelPoint {
        PixelPoint {
            x: self.window.x + p.x * self.scale.0,
            y: self.window.y + p.y * self.scale.1,
        }
    }
}

/// One axis of windows: where each starts, and where its core ends.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    /// Length of the scene along the axis, in scene pixels.
    length: f64,
    /// Length of a window.
    window: f64,
    /// Distance between the starts of neighbours.
    step: f64,
    /// How much earlier than on the unshifted grid the second and later windows start.
    shift: f64,
    count: usize,
}

impl Axis {
    fn new(length: f64, window: f64, step: f64, shift: f64) -> Self {
        let count = if window >= length {
            1
        } else {
            // More than the limit is the limit and one: absurd scales must not overflow.
            1 + ((length - window + shift) / step)
                .ceil()
                .min(MAX_CHIPS as f64) as usize
        };
        Self {
            length,
            window,
            step,
            shift,
            count,
        }
    }

    fn start(&self, k: usize) -> f64 {
        (k as f64 * self.step - self.shift)
            .min(self.length - self.window)
            .max(0.0)
    }

    fn core(&self, k: usize) -> (f64, f64) {
        let boundary = |k: usize| f64::midpoint(self.start(k), self.start(k - 1) + self.window);
        let from = if k == 0 { 0.0 } else { boundary(k) };
        let to = if k + 1 == self.count {
            self.length
        } else {
            boundary(k + 1)
        };
        (from, to)
    }
}

/// A row of chips.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ChipRow {
    first: usize,
    start: f64,
    scale: (f64, f64),
    core: (f64, f64),
    columns: Axis,
}

/// All chips of a scene. Holds one entry per row of chips, whatever the size of the scene.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipPlan {
    rows: Vec<ChipRow>,
    size: (usize, usize),
    count: usize,
}

impl ChipPlan {
    /// Covers a scene.
    pub fn new(
        scene: &Scene,
        georeference: &Georeference,
        spec: &ChipSpec,
    ) -> Result<Self, PlanError> {
        let overlap_px = spec.overlap_m / spec.gsd_m;
        let step_px = spec.chip_px as f64 - overlap_px;
        if !(step_px >= 1.0 && overlap_px >= 0.0) {
            return Err(PlanError::Overlap {
                overlap_m: spec.overlap_m,
                chip_px: spec.chip_px,
                gsd_m: spec.gsd_m,
            });
        }
        let (width, height) = (scene.width as f64, scene.height as f64);
        // The last row of a grid may reach beyond a pole, where pixels have no size.
        let inside = 1.5_f64.min(height / 2.0);
        let scale_at = |y: f64| -> Result<(f64, f64), PlanError> {
            let (x_m, y_m) = scene
                .ground_scale
                .at_row(georeference, scene.width, y.clamp(inside, height - inside))
                .map_err(|source| PlanError::Georeference {
                    scene: scene.id.clone(),
                    source,
                })?;
            // Towards a pole a pixel of degrees has no width left: a whole row of them is one model pixel at most.
            let across = if x_m > 0.0 { spec.gsd_m / x_m } else { width };
            let scale = (across.min(width), spec.gsd_m / y_m);
            if scale.0.is_finite() && scale.1.is_finite() && scale.0 > 0.0 && scale.1 > 0.0 {
                Ok(scale)
            } else {
                Err(PlanError::GroundSize {
                    scene: scene.id.clone(),
                    row: y as u64,
                    x_m,
                    y_m,
                    gsd_m: spec.gsd_m,
                })
            }
        };
        let too_many = || PlanError::TooMany {
            scene: scene.id.clone(),
            width: scene.width,
            height: scene.height,
            limit: MAX_CHIPS,
        };

        let middle = scale_at(height / 2.0)?;
        at_least_a_pixel(scene, middle, spec)?;
        let size = (
            chip_side(width / middle.0, spec),
            chip_side(height / middle.1, spec),
        );
        // A grid shifted by a whole step is the same grid.
        let shift_px = spec.grid_shift_px.rem_euclid(step_px);

        let mut rows: Vec<ChipRow> = Vec::new();
        let mut count = 0usize;
        let mut next_start = 0.0;
        loop {
            let start: f64 = next_start;
            let mut scale = scale_at(start + size.1 as f64 / 2.0 * middle.1)?;
            let window = size.1 as f64 * scale.1;
            let last = start + window >= height - 1e-6;
            let start = if last {
                (height - window).max(0.0)
            } else {
                start
            };
            if last && rows.is_empty() {
                // One row sees the whole height: the scale of its middle serves best.
                scale = middle;
            }
            let columns = Axis::new(
                width,
                size.0 as f64 * scale.0,
                step_px.min(size.0 as f64) * scale.0,
                shift_px * scale.0,
            );
            rows.push(ChipRow {
                first: count,
                start,
                scale,
                core: (0.0, height),
                columns,
            });
            count = count
                .checked_add(columns.count)
                .filter(|c| *c <= MAX_CHIPS && rows.len() <= MAX_ROWS)
                .ok_or_else(too_many)?;
            if last {
                break;
            }
            let step = step_px * scale.1;
            next_start = start + step
                - if rows.len() == 1 {
                    shift_px * scale.1
                } else {
                    0.0
                };
        }
        for k in 1..rows.len() {
            let above = rows[k - 1].start + size.1 as f64 * rows[k - 1].scale.1;
            let boundary = f64::midpoint(rows[k].start, above);
            rows[k - 1].core.1 = boundary;
            rows[k].core.0 = boundary;
        }
        Ok(Self { rows, size, count })
    }

    /// Number of chips.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no chip at all (never the case for a scene with pixels).
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Columns and rows of every chip, in model pixels.
    pub fn chip_size(&self) -> (usize, usize) {
        self.size
    }

    /// Number of rows of chips.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Numbers of the chips in a row; none where there is no such row.
    pub fn row(&self, row: usize) -> std::ops::Range<usize> {
        self.rows
            .get(row)
            .map_or(0..0, |r| r.first..r.first + r.columns.count)
    }

    /// The chip of a number below [`Self::len`].
    pub fn chip(&self, index: usize) -> Option<Chip> {
        if index >= self.count {
            return None;
        }
        let row = self.rows.partition_point(|r| r.first <= index) - 1;
        let ChipRow {
            first,
            start,
            scale,
            core,
            columns,
        } = self.rows[row];
        let column = index - first;
        let (x0, x1) = columns.core(column);
        Some(Chip {
            index,
            row,
            column,
            window: Window {
                x: columns.start(column),
                y: start,
                width: self.size.0 as f64 * scale.0,
                height: self.size.1 as f64 * scale.1,
            },
            core: PixelRect {
                x0,
                y0: core.0,
                x1,
                y1: core.1,
            },
            size: self.size,
            scale,
        })
    }

    /// All chips in order.
    pub fn chips(&self) -> impl Iterator<Item = Chip> + '_ {
        (0..self.count).filter_map(|index| self.chip(index))
    }
}

/// Refuses a scene that lies within one model pixel: nothing of it could be read.
fn at_least_a_pixel(scene: &Scene, scale: (f64, f64), spec: &ChipSpec) -> Result<(), PlanError> {
    if (scene.width as f64) <= scale.0 && (scene.height as f64) < scale.1 {
        return Err(PlanError::LessThanAPixel {
            scene: scene.id.clone(),
            gsd_m: spec.gsd_m,
        });
    }
    Ok(())
}

/// Side of the chips of a scene that is `length_px` model pixels long.
fn chip_side(length_px: f64, spec: &ChipSpec) -> usize {
    match spec.size_multiple {
        Some(multiple) if length_px < spec.chip_px as f64 => {
            // Rounding noise in the division must not cost a whole step.
            let needed = (length_px - 1e-6).ceil().max(1.0) as usize;
            needed.next_multiple_of(multiple.max(1)).min(spec.chip_px)
        }
        _ => spec.chip_px,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
