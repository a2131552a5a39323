//! What is measured, and how.

use super::bootstrap::Resampling;
use super::error::EvaluateError;
use super::matching::{Criterion, IouKind};

/// Everything that decides the numbers of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// AP is measured at each of these intersections over union, above 0 to 1.
    pub iou_thresholds: Vec<f64>,
    /// AP is measured at each of these distances between centres, in metres.
    pub distances_m: Vec<f64>,
    /// Which boxes intersection over union is taken of.
    pub iou_kind: IouKind,
    /// Precision, recall and F1 are given for detections with at least each of these scores.
    pub min_scores: Vec<f64>,
    /// Compare only this class of detections and truth. None: any detection may find any object.
    pub class: Option<String>,
    /// Also report each class of the truth on its own.
    pub by_class: bool,
    /// How intervals are drawn.
    pub resampling: Resampling,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            iou_thresholds: vec![0.3, 0.5],
            distances_m: vec![50.0],
            iou_kind: IouKind::Auto,
            min_scores: (1..10).map(|tenths| f64::from(tenths) / 10.0).collect(),
            class: None,
            by_class: false,
            resampling: Resampling {
                replicates: 1000,
                seed: 0,
            },
        }
    }
}

impl Options {
    /// Refuses values with which nothing can be measured.
    pub fn check(&self) -> Result<(), EvaluateError> {
        let wrong = |text: &str| Err(EvaluateError::Option(text.to_owned()));
        if self.iou_thresholds.is_empty() && self.distances_m.is_empty() {
            return wrong("nothing to measure: give an IoU threshold or a distance in metres");
        }
        if !self.iou_thresholds.iter().all(|&t| t > 0.0 && t <= 1.0) {
            return wrong("an IoU threshold must be above 0 and at most 1");
        }
        if !self.distances_m.iter().all(|&d| d > 0.0 && d.is_finite()) {
            return wrong("a distance must be a positive number of metres");
        }
        if !self.min_scores.iter().all(|s| s.is_finite()) {
            return wrong("a score threshold must be a finite number");
        }
        Ok(())
    }

    /// The criteria in the order of the report.
    pub(super) fn criteria(&self) -> impl Iterator<Item = Criterion> + '_ {
        let overlaps = self.iou_thresholds.iter().map(|&t| Criterion::Iou(t));
        overlaps.chain(
            self.distances_m
                .iter()
                .map(|&d| Criterion::CentreDistance(d)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_can_be_measured_and_nonsense_cannot() {
        assert!(Options::default().check().is_ok());
        for (iou, metres) in [(0.0, 50.0), (1.1, 50.0), (f64::NAN, 50.0), (0.5, -1.0)] {
            let options = Options {
                iou_thresholds: vec![iou],
                distances_m: vec![metres],
                ..Options::default()
            };
            assert!(options.check().is_err(), "{iou} {metres}");
        }
    }
}
