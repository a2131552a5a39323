//! Which chips are read together, in which order, and how much room that takes.
//!
//! A scene is walked down in *panels*: columns of chips so narrow that a strip (a row of chips within the panel)
//! and one row of the file's blocks stay small, whatever the width of the scene. Within a panel each block is
//! decoded once; only the blocks on the boundary of two panels are decoded for both. A scene that is narrow, or
//! whose blocks run across its whole width, is one panel.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::planned::PlannedScene;
use crate::chip::Chip;

/// Scenes are divided into panels so that neither the pixels of a strip nor a row of blocks take more than this.
const STRIP_BYTES: u64 = 8 << 20;
/// A panel is at least this many blocks wide, so that few blocks lie on a boundary.
const PANEL_BLOCKS: u64 = 8;

/// Chips of one row that are read together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strip {
    /// Position of the scene in the scan.
    pub(super) scene: usize,
    /// One chip, or several that need no resampling and leave no gap.
    pub(super) chips: Vec<Chip>,
}

/// Rows of chips in one panel of a scene. One reader walks down it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    scene: usize,
    /// Number of the panel, and how many the scene has.
    panel: (usize, usize),
    rows: Range<usize>,
}

/// Where a reader is.
#[derive(Debug, Default)]
pub(super) struct Place {
    lane: Option<Lane>,
    /// Chips of the lane's first row that were handed out or passed over.
    column: usize,
}

/// Hands out strips, to any number of readers.
pub(super) struct Strips<'a> {
    scenes: &'a [PlannedScene],
    lanes: Vec<Lane>,
    next: AtomicUsize,
}

impl<'a> Strips<'a> {
    pub(super) fn new(scenes: &'a [PlannedScene], readers: usize) -> Self {
        let panels: Vec<usize> = scenes.iter().map(panel_count).collect();
        // Where there are fewer panels than readers, each is divided into stretches of rows.
        let stretches = readers.div_ceil(panels.iter().sum::<usize>().max(1));
        let mut lanes = Vec::new();
        for (scene, (planned, &count)) in scenes.iter().zip(&panels).enumerate() {
            let rows = planned.plan.row_count();
            for panel in 0..count {
                lanes.extend((0..stretches).map(|i| Lane {
                    scene,
                    panel: (panel, count),
                    rows: i * rows / stretches..(i + 1) * rows / stretches,
                }));
            }
        }
        Self {
            scenes,
            lanes,
            next: AtomicUsize::new(0),
        }
    }

    /// How many strips should be in memory at once: for each reader the one that is read, and enough others to
    /// have `ready` chips waiting.
    pub(super) fn in_flight(&self, readers: usize, ready: usize) -> usize {
        let chips = |lane: &Lane| {
            let planned = &self.scenes[lane.scene];
            let native = planned.plan.chip(0).is_some_and(|chip| chip.is_native());
            if native {
                columns(planned, lane).len()
            } else {
                1
            }
        };
        let shortest = self.lanes.iter().map(chips).min().unwrap_or(1).max(1);
        readers + ready.div_ceil(shortest).max(readers)
    }

    /// The next strip for the reader that is at `place`; `None` when there is nothing left to read.
    pub(super) fn next(&self, place: &mut Place) -> Option<Strip> {
        loop {
            if place.lane.as_ref().is_none_or(|lane| lane.rows.is_empty()) {
                let next = self.next.fetch_add(1, Ordering::Relaxed);
                place.lane = Some(self.lanes.get(next)?.clone());
                place.column = 0;
            }
            let lane = place.lane.as_mut()?;
            let planned = &self.scenes[lane.scene];
            let columns = columns(planned, lane);
            let chips = run(planned, &columns, &mut place.column);
            if place.column >= columns.len() {
                lane.rows.start += 1;
                place.column = 0;
            }
            if !chips.is_empty() {
                return Some(Strip {
                    scene: lane.scene,
                    chips,
                });
            }
        }
    }
}

/// Numbers of the chips in the first row of a lane.
fn columns(planned: &PlannedScene, lane: &Lane) -> Range<usize> {
    let row = planned.plan.row(lane.rows.start);
    let (panel, panels) = lane.panel;
    row.start + panel * row.len() / panels..row.start + (panel + 1) * row.len() / panels
}

/// The first chips from `from` on that are wanted and can be read together; moves `from` past them.
fn run(planned: &PlannedScene, columns: &Range<usize>, from: &mut usize) -> Vec<Chip> {
    let mut chips: Vec<Chip> = Vec::new();
    while *from < columns.len() {
        let Some(chip) = planned.plan.chip(columns.start + *from) else {
            break;
        };
        if planned.finished.contains(chip.index) || !planned.is_wanted(&chip) {
            *from += 1;
            continue;
        }
        let joins = chips.last().is_none_or(|last| {
            last.is_native()
                && chip.is_native()
                && chip.window.x <= last.window.x + last.window.width
        });
        if !joins {
            break;
        }
        chips.push(chip);
        *from += 1;
    }
    chips
}

/// Into how many panels a scene is divided.
fn panel_count(planned: &PlannedScene) -> usize {
    let (scene, blocks) = (&planned.scene, &planned.scene.blocks);
    let width = scene.width as u64;
    let wanted = (strip_bytes(planned).max(blocks.row_bytes)).div_ceil(STRIP_BYTES);
    let most = width / (blocks.width.max(1) * PANEL_BLOCKS);
    let chips = planned.plan.row(0).len() as u64;
    wanted.min(most).min(chips).max(1) as usize
}

/// Bytes of a row of chips across the whole scene, as stored.
fn strip_bytes(planned: &PlannedScene) -> u64 {
    let blocks = &planned.scene.blocks;
    let rows = (planned.plan.chip(0)).map_or(1, |chip| chip.window.height.ceil() as u64);
    let row = blocks.row_bytes.div_ceil(blocks.height.max(1));
    row.saturating_mul(rows.min(planned.scene.height as u64))
}

/// Smallest and largest block cache.
const BLOCK_CACHE_BYTES: Range<u64> = (8 << 20)..(512 << 20);

/// What GDAL's block cache must hold so that no block of a panel is decoded twice: for each reader a row of
/// blocks, or a strip where that is more; where chips are resampled, all blocks under a row of chips, since they
/// are read chip by chip.
pub(super) fn block_cache_bytes(scenes: &[PlannedScene], readers: usize) -> u64 {
    let of = |planned: &PlannedScene| {
        let (scene, blocks) = (&planned.scene, &planned.scene.blocks);
        let panels = panel_count(planned) as u64;
        // The blocks that a panel's edges cut through belong to it as well.
        let share = |bytes: u64| {
            let cut = if panels > 1 { 2 * blocks.width } else { 0 };
            bytes / panels + bytes / (scene.width as u64).max(1) * cut
        };
        let chip = planned.plan.chip(0);
        let native = chip.is_some_and(|chip| chip.is_native());
        let block_rows = if native {
            1
        } else {
            let rows = chip.map_or(1, |chip| chip.window.height.ceil() as u64);
            // A chip that starts within a block touches one more than its height asks for.
            rows.div_ceil(blocks.height.max(1)) + 1
        };
        share(
            blocks
                .row_bytes
                .saturating_mul(block_rows)
                .max(strip_bytes(planned)),
        )
    };
    let most = scenes.iter().map(of).max().unwrap_or(0);
    // Masks and bands that are not used, but interleaved with those that are, take room as well.
    let room = most.saturating_mul(3) / 2;
    room.saturating_mul(readers as u64)
        .clamp(BLOCK_CACHE_BYTES.start, BLOCK_CACHE_BYTES.end)
}

#[cfg(test)]
#[path = "strips_tests.rs"]
mod tests;
