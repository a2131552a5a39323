//! Before the first chip: scenes found and opened, their radiometry settled, their chips planned.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::error::ScanError;
use super::progress::Progress;
use super::record::Failure;
use super::scan::counted;
use super::settings::Settings;
use crate::chip::{AreaOfInterest, AreaOnEarth, ChipPlan, PlanError};
use crate::detect::{ChipSet, PlannedScene};
use crate::geometry::PixelPoint;
use crate::model::Model;
use crate::scene::{
    CloudOptions, Radiometry, RadiometryError, Scene, SceneOptions, SceneSource, WantedValues, hex,
    is_remote,
};
use crate::source::{Access, Cache, Found, Near, Step, Waiters, Wanted, find_scenes};

/// Where the scenes are looked for, and how.
pub(super) struct Search<'a> {
    /// What the user names.
    pub(super) arguments: &'a [String],
    /// Folder for copies of remote files.
    pub(super) cache: Option<&'a Cache>,
    pub(super) model: &'a Model,
    pub(super) settings: &'a Settings,
    pub(super) area: Option<&'a AreaOfInterest>,
    /// Scenes of the scan that is gone on with.
    pub(super) before: &'a [Scene],
    pub(super) progress: &'a dyn Progress,
    pub(super) stop: &'a AtomicBool,
}

/// Scenes ready to scan, and what is not.
pub(super) struct Prepared {
    pub(super) planned: Vec<PlannedScene>,
    pub(super) failures: Vec<Failure>,
    /// By scene id, its path and the lists and catalogues that led to it.
    pub(super) ways: HashMap<String, Vec<String>>,
}

/// Finds and opens all scenes and plans their chips. What cannot be scanned becomes a failure; nothing left is an
/// error.
pub(super) fn plan_scenes(search: &Search<'_>) -> Result<Prepared, ScanError> {
    let waiters = Waiters::default();
    let found = find(search, &waiters);
    let passed_over = found.passed_over;
    let ways = found.sources.iter().map(|source| {
        let way = source.via.iter().chain([&source.path]).cloned().collect();
        (source.id.clone().unwrap_or_default(), way)
    });
    let ways = ways.collect();
    let (scenes, mut failures) = open_scenes(search, &found.sources, &waiters);
    if search.stop.load(Ordering::Relaxed) {
        return Err(ScanError::InterruptedDuring("the scenes were opened"));
    }
    failures.extend(found.unusable.into_iter().map(|unusable| Failure {
        scene: unusable.path,
        chips: None,
        reason: unusable.reason,
        away: unusable.away,
    }));
    let planned = plan_chips(scenes, search.area, search.settings, &mut failures)?;
    failures.sort_by(|a, b| a.scene.cmp(&b.scene));
    if planned.is_empty() {
        if let Some(area) = search
            .area
            .filter(|_| failures.is_empty() && passed_over > 0)
        {
            return Err(ScanError::AoiElsewhere(area.source.clone()));
        }
        return Err(ScanError::NoScene(failures));
    }
    for failure in &failures {
        search
            .progress
            .note(&format!("left out: {}", failure.reason));
    }
    Ok(Prepared {
        planned,
        failures,
        ways,
    })
}

/// Turns what the user names into scenes to open.
fn find(search: &Search<'_>, waiters: &Waiters) -> Found {
    const LOOKING: &str = "looking for scenes";
    let progress = search.progress;
    let begin = || progress.begin(LOOKING, search.arguments.len() as u64, 0);
    let tell = |step: Step<'_>| match step {
        Step::Fetching(name, bytes) => {
            progress.end();
            progress.begin(&format!("fetching {name}"), bytes, 0);
        }
        Step::Bytes(bytes) => progress.advance(bytes),
        Step::Fetched => {
            progress.end();
            begin();
        }
        Step::NoRoom(path) => progress.note(&format!(
            "`{path}` does not fit into the cache beside what is in use, and is read where it is"
        )),
        Step::Document(path) => tracing::info!("reading `{path}`"),
    };
    let access = Access {
        cache: search.cache,
        stop: search.stop,
        tell: &tell,
        waiters,
    };
    let wanted = Wanted::new(
        &search.model.card.bands,
        search.model.card.gsd_m,
        search.settings.bands.as_deref(),
    );
    begin();
    // Only catalogues need it.
    let on_earth = OnceCell::new();
    let near = search.area.map(|area| {
        let on_earth = &on_earth;
        move |bounds| {
            on_earth
                .get_or_init(|| AreaOnEarth::new(area))
                .may_touch(bounds)
        }
    });
    let near = near.as_ref().map(|near| near as &Near<'_>);
    let found = find_scenes(search.arguments, &wanted, &access, near);
    progress.end();
    if found.passed_over > 0 {
        progress.note(&format!(
            "{} outside the area of interest passed over",
            counted(found.passed_over as u64, "STAC Item")
        ));
    }
    for source in &found.sources {
        if let Some(warning) = &source.warning {
            progress.note(&format!("`{}`: {warning}", source.path));
        }
    }
    found
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
    search: &Search<'_>,
    sources: &[SceneSource],
    waiters: &Waiters,
) -> (Vec<Scene>, Vec<Failure>) {
    let Search {
        model,
        settings,
        before,
        progress,
        stop,
        ..
    } = *search;
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
    progress.begin("opening scenes", sources.len() as u64, 0);
    let open = |source: &SceneSource| {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let opened = Scene::open(source, &options)
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
        progress.advance(1);
        Some(opened)
    };
    let opened = waiters.each(sources, |source| is_remote(source.raster()), open);
    let (mut scenes, mut failures) = (Vec::new(), Vec::new());
    for (source, opened) in sources.iter().zip(opened) {
        match opened {
            Some(Ok(scene)) => scenes.push(scene),
            Some(Err(error)) => failures.push(Failure {
                scene: source.path.clone(),
                chips: None,
                reason: error.to_string(),
                away: matches!(&error, RadiometryError::Scene(error) if error.is_away()),
            }),
            None => {}
        }
    }
    progress.end();
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

/// Whether the pixels of two scenes lie in the same places, as those of one tile on many days.
fn same_grid(a: &Scene, b: &Scene) -> bool {
    a.geotransform == b.geotransform
        && (a.width, a.height) == (b.width, b.height)
        && a.crs_wkt == b.crs_wkt
}

/// Corners of a scene, and the middles of its edges: where these have no place, layers cannot be drawn.
fn outline(scene: &Scene) -> Vec<PixelPoint> {
    let (w, h) = (scene.width as f64, scene.height as f64);
    [
        (0.0, 0.0),
        (0.5, 0.0),
        (1.0, 0.0),
        (1.0, 0.5),
        (1.0, 1.0),
        (0.5, 1.0),
        (0.0, 1.0),
        (0.0, 0.5),
    ]
    .map(|(x, y)| PixelPoint::new(x * w, y * h))
    .to_vec()
}

/// Plans the chips of all scenes that the area of interest touches.
pub(super) fn plan_chips(
    scenes: Vec<Scene>,
    area: Option<&AreaOfInterest>,
    settings: &Settings,
    failures: &mut Vec<Failure>,
) -> Result<Vec<PlannedScene>, ScanError> {
    let mut planned: Vec<PlannedScene> = Vec::new();
    let mut touched = area.is_none();
    for scene in scenes {
        let georeference = scene.georeference()?;
        if let Err(error) = georeference.to_lonlat(&outline(&scene)) {
            failures.push(Failure {
                scene: scene.path.clone(),
                chips: None,
                reason: format!(
                    "`{}` does not lie on Earth: {error}; check its georeference",
                    scene.path
                ),
                away: false,
            });
            continue;
        }
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
                    away: false,
                });
                continue;
            }
        };
        let area = area
            .map(
                |area| match planned.iter().find(|p| same_grid(&p.scene, &scene)) {
                    Some(PlannedScene {
                        area: Some(same), ..
                    }) => Ok(Arc::clone(same)),
                    _ => area.in_scene(&scene, &georeference).map(Arc::new),
                },
            )
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
