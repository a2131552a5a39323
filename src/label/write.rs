//! From runs and places to the folder: select, split, cut, write.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::LabelError;
use super::folder::{Files, Target};
use super::request::{LabelRequest, LabelSummary, PartCount};
use super::select::{LabelledChip, Selection};
use super::split::{Part, Placed, split};
use super::verified::Standing;
use crate::chip::{ChipPixels, ChipReader, ChipSpec, InputScaling, InputTransform};
use crate::model::ModelCard;
use crate::run::{LoadedRun, Progress};
use crate::scene::{Scene, StoredPixels};

/// Makes the folder.
pub fn write_labels(
    request: &LabelRequest<'_>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<LabelSummary, LabelError> {
    let card = &request.model.card;
    if !matches!(card.bands.len(), 1 | 3) {
        return Err(LabelError::Bands {
            model: card.name.clone(),
            bands: card.bands.len(),
        });
    }
    let classes = request.places.classes();
    let count = |standing| {
        request
            .places
            .list
            .iter()
            .filter(|p| p.standing == standing)
            .count()
    };
    if classes.is_empty() && count(Standing::Rejected) == 0 {
        return Err(LabelError::Nothing(format!(
            "of {} places none is confirmed or rejected; verify some first",
            request.places.list.len()
        )));
    }
    let target = Target::begin(request.out)?;
    let mut selections = Vec::new();
    for path in request.runs {
        let run = LoadedRun::open(path)?;
        let selection = select(&run, path, request, &classes)?;
        selections.push((run, selection));
    }
    let chips: Vec<(usize, &LabelledChip)> = selections
        .iter()
        .enumerate()
        .flat_map(|(run, (_, selection))| selection.chips.iter().map(move |chip| (run, chip)))
        .collect();
    if chips.is_empty() {
        return Err(LabelError::Nothing(
            "no scene of the runs shows a place that is decided".to_owned(),
        ));
    }
    let placed: Vec<Placed> = chips
        .iter()
        .map(|(_, chip)| Placed {
            center: chip.center,
            radius_m: chip.radius_m,
            objects: chip.objects.len(),
        })
        .collect();
    let parts = split(&placed, &request.split);
    let seen: BTreeSet<usize> = selections
        .iter()
        .flat_map(|(_, s)| s.seen.iter().copied())
        .collect();
    let mut summary = LabelSummary {
        parts: Part::ALL
            .iter()
            .map(|part| (part.name(), PartCount::default()))
            .collect(),
        undecided: selections.iter().map(|(_, s)| s.undecided).sum(),
        too_near: parts.iter().filter(|part| part.is_none()).count(),
        outside: request.places.list.len() - seen.len(),
        without_extent: request.places.left_out,
    };

    let mut files = Files::new(target.folder(), request.formats, &classes);
    let mut cutter = Cutter::new(card);
    progress.begin("chips", chips.len() as u64, 0);
    for ((run, chip), part) in chips.iter().zip(&parts) {
        if stop.load(Ordering::Relaxed) {
            progress.end();
            return Err(LabelError::Interrupted);
        }
        progress.advance(1);
        let Some(part) = *part else { continue };
        let scene = &selections[*run].0.scenes[chip.scene].scene;
        files.add(part, chip, cutter.cut((*run, chip.scene), scene, chip)?)?;
        if let Some(count) = summary.parts.get_mut(part.name()) {
            count.chips += 1;
            count.background += usize::from(chip.objects.is_empty());
            for object in &chip.objects {
                let class = classes[object.class].clone();
                *count.objects.entry(class).or_default() += 1;
            }
        }
    }
    progress.end();
    files.finish(request, &summary)?;
    target.publish()?;
    Ok(summary)
}

/// Cuts chips out of scenes, with one scene open at a time.
struct Cutter {
    scaling: InputScaling,
    open: Option<((usize, usize), ChipReader, InputTransform)>,
    stored: StoredPixels,
    pixels: ChipPixels,
}

impl Cutter {
    fn new(card: &ModelCard) -> Self {
        Self {
            scaling: card.picture_scaling(),
            open: None,
            stored: StoredPixels::default(),
            pixels: ChipPixels::default(),
        }
    }

    /// The pixels of a chip; `number` is that of its run and of its scene in it.
    fn cut(
        &mut self,
        number: (usize, usize),
        scene: &Scene,
        chip: &LabelledChip,
    ) -> Result<&ChipPixels, LabelError> {
        let (_, reader, transform) = match self.open.take().filter(|(of, ..)| *of == number) {
            Some(open) => self.open.insert(open),
            None => self.open.insert((
                number,
                ChipReader::open(scene)?,
                InputTransform::new(scene, &self.scaling),
            )),
        };
        reader.read(&[chip.chip], &mut self.stored)?;
        transform.cut(&chip.chip, &self.stored, &mut self.pixels);
        Ok(&self.pixels)
    }
}

fn select(
    run: &LoadedRun,
    path: &Path,
    request: &LabelRequest<'_>,
    classes: &[String],
) -> Result<Selection, LabelError> {
    let card = &request.model.card;
    let chip_px = request.chip_px.unwrap_or(card.chip_px);
    let spec = ChipSpec {
        gsd_m: card.gsd_m,
        chip_px,
        // An object is whole in some chip, as far as chips are large enough for that.
        overlap_m: card.overlap_m.min(chip_px as f64 * card.gsd_m / 2.0),
        size_multiple: card.size_multiple,
        grid_shift_px: 0.0,
    };
    let mut selection = Selection::default();
    for (number, planned) in run.scenes.iter().enumerate() {
        let scene = &planned.scene;
        if scene.bands.len() != card.bands.len() {
            return Err(LabelError::OtherModel {
                run: path.display().to_string(),
                made_with: run.model.clone(),
                model: card.name.clone(),
                bands: card.bands.len(),
                read: scene.bands.len(),
            });
        }
        selection.add(number, scene, &spec, &request.places.list, classes)?;
    }
    Ok(selection)
}
