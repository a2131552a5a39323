//! What a ledger was made with: model, parameters and scenes, and how two such plans differ.
//!
//! Kept in the ledger from its first moment. A scan goes on only with the same plan; anything else would mix
//! results that do not belong together.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::{LAYER_PARAMETERS, Settings};
use crate::model::Model;
use crate::scene::{Scene, redacted};

/// Key of the plan in the ledger.
pub(super) const PLAN_KEY: &str = "plan";

/// What is said of a scene that is in the ledger and not named any more.
const LEFT_OUT: &str = "left out";

/// Model and parameters of a scan. The scenes stand beside it in the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ScanPlan {
    pub(super) model: ModelIdentity,
    pub(super) parameters: Settings,
    /// What was named and could not be used so far: welcome when it can.
    #[serde(default)]
    pub(super) left_out: Vec<String>,
}

/// Which model a scan used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ModelIdentity {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) sha256: String,
    pub(super) card_sha256: String,
    pub(super) license: Option<String>,
    pub(super) classes: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) screen: Option<ScreenIdentity>,
}

/// Which screen the model has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ScreenIdentity {
    pub(super) sha256: String,
    pub(super) factor: usize,
    pub(super) threshold: f32,
}

impl ModelIdentity {
    pub(super) fn of(model: &Model) -> Self {
        Self {
            name: model.card.name.clone(),
            version: model.card.version.clone(),
            sha256: model.sha256.clone(),
            card_sha256: model.card_sha256.clone(),
            license: model.card.license.clone(),
            classes: model.card.classes.clone(),
            types: model.card.head.types().to_vec(),
            screen: model.screen.as_ref().map(|screen| ScreenIdentity {
                sha256: screen.sha256.clone(),
                factor: screen.card.factor,
                threshold: screen.card.threshold,
            }),
        }
    }
}

/// One thing in which two plans differ.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanDifference {
    /// What: `model`, a parameter, or a scene.
    pub what: String,
    /// In the ledger.
    pub before: String,
    /// Now.
    pub now: String,
    /// Whether it only shapes the layers, so that the ledger serves as it is.
    pub layers_only: bool,
}

impl PlanDifference {
    /// Whether it is a scene that is not named any more.
    pub(super) fn is_absence(&self) -> bool {
        self.now == LEFT_OUT
    }
}

impl fmt::Display for PlanDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {}, now {}", self.what, self.before, self.now)
    }
}

/// Differences between what the ledger holds and what is asked for now.
pub(super) fn differences(
    before: &ScanPlan,
    now: &ScanPlan,
    scenes_before: &[Scene],
    scenes_now: &[Scene],
) -> Vec<PlanDifference> {
    let mut found = Vec::new();
    let mut note = |what: String, before: String, now: String, layers_only: bool| {
        found.push(PlanDifference {
            what,
            before,
            now,
            layers_only,
        });
    };
    if before.model.sha256 != now.model.sha256 {
        let name = |m: &ModelIdentity| {
            format!(
                "`{}` (sha256 {}…)",
                m.name,
                m.sha256.get(..12).unwrap_or(&m.sha256)
            )
        };
        note(
            "the model".into(),
            name(&before.model),
            name(&now.model),
            false,
        );
    } else if before.model.card_sha256 != now.model.card_sha256 {
        note(
            "the model card".into(),
            "another text".into(),
            "changed".into(),
            false,
        );
    } else if before.model.screen != now.model.screen {
        note(
            "the screen of the model".into(),
            "another file".into(),
            "changed".into(),
            false,
        );
    }
    let as_map = |settings: &Settings| match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (as_map(&before.parameters), as_map(&now.parameters));
    for (key, value) in &new {
        let was = old.get(key).unwrap_or(&Value::Null);
        // The path of the area does not matter, its polygons do.
        if key == "aoi_sha256" && was != value {
            let name = |s: &Settings| {
                s.aoi
                    .as_ref()
                    .map_or_else(|| "everything".to_owned(), |given| area_words(given))
            };
            let now_name = if before.parameters.aoi == now.parameters.aoi {
                "the same file with other polygons".to_owned()
            } else if name(&before.parameters) == name(&now.parameters) {
                "another".to_owned()
            } else {
                name(&now.parameters)
            };
            note(
                "the area of interest".into(),
                name(&before.parameters),
                now_name,
                false,
            );
        } else if was != value && key != "aoi" {
            note(
                format!("`{key}`"),
                was.to_string(),
                value.to_string(),
                LAYER_PARAMETERS.contains(&key.as_str()),
            );
        }
    }
    scene_differences(scenes_before, scenes_now, &mut note);
    found
}

fn scene_differences(
    before: &[Scene],
    now: &[Scene],
    note: &mut impl FnMut(String, String, String, bool),
) {
    for scene in before {
        match now.iter().find(|s| s.id == scene.id) {
            None => note(
                format!("scene `{}`", scene.id),
                "there".into(),
                LEFT_OUT.into(),
                false,
            ),
            Some(same) => {
                // The path may be spelt otherwise, the scene moved, an address signed anew.
                let mut moved = same.clone();
                moved.path.clone_from(&scene.path);
                moved.raster.clone_from(&scene.raster);
                moved.blocks = scene.blocks;
                moved.watches.clone_from(&scene.watches);
                moved.date_origin = scene.date_origin;
                if let (Some(now), Some(before)) = (&mut moved.clouds, &scene.clouds) {
                    now.raster.clone_from(&before.raster);
                }
                if &moved != scene {
                    let (before, now) = in_words(scene, same);
                    note(format!("scene `{}`", scene.id), before, now, false);
                }
            }
        }
    }
    for scene in now {
        if !before.iter().any(|s| s.id == scene.id) {
            note(
                format!("scene `{}`", scene.id),
                "not there".into(),
                "added".into(),
                false,
            );
        }
    }
}

/// An area of interest by its name: a box has none, and its corners are nobody's business.
fn area_words(given: &str) -> String {
    if given
        .split(',')
        .all(|part| part.trim().parse::<f64>().is_ok())
    {
        "a box".to_owned()
    } else {
        format!("`{given}`")
    }
}

fn cloud_words(scene: &Scene) -> String {
    (scene.clouds.as_ref()).map_or_else(
        || "none".to_owned(),
        |mask| {
            let content = scene.cloud_content.as_str();
            // The text of a virtual raster tells where it lies.
            let raster = if mask.raster.contains('<') {
                "of the scene itself".to_owned()
            } else {
                format!("`{}`", redacted(&mask.raster))
            };
            format!("{raster} ({:?}) {content}", mask.codes)
        },
    )
}

/// What differs between two descriptions of a scene. A message may be passed on: it tells no coordinates.
fn in_words(before: &Scene, now: &Scene) -> (String, String) {
    let words = |s: &Scene| {
        [
            format!("{} × {} pixels", s.width, s.height),
            format!("in {}", s.crs),
            if s.geotransform == before.geotransform {
                "at its place"
            } else {
                "at another place"
            }
            .to_owned(),
            format!("bands {:?}", s.bands),
            format!("nodata {}", s.validity),
            format!("values {}", s.radiometry.origin),
            format!("cloud mask {}", cloud_words(s)),
            format!("dated {}", s.date.as_deref().unwrap_or("never")),
            s.content.clone(),
        ]
    };
    let (old, new) = (words(before), words(now));
    let differing = |of: &[String]| {
        let parts = (0..of.len()).filter(|&i| old[i] != new[i]);
        parts.map(|i| of[i].as_str()).collect::<Vec<_>>().join(", ")
    };
    match (differing(&old), differing(&new)) {
        (old, _) if old.is_empty() => (
            "as recorded".to_owned(),
            format!("otherwise in {}", other_keys(before, now)),
        ),
        words => words,
    }
}

/// Names of what differs in two records of a scene.
fn other_keys(before: &Scene, now: &Scene) -> String {
    let as_map = |scene: &Scene| match serde_json::to_value(scene) {
        Ok(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (as_map(before), as_map(now));
    let keys = new.keys().filter(|key| old.get(*key) != new.get(*key));
    keys.map(|key| format!("`{key}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
