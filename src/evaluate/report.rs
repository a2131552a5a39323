//! The report as a structure: what `--json` prints. Names are stable; units are in the names.

use serde::Serialize;

use super::matching::IouKind;
use super::scenes::NotCompared;

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The class compared; null when any detection may find any object.
    pub class: Option<String>,
    /// `oriented` or `envelope`: the boxes that IoU was taken of.
    pub iou_kind: IouKind,
    /// Whether that was chosen from the labels (and not by the user).
    pub iou_kind_is_auto: bool,
    /// What envelopes lie along: `pixels` or `north_up`; `mixed` when scenes differ.
    pub envelope_axes: &'static str,
    /// How intervals were drawn.
    pub bootstrap: Bootstrap,
    /// All scenes together.
    pub overall: Group,
    /// Each region; empty unless scenes belong to at least two.
    pub by_region: Vec<Group>,
    /// Each class of the truth on its own; empty unless asked for.
    pub by_class: Vec<Group>,
    /// What found no partner.
    pub not_compared: NotCompared,
    /// What limits the numbers, each a sentence or two for a person.
    pub notices: Vec<String>,
}

/// How intervals were drawn.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bootstrap {
    /// Always `scenes`.
    pub unit: &'static str,
    /// Share of the replicates inside an interval.
    pub confidence: f64,
    /// How many times scenes were drawn.
    pub replicates: usize,
    /// Seed of the random numbers.
    pub seed: u64,
}

/// The measures of some scenes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// `all`, a region, `(no region)` or a class.
    pub name: String,
    /// Scenes compared.
    pub scenes: usize,
    /// Of those, scenes without a true object: every detection there is a false alarm.
    pub scenes_without_truth: usize,
    /// True objects.
    pub truth: usize,
    /// Of those, objects given as points.
    pub truth_points: usize,
    /// Ignore regions.
    pub ignore_regions: usize,
    /// Detections compared.
    pub detections: usize,
    /// The lowest score among them: AP is of detections down to here.
    pub lowest_score: Option<f64>,
    /// Why there are no intervals; null if there are.
    pub no_interval_because: Option<&'static str>,
    /// One entry for each criterion.
    pub criteria: Vec<CriterionResult>,
}

/// The measures of some scenes by one criterion of a match.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriterionResult {
    /// `iou` or `centre_distance`.
    pub criterion: &'static str,
    /// A match has at least this intersection over union.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_iou: Option<f64>,
    /// A match has its centre within this many metres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_distance_m: Option<f64>,
    /// Average precision, 0 to 1; null without true objects.
    pub ap: Option<f64>,
    /// Lower end of its 95 % interval.
    pub ap_low: Option<f64>,
    /// Upper end of its 95 % interval.
    pub ap_high: Option<f64>,
    /// Detections that count, right or wrong.
    pub detections_counted: usize,
    /// Detections that fell to ignore regions.
    pub detections_ignored: usize,
    /// At the score with the best F1 over all scenes (one score for all groups of a table).
    pub at_best_f1: Option<AtScore>,
    /// At each score asked for.
    pub at_scores: Vec<AtScore>,
}

/// Precision and recall of the detections from one score up, with 95 % intervals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AtScore {
    /// Detections with at least this score are taken.
    pub min_score: f64,
    /// Detections that found an object.
    pub true_positives: usize,
    /// Detections that found none.
    pub false_positives: usize,
    /// Objects that were not found.
    pub missed: usize,
    /// Share of the detections that are right; null without detections.
    pub precision: Option<f64>,
    /// Lower end of its interval.
    pub precision_low: Option<f64>,
    /// Upper end of its interval.
    pub precision_high: Option<f64>,
    /// Share of the objects that were found; null without objects.
    pub recall: Option<f64>,
    /// Lower end of its interval.
    pub recall_low: Option<f64>,
    /// Upper end of its interval.
    pub recall_high: Option<f64>,
    /// Harmonic mean of precision and recall; null without detections and objects.
    pub f1: Option<f64>,
    /// Lower end of its interval.
    pub f1_low: Option<f64>,
    /// Upper end of its interval.
    pub f1_high: Option<f64>,
}

impl CriterionResult {
    /// The criterion in words, such as `IoU >= 0.3` or `centre <= 50 m`.
    pub fn label(&self) -> String {
        match (self.min_iou, self.max_distance_m) {
            (Some(iou), _) => format!("IoU >= {iou}"),
            (None, Some(metres)) => format!("centre <= {metres} m"),
            (None, None) => self.criterion.to_owned(),
        }
    }
}
