//! From the scores of a network to probabilities: 0.7 means 7 of 10.
//!
//! Networks are surer, or less sure, than they should be (Guo et al. 2017, "On calibration of modern neural networks").
//! A card carries the curve that was measured on places the network had not seen: straight lines between points that
//! rise, so that the order of scores, and with it suppression and every curve of precision and recall, stays as it was.

use serde::Deserialize;

/// Scores that are further off are no probabilities to reckon with.
const GOOD_ERROR: f32 = 0.1;

/// A rising curve through points, each a network's score and the share of such detections that were right.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// (raw, calibrated), both rising strictly, from 0 to 1.
    points: Vec<[f32; 2]>,
    /// Expected calibration error, where it was measured.
    expected_error: Option<f32>,
}

/// What stands on a card.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCalibration {
    /// `piecewise-linear`.
    method: String,
    points: Vec<[f32; 2]>,
    expected_error: Option<f32>,
}

impl RawCalibration {
    /// The curve, or in words why this is none.
    pub(super) fn check(self) -> Result<Calibration, String> {
        if self.method != "piecewise-linear" {
            return Err("the method that is understood is `piecewise-linear`".to_owned());
        }
        if self
            .expected_error
            .is_some_and(|error| !(0.0..=1.0).contains(&error))
        {
            return Err("`expected_error` is a share, from 0 to 1".to_owned());
        }
        let points = self.points;
        let inside = |p: &[f32; 2]| p.iter().all(|v| (0.0..=1.0).contains(v));
        let rises = |pair: &[[f32; 2]]| pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1];
        let ends = points
            .first()
            .zip(points.last())
            .is_some_and(|(first, last)| *first == [0.0, 0.0] && last[0] == 1.0);
        if ends && points.iter().all(inside) && points.windows(2).all(rises) {
            Ok(Calibration {
                points,
                expected_error: self.expected_error,
            })
        } else {
            Err("`points` are [score, probability], both rising from 0, scores to 1".to_owned())
        }
    }
}

impl Calibration {
    /// The probability that a score stands for. Scores beyond 0 and 1 count as 0 and 1.
    pub fn apply(&self, score: f32) -> f32 {
        self.between(score, 0, 1)
    }

    /// A score from which on everything is at least `probability`, to decode with; a hair lower where the arithmetic
    /// of small numbers is not exact, so that nothing is lost.
    pub fn score_below(&self, probability: f32) -> f32 {
        let score = self.between(probability, 1, 0);
        (score - 1e-5).max(0.0)
    }

    /// Follows the curve from axis `from` to axis `to`; beyond its ends it is flat.
    fn between(&self, value: f32, from: usize, to: usize) -> f32 {
        let after = self.points.partition_point(|p| p[from] < value);
        let Some(right) = self.points.get(after) else {
            return self.points.last().map_or(value, |p| p[to]);
        };
        let Some(left) = after.checked_sub(1).and_then(|i| self.points.get(i)) else {
            return right[to];
        };
        let share = (value - left[from]) / (right[from] - left[from]);
        left[to] + share * (right[to] - left[to])
    }

    /// Its points: score, probability.
    pub fn points(&self) -> &[[f32; 2]] {
        &self.points
    }

    /// By how much the probability of detections and the share of them that were right differed, on average, on places
    /// that the curve was not made from; `None` where nobody says.
    pub fn expected_error(&self) -> Option<f32> {
        self.expected_error
    }

    /// What its scores are worth, in words.
    pub fn in_words(&self) -> String {
        let count = self.points.len();
        match self.expected_error {
            None => format!("scores are probabilities, by a curve of {count} points"),
            Some(error) if error <= GOOD_ERROR => {
                format!(
                    "scores are probabilities, by a curve of {count} points; off by {error:.2} where that was measured"
                )
            }
            Some(error) => format!(
                "scores tell an order, not probabilities: by a curve of {count} points, off by {error:.2} where that was measured"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn curve(points: &serde_json::Value) -> Result<Calibration, String> {
        let raw = json!({"method": "piecewise-linear", "points": points});
        serde_json::from_value::<RawCalibration>(raw)
            .map_err(|e| e.to_string())?
            .check()
    }

    #[test]
    fn straight_lines_between_points() {
        let curve = curve(&json!([[0, 0.0], [0.2, 0.1], [0.6, 0.9], [1, 0.98]])).unwrap();
        for (score, probability) in [
            (0.0, 0.0),
            (0.1, 0.05),
            (0.2, 0.1),
            (0.4, 0.5),
            (0.6, 0.9),
            (1.0, 0.98),
            (1.5, 0.98),
            (-1.0, 0.0),
        ] {
            assert!(
                (curve.apply(score) - probability).abs() < 1e-6,
                "{score}: {}",
                curve.apply(score)
            );
        }
        assert!((curve.score_below(0.5) - 0.4).abs() < 1e-4);
        assert_eq!(curve.score_below(0.0), 0.0);
        // Never reached: only what is certain is decoded, and then left out.
        assert!((curve.score_below(0.99) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn how_far_off_the_probabilities_were_is_said() {
        let told = |error: serde_json::Value| {
            let points = [[0, 0], [1, 1]];
            let raw =
                json!({"method": "piecewise-linear", "points": points, "expected_error": error});
            let raw: RawCalibration = serde_json::from_value(raw).unwrap();
            raw.check().map(|curve| curve.in_words())
        };
        assert!(told(json!(null)).unwrap().ends_with("of 2 points"));
        let good = told(json!(0.054)).unwrap();
        assert!(
            good.contains("are probabilities") && good.contains("off by 0.05"),
            "{good}"
        );
        let bad = told(json!(0.17)).unwrap();
        assert!(bad.contains("an order, not probabilities"), "{bad}");
        assert!(told(json!(1.5)).is_err());
    }

    #[test]
    fn what_does_not_rise_is_no_calibration() {
        for bad in [
            json!([]),
            json!([[0, 0]]),
            json!([[0, 0], [1, 0]]),
            json!([[0, 0.5], [0.5, 0.4], [1, 1]]),
            json!([[0, 0], [0.5, 0.5], [0.5, 0.6], [1, 1]]),
            json!([[0, 0], [0.9, 1]]),
            json!([[0.1, 0], [1, 1]]),
            json!([[0, 0.1], [1, 1]]),
            json!([[0, 0], [1, 1.2]]),
        ] {
            assert!(curve(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn order_is_kept_and_nothing_above_the_limit_is_lost(
            steps in proptest::collection::vec((0.01f32..1.0, 0.01f32..1.0), 2..8),
            a in 0.0f32..=1.0, b in 0.0f32..=1.0, limit in 0.0f32..=1.0,
        ) {
            let (x, y): (f32, f32) = steps.iter().fold((0.0, 0.0), |t, s| (t.0 + s.0, t.1 + s.1));
            let mut at = [0.0f32, 0.0];
            let mut points = vec![at];
            for step in &steps {
                at = [at[0] + step.0 / x, at[1] + step.1 / y];
                points.push(at.map(|v| v.min(1.0)));
            }
            if let Some(last) = points.last_mut() {
                *last = [1.0, 1.0];
            }
            prop_assume!(points.windows(2).all(|p| p[0][0] < p[1][0] && p[0][1] < p[1][1]));
            let curve = Calibration { points, expected_error: None };
            if a < b {
                prop_assert!(curve.apply(a) <= curve.apply(b));
            }
            if curve.apply(a) >= limit {
                prop_assert!(a >= curve.score_below(limit));
            }
        }
    }
}
