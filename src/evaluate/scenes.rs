//! Brings truth, detections and scenes together: what is compared with what.
//!
//! COCO images and scenes meet by name. Truth and detections on the ground go to the scene that they
//! name, or to every scene whose coverage holds their centre. Nothing falls out in silence: what finds
//! no partner is counted in [`NotCompared`].

use std::collections::HashMap;

use serde::Serialize;

use super::boxes::{EvaluationScene, SceneInput, ScoredBox, TruthBox};
use super::coco::ImageLabels;
use super::error::EvaluateError;
use super::homes::{ALL, Homes};
use super::outline::{IgnoreRegion, Outline};
use super::truth::{GroundLabel, Labels, Truth};
use crate::geometry::{LonLat, PixelPoint};

/// How far the size of a labelled image may be from that of its scene, in pixels.
const SIZE_TOLERANCE_PX: f64 = 0.5;

/// Scenes ready to be evaluated, and what was left over.
#[derive(Debug, Clone)]
pub struct Pairing {
    /// Each with its truth and its detections.
    pub scenes: Vec<EvaluationScene>,
    /// How much was left over.
    pub not_compared: NotCompared,
    /// Names of labelled images of which no scene was given.
    pub images_without_scene: Vec<String>,
    /// Ids of scenes of which there is no labelled image.
    pub scenes_without_image: Vec<String>,
    /// What a person should know about the labels.
    pub notices: Vec<String>,
}

/// What found no partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// Labelled images (COCO) of which no scene was given.
    pub images_without_scene: usize,
    /// True objects in those images.
    pub truth_in_images_without_scene: usize,
    /// Scenes of which there is no labelled image (COCO).
    pub scenes_without_image: usize,
    /// True objects on the ground in no scene that was looked at.
    pub truth_outside_scenes: usize,
    /// Detections in no scene that has truth to be compared with.
    pub detections_outside_scenes: usize,
}

/// A scene while it is being filled.
#[derive(Default)]
struct Slot {
    id: String,
    region: Option<String>,
    /// Regions that its truth names, in order.
    truth_regions: Vec<String>,
    truth: Vec<TruthBox>,
    ignore: Vec<IgnoreRegion>,
    detections: Vec<ScoredBox>,
}

impl Truth {
    /// Brings these labels together with scenes and detections.
    ///
    /// Labels on the ground may come without scenes: they are then told apart by the `scene`
    /// properties of truth and detections, if all have one, or else compared as one scene.
    pub fn pair(
        &self,
        scenes: &[SceneInput<'_>],
        detections: Vec<ScoredBox>,
    ) -> Result<Pairing, EvaluateError> {
        let mut ids = HashMap::new();
        for (i, scene) in scenes.iter().enumerate() {
            if ids.insert(scene.id, i).is_some() {
                return Err(EvaluateError::DuplicateScene {
                    id: scene.id.to_owned(),
                });
            }
        }
        let mut pairing = match &self.labels {
            Labels::Pixels(images) => self.pair_images(images, scenes, &ids, detections)?,
            Labels::Ground(labels) if scenes.is_empty() => {
                let names = shared_scene_names(labels, &detections);
                let named: Vec<SceneInput<'_>> = names
                    .iter()
                    .map(|id| SceneInput {
                        id,
                        region: None,
                        coverage: None,
                        georeference: None,
                        size_px: None,
                    })
                    .collect();
                let ids = names.iter().map(String::as_str).zip(0..).collect();
                self.pair_on_ground(labels, &named, &ids, detections)?
            }
            Labels::Ground(labels) => self.pair_on_ground(labels, scenes, &ids, detections)?,
        };
        pairing.notices.splice(0..0, self.notices.iter().cloned());
        Ok(pairing)
    }

    fn pair_on_ground(
        &self,
        labels: &[GroundLabel],
        scenes: &[SceneInput<'_>],
        ids: &HashMap<&str, usize>,
        detections: Vec<ScoredBox>,
    ) -> Result<Pairing, EvaluateError> {
        let homes = Homes::new(scenes, ids);
        let mut slots: Vec<Slot> = scenes.iter().map(Slot::of).collect();
        let mut not_compared = NotCompared::default();
        for label in labels {
            let found = if label.ignore {
                homes.of_region(label.scene.as_deref(), &label.outline)
            } else {
                homes.of(label.scene.as_deref(), label.truth.center)
            };
            if found.is_empty() && !label.ignore {
                not_compared.truth_outside_scenes += 1;
            }
            for i in found {
                slots[i].add(label);
            }
        }
        let total = self.len();
        if total > 0 && not_compared.truth_outside_scenes == total {
            return Err(self.nothing_in_common(labels, &homes));
        }
        for detection in detections {
            let found = homes.of(detection.scene.as_deref(), detection.ground.center);
            not_compared.detections_outside_scenes += usize::from(found.is_empty());
            for i in found {
                slots[i].detections.push(detection.clone());
            }
        }
        let mut notices = Vec::new();
        let mixed = slots.iter().filter(|s| s.has_several_regions()).count();
        if mixed > 0 {
            notices.push(format!(
                "{mixed} scenes hold truth of several regions and belong to none of them: a false \
                 alarm has no region; evaluate scene by scene to split by region"
            ));
        }
        Ok(Pairing {
            scenes: slots
                .into_iter()
                .map(|slot| slot.finish(None))
                .collect::<Result<_, _>>()?,
            not_compared,
            images_without_scene: Vec::new(),
            scenes_without_image: Vec::new(),
            notices,
        })
    }

    fn nothing_in_common(&self, labels: &[GroundLabel], homes: &Homes<'_>) -> EvaluateError {
        let swapped = labels.iter().any(|label| {
            let LonLat { lon, lat } = label.truth.center;
            label.scene.is_none()
                && lon.abs() <= 90.0
                && !homes.of(None, LonLat::new(lat, lon)).is_empty()
        });
        let problem = if swapped {
            "no object lies in what was looked at, and some would with latitude and longitude \
             swapped: GeoJSON puts longitude first"
        } else if labels.iter().all(|label| label.scene.is_some()) {
            "no object has a `scene` that was looked at; the property must hold scene ids"
        } else {
            "no object lies in what was looked at; check that labels and scenes show the same place"
        };
        EvaluateError::NothingInCommon {
            path: self.path.clone(),
            problem: problem.to_owned(),
        }
    }

    fn pair_images(
        &self,
        images: &[ImageLabels],
        scenes: &[SceneInput<'_>],
        ids: &HashMap<&str, usize>,
        detections: Vec<ScoredBox>,
    ) -> Result<Pairing, EvaluateError> {
        let mut image_of: Vec<Option<&ImageLabels>> = vec![None; scenes.len()];
        let mut not_compared = NotCompared::default();
        let mut images_without_scene = Vec::new();
        for image in images {
            let found = ids
                .get(image.stem.as_str())
                .or_else(|| ids.get(image.name.as_str()));
            if let Some(&i) = found {
                image_of[i] = Some(image);
            } else {
                images_without_scene.push(image.name.clone());
                not_compared.truth_in_images_without_scene +=
                    image.labels.iter().filter(|l| !l.ignore).count();
            }
        }
        let kept: Vec<(&SceneInput<'_>, &ImageLabels)> = scenes
            .iter()
            .zip(&image_of)
            .filter_map(|(scene, image)| Some((scene, (*image)?)))
            .collect();
        if kept.is_empty() && !images.is_empty() {
            return Err(EvaluateError::NothingInCommon {
                path: self.path.clone(),
                problem: format!(
                    "none of its {} images has the name of one of the {} scenes (`file_name` without \
                     folder and extension is compared with the scene's id)",
                    images.len(),
                    scenes.len()
                ),
            });
        }
        let mut slots = Vec::with_capacity(kept.len());
        for (scene, image) in &kept {
            slots.push(self.image_slot(scene, image)?);
        }
        let kept_inputs: Vec<SceneInput<'_>> = kept.iter().map(|(s, _)| (*s).clone()).collect();
        let kept_ids = kept_inputs.iter().map(|s| s.id).zip(0..).collect();
        let homes = Homes::new(&kept_inputs, &kept_ids);
        for detection in detections {
            let found = homes.of(detection.scene.as_deref(), detection.ground.center);
            not_compared.detections_outside_scenes += usize::from(found.is_empty());
            for i in found {
                slots[i].detections.push(detection.clone());
            }
        }
        let scenes_without_image: Vec<String> = scenes
            .iter()
            .zip(&image_of)
            .filter(|(_, image)| image.is_none())
            .map(|(scene, _)| scene.id.to_owned())
            .collect();
        not_compared.images_without_scene = images_without_scene.len();
        not_compared.scenes_without_image = scenes_without_image.len();
        Ok(Pairing {
            scenes: slots
                .into_iter()
                .zip(&kept_inputs)
                .map(|(slot, scene)| slot.finish(Some(scene)))
                .collect::<Result<_, _>>()?,
            not_compared,
            images_without_scene,
            scenes_without_image,
            notices: Vec::new(),
        })
    }

    fn image_slot(
        &self,
        scene: &SceneInput<'_>,
        image: &ImageLabels,
    ) -> Result<Slot, EvaluateError> {
        let georeference = scene
            .georeference
            .ok_or_else(|| EvaluateError::NoGeoreference {
                scene: scene.id.to_owned(),
            })?;
        let refuse = |source| EvaluateError::Georeference {
            scene: scene.id.to_owned(),
            source,
        };
        if let (Some([w, h]), Some(labelled)) = (scene.size_px, image.size_px) {
            let size = [w as f64, h as f64];
            if (0..2).any(|axis| (size[axis] - labelled[axis]).abs() > SIZE_TOLERANCE_PX) {
                return Err(EvaluateError::NothingInCommon {
                    path: self.path.clone(),
                    problem: format!(
                        "an image was labelled at {} x {} px, and scene `{}` has {w} x {h} px; \
                         label the scene itself, or scale the labels",
                        labelled[0], labelled[1], scene.id
                    ),
                });
            }
        }
        let mut slot = Slot::of(scene);
        slot.truth_regions.extend(image.region.clone());
        for label in &image.labels {
            if label.ignore {
                let ring = georeference.to_lonlat(&label.outline).map_err(refuse)?;
                let region = IgnoreRegion::new(&Outline::from_ring(&ring), label.class.clone());
                slot.ignore.push(region);
                continue;
            }
            let outline: &[PixelPoint] = &label.outline;
            let truth =
                TruthBox::from_pixels(outline, label.oriented, label.class.clone(), georeference)
                    .map_err(refuse)?;
            slot.truth.push(truth.ok_or_else(|| {
                let record = format!("annotation {}", label.number);
                EvaluateError::record(&self.path, record, "its outline has no area")
            })?);
        }
        Ok(slot)
    }
}

impl Slot {
    fn of(scene: &SceneInput<'_>) -> Self {
        Self {
            id: scene.id.to_owned(),
            region: scene.region.map(str::to_owned),
            ..Self::default()
        }
    }

    fn add(&mut self, label: &GroundLabel) {
        if let Some(region) = &label.region
            && !self.truth_regions.contains(region)
        {
            self.truth_regions.push(region.clone());
        }
        if label.ignore {
            let region = IgnoreRegion::new(&label.outline, label.truth.class.clone());
            self.ignore.push(region);
        } else {
            self.truth.push(label.truth.clone());
        }
    }

    fn has_several_regions(&self) -> bool {
        self.region.is_none() && self.truth_regions.len() > 1
    }

    /// `pixels` is the scene whose pixels the truth came in, if it did.
    fn finish(self, pixels: Option<&SceneInput<'_>>) -> Result<EvaluationScene, EvaluateError> {
        let several = self.has_several_regions();
        let named = self.truth_regions.into_iter().next().filter(|_| !several);
        EvaluationScene::new(
            self.id,
            self.region.or(named),
            self.detections,
            self.truth,
            self.ignore,
            pixels.and_then(|scene| scene.georeference),
        )
    }
}

/// The scenes that truth and detections name, if all do and they have some in common; else one for all.
fn shared_scene_names(labels: &[GroundLabel], detections: &[ScoredBox]) -> Vec<String> {
    let one = || vec![ALL.to_owned()];
    let of_truth: Option<Vec<&str>> = labels.iter().map(|l| l.scene.as_deref()).collect();
    let of_detections: Option<Vec<&str>> = detections.iter().map(|d| d.scene.as_deref()).collect();
    let (Some(mut names), Some(found)) = (of_truth, of_detections) else {
        return one();
    };
    if !found.is_empty() && !found.iter().any(|name| names.contains(name)) {
        return one();
    }
    names.extend(found);
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
#[path = "scenes_tests.rs"]
mod tests;
