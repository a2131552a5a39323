//! Readers, workers and one writer, joined by queues.
//!
//! Reading, inference and recording overlap. Readers fill strips (see [`strips`](super::strips)) into a fixed number
//! of buffers, which come back when the last chip was cut out of them: that, and not the size of a scene, bounds
//! the memory. Each worker has a detector of its own (one ONNX session, one thread) and one chip. Chips finish in
//! any order; the ledger is keyed by chip, so the order does not show.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use thiserror::Error;

use super::buffers::{Buffers, Filled};
use super::chip_set::ChipSet;
use super::outcome::{ChipOutcome, Ownership, Verdict, report, view_core};
use super::strips::{Place, Strip, Strips, block_cache_bytes};
use crate::chip::{
    Chip, ChipClouds, ChipPixels, ChipPlan, ChipReader, InputScaling, InputTransform, SceneArea,
};
use crate::geometry::SuppressionRule;
use crate::model::Detector;
use crate::scene::{CloudReader, Scene, SceneError};

/// Outcomes that wait for the ledger, for each worker.
const OUTCOMES_PER_WORKER: usize = 2;
/// Chips that should be ready for each worker, so that none waits while the next strip is read.
const CHIPS_PER_WORKER: usize = 2;
/// Workers that one reader can feed: inference takes many times as long as reading.
const WORKERS_PER_READER: usize = 8;

/// A scene with its chips.
#[derive(Debug, Clone)]
pub struct PlannedScene {
    /// The scene.
    pub scene: Scene,
    /// Its chips.
    pub plan: ChipPlan,
    /// The area of interest in its pixels, shared by scenes of one grid; `None`: all of it.
    pub area: Option<Arc<SceneArea>>,
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
    /// What was read, or why there is nothing.
    read: Result<Read, String>,
}

/// A chip as read.
struct Read {
    /// The strip that its pixels are in.
    strip: Arc<Filled>,
    /// The clouds over it, where the scene has a mask.
    clouds: Option<ChipClouds>,
}

/// The open files of one scene.
struct SceneFiles {
    chips: ChipReader,
    clouds: Option<CloudReader>,
}

impl SceneFiles {
    fn open(scene: &Scene) -> Result<Self, SceneError> {
        Ok(Self {
            chips: ChipReader::open(scene)?,
            clouds: CloudReader::open(scene)?,
        })
    }

    fn clouds(&mut self, chip: &Chip) -> Result<Option<ChipClouds>, SceneError> {
        (self.clouds.as_mut())
            .map(|mask| ChipClouds::read(mask, chip))
            .transpose()
    }
}

/// What all threads of a scan share.
struct Shared<'a> {
    scenes: &'a [PlannedScene],
    /// From the stored pixels of each scene to the model's input.
    transforms: Vec<InputTransform>,
    strips: Strips<'a>,
    buffers: Buffers,
    /// Raised by the user.
    stop: &'a AtomicBool,
    /// Raised when there is no point in going on.
    abort: AtomicBool,
    /// Raised when a chip was left out because of either.
    cut_short: AtomicBool,
}

impl Shared<'_> {
    fn going(&self) -> bool {
        !self.stop.load(Ordering::Relaxed) && !self.abort.load(Ordering::Relaxed)
    }

    fn leave_out(&self) {
        self.cut_short.store(true, Ordering::Relaxed);
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
        let (workers, readers) = (self.workers.max(1), self.readers());
        let strips = Strips::new(scenes, readers);
        let shared = Shared {
            scenes,
            transforms: scenes
                .iter()
                .map(|planned| InputTransform::new(&planned.scene, &self.scaling))
                .collect(),
            buffers: Buffers::new(strips.in_flight(readers, workers * CHIPS_PER_WORKER)),
            strips,
            stop,
            abort: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
        };
        let shared = &shared;
        let detector_error: Mutex<Option<String>> = Mutex::new(None);

        let outcome = thread::scope(|scope| {
            // Bounded by the buffers that the chips in it refer to.
            let (to_workers, from_readers) = unbounded::<ReadChip>();
            let (to_sink, from_workers) = bounded::<ChipOutcome>(workers * OUTCOMES_PER_WORKER);
            let mut threads = Vec::new();
            for _ in 0..readers {
                let to_workers = to_workers.clone();
                threads.push(scope.spawn(move || read(shared, &to_workers)));
            }
            for _ in 0..workers {
                let (from_readers, to_sink) = (from_readers.clone(), to_sink.clone());
                let detector_error = &detector_error;
                threads.push(scope.spawn(move || match make_detector() {
                    Ok(mut detector) => {
                        self.infer(shared, detector.as_mut(), &from_readers, &to_sink);
                    }
                    Err(reason) => {
                        shared.abort.store(true, Ordering::Relaxed);
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
                    result = Err(PipelineError::Sink(error));
                    break;
                }
            }
            // No worker is left, or none is needed any more: readers must not wait for them.
            shared.abort.store(true, Ordering::Relaxed);
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
        Ok(!shared.cut_short.load(Ordering::Relaxed))
    }

    /// Number of threads that read.
    fn readers(&self) -> usize {
        self.workers.max(1).div_ceil(WORKERS_PER_READER)
    }

    /// What GDAL's block cache must hold for these scenes, so that blocks are not decoded again and again.
    pub fn block_cache_bytes(&self, scenes: &[PlannedScene]) -> u64 {
        block_cache_bytes(scenes, self.readers())
    }

    fn infer(
        &self,
        shared: &Shared<'_>,
        detector: &mut dyn Detector,
        from_readers: &Receiver<ReadChip>,
        to_sink: &Sender<ChipOutcome>,
    ) {
        let mut pixels = ChipPixels::default();
        for ReadChip { scene, chip, read } in from_readers {
            if !shared.going() {
                shared.leave_out();
                continue;
            }
            let verdict = match read {
                Err(reason) => Verdict::Failed(reason),
                Ok(Read { strip, clouds }) => {
                    shared.transforms[scene].cut(&chip, &strip, &mut pixels);
                    // The buffer is wanted for the next strip, and inference takes long.
                    drop(strip);
                    let planned = &shared.scenes[scene];
                    self.look(planned, &chip, &pixels, clouds.as_ref(), detector)
                }
            };
            let outcome = ChipOutcome {
                scene,
                chip: chip.index,
                verdict,
            };
            if to_sink.send(outcome).is_err() {
                shared.leave_out();
                return;
            }
        }
    }

    /// What becomes of a chip: nothing to see in its core, or what the model sees.
    fn look(
        &self,
        planned: &PlannedScene,
        chip: &Chip,
        pixels: &ChipPixels,
        clouds: Option<&ChipClouds>,
        detector: &mut dyn Detector,
    ) -> Verdict {
        let core = view_core(chip, pixels, clouds);
        if !core.any_measured {
            return Verdict::Nodata;
        }
        if core.cloud_share > self.max_cloud {
            return Verdict::Cloud { cells: core.cells };
        }
        match detector.detect(pixels.data.view(), self.store_score) {
            Err(error) => Verdict::Failed(error.to_string()),
            Ok(boxes) => {
                let ownership = Ownership {
                    scene_size: (planned.scene.width as f64, planned.scene.height as f64),
                    overlap_px: self.overlap_px,
                    area: planned.area.as_deref(),
                };
                Verdict::Scanned {
                    detections: report(chip, pixels, clouds, boxes, self.rule, ownership),
                    cells: core.cells,
                }
            }
        }
    }
}

/// A reader: strips of its lane one after the other, with open files of its own for each scene.
fn read(shared: &Shared<'_>, to_workers: &Sender<ReadChip>) {
    let mut place = Place::default();
    let mut open: Option<(usize, Result<SceneFiles, String>)> = None;
    while let Some(Strip { scene, chips }) = shared.strips.next(&mut place) {
        if open.as_ref().is_none_or(|(number, _)| *number != scene) {
            let files = SceneFiles::open(&shared.scenes[scene].scene);
            open = Some((scene, files.map_err(|e| e.to_string())));
        }
        let sent = match &mut open {
            Some((_, Ok(files))) => send_strip(shared, files, scene, &chips, to_workers),
            Some((_, Err(reason))) => chips.iter().all(|&chip| {
                let read = Err(reason.clone());
                to_workers.send(ReadChip { scene, chip, read }).is_ok()
            }),
            None => false,
        };
        if !sent {
            shared.leave_out();
            return;
        }
    }
}

/// Reads a strip and hands its chips to the workers. Where it cannot be read as a whole, each chip is read on its
/// own: damage in one place must not cost its neighbours. Returns `false` when the scan stops.
fn send_strip(
    shared: &Shared<'_>,
    files: &mut SceneFiles,
    scene: usize,
    chips: &[Chip],
    to_workers: &Sender<ReadChip>,
) -> bool {
    let Some(mut buffer) = shared.buffers.take(&|| shared.going()) else {
        return false;
    };
    let strip = match files.chips.read(chips, &mut buffer) {
        Ok(()) => Ok(Arc::new(buffer)),
        Err(_) if chips.len() > 1 => {
            drop(buffer);
            return chips
                .chunks(1)
                .all(|chip| send_strip(shared, files, scene, chip, to_workers));
        }
        Err(error) => Err(error.to_string()),
    };
    chips.iter().all(|&chip| {
        let read = strip.clone().and_then(|strip| {
            let clouds = files.clouds(&chip).map_err(|e| e.to_string())?;
            Ok(Read { strip, clouds })
        });
        to_workers.send(ReadChip { scene, chip, read }).is_ok()
    })
}
