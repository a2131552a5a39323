//! A scan from beginning to end.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::directory::{DirectoryError, RunDirectory, write_atomically};
use super::outputs::{Outputs, Written};
use super::plan::{ModelIdentity, PLAN_KEY, PlanDifference, ScanPlan, differences};
use super::progress::Progress;
use super::record::{Counts, Execution, Failure, RunRecord, SceneEntry, Seconds};
use super::settings::Settings;
use crate::chip::{AoiError, AreaOfInterest, ChipPlan, InputScaling, PlanError};
use crate::detect::{
    ChipOutcome, ChipSet, Ledger, LedgerError, Pipeline, PipelineError, PlaceError, PlannedScene,
    Verdict,
};
use crate::layer::overview::OverviewError;
use crate::layer::tables::Names;
use crate::model::{Detector, Model, OnnxDetector, SessionError, runtime_info};
use crate::scene::{
    Radiometry, RadiometryError, Scene, SceneError, SceneOptions, hex, measure_stretch,
    set_block_cache_bytes, unique_ids,
};

/// Why a scan fails as a whole.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Not one scene can be scanned.
    #[error("no scene can be scanned: {}", .0.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>().join("; "))]
    NoScene(Vec<Failure>),
    /// The model does not run.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The area of interest cannot be used.
    #[error(transparent)]
    Aoi(#[from] AoiError),
    /// The area of interest lies elsewhere.
    #[error(
        "the area of interest `{0}` touches no scene: check its coordinates (longitude first) and the scenes"
    )]
    AoiElsewhere(String),
    /// The run directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The directory holds another scan.
    #[error(
        "`{path}` holds another scan: {}; {remedy}",
        differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    OtherScan {
        /// The directory.
        path: String,
        /// In what it differs.
        differences: Vec<PlanDifference>,
        /// What to do.
        remedy: &'static str,
    },
    /// The plan in the ledger cannot be read.
    #[error("ledger of `{path}`: {source}; scan again with `--fresh`")]
    Plan {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A worker failed.
    #[error("{0}")]
    Worker(String),
    /// Detections cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A scene cannot be used any more.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// No overview picture.
    #[error(transparent)]
    Overview(#[from] OverviewError),
    /// The scan was stopped; what is done is in the ledger.
    #[error("stopped after {done} of {total} chips; the same command goes on from there")]
    Interrupted {
        /// Chips in the ledger.
        done: u64,
        /// Chips of the scan.
        total: u64,
    },
    /// The scan was stopped when all chips were done and the layers were being written.
    #[error("stopped while the layers were written; the same command writes them from the ledger")]
    InterruptedInLayers,
}

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
    /// Scene paths.
    pub scenes: Vec<String>,
    /// The model.
    pub model: &'a Model,
    /// Parameters; `aoi_sha256` is filled in here.
    pub settings: Settings,
    /// The run directory.
    pub out: PathBuf,
    /// Number of workers.
    pub workers: usize,
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
    pub areas: super::record::Areas,
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
    let model = request.model;
    // A model that does not run is the cheapest thing to find out, and no directory is made for it.
    drop(OnnxDetector::new(model)?);
    let area = request
        .settings
        .aoi
        .as_deref()
        .map(AreaOfInterest::parse)
        .transpose()?;
    let settings = Settings {
        aoi_sha256: area.as_ref().map(area_digest),
        ..request.settings
    };
    let (mut planned, mut failures) =
        plan_scenes(&request.scenes, model, &settings, area.as_ref(), progress)?;

    let directory = RunDirectory::open(&request.out)?;
    if request.existing == Existing::StartOver {
        directory.clear()?;
    }
    let plan = ScanPlan {
        model: ModelIdentity::of(model),
        parameters: settings,
    };
    let mut ledger = open_ledger(&directory, &plan, &planned, request.existing)?;
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
        model,
        &plan.parameters,
        request.workers,
        progress,
        stop,
    )?;
    seconds.detect = detecting.elapsed().as_secs_f64();

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
        },
        overview: request.overview,
        stop,
    }
    .write()?;
    progress.advance(1);
    progress.end();
    seconds.layers = writing.elapsed().as_secs_f64();

    failures.extend(written.failures.iter().cloned());
    let execution = Execution {
        finished: jiff::Timestamp::now()
            .round(jiff::Unit::Second)
            .unwrap_or_default()
            .to_string(),
        workers: request.workers,
        chips_resumed,
        gdal: gdal::version::VersionInfo::release_name(),
        onnxruntime: runtime_info()
            .map(|info| info.to_string())
            .unwrap_or_default(),
        seconds,
    };
    write_record(&directory, plan, &planned, &written, &failures, execution)?;
    if written.counts.chips.scanned == 0 && written.counts.chips.nodata == 0 {
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

/// Writes `run.json`.
fn write_record(
    directory: &RunDirectory,
    plan: ScanPlan,
    planned: &[PlannedScene],
    written: &Written,
    failures: &[Failure],
    execution: Execution,
) -> Result<(), DirectoryError> {
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
    write_atomically(&directory.file("run.json"), |out| {
        serde_json::to_writer_pretty(&mut *out, &record)?;
        writeln!(out)
    })
}

/// Opens all scenes and plans their chips. What cannot be scanned becomes a failure; nothing left is an error.
fn plan_scenes(
    paths: &[String],
    model: &Model,
    settings: &Settings,
    area: Option<&AreaOfInterest>,
    progress: &dyn Progress,
) -> Result<(Vec<PlannedScene>, Vec<Failure>), ScanError> {
    let (scenes, mut failures) = open_scenes(paths, model, settings, progress);
    let planned = plan_chips(scenes, area, settings, &mut failures)?;
    if planned.is_empty() {
        return Err(ScanError::NoScene(failures));
    }
    for failure in &failures {
        progress.note(&format!("left out: {}", failure.reason));
    }
    Ok((planned, failures))
}

fn area_digest(area: &AreaOfInterest) -> String {
    let mut hash = Sha256::new();
    for polygon in &area.polygons {
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            hash.update((ring.0.len() as u64).to_le_bytes());
            for c in ring.coords() {
                hash.update(c.x.to_le_bytes());
                hash.update(c.y.to_le_bytes());
            }
        }
    }
    hex(&hash.finalize())
}

/// Opens all scenes; those that cannot be scanned become failures.
fn open_scenes(
    paths: &[String],
    model: &Model,
    settings: &Settings,
    progress: &dyn Progress,
) -> (Vec<Scene>, Vec<Failure>) {
    let options = SceneOptions {
        wanted_bands: model.card.bands.clone(),
        bands: settings.bands.clone(),
        nodata: settings.nodata,
        date: settings.date.clone(),
    };
    let (mut scenes, mut failures) = (Vec::new(), Vec::new());
    progress.begin("opening scenes", paths.len() as u64, 0);
    for path in paths {
        let opened = Scene::open(path, &options)
            .map_err(RadiometryError::from)
            .and_then(|mut scene| {
                scene.radiometry = radiometry(&scene, model, settings)?;
                Ok(scene)
            });
        match opened {
            Ok(scene) => scenes.push(scene),
            Err(error) => failures.push(Failure {
                scene: path.clone(),
                chips: None,
                reason: error.to_string(),
            }),
        }
        progress.advance(1);
    }
    progress.end();
    unique_ids(&mut scenes);
    (scenes, failures)
}

/// How the stored numbers of a scene become the model's units: as the user says; else as stored where they fit
/// the model's range; else by the stretch that the card asks for.
fn radiometry(
    scene: &Scene,
    model: &Model,
    settings: &Settings,
) -> Result<Radiometry, RadiometryError> {
    if let Some(given) = Radiometry::given(settings.radiometry) {
        return Ok(given);
    }
    let Some(range) = model.card.scaling.range else {
        return Ok(Radiometry::as_stored());
    };
    // Bytes into a model of bytes; or wider numbers into a model that expects more than a byte can hold.
    let model_wants_bytes = range[0] >= 0.0 && range[1] <= 255.0 && range[1] > 1.0;
    if (scene.data_type == "Byte") == model_wants_bytes {
        return Ok(Radiometry::as_stored());
    }
    match model.card.stretch {
        Some(stretch) => {
            let measured = measure_stretch(scene, stretch.percentiles, range)?;
            Ok(measured.unwrap_or_else(Radiometry::as_stored))
        }
        None => Err(RadiometryError::Unknown {
            path: scene.path.clone(),
            data_type: scene.data_type.clone(),
            low: range[0],
            high: range[1],
        }),
    }
}

/// Plans the chips of all scenes that the area of interest touches.
fn plan_chips(
    scenes: Vec<Scene>,
    area: Option<&AreaOfInterest>,
    settings: &Settings,
    failures: &mut Vec<Failure>,
) -> Result<Vec<PlannedScene>, ScanError> {
    let mut planned = Vec::new();
    let mut touched = area.is_none();
    for scene in scenes {
        let georeference = scene.georeference()?;
        let plan = match ChipPlan::new(&scene, &georeference, &settings.chips) {
            Ok(plan) => plan,
            Err(error @ PlanError::Overlap { .. }) => {
                return Err(ScanError::Worker(error.to_string()));
            }
            Err(error) => {
                failures.push(Failure {
                    scene: scene.path.clone(),
                    chips: None,
                    reason: error.to_string(),
                });
                continue;
            }
        };
        let area = area
            .map(|area| area.in_scene(&scene, &georeference))
            .transpose()?;
        touched |= area.as_ref().is_some_and(|area| !area.is_empty());
        planned.push(PlannedScene {
            scene,
            plan,
            area,
            finished: ChipSet::default(),
        });
    }
    match area {
        Some(area) if !touched && !planned.is_empty() => {
            Err(ScanError::AoiElsewhere(area.source.clone()))
        }
        _ => Ok(planned),
    }
}

/// Opens the ledger of the directory and makes sure that it belongs to this scan.
fn open_ledger(
    directory: &RunDirectory,
    plan: &ScanPlan,
    planned: &[PlannedScene],
    existing: Existing,
) -> Result<Ledger, ScanError> {
    let path = directory.path().display().to_string();
    let in_plan = |source| ScanError::Plan {
        path: path.clone(),
        source,
    };
    let mut ledger = Ledger::open_or_create(&directory.file("ledger.sqlite"))?;
    let Some(before) = ledger.meta(PLAN_KEY)? else {
        let descriptions = planned
            .iter()
            .map(|p| Ok((p.scene.id.clone(), serde_json::to_string(&p.scene)?)))
            .collect::<Result<Vec<_>, serde_json::Error>>()
            .map_err(in_plan)?;
        ledger.begin_scan(
            PLAN_KEY,
            &serde_json::to_string(plan).map_err(in_plan)?,
            &descriptions,
        )?;
        return Ok(ledger);
    };
    let before: ScanPlan = serde_json::from_str(&before).map_err(in_plan)?;
    let scenes_before = ledger
        .scenes()?
        .iter()
        .map(|text| serde_json::from_str(text))
        .collect::<Result<Vec<Scene>, _>>()
        .map_err(in_plan)?;
    let scenes_now: Vec<Scene> = planned.iter().map(|p| p.scene.clone()).collect();
    let found = differences(&before, plan, &scenes_before, &scenes_now);
    let layers_only = found.iter().all(|d| d.layers_only);
    if found.is_empty() {
        return Ok(ledger);
    }
    if layers_only && existing == Existing::RewriteLayers {
        ledger.replace_meta(PLAN_KEY, &serde_json::to_string(plan).map_err(in_plan)?)?;
        return Ok(ledger);
    }
    let remedy = if layers_only {
        "give `--rewrite` to keep what was scanned and only write the layers anew, `--fresh` to start over, or another `--out`"
    } else {
        "give `--fresh` to delete it and start over, or another `--out`"
    };
    Err(ScanError::OtherScan {
        path,
        differences: found,
        remedy,
    })
}

/// Puts all chips through the model that the ledger does not have yet. Returns how many it had.
fn detect(
    ledger: &mut Ledger,
    planned: &[PlannedScene],
    model: &Model,
    settings: &Settings,
    workers: usize,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<u64, ScanError> {
    let (mut total, mut resumed) = (0u64, 0u64);
    for scene in planned {
        for chip in scene.plan.chips().filter(|chip| scene.is_wanted(chip)) {
            total += 1;
            resumed += u64::from(scene.finished.contains(chip.index));
        }
    }
    set_block_cache_bytes(block_cache(planned));
    let scaling = &model.card.scaling;
    let pipeline = Pipeline {
        workers,
        scaling: InputScaling {
            clamp: scaling.range.map(|[low, high]| (low as f32, high as f32)),
            gain: scaling.gain.iter().map(|v| *v as f32).collect(),
            bias: scaling.bias.iter().map(|v| *v as f32).collect(),
        },
        store_score: settings.store_score as f32,
        rule: settings.nms(),
        overlap_px: settings.overlap_px(),
    };
    let make_detector = || -> Result<Box<dyn Detector>, String> {
        OnnxDetector::new(model)
            .map(|d| Box::new(d) as Box<dyn Detector>)
            .map_err(|e| e.to_string())
    };
    progress.begin("chips", total, resumed);
    let mut done = resumed;
    let mut failed_scenes = std::collections::BTreeSet::new();
    let finished = pipeline.run(planned, &make_detector, stop, |outcome: ChipOutcome| {
        ledger.record(&outcome)?;
        done += 1;
        progress.advance(1);
        if let Verdict::Failed(reason) = &outcome.verdict
            && failed_scenes.insert(outcome.scene)
        {
            progress.note(&format!(
                "scene `{}`: {reason}",
                planned[outcome.scene].scene.id
            ));
        }
        Ok::<(), LedgerError>(())
    });
    progress.end();
    ledger.commit()?;
    match finished {
        Ok(true) => Ok(resumed),
        Ok(false) => Err(ScanError::Interrupted { done, total }),
        Err(PipelineError::Sink(error)) => Err(error.into()),
        Err(other) => Err(ScanError::Worker(other.to_string())),
    }
}

/// Smallest and largest block cache. Blocks are decoded again when the cache does not hold a row of chips.
const BLOCK_CACHE_BYTES: std::ops::RangeInclusive<u64> = (32 << 20)..=(512 << 20);

/// Room for the blocks under two rows of chips of the widest scene.
fn block_cache(planned: &[PlannedScene]) -> u64 {
    let row_of_chips = |p: &PlannedScene| {
        let chip_height = p.plan.chip(0).map_or(1.0, |chip| chip.window.height.ceil()) as u64;
        // A chip that starts within a block touches one more than its height asks for.
        p.scene
            .blocks
            .row_bytes
            .saturating_mul(chip_height.div_ceil(p.scene.blocks.height.max(1)) + 1)
    };
    let widest = planned.iter().map(row_of_chips).max().unwrap_or(0);
    widest
        .saturating_mul(2)
        .clamp(*BLOCK_CACHE_BYTES.start(), *BLOCK_CACHE_BYTES.end())
}

impl ScanSummary {
    /// Files written, relative to `out`, with what they hold.
    pub fn files(&self, out: &Path) -> Vec<(PathBuf, String)> {
        let c = &self.counts;
        let mut files = vec![
            (out.join("sites.geojson"), format!("{} sites", c.sites)),
            (
                out.join("clusters.geojson"),
                format!("{} clusters of sites", c.clusters),
            ),
            (
                out.join("detections.geojson"),
                format!("{} detections", c.detections),
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
