//! Every parameter of a scan, after defaults. Written whole into `run.json`.

use serde::{Deserialize, Serialize};

use crate::chip::ChipSpec;
use crate::detect::PlaceRules;
use crate::geometry::SuppressionRule;
use crate::model::{AreaPart, AreaRule, ModelCard};
use crate::scene::{CloudCodes, NodataOption, RadiometryOptions};
use crate::site::ClusterRule;

/// Detections below this are not kept even in the ledger.
pub const STORE_SCORE: f64 = 0.02;

/// Two boxes in one scene, one of which lies this much inside the other, show one thing: a part of it seen at
/// the edge of a chip.
const NMS_IOS: f64 = 0.7;

/// Boxes of different scenes are shifted against each other by up to two pixels, so less overlap is asked for
/// than within a scene.
const MERGE_IOU: f64 = 0.2;
const MERGE_IOS: f64 = 0.5;

/// Kilns of one clay pit stand a few hundred metres apart. At two kilometres, the kiln fields of a dense
/// district run together into one cluster that tells nothing.
pub const CLUSTER_DISTANCE_M: f64 = 1000.0;
/// Fewer than three sites are a pair, not a field.
pub const CLUSTER_MIN: usize = 3;

/// Cloud masks often take smoke, bright soil and roofs for cloud, and kilns stand among these: so only chips that
/// show next to nothing but cloud are left out, and the rest is flagged.
pub const MAX_CLOUD: f64 = 0.8;

/// Parameters of a scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `--bands`.
    pub bands: Option<Vec<String>>,
    /// `--nodata`.
    pub nodata: NodataOption,
    /// `--scale` and `--offset`.
    #[serde(flatten)]
    pub radiometry: RadiometryOptions,
    /// `--date`.
    pub date: Option<String>,
    /// `--cloud-mask`, as given; `None`: that of the product, if it has one.
    pub cloud_mask: Option<String>,
    /// `--cloud-codes`.
    pub cloud_codes: Option<CloudCodes>,
    /// A chip with a larger share of its core under cloud is not shown to the model.
    pub max_cloud: f64,
    /// Whether chips go through the screen of the model first: not with `--no-screen`, nor where it has none.
    pub screen: bool,
    /// `--aoi`, as given.
    pub aoi: Option<String>,
    /// SHA-256 of the polygons of the area of interest.
    pub aoi_sha256: Option<String>,
    /// Ground size of a model pixel, overlap and size of chips.
    #[serde(flatten)]
    pub chips: ChipSpec,
    /// Lowest score kept in the ledger.
    pub store_score: f64,
    /// Suppression within a chip and across the chips of a scene: intersection over union.
    pub nms_iou: f64,
    /// And intersection over the smaller box.
    pub nms_ios: f64,
    /// Lowest score in the layers.
    pub min_score: f64,
    /// Merging of detections into sites: intersection over union.
    pub merge_iou: f64,
    /// And intersection over the smaller box.
    pub merge_ios: f64,
    /// Sites within this distance are neighbours in a cluster.
    pub cluster_distance_m: f64,
    /// Neighbours, itself included, that make a site the core of a cluster.
    pub cluster_min: usize,
    /// How areas are made, for models that find areas.
    pub areas: Option<AreaRule>,
}

/// Names of the parameters that only shape the layers: with others, the ledger serves as it is.
pub(super) const LAYER_PARAMETERS: &[&str] = &[
    "min_score",
    "merge_iou",
    "merge_ios",
    "cluster_distance_m",
    "cluster_min",
];

impl Settings {
    /// The defaults of a model.
    pub fn of(card: &ModelCard) -> Self {
        Self {
            bands: None,
            nodata: NodataOption::Auto,
            radiometry: RadiometryOptions::default(),
            date: None,
            cloud_mask: None,
            cloud_codes: None,
            max_cloud: MAX_CLOUD,
            screen: card.screen.is_some(),
            aoi: None,
            aoi_sha256: None,
            chips: ChipSpec {
                gsd_m: card.gsd_m,
                chip_px: card.chip_px,
                overlap_m: card.overlap_m,
                size_multiple: card.size_multiple,
                grid_shift_px: 0.0,
            },
            store_score: STORE_SCORE,
            nms_iou: card.nms_iou,
            nms_ios: NMS_IOS,
            min_score: card.min_score,
            merge_iou: MERGE_IOU,
            merge_ios: MERGE_IOS,
            cluster_distance_m: CLUSTER_DISTANCE_M,
            cluster_min: CLUSTER_MIN,
            areas: card.head.areas(),
        }
    }

    /// Suppression within a scene.
    pub fn nms(&self) -> SuppressionRule {
        SuppressionRule {
            iou: self.nms_iou,
            ios: self.nms_ios,
        }
    }

    /// How detections of at least `min_score` are made of what chips report.
    pub fn place(&self, min_score: f64) -> PlaceRules {
        PlaceRules {
            nms: self.nms(),
            areas: self.areas,
            min_score,
        }
    }

    /// The lowest score in the ledger that matters for detections of at least `min_score`: an area of pixels may
    /// reach it as a whole where parts of it do not.
    pub fn read_score(&self, min_score: f64) -> f64 {
        match self.areas {
            Some(AreaRule {
                of: AreaPart::Pixels,
                ..
            }) => min_score.min(self.store_score),
            _ => min_score,
        }
    }

    /// Merging into sites.
    pub fn merge(&self) -> SuppressionRule {
        SuppressionRule {
            iou: self.merge_iou,
            ios: self.merge_ios,
        }
    }

    /// Clusters.
    pub fn clusters(&self) -> ClusterRule {
        ClusterRule {
            distance_m: self.cluster_distance_m,
            min_sites: self.cluster_min,
        }
    }

    /// Overlap of chips in model pixels.
    pub fn overlap_px(&self) -> f64 {
        self.chips.overlap_m / self.chips.gsd_m
    }
}
