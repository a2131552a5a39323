//! Readers, workers and one writer, joined by bounded queues.
//!
//! Reading, inference and recording overlap; memory is bounded by the queues, not by the scene. Each worker
//! has a detector of its own (one ONNX session, one thread). Chips finish in any order; the ledger is keyed
//! by chip, so the order does not show.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use thiserror::Error;

use super::chip_set::ChipSet;
use super::outcome::{ChipOutcome, CoreView, Ownership, Verdict, report, view_core};
use crate::chip::{Chip, ChipClouds, ChipPixels, ChipPlan, ChipReader, InputScaling, SceneArea};
use crate::geometry::SuppressionRule;
use crate::model::Detector;
use crate::scene::{CloudReader, Scene, SceneError};

/// Chips that wait for each worker.
const QUEUE_PER_WORKER: usize = 2;
/// Workers that one reader can feed: inference takes several times as long as reading.
const WORKERS_PER_READER: usize = 4;

/// A scene with its chips.
#[derive(Debug, Clone)]
pub struct PlannedScene {
    /// The scene.
    pub scene: Scene,
    /// Its chips.
    pub plan: ChipPlan,
    /// The area of interest in its pixels; `None`: all of it.
    pub area: Option<SceneArea>,
    /// Chips that need no look.
    pub finished: ChipSet,
}

impl PlannedScene {
    /// Whether a chip lies in the area of interest.
    pub fn is_wanted(&self, chip: &Chip) -> bool {
        self.area
            .as_ref()
            .is_none_or(|area| area.touches(&chip.core))
    }
}

/// Why a scan stopped early.
#[derive(Debug, Error)]
pub enum PipelineError<S> {
    /// No detector could be made.
    #[error("{0}")]
    Detector(String),
    /// The outcome of a chip could not be recorded.
    #[error(transparent)]
    Sink(S),
    /// A thread died of a defect in this program.
    #[error(
        "a worker stopped unexpectedly: this is a defect, please report it with the scene's size, CRS and model"
    )]
    Defect,
}

/// How chips are put through a model.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Number of workers, each with a detector of its own.
    pub workers: usize,
    /// From stored values to the model's input.
    pub scaling: InputScaling,
    /// Boxes below this score are not kept at all.
    pub store_score: f32,
    /// Suppression within a chip.
    pub rule: SuppressionRule,
    /// Overlap of chips in model pixels.
    pub overlap_px: f64,
    /// A chip with a larger share of its core under cloud is not shown to the model.
    pub max_cloud: f64,
}

struct ReadChip {
    scene: usize,
    chip: Chip,
    /// What it shows, or why that is not known.
    view: Result<ChipView, String>,
}

/// A chip as read, with the clouds over it.
struct ChipView {
    pixels: ChipPixels,
    clouds: Option<ChipClouds>,
    core: CoreView,
}

/// The open files of one scene.
struct SceneFiles {
    chips: ChipReader,
    clouds: Option<CloudReader>,
}

impl SceneFiles {
    fn open(scene: &Scene, scaling: &InputScaling) -> Result<Self, SceneError> {
        Ok(Self {
            chips: ChipReader::open(scene, scaling.clone())?,
            clouds: CloudReader::open(scene)?,
        })
    }

    fn view(&mut self, chip: &Chip) -> Result<ChipView, SceneError> {
        let pixels = self.chips.read(chip)?;
        let clouds = (self.clouds.as_mut())
            .map(|mask| ChipClouds::read(mask, chip))
            .transpose()?;
        Ok(ChipView {
            core: view_core(chip, &pixels, clouds.as_ref()),
            pixels,
            clouds,
        })
    }
}

impl Pipeline {
    /// Runs all wanted chips that are not finished through the detectors and hands each outcome to `sink`, on
    /// the calling thread. Returns `true` when all chips are done, `false` when `stop` was raised before.
    pub fn run<S>(
        &self,
        scenes: &[PlannedScene],
        make_detector: &(dyn Fn() -> Result<Box<dyn Detector>, String> + Sync),
        stop: &AtomicBool,
        mut sink: impl FnMut(ChipOutcome) -> Result<(), S>,
    ) -> Result<bool, PipelineError<S>> {
        let workers = self.workers.max(1);
        let jobs = Jobs {
            scenes,
            next: Mutex::new((0, 0)),
        };
        // Raised when there is no point in going on; `stop` belongs to the user.
        let abort = AtomicBool::new(false);
        let going = || !stop.load(Ordering::Relaxed) && !abort.load(Ordering::Relaxed);
        let detector_error: Mutex<Option<String>> = Mutex::new(None);

        let outcome = thread::scope(|scope| {
            let (to_workers, from_readers) = bounded::<ReadChip>(workers * QUEUE_PER_WORKER);
            let (to_sink, from_workers) = bounded::<ChipOutcome>(workers * QUEUE_PER_WORKER);
            let mut threads = Vec::new();
            for _ in 0..workers.div_ceil(WORKERS_PER_READER) {
                let to_workers = to_workers.clone();
                let (jobs, going) = (&jobs, &going);
                threads.push(scope.spawn(move || self.read(jobs, going, &to_workers)));
            }
            for _ in 0..workers {
                let (from_readers, to_sink) = (from_readers.clone(), to_sink.clone());
                let (abort, detector_error) = (&abort, &detector_error);
                threads.push(scope.spawn(move || match make_detector() {
                    Ok(mut detector) => {
                        self.infer(scenes, detector.as_mut(), &from_readers, &to_sink);
                    }
                    Err(reason) => {
                        abort.store(true, Ordering::Relaxed);
                        detector_error
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(reason);
                    }
                }));
            }
            drop((to_workers, from_readers, to_sink));

            let mut result = Ok(());
            for outcome in &from_workers {
                if let Err(error) = sink(outcome) {
                    abort.store(true, Ordering::Relaxed);
                    result = Err(PipelineError::Sink(error));
                    break;
                }
            }
            // Threads that wait to hand something over see the closed queue and end.
            drop(from_workers);
            let died = threads
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .filter(Result::is_err)
                .count();
            if died > 0 {
                result.and(Err(PipelineError::Defect))
            } else {
                result
            }
        });
        if let Some(reason) = detector_error
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            return Err(PipelineError::Detector(reason));
        }
        outcome?;
        Ok(jobs.all_taken() && !abort.load(Ordering::Relaxed))
    }

    fn read(&self, jobs: &Jobs<'_>, going: &dyn Fn() -> bool, to_workers: &Sender<ReadChip>) {
        let mut open: Option<(usize, Result<SceneFiles, String>)> = None;
        while going() {
            let Some((scene, chip)) = jobs.next() else {
                return;
            };
            if open.as_ref().is_none_or(|(number, _)| *number != scene) {
                let files = SceneFiles::open(&jobs.scenes[scene].scene, &self.scaling);
                open = Some((scene, files.map_err(|e| e.to_string())));
            }
            let view = match &mut open {
                Some((_, Ok(files))) => files.view(&chip).map_err(|e| e.to_string()),
                Some((_, Err(reason))) => Err(reason.clone()),
                None => return,
            };
            if to_workers.send(ReadChip { scene, chip, view }).is_err() {
                return;
            }
        }
    }

    fn infer(
        &self,
        scenes: &[PlannedScene],
        detector: &mut dyn Detector,
        from_readers: &Receiver<ReadChip>,
        to_sink: &Sender<ChipOutcome>,
    ) {
        for ReadChip { scene, chip, view } in from_readers {
            let verdict = match view {
                Err(reason) => Verdict::Failed(reason),
                Ok(view) if !view.core.any_measured => Verdict::Nodata,
                Ok(view) if view.core.cloud_share > self.max_cloud => Verdict::Cloud {
                    cells: view.core.cells,
                },
                Ok(view) => match detector.detect(view.pixels.data.view(), self.store_score) {
                    Err(error) => Verdict::Failed(error.to_string()),
                    Ok(boxes) => {
                        let planned = &scenes[scene];
                        let ownership = Ownership {
                            scene_size: (planned.scene.width as f64, planned.scene.height as f64),
                            overlap_px: self.overlap_px,
                            area: planned.area.as_ref(),
                        };
                        Verdict::Scanned {
                            detections: report(
                                &chip,
                                &view.pixels,
                                view.clouds.as_ref(),
                                boxes,
                                self.rule,
                                ownership,
                            ),
                            cells: view.core.cells,
                        }
                    }
                },
            };
            if to_sink
                .send(ChipOutcome {
                    scene,
                    chip: chip.index,
                    verdict,
                })
                .is_err()
            {
                return;
            }
        }
    }
}

/// Hands out chips in order, to any number of readers.
struct Jobs<'a> {
    scenes: &'a [PlannedScene],
    /// Scene and chip that come next.
    next: Mutex<(usize, usize)>,
}

impl Jobs<'_> {
    fn next(&self) -> Option<(usize, Chip)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(planned) = self.scenes.get(next.0) {
            while let Some(chip) = planned.plan.chip(next.1) {
                next.1 += 1;
                if !planned.finished.contains(chip.index) && planned.is_wanted(&chip) {
                    return Some((next.0, chip));
                }
            }
            *next = (next.0 + 1, 0);
        }
        None
    }

    fn all_taken(&self) -> bool {
        // A chip that was taken was also finished: readers send what they take, and workers drain the queue.
        self.next().is_none()
    }
}
