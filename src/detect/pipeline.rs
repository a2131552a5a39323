//! Readers, workers and one writer, joined by queues.
//!
//! Reading, inference and recording overlap. Readers fill strips (see [`strips`](super::strips)) into a fixed number
//! of buffers, which come back when the last chip was cut out of them: that, and not the size of a scene, bounds
//! the memory. Each worker has stages of its own (a detector and perhaps a screen, each one ONNX session
//! with one thread) and one chip, or as many as go through the detector together. Chips finish in any order; the
//! ledger is keyed by chip, so the order does not show.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{bounded, unbounded};
use thiserror::Error;

use super::buffers::Buffers;
use super::outcome::ChipOutcome;
use super::planned::PlannedScene;
use super::reader::read;
use super::shared::{Pipeline, ReadChip, Shared};
use super::stages::Stages;
use super::strips::{Strips, block_cache_bytes};
use super::worker::infer;
use crate::chip::InputTransform;

/// Outcomes that wait for the ledger, for each worker.
const OUTCOMES_PER_WORKER: usize = 2;
/// Chips that should be ready for each worker, so that none waits while the next strip is read.
const CHIPS_PER_WORKER: usize = 2;
/// Workers that one reader can feed: inference takes many times as long as reading.
const WORKERS_PER_READER: usize = 8;

/// Why a scan stopped early.
#[derive(Debug, Error)]
pub enum PipelineError<S> {
    /// No detector could be made, or no screen.
    #[error("{0}")]
    Stages(String),
    /// The outcome of a chip could not be recorded.
    #[error(transparent)]
    Sink(S),
    /// A thread died of a defect in this program.
    #[error(
        "a worker stopped unexpectedly: this is a defect, please report it with the scene's size, CRS and model"
    )]
    Defect,
}

impl Pipeline {
    /// Runs all wanted chips that are not finished through the stages and hands each outcome to `sink`, on
    /// the calling thread. Returns `true` when all chips are done, `false` when `stop` was raised before.
    pub fn run<S>(
        &self,
        scenes: &[PlannedScene],
        make_stages: &(dyn Fn() -> Result<Stages, String> + Sync),
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
            buffers: Buffers::new(
                strips.in_flight(readers, workers * CHIPS_PER_WORKER.max(self.batch)),
            ),
            strips,
            stop,
            abort: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
        };
        let shared = &shared;
        let stages_error: Mutex<Option<String>> = Mutex::new(None);

        let outcome = thread::scope(|scope| {
            // Bounded by the buffers that the chips in it refer to.
            let (to_workers, from_readers) = unbounded::<ReadChip>();
            let (to_sink, from_workers) =
                bounded::<ChipOutcome>(workers * OUTCOMES_PER_WORKER.max(self.batch));
            let mut threads = Vec::new();
            for _ in 0..readers {
                let to_workers = to_workers.clone();
                threads.push(scope.spawn(move || read(shared, &to_workers)));
            }
            for _ in 0..workers {
                let (from_readers, to_sink) = (from_readers.clone(), to_sink.clone());
                let stages_error = &stages_error;
                threads.push(scope.spawn(move || match make_stages() {
                    Ok(mut stages) => {
                        infer(self, shared, &mut stages, &from_readers, &to_sink);
                    }
                    Err(reason) => {
                        shared.abort.store(true, Ordering::Relaxed);
                        stages_error
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
        if let Some(reason) = stages_error
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
        {
            return Err(PipelineError::Stages(reason));
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
}
