//! What is asked for, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::format::Format;
use super::split::SplitRule;
use super::verified::Places;
use crate::model::Model;

/// What is asked for.
#[derive(Debug)]
pub struct LabelRequest<'a> {
    /// Runs whose scenes the chips come from.
    pub runs: &'a [PathBuf],
    /// The places.
    pub places: &'a Places,
    /// The model whose input the chips are: bands, range, resolution.
    pub model: &'a Model,
    /// Side of a chip in pixels; `None`: the model's.
    pub chip_px: Option<usize>,
    /// Formats.
    pub formats: &'a BTreeSet<Format>,
    /// How chips are split.
    pub split: SplitRule,
    /// The folder to make.
    pub out: &'a Path,
}

/// What is in a part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PartCount {
    /// Chips.
    pub chips: usize,
    /// Chips without objects: ground that was taken for an object.
    pub background: usize,
    /// Objects by class. One that several chips show counts in each.
    pub objects: BTreeMap<String, usize>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct LabelSummary {
    /// By name of the part.
    pub parts: BTreeMap<&'static str, PartCount>,
    /// Chips left out since they show a place that is not decided.
    pub undecided: usize,
    /// Chips left out since they lie too near to another part.
    pub too_near: usize,
    /// Places that no scene shows.
    pub outside: usize,
    /// Features of the layer without extent.
    pub without_extent: usize,
}
