//! A reader: fills strips of its lanes and hands their chips to the workers.

use std::sync::Arc;

use crossbeam_channel::Sender;

use super::shared::{Read, ReadChip, Shared};
use super::strips::{Place, Strip};
use crate::chip::{Chip, ChipClouds, ChipReader};
use crate::scene::{CloudReader, Scene, SceneError};

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

/// Reads strips of its lane one after the other, with open files of its own for each scene.
pub(super) fn read(shared: &Shared<'_>, to_workers: &Sender<ReadChip>) {
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
