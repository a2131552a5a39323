//! A worker: cuts chips out of strips, puts them through its stages, and tells what became of each.
//!
//! Chips with nothing to see in them are done at once, and so are those that the screen drops. The others go through
//! the detector one by one, or as many together as [`Pipeline::batch`] says.

use crossbeam_channel::{Receiver, SendError, Sender};
use ndarray::ArrayView3;

use super::outcome::{ChipOutcome, Ownership, Verdict};
use super::report::{report, view_core};
use super::shared::{Pipeline, Read, ReadChip, Shared};
use super::stages::{Passed, Stages};
use crate::chip::{Chip, ChipClouds, ChipPixels};
use crate::model::{ChipBox, DetectError};

/// A chip that waits until as many are there as go through the detector together.
struct Waiting {
    scene: usize,
    chip: Chip,
    pixels: ChipPixels,
    clouds: Option<ChipClouds>,
    passed: Passed,
}

/// Why a worker ends early: nobody takes outcomes any more.
type Closed = SendError<ChipOutcome>;

/// Works until there are no more chips, or nobody wants to hear of them.
pub(super) fn infer(
    pipeline: &Pipeline,
    shared: &Shared<'_>,
    stages: &mut Stages,
    from_readers: &Receiver<ReadChip>,
    to_sink: &Sender<ChipOutcome>,
) {
    let mut worker = Worker {
        pipeline,
        shared,
        stages,
        to_sink,
        waiting: Vec::with_capacity(pipeline.batch),
        spare: Vec::new(),
    };
    let worked = from_readers
        .iter()
        .try_for_each(|read| worker.take(read))
        .and_then(|()| worker.look());
    if worked.is_err() {
        shared.leave_out();
    }
}

struct Worker<'a> {
    pipeline: &'a Pipeline,
    shared: &'a Shared<'a>,
    stages: &'a mut Stages,
    to_sink: &'a Sender<ChipOutcome>,
    waiting: Vec<Waiting>,
    /// Pixels that are filled anew.
    spare: Vec<ChipPixels>,
}

impl Worker<'_> {
    /// Takes a chip over: tells what became of it, or lets it wait for others.
    fn take(&mut self, ReadChip { scene, chip, read }: ReadChip) -> Result<(), Closed> {
        if !self.shared.going() {
            self.shared.leave_out();
            return Ok(());
        }
        let Read { strip, clouds } = match read {
            Ok(read) => read,
            Err(reason) => return self.tell(scene, &chip, Verdict::Failed(reason)),
        };
        let mut pixels = self.spare.pop().unwrap_or_default();
        self.shared.transforms[scene].cut(&chip, &strip, &mut pixels);
        // The buffer is wanted for the next strip, and inference takes long.
        drop(strip);
        let core = view_core(&chip, &pixels, clouds.as_ref());
        let passed = match self.stages.sift(core, &pixels, self.pipeline.max_cloud) {
            Ok(passed) => passed,
            Err(verdict) => {
                self.spare.push(pixels);
                return self.tell(scene, &chip, verdict);
            }
        };
        if self
            .waiting
            .iter()
            .any(|other| other.chip.size != chip.size)
        {
            self.look()?;
        }
        self.waiting.push(Waiting {
            scene,
            chip,
            pixels,
            clouds,
            passed,
        });
        if self.waiting.len() >= self.pipeline.batch {
            self.look()?;
        }
        Ok(())
    }

    /// Puts the chips that wait through the detector.
    fn look(&mut self) -> Result<(), Closed> {
        if !self.waiting.is_empty() && !self.shared.going() {
            self.shared.leave_out();
            self.waiting.clear();
        }
        let waiting = std::mem::take(&mut self.waiting);
        let views: Vec<ArrayView3<'_, f32>> =
            waiting.iter().map(|w| w.pixels.data.view()).collect();
        let found = match views.as_slice() {
            [] => Vec::new(),
            [only] => {
                let only = only.view();
                vec![self.stages.detector.detect(only, self.pipeline.store_score)]
            }
            many => (self.stages.detector).detect_all(many, self.pipeline.store_score),
        };
        drop(views);
        for (waited, found) in waiting.into_iter().zip(found) {
            let (scene, chip) = (waited.scene, waited.chip);
            let (verdict, pixels) = self.verdict(waited, found);
            self.spare.push(pixels);
            self.tell(scene, &chip, verdict)?;
        }
        Ok(())
    }

    /// What became of a chip that the model saw; and its pixels, to be filled anew.
    fn verdict(
        &self,
        waited: Waiting,
        found: Result<Vec<ChipBox>, DetectError>,
    ) -> (Verdict, ChipPixels) {
        let planned = &self.shared.scenes[waited.scene];
        let ownership = Ownership {
            scene_size: (planned.scene.width as f64, planned.scene.height as f64),
            overlap_px: self.pipeline.overlap_px,
            area: planned.area.as_deref(),
        };
        let verdict = match found {
            Err(error) => Verdict::Failed(error.to_string()),
            Ok(boxes) => Verdict::Scanned {
                detections: report(
                    &waited.chip,
                    &waited.pixels,
                    waited.clouds.as_ref(),
                    boxes,
                    self.pipeline.rule,
                    ownership,
                ),
                cells: waited.passed.cells,
                screen_score: waited.passed.screen_score,
            },
        };
        (verdict, waited.pixels)
    }

    fn tell(&self, scene: usize, chip: &Chip, verdict: Verdict) -> Result<(), Closed> {
        self.to_sink.send(ChipOutcome {
            scene,
            chip: chip.index,
            verdict,
        })
    }
}
