//! A scan from beginning to end.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use super::detect::{Inference, detect};
use super::directory::{DirectoryError, RunDirectory};
use super::error::ScanError;
use super::outputs::{Outputs, Written};
use super::plan::{ModelIdentity, ScanPlan};
use super::prepare::{Prepared, Search, area_digest, plan_scenes};
use super::progress::Progress;
use super::record::{Areas, Counts, Execution, Failure, RunRecord, SceneEntry, Seconds};
use super::resume::{left_out, open_ledger};
use super::screen_clock::ScreenClock;
use super::settings::Settings;
use super::staged::StagedFile;
use crate::chip::AreaOfInterest;
use crate::detect::{Ledger, PlannedScene};
use crate::layer::tables::Names;
use crate::model::{Device, Model, runtime_info};
use crate::scene::Scene;
use crate::source::{Cache, SourceError};

/// What to do with what the directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Go on with the same scan; refuse any other.
    Continue,
    /// Go on with the same scan, and allow other parameters for the layers.
    RewriteLayers,
    /// Delete it and start over.
    StartOver,
}

/// A scan to make.
pub struct ScanRequest<'a> {
    /// What names the scenes: files, folders, patterns, lists, products, STAC documents, addresses.
    pub scenes: Vec<String>,
    /// Folder for copies of remote files; `None`: they are read where they are.
    pub cache: Option<PathBuf>,
    /// Bytes that all copies may take together.
    pub cache_max: Option<u64>,
    /// The model.
    pub model: &'a Model,
    /// Parameters; `aoi_sha256` is filled in here.
    pub settings: Settings,
    /// The run directory.
    pub out: PathBuf,
    /// Number of workers.
    pub workers: usize,
    /// Where the model runs.
    pub device: Device,
    /// Chips that go through the model together.
    pub batch: usize,
    /// What to do with an earlier scan.
    pub existing: Existing,
    /// Whether to draw overview pictures.
    pub overview: bool,
}

/// What came of a scan.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanSummary {
    /// Numbers.
    pub counts: Counts,
    /// Areas in square kilometres.
    pub areas: Areas,
    /// What could not be scanned.
    pub failures: Vec<Failure>,
    /// Overview pictures, relative to the run directory.
    pub overviews: Vec<PathBuf>,
}

/// Scans. On return, everything is in the run directory; when stopped, the ledger is.
pub fn scan(
    request: ScanRequest<'_>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<ScanSummary, ScanError> {
    let planning = Instant::now();
    let clock = ScreenClock::default();
    let inference = Inference::of(&request, &clock);
    let model = request.model;
    // A model that does not run is the cheapest thing to find out, and no directory is made for it.
    let first_stages = inference.stages()?;
    let area = (request.settings.aoi.as_deref())
        .map(AreaOfInterest::parse)
        .transpose()?;
    let settings = Settings {
        aoi_sha256: area.as_ref().map(area_digest),
        ..request.settings
    };
    // Its copies stay until the scan ends.
    let cache = open_cache(request.cache.as_deref(), request.cache_max)?;
    let before = scenes_before(&request.out, request.existing);
    let prepared = plan_scenes(&Search {
        arguments: &request.scenes,
        cache: cache.as_ref(),
        model,
        settings: &settings,
        area: area.as_ref(),
        before: &before,
        progress,
        stop,
    })?;

    let directory = RunDirectory::open(&request.out)?;
    if request.existing == Existing::StartOver {
        directory.clear()?;
    }
    let plan = ScanPlan {
        model: ModelIdentity::of(model),
        parameters: settings,
        left_out: left_out(&prepared.failures),
    };
    let (mut ledger, prepared) =
        open_ledger(&directory, &plan, prepared, area.as_ref(), request.existing)?;
    let Prepared {
        mut planned,
        mut failures,
        ..
    } = prepared;
    for (number, scene) in planned.iter_mut().enumerate() {
        scene.finished = ledger.finished_chips(number)?;
    }
    let mut seconds = Seconds {
        plan: planning.elapsed().as_secs_f64(),
        ..Seconds::default()
    };

    let detecting = Instant::now();
    let chips_resumed = detect(
        &mut ledger,
        &planned,
        (inference, first_stages),
        &plan.parameters,
        progress,
        stop,
    )?;
    (seconds.detect, seconds.screen) = (detecting.elapsed().as_secs_f64(), clock.seconds());

    let writing = Instant::now();
    progress.begin("layers", 1, 0);
    let written = Outputs {
        directory: &directory,
        ledger: &ledger,
        scenes: &planned,
        area: area.as_ref(),
        settings: &plan.parameters,
        names: Names {
            classes: &plan.model.classes,
            types: &plan.model.types,
            model: &plan.model.name,
            areas: plan.parameters.areas,
        },
        overview: request.overview,
        stop,
    }
    .write()?;
    progress.advance(1);
    progress.end();
    seconds.layers = writing.elapsed().as_secs_f64();

    failures.extend(written.failures.iter().cloned());
    let execution = execution(inference, chips_resumed, seconds);
    let record = write_record(&directory, plan, &planned, &written, &failures, execution)?;
    directory.publish(written.files, record)?;
    let chips = written.counts.chips;
    if chips.seen() + chips.nodata + chips.cloud == 0 {
        return Err(ScanError::NoScene(failures));
    }
    let Written {
        counts,
        areas,
        overviews,
        ..
    } = written;
    Ok(ScanSummary {
        counts,
        areas,
        failures,
        overviews,
    })
}

fn open_cache(folder: Option<&Path>, most: Option<u64>) -> Result<Option<Cache>, SourceError> {
    folder.map(|folder| Cache::open(folder, most)).transpose()
}

/// How this execution went.
fn execution(inference: Inference<'_>, chips_resumed: u64, seconds: Seconds) -> Execution {
    Execution {
        finished: jiff::Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default()
            .to_string(),
        workers: inference.workers,
        batch: inference.batch,
        device: inference.device.to_string(),
        chips_resumed,
        gdal: gdal::version::VersionInfo::release_name(),
        onnxruntime: runtime_info()
            .map(|info| info.to_string())
            .unwrap_or_default(),
        seconds,
    }
}

/// Writes `run.json`.
fn write_record(
    directory: &RunDirectory,
    plan: ScanPlan,
    planned: &[PlannedScene],
    written: &Written,
    failures: &[Failure],
    execution: Execution,
) -> Result<StagedFile, DirectoryError> {
    let scenes = planned
        .iter()
        .zip(&written.chips)
        .map(|(p, chips)| SceneEntry {
            scene: p.scene.clone(),
            nodata: p.scene.validity.to_string(),
            chips: *chips,
        });
    let record = RunRecord {
        kilnsight: env!("CARGO_PKG_VERSION").to_owned(),
        run_format: 1,
        model: plan.model,
        parameters: plan.parameters,
        scenes: scenes.collect(),
        counts: written.counts,
        areas_km2: written.areas,
        failures: failures.to_vec(),
        execution,
    };
    let (file, ()) = StagedFile::write(&directory.record(), |out| {
        serde_json::to_writer_pretty(&mut *out, &record)?;
        writeln!(out)
    })?;
    Ok(file)
}

/// The scenes that an earlier part of the scan in `out` worked on: what was measured of them is not measured again.
/// None where there is no such scan, or no way to tell: what is wrong with it is found out later.
fn scenes_before(out: &Path, existing: Existing) -> Vec<Scene> {
    let file = out.join("ledger.sqlite");
    if existing == Existing::StartOver || !file.is_file() {
        return Vec::new();
    }
    let descriptions = Ledger::open(&file).and_then(|ledger| ledger.scenes());
    (descriptions.unwrap_or_default().iter())
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect()
}

impl ScanSummary {
    /// Files written, relative to `out`, with what they hold.
    pub fn files(&self, out: &Path) -> Vec<(PathBuf, String)> {
        let c = &self.counts;
        let mut files = vec![
            (out.join("sites.geojson"), counted(c.sites, "site")),
            (out.join("clusters.geojson"), counted(c.clusters, "cluster")),
            (
                out.join("detections.geojson"),
                counted(c.detections, "detection"),
            ),
            (
                out.join("coverage.geojson"),
                "what was seen and what was not".to_owned(),
            ),
            (
                out.join("run.json"),
                "parameters, counts, failures".to_owned(),
            ),
            (
                out.join("ledger.sqlite"),
                format!(
                    "all {} detections above the store score",
                    c.stored_detections
                ),
            ),
        ];
        files.extend(self.overviews.iter().map(|name| {
            (
                out.join(name),
                "picture of the scene with detections".to_owned(),
            )
        }));
        files
    }
}

/// "1 site", "2 sites".
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
