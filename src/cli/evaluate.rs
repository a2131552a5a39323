//! `kilnsight evaluate`: detections against labels.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use clap::{Args, ValueEnum};
use geo::MultiPolygon;

use super::{ExitStatus, terminal};
use crate::evaluate::{
    Detections, IouKind, Options, Pairing, Resampling, SceneInput, ScoredBox, Truth,
};
use crate::run::{LoadedRun, STORE_SCORE};
use crate::scene::{Georeference, Scene, SceneOptions};
use crate::source::{Access, Waiters, Wanted, find_scenes};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  kilnsight evaluate run --truth labels.geojson
  kilnsight evaluate run --truth annotations.coco.json --json > report.json
  kilnsight evaluate boxes.geojson --truth annotations.coco.json --scenes 'scenes/*.tif'

A run is compared scene by scene, with all detections down to the lowest score that the scan kept. \
In COCO labels an image stands for the scene of the same name.")]
pub(super) struct EvaluateArgs {
    /// Run directory, or a GeoJSON file of boxes with `score`
    #[arg(value_name = "RUN|FILE")]
    detections: PathBuf,
    /// Labels: GeoJSON polygons, or COCO in the pixels of scenes
    #[arg(long, value_name = "LABELS")]
    truth: PathBuf,
    /// Scenes that COCO labels belong to, when FILE is no run
    #[arg(long, value_name = "SCENE", num_args = 1..)]
    scenes: Vec<String>,
    /// Overlaps (intersection over union) to measure at
    #[arg(long, value_name = "IOU", value_delimiter = ',', default_values_t = [0.3, 0.5])]
    iou: Vec<f64>,
    /// Distances between centres to measure at, in metres
    #[arg(long, value_name = "METRES", value_delimiter = ',', default_values_t = [50.0])]
    distance: Vec<f64>,
    /// Boxes that overlap is taken of: oriented, or their upright envelopes where labels have no direction
    #[arg(long, value_enum, default_value_t = Boxes::Auto, value_name = "KIND")]
    boxes: Boxes,
    /// Compare this class only
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// Report each class on its own as well
    #[arg(long)]
    by_class: bool,
    /// Draws of the bootstrap over scenes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    replicates: usize,
    /// Seed of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Boxes {
    /// Oriented where all labels are, else envelopes
    Auto,
    /// As they lie
    Oriented,
    /// Upright rectangles round them
    Envelope,
}

/// A scene that labels are compared in.
struct ComparedScene {
    id: String,
    georeference: Georeference,
    size_px: [usize; 2],
    /// What was scanned of it; `None`: all.
    coverage: Option<MultiPolygon>,
}

pub(super) fn run(args: &EvaluateArgs) -> anyhow::Result<ExitStatus> {
    let options = options(args);
    options.check()?;
    let truth = Truth::read(&args.truth)?;
    let (scenes, boxes, notices) = if args.detections.is_dir() {
        let (scenes, boxes) = from_run(&args.detections)?;
        (scenes, boxes, Vec::new())
    } else {
        let read = Detections::read(&args.detections)?;
        (named_scenes(&args.scenes)?, read.boxes, read.notices)
    };
    let inputs: Vec<SceneInput<'_>> = scenes
        .iter()
        .map(|scene| SceneInput {
            id: &scene.id,
            region: None,
            coverage: scene.coverage.as_ref(),
            georeference: Some(&scene.georeference),
            size_px: Some(scene.size_px),
        })
        .collect();
    let mut pairing: Pairing = truth.pair(&inputs, boxes)?;
    pairing.notices.extend(notices);
    let report = pairing.evaluate(&options);
    let mut stdout = terminal::stdout();
    if args.json {
        serde_json::to_writer_pretty(&mut stdout, &report)?;
        writeln!(stdout)?;
    } else {
        write!(stdout, "{}", report.to_text())?;
    }
    stdout.flush()?;
    Ok(ExitStatus::Done)
}

fn options(args: &EvaluateArgs) -> Options {
    Options {
        iou_thresholds: args.iou.clone(),
        distances_m: args.distance.clone(),
        iou_kind: match args.boxes {
            Boxes::Auto => IouKind::Auto,
            Boxes::Oriented => IouKind::Oriented,
            Boxes::Envelope => IouKind::Envelope,
        },
        class: args.class.clone(),
        by_class: args.by_class,
        resampling: Resampling {
            replicates: args.replicates,
            seed: args.seed,
        },
        ..Options::default()
    }
}

/// Scenes and detections of a run, straight from its ledger: neither model nor imagery is needed.
fn from_run(path: &Path) -> anyhow::Result<(Vec<ComparedScene>, Vec<ScoredBox>)> {
    let run = LoadedRun::open(path)?;
    let (mut scenes, mut boxes) = (Vec::new(), Vec::new());
    for (number, planned) in run.scenes.iter().enumerate() {
        let scene = &planned.scene;
        let georeference = scene.georeference()?;
        let coverage = run.scanned(number, &georeference)?;
        for d in run.detections(number, STORE_SCORE)? {
            boxes.push(ScoredBox {
                scene: Some(scene.id.clone()),
                class: run.classes.get(d.class).cloned().unwrap_or_default(),
                score: d.score,
                ground: d.ground,
                corners: d.corners,
            });
        }
        scenes.push(ComparedScene {
            id: scene.id.clone(),
            georeference,
            size_px: [scene.width, scene.height],
            coverage: Some(coverage),
        });
    }
    Ok((scenes, boxes))
}

/// Scenes named on the command line: only their georeference is used.
fn named_scenes(given: &[String]) -> anyhow::Result<Vec<ComparedScene>> {
    let access = Access {
        cache: None,
        stop: &AtomicBool::new(false),
        tell: &|_step| {},
        waiters: &Waiters::default(),
    };
    let found = find_scenes(given, &Wanted::default(), &access, None);
    if let Some(unusable) = found.unusable.into_iter().next() {
        return Err(anyhow::Error::msg(unusable.reason));
    }
    found
        .sources
        .iter()
        .map(|source| {
            let scene = Scene::open(source, &SceneOptions::default())?;
            let georeference = scene.georeference().context("scene cannot be placed")?;
            Ok(ComparedScene {
                id: scene.id,
                georeference,
                size_px: [scene.width, scene.height],
                coverage: None,
            })
        })
        .collect()
}
