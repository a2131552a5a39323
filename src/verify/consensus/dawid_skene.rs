//! Dawid-Skene: every worker has error rates of his own, for every class.
//!
//! For two classes this is the two-coin model. Without a prior it is the method of the 1979 paper; with one, it is the
//! maximum a posteriori estimate, which has no empty cells and copes with three votes per item.

use super::confusion::Confusion;
use super::em::{Convergence, Fit, Known, Maximise, Parameters, climb};
use super::prior::ConfusionPrior;
use super::votes::VoteTable;

/// The method and its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DawidSkene {
    /// Whether [`ConfusionPrior`], and one pseudo-item per class for the prevalence, join the votes.
    pub with_prior: bool,
    /// When to stop.
    pub convergence: Convergence,
}

impl DawidSkene {
    /// Maximum likelihood, as published: no smoothing.
    pub fn plain() -> Self {
        Self {
            with_prior: false,
            convergence: Convergence::default(),
        }
    }

    /// Maximum a posteriori.
    pub fn with_prior() -> Self {
        Self {
            with_prior: true,
            ..Self::plain()
        }
    }

    /// Fits error rates, prevalence and posteriors to the votes.
    ///
    /// `known` holds, for each item, the index of its class where that is known beforehand (training items); it may be
    /// shorter than the items.
    pub fn fit(&self, table: &VoteTable, known: &[Option<usize>]) -> Fit {
        self.fit_watched(table, known, &mut |_| {})
    }

    /// The same; `watch` is told after each step about which share of the way is done.
    pub fn fit_watched(
        &self,
        table: &VoteTable,
        known: &[Option<usize>],
        watch: &mut dyn FnMut(f64),
    ) -> Fit {
        let method = Step {
            pseudo_counts: self.with_prior.then(|| {
                table
                    .weight_by_worker()
                    .into_iter()
                    .map(|votes| {
                        ConfusionPrior::after(votes, table.classes())
                            .pseudo_counts(table.classes(), table.labels().len())
                    })
                    .collect()
            }),
        };
        climb(table, known, &method, self.convergence, watch)
    }
}

/// The maximisation step.
struct Step {
    /// For each worker, row by row.
    pseudo_counts: Option<Vec<Vec<f64>>>,
}

impl Maximise for Step {
    /// Eq. 2.3 and 2.4.
    fn parameters(&self, table: &VoteTable, known: &Known<'_>, posteriors: &[f64]) -> Parameters {
        let (classes, labels) = (table.classes(), table.labels().len());
        let mut weights = self
            .pseudo_counts
            .clone()
            .unwrap_or_else(|| vec![vec![0.0; classes * labels]; table.workers().len()]);
        for vote in table.votes() {
            let posterior = &posteriors[vote.item * classes..][..classes];
            for (class, probability) in posterior.iter().enumerate() {
                weights[vote.worker][class * labels + vote.label] += probability * vote.weight;
            }
        }
        let pseudo_items = if self.pseudo_counts.is_some() {
            1.0
        } else {
            0.0
        };
        let mut prevalence = vec![pseudo_items; classes];
        for (item, row) in posteriors.chunks(classes.max(1)).enumerate() {
            if known.class(item).is_none() {
                for (share, probability) in prevalence.iter_mut().zip(row) {
                    *share += probability;
                }
            }
        }
        let sum: f64 = prevalence.iter().sum();
        for share in &mut prevalence {
            *share = if sum > 0.0 {
                *share / sum
            } else {
                1.0 / classes as f64
            };
        }
        Parameters {
            prevalence,
            confusion: weights
                .into_iter()
                .map(|weights| Confusion::from_weights(labels, weights))
                .collect(),
        }
    }

    fn log_prior(&self, parameters: &Parameters) -> f64 {
        let Some(pseudo_counts) = &self.pseudo_counts else {
            return 0.0;
        };
        let of_prevalence: f64 = parameters.prevalence.iter().map(|p| p.ln()).sum();
        let of_workers: f64 = pseudo_counts
            .iter()
            .zip(&parameters.confusion)
            .flat_map(|(counts, confusion)| counts.iter().zip(confusion.rates()))
            .map(|(count, rate)| count * rate.ln())
            .sum();
        of_prevalence + of_workers
    }
}

#[cfg(test)]
#[path = "dawid_skene_tests.rs"]
mod tests;
