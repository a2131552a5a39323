//! What a worker answers where each class is true.

use serde::{Deserialize, Serialize};

/// Probabilities of each answer, given the true class: a row per class, a column per label, rows adding up to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    labels: usize,
    rates: Vec<f64>,
}

impl Confusion {
    /// From rows (true class) of weights that need not add up to 1. A row without any weight says nothing: every
    /// answer is then equally likely, and the worker's votes tell nothing about that class.
    pub fn from_weights(labels: usize, mut weights: Vec<f64>) -> Self {
        for row in weights.chunks_mut(labels.max(1)) {
            let sum: f64 = row.iter().sum();
            for rate in row.iter_mut() {
                *rate = if sum > 0.0 {
                    *rate / sum
                } else {
                    1.0 / labels as f64
                };
            }
        }
        Self {
            labels,
            rates: weights,
        }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.rates.len() / self.labels.max(1)
    }

    /// How many labels may be answered.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// Probability of answering `label` where `class` is true.
    pub fn rate(&self, class: usize, label: usize) -> f64 {
        self.rates[class * self.labels + label]
    }

    /// All rates, row by row.
    pub fn rates(&self) -> &[f64] {
        &self.rates
    }

    /// Probability of the right answer where `class` is true, among answers that name a class.
    ///
    /// For two classes these are specificity (first class) and sensitivity (second class).
    pub fn hit_rate(&self, class: usize) -> f64 {
        let named: f64 = (0..self.classes()).map(|l| self.rate(class, l)).sum();
        if named > 0.0 {
            self.rate(class, class) / named
        } else {
            0.0
        }
    }

    /// How much better than chance the worker is: the hit rates added up, less 1. For two classes this is
    /// sensitivity + specificity - 1 (Youden's index). Who answers at random has 0, whatever the answers he prefers.
    pub fn skill(&self) -> f64 {
        (0..self.classes()).map(|c| self.hit_rate(c)).sum::<f64>() - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_to_one_and_an_empty_row_says_nothing() {
        let matrix = Confusion::from_weights(3, vec![6.0, 1.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(matrix.rates()[..3], [0.6, 0.1, 0.3]);
        assert_eq!(matrix.rate(1, 2), 1.0 / 3.0);
        assert_eq!(matrix.classes(), 2);
    }

    #[test]
    fn skill_is_zero_for_who_answers_without_looking() {
        let biased = Confusion::from_weights(2, vec![0.9, 0.1, 0.9, 0.1]);
        assert!(biased.skill().abs() < 1e-12);
        let inverted = Confusion::from_weights(2, vec![0.2, 0.8, 0.9, 0.1]);
        assert!(inverted.skill() < 0.0);
        // Being unsure often is no lack of skill.
        let careful = Confusion::from_weights(3, vec![0.5, 0.0, 0.5, 0.0, 0.4, 0.6]);
        assert!((careful.skill() - 1.0).abs() < 1e-12);
    }
}
