//! From logits to probabilities.

use serde::Deserialize;

/// What a file leaves to be done to its scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Nothing: they are probabilities.
    None,
    /// The logistic function of each: several classes, or none, may hold.
    Sigmoid,
    /// The softmax over all: exactly one class holds.
    Softmax,
}

impl Activation {
    /// Probabilities of one candidate or pixel, in place.
    pub(super) fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Sigmoid => {
                for score in scores {
                    *score = 1.0 / (1.0 + (-*score).exp());
                }
            }
            Self::Softmax => {
                let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let mut sum = 0.0;
                for score in &mut *scores {
                    *score = (*score - highest).exp();
                    sum += *score;
                }
                for score in scores {
                    *score /= sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_by_hand() {
        let mut scores = [0.0f32, 3f32.ln()];
        Activation::Softmax.apply(&mut scores);
        assert!((scores[0] - 0.25).abs() < 1e-6 && (scores[1] - 0.75).abs() < 1e-6);
        let mut scores = [0.0f32, 3f32.ln()];
        Activation::Sigmoid.apply(&mut scores);
        assert!((scores[0] - 0.5).abs() < 1e-6 && (scores[1] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn large_logits_do_not_overflow_and_infinite_ones_become_no_number() {
        let mut scores = [1000.0f32, 0.0];
        Activation::Softmax.apply(&mut scores);
        assert_eq!(scores, [1.0, 0.0]);
        let mut scores = [f32::INFINITY, 0.0];
        Activation::Softmax.apply(&mut scores);
        assert!(scores[0].is_nan());
    }
}
