//! Precision and recall over all scenes, and the area under their curve.
//!
//! AP is the exact area under the precision envelope: at each recall, the best precision at that
//! recall or a higher one ("all points", PASCAL VOC 2010 and later; Everingham et al., IJCV 111, 2015,
//! section 4.2), not a mean over 11 or 101 recall levels. Detections of equal score are one step of
//! the curve, as no threshold can part them: their order makes no difference.

use super::matching::SceneMatch;

/// Counts at one score threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Detections that found an object.
    pub true_positives: usize,
    /// Detections that found none.
    pub false_positives: usize,
    /// True objects.
    pub truth: usize,
}

impl Counts {
    /// Share of the detections that are right; none without detections.
    pub fn precision(&self) -> Option<f64> {
        ratio(
            self.true_positives,
            self.true_positives + self.false_positives,
        )
    }

    /// Share of the objects that were found; none without objects.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.truth)
    }

    /// Harmonic mean of the two: 2 TP / (2 TP + FP + FN); none without detections and objects.
    pub fn f1(&self) -> Option<f64> {
        ratio(
            2 * self.true_positives,
            self.true_positives + self.false_positives + self.truth,
        )
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The detections of many scenes in one order, each with the scene it came from.
#[derive(Debug, Clone)]
pub struct Pooled {
    /// Score, whether it found an object, position of the scene; best first.
    records: Vec<(f64, bool, u32)>,
    /// True objects of each scene.
    truth: Vec<usize>,
}

impl Pooled {
    /// All records of these scenes.
    pub fn new<'a>(scenes: impl IntoIterator<Item = &'a SceneMatch>) -> Self {
        let (mut records, mut truth) = (Vec::new(), Vec::new());
        for (scene, matched) in (0..).zip(scenes) {
            records.extend(matched.records.iter().map(|&(s, hit)| (s, hit, scene)));
            truth.push(matched.truth);
        }
        records.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { records, truth }
    }

    /// Number of scenes.
    pub fn scenes(&self) -> usize {
        self.truth.len()
    }

    /// The counts after each distinct score, best first, when scene `i` counts `weights[i]` times
    /// (once where there are no weights).
    pub fn steps(&self, weights: Option<&[u32]>) -> Vec<(f64, Counts)> {
        let weight = |scene: usize| weights.map_or(1, |w| w[scene] as usize);
        let mut counts = self.no_detections(weights);
        let mut steps: Vec<(f64, Counts)> = Vec::new();
        for &(score, hit, scene) in &self.records {
            let times = weight(scene as usize);
            if times == 0 {
                continue;
            }
            if hit {
                counts.true_positives += times;
            } else {
                counts.false_positives += times;
            }
            match steps.last_mut() {
                Some(last) if last.0.total_cmp(&score).is_eq() => last.1 = counts,
                _ => steps.push((score, counts)),
            }
        }
        steps
    }

    /// The counts before the first detection.
    fn no_detections(&self, weights: Option<&[u32]>) -> Counts {
        let weight = |scene: usize| weights.map_or(1, |w| w[scene] as usize);
        Counts {
            truth: (0..self.truth.len())
                .map(|i| self.truth[i] * weight(i))
                .sum(),
            ..Counts::default()
        }
    }

    /// AP and the counts at the given scores, from one walk over the records.
    pub fn measure(&self, weights: Option<&[u32]>, min_scores: &[f64]) -> Measured {
        let (steps, none) = (self.steps(weights), self.no_detections(weights));
        Measured {
            ap: average_precision(&steps, none.truth),
            at: min_scores
                .iter()
                .map(|&min| counts_at(&steps, min).unwrap_or(none))
                .collect(),
        }
    }

    /// The score with the best F1 (the highest of equals); none without objects or detections.
    pub fn best_f1_score(&self) -> Option<f64> {
        self.steps(None)
            .iter()
            .filter(|(_, counts)| counts.true_positives > 0)
            .filter_map(|&(score, counts)| Some((score, counts.f1()?)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(a.0.total_cmp(&b.0)))
            .map(|(score, _)| score)
    }
}

/// What one walk over the records gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Average precision; none without true objects.
    pub ap: Option<f64>,
    /// Counts at each score that was asked for.
    pub at: Vec<Counts>,
}

/// Area under the precision envelope of the curve that `steps` describe (best score first).
///
/// Without true objects there is no recall and so no AP: none, neither 0 nor 1. With objects and
/// no detections it is 0.
pub fn average_precision(steps: &[(f64, Counts)], truth: usize) -> Option<f64> {
    if truth == 0 {
        return None;
    }
    let (mut area, mut envelope) = (0.0, 0.0_f64);
    for (i, (_, counts)) in steps.iter().enumerate().rev() {
        envelope = envelope.max(counts.precision().unwrap_or(0.0));
        let before = i.checked_sub(1).map_or(0, |j| steps[j].1.true_positives);
        area += envelope * (counts.true_positives - before) as f64;
    }
    Some((area / truth as f64).clamp(0.0, 1.0))
}

/// The counts of detections with at least this score; none if there is no such detection.
fn counts_at(steps: &[(f64, Counts)], min_score: f64) -> Option<Counts> {
    let count = steps.partition_point(|&(score, _)| score >= min_score);
    count.checked_sub(1).map(|last| steps[last].1)
}

#[cfg(test)]
#[path = "curve_tests.rs"]
mod tests;
