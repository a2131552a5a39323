//! The pipeline alone, with detectors and screens of known behaviour, most of which misbehave. It must always come back, and say what happened.

#![expect(
    clippy::unnecessary_wraps,
    reason = "behaviours stand beside others that do fail"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use kilnsight::chip::{ChipPlan, ChipSpec, InputScaling};
use kilnsight::detect::{
    ChipOutcome, ChipSet, Pipeline, PipelineError, PlannedScene, ScreenStage, Stages, Verdict,
};
use kilnsight::geometry::{OrientedBox, PixelPoint, SuppressionRule};
use kilnsight::model::{ChipBox, DetectError, Detector, Screen};
use kilnsight::scene::{Scene, SceneOptions, SceneSource};
use ndarray::ArrayView3;

use crate::fixture::Fixture;
use crate::harness::Workspace;

/// What a detector does with its nth chip, counted over all workers.
type Behaviour = fn(usize) -> Result<Vec<ChipBox>, DetectError>;

struct Mock<'a> {
    calls: &'a AtomicUsize,
    /// How many of them were with several chips at once.
    together: &'a AtomicUsize,
    behaviour: Behaviour,
}

/// What a screen gives its nth chip, counted over all workers.
type Scores = fn(usize) -> Result<f32, DetectError>;

struct MockScreen<'a> {
    calls: &'a AtomicUsize,
    scores: Scores,
}

impl Screen for MockScreen<'_> {
    fn score(&mut self, chip: ArrayView3<'_, f32>, valid: &[u8]) -> Result<f32, DetectError> {
        if (chip.dim(), valid.len()) != ((3, 64, 64), 64 * 64) {
            return Err(DetectError::Runtime("another size".to_owned()));
        }
        (self.scores)(self.calls.fetch_add(1, Ordering::SeqCst))
    }
}

impl Detector for Mock<'_> {
    fn detect(&mut self, _: ArrayView3<'_, f32>, _: f32) -> Result<Vec<ChipBox>, DetectError> {
        (self.behaviour)(self.calls.fetch_add(1, Ordering::SeqCst))
    }

    fn detect_all(
        &mut self,
        chips: &[ArrayView3<'_, f32>],
        min_score: f32,
    ) -> Vec<Result<Vec<ChipBox>, DetectError>> {
        self.together.fetch_add(1, Ordering::SeqCst);
        chips
            .iter()
            .map(|chip| self.detect(chip.view(), min_score))
            .collect()
    }
}

/// One box in the middle of every chip.
fn one_box(_: usize) -> Result<Vec<ChipBox>, DetectError> {
    Ok(vec![ChipBox {
        shape: OrientedBox {
            center: PixelPoint::new(32.0, 32.0),
            length: 12.0,
            width: 6.0,
            angle: 0.5,
        },
        score: 0.9,
        class: 0,
        class_scores: vec![0.9],
        type_scores: vec![],
        outline: None,
    }])
}

const WORKERS: usize = 3;
/// More than the queues can hold.
const CHIPS: usize = 48;

/// A scene of 16 × 3 chips without overlap.
fn planned(space: &Workspace) -> PlannedScene {
    Fixture::new((1024, 192), vec![]).write(space, "a.tif");
    let options = SceneOptions {
        wanted_bands: ["red", "green", "blue"].map(str::to_owned).to_vec(),
        ..SceneOptions::default()
    };
    let scene = Scene::open(
        &SceneSource::file(space.path("a.tif").display().to_string()),
        &options,
    )
    .unwrap();
    let spec = ChipSpec {
        gsd_m: 10.0,
        chip_px: 64,
        overlap_m: 0.0,
        size_multiple: None,
        grid_shift_px: 0.0,
    };
    let plan = ChipPlan::new(&scene, &scene.georeference().unwrap(), &spec).unwrap();
    PlannedScene {
        scene,
        plan,
        area: None,
        finished: ChipSet::default(),
    }
}

/// What a pipeline did: how it ended, and the outcomes that reached the sink.
type Ended = (Result<bool, PipelineError<String>>, Vec<ChipOutcome>);

/// How often a detector was called, and how often with several chips at once.
#[derive(Default)]
struct Calls {
    single: AtomicUsize,
    together: AtomicUsize,
}

/// How many workers there are, how many chips go through a detector together, and the screen before it.
#[derive(Clone, Copy)]
struct Setup {
    workers: usize,
    batch: usize,
    screen: Option<Scores>,
}

const PLAIN: Setup = Setup {
    workers: WORKERS,
    batch: 1,
    screen: None,
};

/// Chips that score less are dropped by the screen.
const THRESHOLD: f32 = 0.25;

/// Runs the pipeline over the scene. `sink` sees how many outcomes came before. Panics when it does not come
/// back in a minute.
fn run(
    behaviour: Behaviour,
    makes: fn(usize) -> Result<(), String>,
    sink: fn(usize, &AtomicBool) -> Result<(), String>,
) -> Ended {
    // The pipeline wants detectors that own what they use.
    run_with(PLAIN, Box::leak(Box::default()), behaviour, makes, sink)
}

/// The same with a screen, or batches.
fn run_with(
    setup: Setup,
    calls: &'static Calls,
    behaviour: Behaviour,
    makes: fn(usize) -> Result<(), String>,
    sink: fn(usize, &AtomicBool) -> Result<(), String>,
) -> Ended {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let space = Workspace::new();
        let scenes = [planned(&space)];
        let pipeline = Pipeline {
            workers: setup.workers,
            batch: setup.batch,
            scaling: InputScaling {
                clamp: None,
                gain: vec![1.0; 3],
                bias: vec![0.0; 3],
                padding: 0.0,
            },
            store_score: 0.02,
            rule: SuppressionRule { iou: 0.3, ios: 0.7 },
            overlap_px: 0.0,
            max_cloud: 0.8,
        };
        let screened: &'static AtomicUsize = Box::leak(Box::default());
        let made = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let make = || -> Result<Stages, String> {
            makes(made.fetch_add(1, Ordering::SeqCst))?;
            Ok(Stages {
                screen: setup.screen.map(|scores| ScreenStage {
                    screen: Box::new(MockScreen {
                        calls: screened,
                        scores,
                    }),
                    threshold: THRESHOLD,
                }),
                detector: Box::new(Mock {
                    calls: &calls.single,
                    together: &calls.together,
                    behaviour,
                }),
            })
        };
        let mut outcomes = Vec::new();
        let result = pipeline.run(&scenes, &make, &stop, |outcome| {
            sink(outcomes.len(), &stop)?;
            outcomes.push(outcome);
            Ok(())
        });
        // The test that waited may have given up.
        drop(send.send((result, outcomes)));
    });
    receive
        .recv_timeout(Duration::from_mins(1))
        .unwrap_or_else(|_| panic!("the pipeline hangs"))
}

fn makes_all(_: usize) -> Result<(), String> {
    Ok(())
}

fn takes_all(_: usize, _: &AtomicBool) -> Result<(), String> {
    Ok(())
}

fn failed(outcomes: &[ChipOutcome]) -> usize {
    outcomes
        .iter()
        .filter(|o| matches!(o.verdict, Verdict::Failed(_)))
        .count()
}

#[test]
fn every_chip_is_handed_over_once() {
    let (result, outcomes) = run(one_box, makes_all, takes_all);
    assert!(result.unwrap());
    let mut chips: Vec<usize> = outcomes.iter().map(|o| o.chip).collect();
    chips.sort_unstable();
    assert_eq!(chips, (0..CHIPS).collect::<Vec<_>>());
    assert_eq!(failed(&outcomes), 0);
}

#[test]
fn a_chip_that_cannot_be_inferred_fails_alone() {
    let fifth_fails: Behaviour = |n| match n {
        4 => Err(DetectError::Runtime("out of luck".to_owned())),
        _ => one_box(n),
    };
    let (result, outcomes) = run(fifth_fails, makes_all, takes_all);
    assert!(result.unwrap(), "the scan is complete, with a failure");
    assert_eq!((outcomes.len(), failed(&outcomes)), (CHIPS, 1));
    let reason = Verdict::Failed("ONNX Runtime: out of luck".to_owned());
    assert!(outcomes.iter().any(|o| o.verdict == reason));
}

#[test]
fn boxes_that_are_no_numbers_are_dropped() {
    let nonsense: Behaviour = |n| {
        let mut boxes = one_box(n)?;
        boxes[0].shape.length = f64::NAN;
        let mut infinite = one_box(n)?.remove(0);
        infinite.score = f32::INFINITY;
        boxes.push(infinite);
        Ok(boxes)
    };
    let (result, outcomes) = run(nonsense, makes_all, takes_all);
    assert!(result.unwrap());
    for outcome in outcomes {
        assert!(
            matches!(&outcome.verdict, Verdict::Scanned { detections, .. } if detections.is_empty())
        );
    }
}

#[test]
fn a_detector_that_cannot_be_made_is_an_error() {
    let none: fn(usize) -> Result<(), String> = |_| Err("no memory".to_owned());
    let (result, _) = run(one_box, none, takes_all);
    assert!(matches!(result, Err(PipelineError::Stages(reason)) if reason == "no memory"));
}

#[test]
fn one_of_several_detectors_that_cannot_be_made_is_an_error_too() {
    let second_fails: fn(usize) -> Result<(), String> = |n| match n {
        1 => Err("no memory".to_owned()),
        _ => Ok(()),
    };
    let (result, _) = run(one_box, second_fails, takes_all);
    assert!(matches!(result, Err(PipelineError::Stages(reason)) if reason == "no memory"));
}

#[test]
fn a_ledger_that_takes_no_more_ends_the_scan() {
    let full: fn(usize, &AtomicBool) -> Result<(), String> = |n, _| match n {
        2 => Err("disk full".to_owned()),
        _ => Ok(()),
    };
    let (result, outcomes) = run(one_box, makes_all, full);
    assert!(matches!(result, Err(PipelineError::Sink(reason)) if reason == "disk full"));
    assert_eq!(outcomes.len(), 2);
}

#[test]
fn a_detector_that_panics_is_a_defect_and_not_a_hang() {
    let panics: Behaviour = |n| {
        assert!(n != 3, "a defect on purpose");
        one_box(n)
    };
    let (result, _) = run(panics, makes_all, takes_all);
    assert!(matches!(result, Err(PipelineError::Defect)));
}

#[test]
fn a_raised_stop_flag_ends_the_scan_and_keeps_what_is_done() {
    let stops: fn(usize, &AtomicBool) -> Result<(), String> = |n, stop| {
        stop.store(n >= 1, Ordering::SeqCst);
        Ok(())
    };
    let (result, outcomes) = run(one_box, makes_all, stops);
    assert!(!result.unwrap(), "the scan is not complete");
    assert!((2..CHIPS).contains(&outcomes.len()));
    assert_eq!(failed(&outcomes), 0);
}

/// One chip in four has something in it.
fn every_fourth(n: usize) -> Result<f32, DetectError> {
    // The threshold itself passes.
    Ok(if n.is_multiple_of(4) {
        THRESHOLD
    } else {
        0.125
    })
}

#[test]
fn what_the_screen_drops_does_not_reach_the_detector() {
    let setup = Setup {
        screen: Some(every_fourth),
        ..PLAIN
    };
    let calls: &Calls = Box::leak(Box::default());
    let (result, outcomes) = run_with(setup, calls, one_box, makes_all, takes_all);
    assert!(result.unwrap());
    assert_eq!(outcomes.len(), CHIPS);
    assert_eq!(calls.single.load(Ordering::SeqCst), CHIPS / 4);
    let dropped = Verdict::Screened {
        score: 0.125,
        cells: None,
    };
    let count = |of: fn(&Verdict) -> bool| outcomes.iter().filter(|o| of(&o.verdict)).count();
    assert_eq!(
        outcomes.iter().filter(|o| o.verdict == dropped).count(),
        CHIPS * 3 / 4
    );
    let seen = count(|verdict| {
        matches!(verdict, Verdict::Scanned { detections, screen_score, .. }
            if detections.len() == 1 && *screen_score == Some(THRESHOLD))
    });
    assert_eq!(seen, CHIPS / 4);
}

#[test]
fn batches_are_filled_with_chips_that_passed() {
    let setup = Setup {
        workers: 1,
        batch: 4,
        screen: Some(every_fourth),
    };
    let calls: &Calls = Box::leak(Box::default());
    let (result, outcomes) = run_with(setup, calls, one_box, makes_all, takes_all);
    assert!(result.unwrap());
    assert_eq!(outcomes.len(), CHIPS);
    // Twelve chips pass, four at a time.
    assert_eq!(calls.single.load(Ordering::SeqCst), 12);
    assert_eq!(calls.together.load(Ordering::SeqCst), 3);
}

#[test]
fn a_chip_that_cannot_be_screened_fails_alone() {
    let fifth_fails: Scores = |n| match n {
        4 => Err(DetectError::Runtime("out of luck".to_owned())),
        _ => Ok(1.0),
    };
    let setup = Setup {
        screen: Some(fifth_fails),
        ..PLAIN
    };
    let calls: &Calls = Box::leak(Box::default());
    let (result, outcomes) = run_with(setup, calls, one_box, makes_all, takes_all);
    assert!(result.unwrap(), "the scan is complete, with a failure");
    assert_eq!((outcomes.len(), failed(&outcomes)), (CHIPS, 1));
    assert_eq!(calls.single.load(Ordering::SeqCst), CHIPS - 1);
    let reason = Verdict::Failed("the screen: ONNX Runtime: out of luck".to_owned());
    assert!(outcomes.iter().any(|o| o.verdict == reason));
}
