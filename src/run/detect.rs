//! The chips of a scan put through the model, and what makes sure that those of a scene come from one file.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::ScanError;
use super::progress::Progress;
use super::scan::ScanRequest;
use super::screen_clock::ScreenClock;
use super::settings::Settings;
use crate::detect::{
    ChipOutcome, Ledger, LedgerError, Pipeline, PipelineError, PlannedScene, ScreenStage, Stages,
    Verdict,
};
use crate::model::{Device, Model, OnnxDetector, OnnxScreen, SessionError};
use crate::scene::set_block_cache_bytes;

/// What chips are put through.
#[derive(Clone, Copy)]
pub(super) struct Inference<'a> {
    pub(super) model: &'a Model,
    pub(super) device: Device,
    pub(super) batch: usize,
    pub(super) workers: usize,
    /// Whether chips go through the model's screen first.
    screened: bool,
    clock: &'a ScreenClock,
}

impl<'a> Inference<'a> {
    pub(super) fn of(request: &ScanRequest<'a>, clock: &'a ScreenClock) -> Self {
        Self {
            model: request.model,
            device: request.device,
            batch: request.batch,
            workers: request.workers,
            screened: request.settings.screen,
            clock,
        }
    }

    /// Sessions of the model and its screen, for one worker.
    pub(super) fn stages(&self) -> Result<Stages, SessionError> {
        let detector = OnnxDetector::on(self.model, self.device, self.batch)?;
        let screen = match &self.model.screen {
            Some(screen) if self.screened => {
                OnnxScreen::new(self.model)?.map(|session| ScreenStage {
                    screen: Box::new(self.clock.times(session)),
                    threshold: screen.card.threshold,
                })
            }
            _ => None,
        };
        Ok(Stages {
            screen,
            detector: Box::new(detector),
        })
    }
}

/// Puts all chips through the model that the ledger does not have yet; the first worker takes the stages that are
/// there already. Returns how many chips the ledger had.
pub(super) fn detect(
    ledger: &mut Ledger,
    planned: &[PlannedScene],
    (inference, first_stages): (Inference<'_>, Stages),
    settings: &Settings,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<u64, ScanError> {
    let Inference {
        model,
        device,
        batch,
        workers,
        ..
    } = inference;
    let mut open = OpenScenes::of(planned, stop);
    let (total, resumed) = (open.total, open.resumed);
    let pipeline = Pipeline {
        workers,
        batch,
        scaling: model.card.input_scaling(),
        store_score: settings.store_score as f32,
        rule: settings.nms(),
        overlap_px: settings.overlap_px(),
        max_cloud: settings.max_cloud,
    };
    set_block_cache_bytes(pipeline.block_cache_bytes(planned));
    let first_stages = Mutex::new(Some(first_stages));
    let make_stages = || -> Result<Stages, String> {
        let there = (first_stages.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        there.map_or_else(|| inference.stages().map_err(|e| e.to_string()), Ok)
    };
    if device != Device::Cpu {
        progress.note(&format!("the model runs on {device}"));
    }
    progress.begin("chips", total, resumed);
    let mut done = resumed;
    let mut failed_scenes = BTreeSet::new();
    let finished = pipeline.run(planned, &make_stages, stop, |outcome: ChipOutcome| {
        ledger.record(&outcome)?;
        if open.is_last(outcome.scene)
            && let Some(reason) = distrust_if_changed(ledger, planned, outcome.scene)?
        {
            progress.note(&format!("scene {reason}"));
        }
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
    if let Err(PipelineError::Sink(error)) = finished {
        return Err(error.into());
    }
    ledger.commit()?;
    for scene in open.begun() {
        if let Some(reason) = distrust_if_changed(ledger, planned, scene)? {
            progress.note(&format!("scene {reason}"));
        }
    }
    match finished {
        Ok(true) => Ok(resumed),
        Ok(false) => Err(ScanError::Interrupted { done, total }),
        Err(other) => Err(ScanError::Worker(other.to_string())),
    }
}

/// How many chips the scenes still have to get.
struct OpenScenes {
    total: u64,
    /// Of these, what the ledger had.
    resumed: u64,
    left: Vec<u64>,
    /// What was left when the scan began.
    at_first: Vec<u64>,
}

impl OpenScenes {
    fn of(planned: &[PlannedScene], stop: &AtomicBool) -> Self {
        let (mut total, mut resumed, mut left) = (0, 0, Vec::new());
        for scene in planned {
            let (mut wanted, mut had) = (0, 0);
            if scene.area.is_none() {
                wanted = scene.plan.len() as u64;
                had = scene.finished.len() as u64;
            } else {
                let going = (scene.plan.chips()).take_while(|_| !stop.load(Ordering::Relaxed));
                for chip in going.filter(|chip| scene.is_wanted(chip)) {
                    wanted += 1;
                    had += u64::from(scene.finished.contains(chip.index));
                }
            }
            total += wanted;
            resumed += had;
            left.push(wanted - had);
        }
        Self {
            total,
            resumed,
            at_first: left.clone(),
            left,
        }
    }

    /// Counts a chip of a scene, and tells whether it was the last.
    fn is_last(&mut self, scene: usize) -> bool {
        self.left[scene] = self.left[scene].saturating_sub(1);
        self.left[scene] == 0
    }

    /// Scenes that got some of their chips and not all.
    fn begun(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.left.len()).filter(|&i| self.left[i] > 0 && self.left[i] < self.at_first[i])
    }
}

/// Looks whether the files of a scene were replaced while its chips were read: which chip came from which file is not
/// known, so those of this execution count as failed. Returns what to say.
fn distrust_if_changed(
    ledger: &mut Ledger,
    planned: &[PlannedScene],
    number: usize,
) -> Result<Option<String>, LedgerError> {
    let PlannedScene {
        scene, finished, ..
    } = &planned[number];
    if !scene.has_changed() {
        return Ok(None);
    }
    let reason = format!(
        "`{}` was replaced or changed while it was scanned, so what was read of it is not trusted: put the file back and give the same command again, or scan the new one with `--fresh`",
        scene.path
    );
    ledger.distrust(number, finished, &reason)?;
    Ok(Some(reason))
}
