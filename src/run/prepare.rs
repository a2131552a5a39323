//! Before the first chip: scenes opened, their radiometry settled, their chips planned.

use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::error::ScanError;
use super::progress::Progress;
use super::record::Failure;
use super::settings::Settings;
use crate::chip::{AreaOfInterest, ChipPlan, PlanError};
use crate::detect::{ChipSet, PlannedScene};
use crate::model::Model;
use crate::scene::{
    CloudOptions, Radiometry, RadiometryError, Scene, SceneOptions, SceneSource, WantedValues, hex,
    unique_ids,
};

/// Opens all scenes and plans their chips. `before` are the scenes of the scan that is gone on with. What cannot be scanned becomes a failure; nothing left is an error.
pub(super) fn plan_scenes(
    paths: &[String],
    model: &Model,
    settings: &Settings,
    area: Option<&AreaOfInterest>,
    before: &[Scene],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(Vec<PlannedScene>, Vec<Failure>), ScanError> {
    let (scenes, mut failures) = open_scenes(paths, model, settings, before, progress, stop);
    if stop.load(Ordering::Relaxed) {
        return Err(ScanError::InterruptedDuring("the scenes were opened"));
    }
    let planned = plan_chips(scenes, area, settings, &mut failures)?;
    if planned.is_empty() {
        return Err(ScanError::NoScene(failures));
    }
    for failure in &failures {
        progress.note(&format!("left out: {}", failure.reason));
    }
    Ok((planned, failures))
}

/// SHA-256 of the polygons, however the file that holds them is called.
pub(super) fn area_digest(area: &AreaOfInterest) -> String {
    let mut hash = Sha256::new();
    for polygon in &area.polygons {
        for ring in std::iter::once(polygon.exterior()).chain(polygon.interiors()) {
            hash.update((ring.0.len() as u64).to_le_bytes());
            for c in ring.coords() {
                hash.update(c.x.to_le_bytes());
                hash.update(c.y.to_le_bytes());
            }
        }
    }
    hex(&hash.finalize())
}

/// Opens all scenes; those that cannot be scanned become failures.
fn open_scenes(
    paths: &[String],
    model: &Model,
    settings: &Settings,
    before: &[Scene],
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> (Vec<Scene>, Vec<Failure>) {
    let options = SceneOptions {
        wanted_bands: model.card.bands.clone(),
        bands: settings.bands.clone(),
        nodata: settings.nodata,
        date: settings.date.clone(),
        clouds: CloudOptions {
            mask: settings.cloud_mask.clone(),
            codes: settings.cloud_codes.clone(),
        },
    };
    let (mut scenes, mut failures) = (Vec::new(), Vec::new());
    progress.begin("opening scenes", paths.len() as u64, 0);
    for path in paths.iter().take_while(|_| !stop.load(Ordering::Relaxed)) {
        let opened = Scene::open(&SceneSource::file(path), &options)
            .map_err(RadiometryError::from)
            .and_then(|mut scene| {
                let before = before.iter().find(|before| same_pixels(before, &scene));
                scene.radiometry = Radiometry::settle(
                    &scene,
                    &wanted_values(model),
                    settings.radiometry,
                    before.map(|before| &before.radiometry),
                )?;
                Ok(scene)
            });
        match opened {
            Ok(scene) => scenes.push(scene),
            Err(error) => failures.push(Failure {
                scene: path.clone(),
                chips: None,
                reason: error.to_string(),
            }),
        }
        progress.advance(1);
    }
    progress.end();
    unique_ids(&mut scenes);
    (scenes, failures)
}

/// What a model wants of pixel values.
fn wanted_values(model: &Model) -> WantedValues {
    WantedValues {
        range: model.card.scaling.range,
        reflectance: model.card.reflectance,
        percentiles: model.card.stretch.map(|stretch| stretch.percentiles),
    }
}

/// Whether two descriptions are of the same pixels, so that what was measured of one holds for the other.
fn same_pixels(a: &Scene, b: &Scene) -> bool {
    let known = |s: &Scene| (s.content.clone(), s.width, s.height, s.bands.clone());
    !a.content.is_empty() && known(a) == known(b) && a.validity == b.validity
}

/// Plans the chips of all scenes that the area of interest touches.
fn plan_chips(
    scenes: Vec<Scene>,
    area: Option<&AreaOfInterest>,
    settings: &Settings,
    failures: &mut Vec<Failure>,
) -> Result<Vec<PlannedScene>, ScanError> {
    let mut planned = Vec::new();
    let mut touched = area.is_none();
    for scene in scenes {
        let georeference = scene.georeference()?;
        let plan = match ChipPlan::new(&scene, &georeference, &settings.chips) {
            Ok(plan) => plan,
            Err(error @ PlanError::Overlap { .. }) => {
                return Err(ScanError::Worker(error.to_string()));
            }
            Err(error) => {
                failures.push(Failure {
                    scene: scene.path.clone(),
                    chips: None,
                    reason: error.to_string(),
                });
                continue;
            }
        };
        let area = area
            .map(|area| area.in_scene(&scene, &georeference))
            .transpose()?;
        touched |= area.as_ref().is_some_and(|area| !area.is_empty());
        planned.push(PlannedScene {
            scene,
            plan,
            area,
            finished: ChipSet::default(),
        });
    }
    match area {
        Some(area) if !touched && !planned.is_empty() => {
            Err(ScanError::AoiElsewhere(area.source.clone()))
        }
        _ => Ok(planned),
    }
}
