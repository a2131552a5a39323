//! Calibration: what a posterior is worth, told by the hidden controls.
//!
//! Models of workers are too sure of themselves: on public data, items called at 95 % are right in 74 to 95 % of the
//! cases. The correction is Platt's, a straight line on the log-odds (J. Platt, "Probabilistic Outputs for Support
//! Vector Machines", 1999): `log-odds' = slope · log-odds + shift`. A free, step-wise (isotonic) curve needs about a thousand
//! points to be better (A. Niculescu-Mizil and R. Caruana, ICML 2005); a project has tens of controls.
//!
//! Slope and shift are pulled towards 1 and 0 (normal priors, deviations 1/4 and 1/2), so no controls change nothing, few
//! change little, and a hundred decide. The order of items never changes.

use serde::{Deserialize, Serialize};

use super::odds::{log_odds, probability};

/// No posterior is believed further than this before it is corrected: one wrong control among the very certain would
/// otherwise outweigh all others.
const MOST_CERTAIN: f64 = 0.999;
/// Inverse variances of the priors on slope and shift.
const PULL: [f64; 2] = [16.0, 4.0];
/// The slope stays positive: more votes for yes are never evidence against it.
const MIN_SLOPE: f64 = 0.05;
/// Steps of Newton's method; five or so are needed.
const STEPS: usize = 100;

/// A correction of posteriors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    slope: f64,
    shift: f64,
}

impl Default for Calibration {
    /// Nothing is corrected.
    fn default() -> Self {
        Self {
            slope: 1.0,
            shift: 0.0,
        }
    }
}

impl Calibration {
    /// From controls: the posterior of each, **found without knowing the truth**, and the truth.
    pub fn fit(controls: &[(f64, bool)]) -> Self {
        let points: Vec<(f64, f64)> = controls
            .iter()
            .map(|&(p, truth)| (believed(p), f64::from(u8::from(truth))))
            .collect();
        let mut at = Self::default();
        for _ in 0..STEPS {
            let next = at.newton_step(&points);
            let moved = (next.slope - at.slope).abs() + (next.shift - at.shift).abs();
            at = next;
            if moved < 1e-12 {
                break;
            }
        }
        at
    }

    /// The corrected probability.
    pub fn apply(&self, p: f64) -> f64 {
        probability(self.slope * believed(p) + self.shift)
    }

    /// Below 1 for a model that is too sure of itself.
    pub fn slope(&self) -> f64 {
        self.slope
    }

    /// What is added to the log-odds: above 0 for a model that says no too often.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    /// One step towards the smallest loss: halved until it is no step back.
    fn newton_step(&self, points: &[(f64, f64)]) -> Self {
        let mut gradient = [PULL[0] * (self.slope - 1.0), PULL[1] * self.shift];
        let (mut aa, mut ab, mut bb) = (PULL[0], 0.0, PULL[1]);
        for &(z, truth) in points {
            let p = probability(self.slope * z + self.shift);
            gradient[0] += (p - truth) * z;
            gradient[1] += p - truth;
            let curvature = p * (1.0 - p);
            aa += curvature * z * z;
            ab += curvature * z;
            bb += curvature;
        }
        let determinant = aa * bb - ab * ab;
        let step = [
            (bb * gradient[0] - ab * gradient[1]) / determinant,
            (aa * gradient[1] - ab * gradient[0]) / determinant,
        ];
        let before = self.loss(points);
        let mut length = 1.0;
        for _ in 0..30 {
            let next = Self {
                slope: (self.slope - length * step[0]).max(MIN_SLOPE),
                shift: self.shift - length * step[1],
            };
            if next.loss(points) <= before {
                return next;
            }
            length /= 2.0;
        }
        *self
    }

    fn loss(&self, points: &[(f64, f64)]) -> f64 {
        let of_points: f64 = points
            .iter()
            .map(|&(z, truth)| {
                let z = self.slope * z + self.shift;
                // -log of the probability of what was true, without overflow.
                let wrong_way = if truth > 0.5 { -z } else { z };
                wrong_way.max(0.0) + (-wrong_way.abs()).exp().ln_1p()
            })
            .sum();
        let pull = PULL[0] * (self.slope - 1.0).powi(2) + PULL[1] * self.shift.powi(2);
        of_points + pull / 2.0
    }
}

/// Log-odds of a posterior, no further out than [`MOST_CERTAIN`].
fn believed(p: f64) -> f64 {
    let limit = log_odds(MOST_CERTAIN);
    log_odds(p).clamp(-limit, limit)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Controls whose truth is drawn with probability `truth_of(log-odds)`.
    fn controls(count: usize, seed: u64, truth_of: impl Fn(f64) -> f64) -> Vec<(f64, bool)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let z = random.random_range(-6.0..6.0);
                (probability(z), random.random_bool(probability(truth_of(z))))
            })
            .collect()
    }

    #[test]
    fn without_controls_nothing_changes() {
        let same = Calibration::fit(&[]);
        assert_eq!(same, Calibration::default());
        assert!((same.apply(0.9) - 0.9).abs() < 1e-12);
        assert!((same.apply(1.0) - MOST_CERTAIN).abs() < 1e-12);
    }

    #[test]
    fn overconfidence_is_found_and_taken_back() {
        let calibration = Calibration::fit(&controls(400, 1, |z| 0.4 * z + 0.5));
        assert!((calibration.slope() - 0.4).abs() < 0.1, "{calibration:?}");
        assert!((calibration.shift() - 0.5).abs() < 0.3, "{calibration:?}");
        // Fresh controls called at 90 % and more are right about as often as is now said.
        let fresh = controls(4000, 2, |z| 0.4 * z + 0.5);
        let called: Vec<_> = fresh.iter().filter(|(p, _)| *p >= 0.9).collect();
        let said: f64 = called.iter().map(|(p, _)| calibration.apply(*p)).sum();
        let right = called.iter().filter(|(_, truth)| *truth).count() as f64;
        assert!((said / right - 1.0).abs() < 0.03, "{said} {right}");
    }

    #[test]
    fn a_calibrated_model_stays_as_it_is() {
        let calibration = Calibration::fit(&controls(400, 3, |z| z));
        assert!((calibration.slope() - 1.0).abs() < 0.2, "{calibration:?}");
        assert!(calibration.shift().abs() < 0.3, "{calibration:?}");
    }

    #[test]
    fn few_controls_change_little() {
        let one_wrong = Calibration::fit(&[(0.98, false)]);
        assert!((0.7..1.0).contains(&one_wrong.slope()), "{one_wrong:?}");
        assert!(one_wrong.apply(0.98) > 0.9, "{one_wrong:?}");
        // Nineteen of twenty right is what 95 % means.
        let mut twenty = vec![(0.98, true); 19];
        twenty.push((0.98, false));
        let at = Calibration::fit(&twenty).apply(0.98);
        assert!((0.94..0.98).contains(&at), "{at}");
    }

    #[test]
    fn the_order_of_items_never_changes() {
        // Controls that say the opposite of the truth: the slope ends at its floor, not below.
        let calibration = Calibration::fit(&controls(300, 4, |z| -z));
        assert!(
            (calibration.slope() - MIN_SLOPE).abs() < 1e-9,
            "{calibration:?}"
        );
        assert!(calibration.apply(0.9) > calibration.apply(0.1));
    }
}
