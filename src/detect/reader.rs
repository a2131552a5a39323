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

/// What became of a strip.
enum Sent {
    /// Its chips are on their way, read or failed.
    Done,
    /// The same, and nothing more of the scene can be read, for this reason: its server is away.
    Away(String),
    /// The scan stops.
    Stopped,
}

/// Reads strips of its lane one after the other, with open files of its own for each scene. When the server of a
/// scene or of its cloud mask is away, the rest of the scene fails at once: to ask for every chip would take hours.
pub(super) fn read(shared: &Shared<'_>, to_workers: &Sender<ReadChip>) {
    let mut place = Place::default();
    let mut open: Option<(usize, Result<SceneFiles, String>)> = None;
    while let Some(Strip { scene, chips }) = shared.strips.next(&mut place) {
        let mut files = match open.take() {
            Some((number, files)) if number == scene => files,
            _ => SceneFiles::open(&shared.scenes[scene].scene).map_err(|e| e.to_string()),
        };
        let sent = match &mut files {
            Ok(files) => send_strip(shared, files, scene, &chips, to_workers),
            Err(reason) => send_failed(scene, &chips, reason, to_workers),
        };
        match sent {
            Sent::Done => {}
            Sent::Away(reason) => files = Err(reason),
            Sent::Stopped => {
                shared.leave_out();
                return;
            }
        }
        open = Some((scene, files));
    }
}

/// Reads a strip and hands its chips to the workers. Where it cannot be read as a whole, each chip is read on its
/// own: damage in one place must not cost its neighbours.
fn send_strip(
    shared: &Shared<'_>,
    files: &mut SceneFiles,
    scene: usize,
    chips: &[Chip],
    to_workers: &Sender<ReadChip>,
) -> Sent {
    let Some(mut buffer) = shared.buffers.take(&|| shared.going()) else {
        return Sent::Stopped;
    };
    let strip = match files.chips.read(chips, &mut buffer) {
        Ok(()) => Arc::new(buffer),
        Err(error) if error.is_away() => {
            return send_away(scene, chips, error.to_string(), to_workers);
        }
        Err(error) if chips.len() == 1 => {
            return send_failed(scene, chips, &error.to_string(), to_workers);
        }
        Err(_) => {
            drop(buffer);
            for (i, chip) in chips.chunks(1).enumerate() {
                match send_strip(shared, files, scene, chip, to_workers) {
                    Sent::Done => {}
                    Sent::Away(reason) => {
                        return send_away(scene, &chips[i + 1..], reason, to_workers);
                    }
                    Sent::Stopped => return Sent::Stopped,
                }
            }
            return Sent::Done;
        }
    };
    for (i, &chip) in chips.iter().enumerate() {
        let clouds = match files.clouds(&chip) {
            Err(error) if error.is_away() => {
                return send_away(scene, &chips[i..], error.to_string(), to_workers);
            }
            clouds => clouds.map_err(|error| error.to_string()),
        };
        let strip = Arc::clone(&strip);
        let read = clouds.map(|clouds| Read { strip, clouds });
        if to_workers.send(ReadChip { scene, chip, read }).is_err() {
            return Sent::Stopped;
        }
    }
    Sent::Done
}

/// Hands over chips that cannot be read.
fn send_failed(scene: usize, chips: &[Chip], reason: &str, to_workers: &Sender<ReadChip>) -> Sent {
    for &chip in chips {
        let read = Err(reason.to_owned());
        if to_workers.send(ReadChip { scene, chip, read }).is_err() {
            return Sent::Stopped;
        }
    }
    Sent::Done
}

/// The same where nothing more of their scene can be read either.
fn send_away(scene: usize, chips: &[Chip], reason: String, to_workers: &Sender<ReadChip>) -> Sent {
    match send_failed(scene, chips, &reason, to_workers) {
        Sent::Done => Sent::Away(reason),
        other => other,
    }
}
