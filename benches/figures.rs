//! One figure of the benchmark, as a line of JSON: what `scripts/bench.sh` runs, each in a process of its own.
//!
//! ```text
//! figures ort LIBRARY MODEL SCENE WORKERS    ONNX Runtime alone on the chips of a scene
//! figures read MODEL SCENE                   reading and cutting those chips, without a model
//! figures suppress planar|ground scattered|crowded COUNT
//! figures sites scattered|crowded COUNT      sites, clusters and their layers from detections
//! ```

#![expect(
    clippy::print_stdout,
    reason = "what it measures goes to standard output"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use kilnsight::chip::ChipPlan;
use kilnsight::detect::{ChipSet, Pipeline, PlannedScene, Stages};
use kilnsight::geometry::{SuppressionRule, suppress_ground, suppress_planar};
use kilnsight::layer::geojson::GeoJsonWriter;
use kilnsight::layer::tables::{Names, site_feature};
use kilnsight::model::{CardSource, ChipBox, DetectError, Detector, Model, ModelCard};
use kilnsight::run::Settings;
use kilnsight::scene::{Scene, SceneOptions, SceneSource, set_block_cache_bytes};
use kilnsight::site::{ClusterRule, cluster_sites, merge_sites};
use ndarray::{Array3, ArrayView3, Axis};
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use serde_json::{Value, json};

use made_up::Spread;

mod made_up;

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figure = match words.as_slice() {
        ["ort", library, model, scene, workers] => {
            onnx_runtime(library, model, scene, workers.parse()?)?
        }
        ["read", model, scene] => read(model, scene)?,
        ["suppress", plane, spread, count] => suppress(plane, spread_of(spread)?, count.parse()?)?,
        ["sites", spread, count] => sites(spread_of(spread)?, count.parse()?)?,
        // `cargo bench` runs it without a figure's name.
        [] => return Ok(()),
        other => bail!("no such figure: {}", other.join(" ")),
    };
    println!("{figure}");
    Ok(())
}

fn spread_of(word: &str) -> Result<Spread> {
    match word {
        "scattered" => Ok(Spread::Scattered),
        "crowded" => Ok(Spread::Crowded),
        other => bail!("`{other}` is neither `scattered` nor `crowded`"),
    }
}

/// A detector that finds nothing, counts what it is shown, and keeps it if asked to.
struct Witness {
    seen: Arc<AtomicUsize>,
    kept: Option<Arc<Mutex<Vec<Array3<f32>>>>>,
}

impl Detector for Witness {
    fn detect(&mut self, chip: ArrayView3<'_, f32>, _: f32) -> Result<Vec<ChipBox>, DetectError> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push(chip.to_owned());
        }
        Ok(Vec::new())
    }
}

/// What a pass over a scene without a model gave.
struct Pass {
    chips: usize,
    seconds: f64,
    kept: Vec<Array3<f32>>,
}

/// Reads and cuts every chip of a scene, as a scan with one worker would.
fn pass(model: &Model, scene: &str, keep: bool) -> Result<Pass> {
    let settings = Settings::of(&model.card);
    let options = SceneOptions {
        wanted_bands: model.card.bands.clone(),
        ..SceneOptions::default()
    };
    let scene = Scene::open(&SceneSource::file(scene), &options)?;
    let pipeline = Pipeline {
        workers: 1,
        batch: 1,
        scaling: model.card.input_scaling(),
        store_score: settings.store_score as f32,
        rule: settings.nms(),
        overlap_px: settings.overlap_px(),
        max_cloud: settings.max_cloud,
    };
    let scenes = [PlannedScene {
        plan: ChipPlan::new(&scene, &scene.georeference()?, &settings.chips)?,
        scene,
        area: None,
        finished: ChipSet::default(),
    }];
    set_block_cache_bytes(pipeline.block_cache_bytes(&scenes));
    let seen = Arc::new(AtomicUsize::new(0));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let make = || -> Result<Stages, String> {
        Ok(Stages {
            screen: None,
            detector: Box::new(Witness {
                seen: Arc::clone(&seen),
                kept: keep.then(|| Arc::clone(&kept)),
            }),
        })
    };
    let began = Instant::now();
    pipeline
        .run(&scenes, &make, &AtomicBool::new(false), |_| {
            Ok::<(), String>(())
        })
        .map_err(|e| anyhow!("{e}"))?;
    let seconds = began.elapsed().as_secs_f64();
    let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Pass {
        chips: seen.load(Ordering::Relaxed),
        seconds,
        kept,
    })
}

fn read(model: &str, scene: &str) -> Result<Value> {
    let pass = pass(&Model::load(model)?, scene, false)?;
    Ok(json!({"chips": pass.chips, "seconds": pass.seconds}))
}

/// Each worker has a session with one thread and takes the next chip when it is done with one, as in a scan; all
/// chips lie in memory, and what comes out is not looked at.
fn onnx_runtime(library: &str, model: &str, scene: &str, workers: usize) -> Result<Value> {
    let model = unopened(Path::new(model))?;
    let chips = pass(&model, scene, true)?.kept;
    let failed = |e: &dyn std::fmt::Display| anyhow!("ONNX Runtime: {e}");
    let environment = ort::init_from(PathBuf::from(library))
        .map_err(|e| failed(&e))?
        .with_telemetry(false)
        .build()
        .map_err(|e| failed(&e))?;
    let session = || -> Result<Session, ort::Error> {
        Session::builder(&environment)?
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .commit_from_memory(&model.onnx)
    };
    let next = AtomicUsize::new(0);
    let work = || -> Result<f64, ort::Error> {
        let began = Instant::now();
        let mut session = session()?;
        let load = began.elapsed().as_secs_f64();
        while let Some(chip) = chips.get(next.fetch_add(1, Ordering::Relaxed)) {
            let batch = chip.view().insert_axis(Axis(0));
            session.run(
                ort::inputs![model.card.input.as_str() => TensorRef::from_array_view(batch)?],
            )?;
        }
        Ok(load)
    };
    let (began, cpu) = (Instant::now(), cpu_seconds()?);
    let loads = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_panic| anyhow!("a worker died"))?
                    .map_err(|e| failed(&e))
            })
            .collect::<Result<Vec<f64>>>()
    })?;
    Ok(json!({
        "chips": chips.len(),
        "seconds": began.elapsed().as_secs_f64(),
        "cpu": cpu_seconds()? - cpu,
        "load": loads.iter().sum::<f64>() / loads.len() as f64,
    }))
}

/// A model whose file nobody has opened yet: a process has one environment of ONNX Runtime, and here that is not
/// kilnsight's.
fn unopened(folder: &Path) -> Result<Model> {
    let card = std::fs::read_to_string(folder.join("model.json"))?;
    let onnx_path = folder.join("model.onnx");
    Ok(Model {
        card: ModelCard::parse(&card)?,
        onnx: std::fs::read(&onnx_path)?.into(),
        onnx_path,
        sha256: String::new(),
        screen: None,
        card_sha256: String::new(),
        card_source: CardSource::File,
        warnings: Vec::new(),
    })
}

/// Seconds of processor time of this process, as Linux counts them: in hundredths.
fn cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().context("an odd /proc/self/stat")?;
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / 100.0)
}

fn suppress(plane: &str, spread: Spread, count: usize) -> Result<Value> {
    const RULE: SuppressionRule = SuppressionRule {
        iou: 0.45,
        ios: 0.7,
    };
    let (seconds, kept) = match plane {
        "planar" => {
            let boxes = made_up::boxes(count, spread);
            let began = Instant::now();
            let kept = suppress_planar(&boxes, RULE).len();
            (began.elapsed().as_secs_f64(), kept)
        }
        "ground" => {
            let boxes = made_up::ground_boxes(count, spread);
            let began = Instant::now();
            let kept = suppress_ground(&boxes, RULE).len();
            (began.elapsed().as_secs_f64(), kept)
        }
        other => bail!("`{other}` is neither `planar` nor `ground`"),
    };
    Ok(json!({"seconds": seconds, "kept": kept}))
}

fn sites(spread: Spread, count: usize) -> Result<Value> {
    let rule = SuppressionRule { iou: 0.2, ios: 0.5 };
    let detections = made_up::detections(count, spread);
    let before = peak_mib()?;
    let began = Instant::now();
    let sites = merge_sites(&detections, rule, &made_up::Scenes);
    let merged = began.elapsed().as_secs_f64();
    let clusters = ClusterRule {
        distance_m: kilnsight::run::CLUSTER_DISTANCE_M,
        min_sites: kilnsight::run::CLUSTER_MIN,
    };
    let (clusters, cluster_of) = cluster_sites(&sites, clusters);
    let clustered = began.elapsed().as_secs_f64();
    let classes = ["kiln".to_owned(), "camp".to_owned()];
    let names = Names {
        classes: &classes,
        types: &[],
        model: "benchmark",
        areas: None,
    };
    let mut layer = GeoJsonWriter::new(std::io::sink(), "sites", "site_id")?;
    for (site, cluster) in sites.iter().zip(&cluster_of) {
        layer.write(&site_feature(site, names, cluster.map(|c| &clusters[c])))?;
    }
    layer.finish()?;
    Ok(json!({
        "seconds": began.elapsed().as_secs_f64(),
        "merge": merged,
        "cluster": clustered - merged,
        "sites": sites.len(),
        "clusters": clusters.len(),
        "mib_detections": before,
        "mib": peak_mib()?,
    }))
}

/// Most memory that this process ever had.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kib
        .context("no VmHWM in /proc/self/status")?
        .parse::<f64>()?
        / 1024.0)
}
