//! What became of one chip.

use crate::chip::{CloudCover, SceneArea};
use crate::geometry::{OrientedBox, PixelArea};

/// The core of a chip is divided into this many cells a side to record where nothing was measured.
pub const CELLS: usize = 16;

/// A box found in a chip.
#[derive(Debug, Clone, PartialEq)]
pub struct RawDetection {
    /// In model pixels of the chip.
    pub shape: OrientedBox,
    /// Score of the class, 0 to 1.
    pub score: f32,
    /// Number of the class.
    pub class: usize,
    /// Scores of all classes.
    pub class_scores: Vec<f32>,
    /// Probabilities of the types within the class.
    pub type_scores: Vec<f32>,
    /// Whether the box reaches beyond what was seen (edge of the scene, or nodata).
    pub border: bool,
    /// How much of it lies under cloud; `None`: the scene has no cloud mask.
    pub cloud: Option<CloudCover>,
    /// The outline in model pixels of the chip, for heads that find areas: the part that the chip owns.
    pub outline: Option<PixelArea>,
}

/// How a chip ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The model saw it.
    Scanned {
        /// What it found.
        detections: Vec<RawDetection>,
        /// Cells of the core, row by row; `None` when all were seen.
        cells: Option<Vec<Cell>>,
        /// What the screen gave it; `None`: there is no screen.
        screen_score: Option<f32>,
    },
    /// The screen took it for one with nothing in it, and the detector did not see it.
    Screened {
        /// What the screen gave it.
        score: f32,
        /// Cells of the core, as above.
        cells: Option<Vec<Cell>>,
    },
    /// Nothing was measured in its core.
    Nodata,
    /// So much of its core lies under cloud that it was not shown to the model.
    Cloud {
        /// Cells of the core, row by row; where not empty, cloud.
        cells: Option<Vec<Cell>>,
    },
    /// It could not be read or inferred.
    Failed(String),
}

/// What became of one chip of one scene.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipOutcome {
    /// Position of the scene in the scan.
    pub scene: usize,
    /// Number of the chip in the scene.
    pub chip: usize,
    /// How it ended.
    pub verdict: Verdict,
}

/// What became of a cell of a chip's core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// Not measured.
    Empty,
    /// Seen by the model.
    Seen,
    /// Under cloud by the mask: whatever the model found there, its silence means nothing.
    Cloud,
}

impl Cell {
    /// As kept in the ledger.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Empty => 0,
            Self::Seen => 1,
            Self::Cloud => 2,
        }
    }

    /// From the ledger.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        [Self::Empty, Self::Seen, Self::Cloud]
            .into_iter()
            .find(|cell| cell.code() == code)
    }
}

/// What limits the boxes that a chip may report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ownership<'a> {
    /// Scene width and height in pixels.
    pub(super) scene_size: (f64, f64),
    /// Overlap of chips in model pixels.
    pub(super) overlap_px: f64,
    /// Area of interest in the scene, if one was given.
    pub(super) area: Option<&'a SceneArea>,
}
