//! `run.json`: what was done, with what, and what came of it.

use serde::{Deserialize, Serialize};

use super::plan::ModelIdentity;
use super::settings::Settings;
use crate::scene::Scene;

/// The record of a run. Everything but `execution` depends on the inputs alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the program that wrote it.
    pub kilnsight: String,
    /// Format of this file.
    pub run_format: u32,
    pub(super) model: ModelIdentity,
    /// Every parameter, after defaults.
    pub parameters: Settings,
    /// Scenes that were scanned.
    pub scenes: Vec<SceneEntry>,
    /// What was found.
    pub counts: Counts,
    /// Areas by what became of them, in square kilometres: sums over scenes, so ground that lies in two
    /// scenes counts twice.
    pub areas_km2: Areas,
    /// What could not be scanned.
    pub failures: Vec<Failure>,
    /// How this particular execution went. Differs from one to the next.
    pub execution: Execution,
}

/// A scene with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SceneEntry {
    /// The scene.
    #[serde(flatten)]
    pub scene: Scene,
    /// How empty pixels were told, in words.
    pub nodata: String,
    /// Chips by what became of them.
    pub chips: ChipCounts,
}

/// Numbers of chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChipCounts {
    /// Planned over the scene.
    pub planned: u64,
    /// Left out since they lie outside the area of interest.
    pub outside_aoi: u64,
    /// Seen by the model.
    pub scanned: u64,
    /// Seen by its screen only, which dropped them.
    #[serde(default)]
    pub screened: u64,
    /// Nothing measured there.
    pub nodata: u64,
    /// Not shown to the model, for cloud.
    pub cloud: u64,
    /// Could not be read or inferred.
    pub failed: u64,
}

impl ChipCounts {
    /// Adds those of another scene.
    pub fn add(&mut self, other: Self) {
        self.planned += other.planned;
        self.outside_aoi += other.outside_aoi;
        self.scanned += other.scanned;
        self.screened += other.screened;
        self.nodata += other.nodata;
        self.cloud += other.cloud;
        self.failed += other.failed;
    }

    /// Chips that the model or its screen looked at.
    pub fn seen(&self) -> u64 {
        self.scanned + self.screened
    }

    /// Chips that the ledger knows the end of.
    pub fn done(&self) -> u64 {
        self.seen() + self.nodata + self.cloud + self.failed
    }
}

/// Numbers of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Scenes scanned, in whole or in part.
    pub scenes: u64,
    /// Chips of all scenes.
    pub chips: ChipCounts,
    /// Detections in the ledger, above the store score, before suppression across chips.
    pub stored_detections: u64,
    /// Detections in the layer.
    pub detections: u64,
    /// Of those, how many lie under cloud, thin cloud or its shadow in whole or in part.
    pub detections_under_cloud: u64,
    /// Sites.
    pub sites: u64,
    /// Clusters.
    pub clusters: u64,
    /// Sites that belong to one.
    pub clustered_sites: u64,
}

/// Areas in square kilometres.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Areas {
    /// Seen by the model, or by its screen alone.
    pub scanned: f64,
    /// Nothing measured there.
    pub nodata: f64,
    /// Under cloud, by the masks of the scenes.
    pub cloud: f64,
    /// Could not be read.
    pub failed: f64,
    /// In the area of interest, but in no scene.
    pub outside: f64,
}

/// Something that could not be scanned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Scene id, or the path of what could not be opened.
    pub scene: String,
    /// Chips that failed; `None`: the whole scene, or its picture.
    pub chips: Option<u64>,
    /// Why (of the first chip, where several failed).
    pub reason: String,
    /// Whether trying again later may help: a server did not answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

/// How one execution went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// When it ended (UTC).
    pub finished: String,
    /// Workers.
    pub workers: usize,
    /// Chips that went through the model together.
    #[serde(default = "one_by_one")]
    pub batch: usize,
    /// Where the model ran.
    pub device: String,
    /// Chips that an earlier, interrupted execution had finished.
    pub chips_resumed: u64,
    /// Version of GDAL.
    pub gdal: String,
    /// Version and build of ONNX Runtime.
    pub onnxruntime: String,
    /// Seconds per stage.
    pub seconds: Seconds,
}

/// How earlier versions, which did not say, put chips through the model.
fn one_by_one() -> usize {
    1
}

/// Seconds per stage.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Seconds {
    /// Opening scenes, planning chips.
    pub plan: f64,
    /// Reading, inference, decoding.
    pub detect: f64,
    /// Of these, the screen: all workers together.
    #[serde(default)]
    pub screen: f64,
    /// Suppression, sites, clusters, coverage, files.
    pub layers: f64,
}
