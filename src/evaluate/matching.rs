//! One scene: which detections are right, which are false alarms, and which fall to ignore regions.
//!
//! The rule of PASCAL VOC and COCO: detections are taken best first, and each takes the best true
//! object that is still free and near enough. A second detection of one object is a false alarm.
//! One that finds no free object and lies in an ignore region counts neither way (COCO `iscrowd`).

use serde::Serialize;

use super::boxes::{EvaluationScene, TruthBox};
use crate::geometry::{GroundIndex, distance_m};

/// When a detection is near enough to a true object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Criterion {
    /// Intersection over union at or above this.
    Iou(f64),
    /// Centres at most this many metres apart (geodesic).
    CentreDistance(f64),
}

/// Which boxes intersection over union is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IouKind {
    /// Oriented boxes on the ground.
    Oriented,
    /// Axis-aligned envelopes: along the pixels where the truth came in pixels, else north-up.
    Envelope,
    /// Oriented if every true object says in which direction it lies, else envelopes.
    #[default]
    Auto,
}

impl IouKind {
    /// The kind that is used: never `Auto`.
    #[must_use]
    pub fn resolve(self, scenes: &[EvaluationScene]) -> Self {
        match self {
            Self::Auto => {
                let mut extents = scenes
                    .iter()
                    .flat_map(|s| &s.truth)
                    .filter_map(|t| t.extent.as_ref());
                if extents.all(|e| e.oriented) {
                    Self::Oriented
                } else {
                    Self::Envelope
                }
            }
            chosen => chosen,
        }
    }
}

/// What came of one scene.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SceneMatch {
    /// Score of every detection that counts, and whether it found an object; best first.
    pub records: Vec<(f64, bool)>,
    /// True objects.
    pub truth: usize,
    /// Detections that fell to ignore regions.
    pub ignored: usize,
}

/// Matches one scene. `class` leaves out detections and truth of any other class.
pub fn match_scene(
    scene: &EvaluationScene,
    criterion: Criterion,
    kind: IouKind,
    class: Option<&str>,
) -> SceneMatch {
    let is_class = |c: Option<&str>| class.is_none_or(|wanted| c == Some(wanted));
    let truth: Vec<&TruthBox> = scene
        .truth
        .iter()
        .filter(|t| is_class(t.class.as_deref()))
        .collect();
    let index = GroundIndex::new(truth.iter().map(|t| t.center));
    let largest = truth
        .iter()
        .filter_map(|t| t.extent.as_ref())
        .map(|e| e.ground.radius_m())
        .fold(0.0, f64::max);
    let mut free = vec![true; truth.len()];
    let mut result = SceneMatch {
        truth: truth.len(),
        ..SceneMatch::default()
    };
    for (i, detection) in scene.detections.iter().enumerate() {
        if !is_class(Some(&detection.class)) {
            continue;
        }
        let reach = match criterion {
            // An envelope reaches at most √2 times as far as its box; 2 leaves room for skewed pixels.
            Criterion::Iou(_) => 2.0 * (detection.ground.radius_m() + largest),
            // The index goes by chords, a hair shorter than geodesics: the exact test follows.
            Criterion::CentreDistance(metres) => metres,
        };
        let best = index
            .within(detection.ground.center, reach)
            .filter(|&j| free[j])
            .filter_map(|j| Some((nearness(scene, i, truth[j], criterion, kind)?, j)))
            .max_by(|(a, j), (b, k)| a.total_cmp(b).then(k.cmp(j)));
        if let Some((_, j)) = best {
            free[j] = false;
            result.records.push((detection.score, true));
        } else if falls_to_ignore_region(scene, i, criterion, class) {
            result.ignored += 1;
        } else {
            result.records.push((detection.score, false));
        }
    }
    result
}

/// How good a match is (higher is better); none if it is not good enough.
fn nearness(
    scene: &EvaluationScene,
    detection: usize,
    truth: &TruthBox,
    criterion: Criterion,
    kind: IouKind,
) -> Option<f64> {
    let found = &scene.detections[detection];
    match criterion {
        Criterion::CentreDistance(metres) => {
            let distance = distance_m(found.ground.center, truth.center);
            (distance <= metres).then_some(-distance)
        }
        Criterion::Iou(threshold) => {
            let extent = truth.extent.as_ref()?;
            let iou = if kind == IouKind::Envelope {
                scene.envelopes[detection].iou(&extent.envelope)
            } else {
                found.ground.overlap(&extent.ground).iou
            };
            (iou >= threshold && iou > 0.0).then_some(iou)
        }
    }
}

fn falls_to_ignore_region(
    scene: &EvaluationScene,
    detection: usize,
    criterion: Criterion,
    class: Option<&str>,
) -> bool {
    let found = &scene.detections[detection];
    let reach = match criterion {
        Criterion::CentreDistance(metres) => metres,
        Criterion::Iou(_) => 0.0,
    };
    scene
        .ignore
        .iter()
        .filter(|r| class.is_none() || r.class.is_none() || r.class.as_deref() == class)
        .any(|r| r.takes(found.ground.center, &found.corners, reach))
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
