//! Which chips of a run show places that people looked at, and where in the pixels these lie.

use std::collections::BTreeSet;

use rstar::primitives::GeomWithData;
use rstar::{AABB, RTree};

use super::error::LabelError;
use super::verified::{Standing, VerifiedPlace};
use crate::chip::{Chip, ChipPlan, ChipSpec};
use crate::geometry::{LonLat, PixelPoint, distance_m};
use crate::scene::{Georeference, Scene};

/// An object that a chip shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its class, by its number among the classes.
    pub class: usize,
    /// Corners of its box in the chip's pixels: x right, y down, from the corner of the first pixel.
    pub corners: [[f64; 2]; 4],
    /// Its outline in the same pixels.
    pub outline: Vec<[f64; 2]>,
}

/// A chip with labels.
#[derive(Debug, Clone)]
pub struct LabelledChip {
    /// Its scene, by its position in the run.
    pub scene: usize,
    /// The window.
    pub chip: Chip,
    /// Objects, in the order of the layer. None: ground that was taken for an object and is none.
    pub objects: Vec<Object>,
    /// Its middle.
    pub center: LonLat,
    /// Half its diagonal in metres.
    pub radius_m: f64,
    /// Its corners on the ground.
    pub corners: Vec<LonLat>,
}

/// What was selected from scenes.
#[derive(Debug, Default)]
pub struct Selection {
    /// Chips, scene by scene, row by row.
    pub chips: Vec<LabelledChip>,
    /// Chips left out since they show a place that nobody has decided.
    pub undecided: usize,
    /// Places that some scene shows, by their position in the layer.
    pub seen: BTreeSet<usize>,
}

type Entry = GeomWithData<[f64; 2], usize>;

impl Selection {
    /// Adds the chips of a scene. `spec` is what the chips are to be; `classes` the numbers of classes.
    pub(super) fn add(
        &mut self,
        number: usize,
        scene: &Scene,
        spec: &ChipSpec,
        places: &[VerifiedPlace],
        classes: &[String],
    ) -> Result<(), LabelError> {
        let georeference = scene.georeference()?;
        let failed = |source| LabelError::Georeference {
            scene: scene.id.clone(),
            source,
        };
        let shown = in_scene(scene, &georeference, places).map_err(failed)?;
        if shown.is_empty() {
            return Ok(());
        }
        self.seen.extend(shown.iter().map(|entry| entry.data));
        let tree = RTree::bulk_load(shown);
        let plan = ChipPlan::new(scene, &georeference, spec)?;
        for chip in plan.chips() {
            let window = &chip.window;
            let far = [window.x + window.width, window.y + window.height];
            let mut inside: Vec<usize> = tree
                .locate_in_envelope(AABB::from_corners([window.x, window.y], far))
                .map(|entry| entry.data)
                .collect();
            // A chip is taken for what its core holds, so that no place brings more chips than it must.
            let owns = tree
                .locate_in_envelope(AABB::from_corners([window.x, window.y], far))
                .any(|entry| {
                    let [x, y] = *entry.geom();
                    chip.core.contains(PixelPoint { x, y }, 0.0, 0.0)
                });
            if !owns {
                continue;
            }
            inside.sort_unstable();
            let undecided = |&i: &usize| places[i].standing == Standing::Undecided;
            if inside.iter().any(undecided) {
                self.undecided += 1;
                continue;
            }
            let objects = inside
                .iter()
                .filter(|&&i| places[i].standing == Standing::Confirmed)
                .filter_map(|&i| {
                    let class = classes.iter().position(|name| *name == places[i].class)?;
                    Some((class, &places[i]))
                })
                .map(|(class, place)| object(class, place, &chip, &georeference))
                .collect::<Result<Vec<_>, _>>()
                .map_err(failed)?;
            let corners = footprint(&chip, &georeference).map_err(failed)?;
            let middle = chip.scene_point(PixelPoint::new(
                chip.size.0 as f64 / 2.0,
                chip.size.1 as f64 / 2.0,
            ));
            let center = georeference.to_lonlat(&[middle]).map_err(failed)?[0];
            let radius_m = corners
                .iter()
                .map(|corner| distance_m(center, *corner))
                .fold(0.0, f64::max);
            self.chips.push(LabelledChip {
                scene: number,
                chip,
                objects,
                center,
                radius_m,
                corners,
            });
        }
        Ok(())
    }
}

/// Places whose middle lies in a scene, in its pixels.
fn in_scene(
    scene: &Scene,
    georeference: &Georeference,
    places: &[VerifiedPlace],
) -> Result<Vec<Entry>, crate::scene::GeoreferenceError> {
    let centers: Vec<LonLat> = places.iter().map(|place| place.shape.center).collect();
    let pixels = georeference.to_pixels(&centers)?;
    let inside = |p: &PixelPoint| {
        (0.0..scene.width as f64).contains(&p.x) && (0.0..scene.height as f64).contains(&p.y)
    };
    Ok(pixels
        .into_iter()
        .enumerate()
        .filter(|(_, p)| inside(p))
        .map(|(i, p)| Entry::new([p.x, p.y], i))
        .collect())
}

fn object(
    class: usize,
    place: &VerifiedPlace,
    chip: &Chip,
    georeference: &Georeference,
) -> Result<Object, crate::scene::GeoreferenceError> {
    let in_chip = |places: &[LonLat]| -> Result<Vec<[f64; 2]>, _> {
        let pixels = georeference.to_pixels(places)?;
        Ok(pixels
            .into_iter()
            .map(|p| {
                [
                    (p.x - chip.window.x) / chip.scale.0,
                    (p.y - chip.window.y) / chip.scale.1,
                ]
            })
            .collect())
    };
    let corners = in_chip(&place.shape.corners())?;
    let mut box_corners = [[0.0; 2]; 4];
    for (into, corner) in box_corners.iter_mut().zip(corners) {
        *into = corner;
    }
    Ok(Object {
        class,
        corners: box_corners,
        outline: in_chip(&place.outline)?,
    })
}

/// Corners of a chip on the ground, counter-clockwise from the lower left.
fn footprint(
    chip: &Chip,
    georeference: &Georeference,
) -> Result<Vec<LonLat>, crate::scene::GeoreferenceError> {
    let (w, h) = (chip.size.0 as f64, chip.size.1 as f64);
    let corners = [(0.0, h), (w, h), (w, 0.0), (0.0, 0.0)];
    georeference.to_lonlat(&corners.map(|(x, y)| chip.scene_point(PixelPoint::new(x, y))))
}
