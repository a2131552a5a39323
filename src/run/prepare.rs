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
    CloudOptions, Radiometry, RadiometryError, Scene, SceneOptions, SceneSource, hex,
    measure_stretch, unique_ids,
};

/// Opens all scenes and plans their chips. What cannot be scanned becomes a failure; nothing left is an error.
pub(super) fn plan_scenes(
    paths: &[String],
    model: &Model,
    settings: &Settings,
    area: Option<&AreaOfInterest>,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> Result<(Vec<PlannedScene>, Vec<Failure>), ScanError> {
    let (scenes, mut failures) = open_scenes(paths, model, settings, progress, stop);
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
                scene.radiometry = radiometry(&scene, model, settings)?;
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

/// How the stored numbers of a scene become the model's units: as the user says; else as stored where they fit
/// the model's range; else by the stretch that the card asks for.
fn radiometry(
    scene: &Scene,
    model: &Model,
    settings: &Settings,
) -> Result<Radiometry, RadiometryError> {
    if let Some(given) = Radiometry::given(settings.radiometry) {
        return Ok(given);
    }
    let Some(range) = model.card.scaling.range else {
        return Ok(Radiometry::as_stored());
    };
    // Bytes into a model of bytes; or wider numbers into a model that expects more than a byte can hold.
    let model_wants_bytes = range[0] >= 0.0 && range[1] <= 255.0 && range[1] > 1.0;
    if (scene.data_type == "Byte") == model_wants_bytes {
        return Ok(Radiometry::as_stored());
    }
    match model.card.stretch {
        Some(stretch) => {
            let measured = measure_stretch(scene, stretch.percentiles, range)?;
            Ok(measured.unwrap_or_else(Radiometry::as_stored))
        }
        None => Err(RadiometryError::Unknown {
            path: scene.path.clone(),
            data_type: scene.data_type.clone(),
            low: range[0],
            high: range[1],
        }),
    }
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
