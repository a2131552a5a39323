//! Reading a run back from its directory.

use std::collections::BTreeSet;
use std::path::Path;

use geo::MultiPolygon;
use thiserror::Error;

use super::plan::{PLAN_KEY, ScanPlan};
use super::settings::Settings;
use crate::chip::{ChipPlan, PlanError};
use crate::detect::{
    ChipSet, ChipStatus, Detection, Ledger, LedgerError, PlaceError, PlannedScene, scene_detections,
};
use crate::layer::coverage::{CoverageStatus, SceneCoverage};
use crate::scene::{Georeference, Scene, SceneError};

/// Why a run cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadRunError {
    /// No ledger there.
    #[error(
        "`{path}` is not a run: it has no ledger.sqlite (a run is the folder given to `kilnsight scan --out`)"
    )]
    NotARun {
        /// The folder.
        path: String,
    },
    /// The ledger fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger holds no plan: it was killed before the scan began.
    #[error("the scan of `{path}` never began: run it again")]
    NoPlan {
        /// The folder.
        path: String,
    },
    /// What the ledger says cannot be understood.
    #[error("ledger of `{path}`: {source}; it may have been written by another version")]
    Parse {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A scene's georeference fails.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// Chips cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Detections cannot be placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// A run, opened for reading.
pub struct LoadedRun {
    ledger: Ledger,
    /// Its parameters.
    pub settings: Settings,
    /// Its classes, in the model's order.
    pub classes: Vec<String>,
    /// Types within a class, in the model's order; empty where it tells none.
    pub types: Vec<String>,
    /// Name and version of its model.
    pub model: String,
    /// Its scenes, with their chips.
    pub scenes: Vec<PlannedScene>,
}

impl LoadedRun {
    /// Opens the run in a folder. Needs neither the scenes nor the model.
    pub fn open(path: &Path) -> Result<Self, LoadRunError> {
        let file = path.join("ledger.sqlite");
        if !file.is_file() {
            return Err(LoadRunError::NotARun {
                path: path.display().to_string(),
            });
        }
        let ledger = Ledger::open(&file)?;
        let parse = |source| LoadRunError::Parse {
            path: path.display().to_string(),
            source,
        };
        let plan = ledger.meta(PLAN_KEY)?.ok_or_else(|| LoadRunError::NoPlan {
            path: path.display().to_string(),
        })?;
        let plan: ScanPlan = serde_json::from_str(&plan).map_err(parse)?;
        let mut scenes = Vec::new();
        for description in ledger.scenes()? {
            let scene: Scene = serde_json::from_str(&description).map_err(parse)?;
            let georeference = scene.georeference()?;
            scenes.push(PlannedScene {
                plan: ChipPlan::new(&scene, &georeference, &plan.parameters.chips)?,
                scene,
                area: None,
                finished: ChipSet::default(),
            });
        }
        // The area decided which chips were scanned; the ledger lists those, so it is needed no more.
        Ok(Self {
            ledger,
            settings: plan.parameters,
            model: match &plan.model.version {
                Some(version) => format!("{} {version}", plan.model.name),
                None => plan.model.name.clone(),
            },
            classes: plan.model.classes,
            types: plan.model.types,
            scenes,
        })
    }

    /// Detections of a scene scoring at least `min_score`, suppressed across its chips, best first.
    pub fn detections(&self, scene: usize, min_score: f64) -> Result<Vec<Detection>, LoadRunError> {
        let raw = self
            .ledger
            .detections(scene, self.settings.read_score(min_score))?;
        let rules = self.settings.place(min_score);
        Ok(scene_detections(scene, &self.scenes[scene], raw, rules)?)
    }

    /// Chips of a scene that were seen whole and in which nothing was found, down to the score that is kept: by the
    /// model, or by its screen, which let them go no further.
    pub fn empty_chips(&self, scene: usize) -> Result<Vec<usize>, LoadRunError> {
        let occupied: BTreeSet<usize> = self
            .ledger
            .detections(scene, 0.0)?
            .into_iter()
            .map(|(chip, _, _)| chip)
            .collect();
        let mut empty = Vec::new();
        self.ledger.for_each_chip(scene, |record| {
            if matches!(record.status, ChipStatus::Scanned | ChipStatus::Screened)
                && record.cells.is_none()
                && !occupied.contains(&record.chip)
            {
                empty.push(record.chip);
            }
        })?;
        Ok(empty)
    }

    /// What was scanned of a scene, in WGS 84.
    pub fn scanned(
        &self,
        scene: usize,
        georeference: &Georeference,
    ) -> Result<MultiPolygon, LoadRunError> {
        let planned = &self.scenes[scene];
        let mut coverage = SceneCoverage::default();
        self.ledger.for_each_chip(scene, |record| {
            if let Some(chip) = planned.plan.chip(record.chip) {
                coverage.add(&chip, &record);
            }
        })?;
        let patches =
            coverage
                .patches(planned, georeference)
                .map_err(|source| PlaceError::Georeference {
                    scene: planned.scene.id.clone(),
                    source,
                })?;
        let scanned = patches
            .iter()
            .filter(|p| p.status == CoverageStatus::Scanned);
        Ok(MultiPolygon::new(
            scanned.flat_map(|p| p.feature.split_polygons()).collect(),
        ))
    }
}
