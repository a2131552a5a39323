//! What is compared: scored boxes, true boxes, and the scenes that hold both.

use geo::MultiPolygon;

use super::envelope::{Envelope, Frame};
use super::error::EvaluateError;
use super::outline::{IgnoreRegion, Outline};
use super::rectangle::ground_box;
use crate::geometry::{GroundBox, LonLat, PixelPoint};
use crate::scene::{Georeference, GeoreferenceError};

/// One detection.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredBox {
    /// Id of the scene it was found in, where known.
    pub scene: Option<String>,
    /// What it was found to be.
    pub class: String,
    /// Higher is surer. Only the order matters to AP.
    pub score: f64,
    /// The oriented box on the ground.
    pub ground: GroundBox,
    /// Its corners in order, in WGS 84 degrees: what its envelope is taken from.
    pub corners: [LonLat; 4],
}

/// One true object of a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct TruthBox {
    /// What it is, where the labels say.
    pub class: Option<String>,
    /// Its centre.
    pub center: LonLat,
    /// Its extent; none for an object given as a point.
    pub extent: Option<TruthExtent>,
}

/// How far a true object reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TruthExtent {
    /// The oriented box on the ground.
    pub ground: GroundBox,
    /// Whether the label says in which direction the object lies.
    pub oriented: bool,
    pub(super) envelope: Envelope,
}

impl TruthBox {
    /// From an outline on the ground; none if it has no area.
    pub fn from_outline(outline: &Outline, class: Option<String>) -> Option<Self> {
        if let Outline::Point(center) = *outline {
            return Some(Self {
                class,
                center,
                extent: None,
            });
        }
        let vertices = outline.vertices();
        let ground = ground_box(&vertices)?;
        Some(Self {
            class,
            center: ground.center,
            extent: Some(TruthExtent {
                ground,
                oriented: !outline.is_north_up(),
                envelope: Envelope::north_up(ground.center, &vertices),
            }),
        })
    }

    /// From an outline in a scene's pixels; none if it has no area. `oriented` says whether the
    /// outline was drawn along the object (and not along the pixel axes).
    pub fn from_pixels(
        outline: &[PixelPoint],
        oriented: bool,
        class: Option<String>,
        georeference: &Georeference,
    ) -> Result<Option<Self>, GeoreferenceError> {
        let ground = ground_box(&georeference.to_lonlat(outline)?);
        Ok(ground.map(|ground| Self {
            class,
            center: ground.center,
            extent: Some(TruthExtent {
                ground,
                oriented,
                envelope: Envelope::in_pixels(outline),
            }),
        }))
    }
}

/// What a scene is called and where it lies.
#[derive(Clone)]
pub struct SceneInput<'a> {
    /// Its id: what `scene` properties name, and COCO `file_name`s without folder and extension.
    pub id: &'a str,
    /// The group it is reported in. None: what the labels say.
    pub region: Option<&'a str>,
    /// What was looked at, in WGS 84 degrees (x longitude). None: everywhere.
    pub coverage: Option<&'a MultiPolygon>,
    /// Where its pixels lie. Needed when the labels are in pixels.
    pub georeference: Option<&'a Georeference>,
    /// Width and height in pixels, to be compared with those of the labelled image.
    pub size_px: Option<[usize; 2]>,
}

/// One scene, ready to be evaluated: its detections and its truth.
#[derive(Debug, Clone)]
pub struct EvaluationScene {
    /// Its id.
    pub id: String,
    /// The group it is reported in.
    pub region: Option<String>,
    pub(super) detections: Vec<ScoredBox>,
    pub(super) envelopes: Vec<Envelope>,
    pub(super) frame: Frame,
    pub(super) truth: Vec<TruthBox>,
    pub(super) ignore: Vec<IgnoreRegion>,
}

impl EvaluationScene {
    /// A scene whose truth came in its pixels (then with its georeference) or on the ground (without).
    ///
    /// Detections are put best first; equal scores are ordered by place, so the order in which
    /// they are given makes no difference.
    pub fn new(
        id: impl Into<String>,
        region: Option<String>,
        mut detections: Vec<ScoredBox>,
        truth: Vec<TruthBox>,
        ignore: Vec<IgnoreRegion>,
        pixels: Option<&Georeference>,
    ) -> Result<Self, EvaluateError> {
        let id = id.into();
        detections.sort_by(|a, b| {
            let key = |d: &ScoredBox| {
                let g = d.ground;
                [
                    g.center.lon,
                    g.center.lat,
                    g.length_m,
                    g.width_m,
                    g.angle_deg,
                ]
            };
            let (by_score, a_key, b_key) = (b.score.total_cmp(&a.score), key(a), key(b));
            let by_place = a_key.iter().zip(&b_key).map(|(x, y)| x.total_cmp(y));
            by_place
                .fold(by_score, std::cmp::Ordering::then)
                .then_with(|| a.class.cmp(&b.class))
        });
        let frame = if pixels.is_some() {
            Frame::Pixels
        } else {
            Frame::NorthUp
        };
        if truth
            .iter()
            .filter_map(|t| t.extent.as_ref())
            .any(|e| e.envelope.frame != frame)
        {
            return Err(EvaluateError::Option(
                "truth in pixels and truth on the ground cannot be mixed in one scene".to_owned(),
            ));
        }
        let envelopes = match pixels {
            Some(georeference) => in_pixels(&detections, georeference).map_err(|source| {
                EvaluateError::Georeference {
                    scene: id.clone(),
                    source,
                }
            })?,
            None => detections
                .iter()
                .map(|d| Envelope::north_up(d.ground.center, &d.corners))
                .collect(),
        };
        Ok(Self {
            id,
            region,
            detections,
            envelopes,
            frame,
            truth,
            ignore,
        })
    }

    /// Detections, best first.
    pub fn detections(&self) -> &[ScoredBox] {
        &self.detections
    }

    /// True objects, in the order of the labels.
    pub fn truth(&self) -> &[TruthBox] {
        &self.truth
    }

    /// Ignore regions.
    pub fn ignore_regions(&self) -> &[IgnoreRegion] {
        &self.ignore
    }
}

fn in_pixels(
    detections: &[ScoredBox],
    georeference: &Georeference,
) -> Result<Vec<Envelope>, GeoreferenceError> {
    let corners: Vec<LonLat> = detections.iter().flat_map(|d| d.corners).collect();
    let pixels = georeference.to_pixels(&corners)?;
    Ok(pixels.chunks_exact(4).map(Envelope::in_pixels).collect())
}
