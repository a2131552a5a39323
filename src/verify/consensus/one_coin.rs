//! One-coin: every worker is right with a probability of his own, the same for every class.

use super::confusion::Confusion;
use super::em::{Convergence, Fit, Known, Maximise, Parameters, climb};
use super::votes::VoteTable;

/// Right and wrong pseudo-votes of every worker: four of five are right.
const PRIOR: [f64; 2] = [4.0, 1.0];

/// Fits one accuracy per worker. Answers that name no class say nothing.
///
/// The prevalence is held even. Were it free, workers who share a bias would be explained by a class that hardly occurs:
/// of 108 pictures of birds by 39 workers (Welinder et al. 2010), 63 come out right instead of 78.
///
/// `watch` is told after each step about which share of the way is done.
pub fn one_coin(table: &VoteTable, known: &[Option<usize>], watch: &mut dyn FnMut(f64)) -> Fit {
    climb(table, known, &Step, Convergence::default(), watch)
}

struct Step;

impl Maximise for Step {
    fn parameters(&self, table: &VoteTable, _known: &Known<'_>, posteriors: &[f64]) -> Parameters {
        let classes = table.classes();
        // Right, wrong, no class.
        let mut sums = vec![[PRIOR[0], PRIOR[1], 0.0]; table.workers().len()];
        for vote in table.votes() {
            let sum = &mut sums[vote.worker];
            if vote.label < classes {
                let right = posteriors[vote.item * classes + vote.label];
                sum[0] += right * vote.weight;
                sum[1] += (1.0 - right) * vote.weight;
            } else {
                sum[2] += vote.weight;
            }
        }
        Parameters {
            prevalence: vec![1.0 / classes as f64; classes],
            confusion: sums
                .into_iter()
                .map(|sum| matrix(sum, classes, table.labels().len()))
                .collect(),
        }
    }

    fn log_prior(&self, parameters: &Parameters) -> f64 {
        parameters
            .confusion
            .iter()
            .map(|confusion| {
                let accuracy = confusion.hit_rate(0);
                PRIOR[0] * accuracy.ln() + PRIOR[1] * (1.0 - accuracy).ln()
            })
            .sum()
    }
}

/// The wrong share spread over the other classes, the rest over answers without a class: the same in every row.
fn matrix([right, wrong, no_class]: [f64; 3], classes: usize, labels: usize) -> Confusion {
    let wrong = wrong / classes.saturating_sub(1).max(1) as f64;
    let no_class = no_class / labels.saturating_sub(classes).max(1) as f64;
    let weights = (0..classes)
        .flat_map(|class| (0..labels).map(move |label| (class, label)))
        .map(|(class, label)| {
            if label == class {
                right
            } else if label < classes {
                wrong
            } else {
                no_class
            }
        })
        .collect();
    Confusion::from_weights(labels, weights)
}

#[cfg(test)]
mod tests {
    use super::super::testing::table_of;
    use super::*;

    #[test]
    fn who_agrees_with_the_rest_is_believed() {
        let mut rows = Vec::new();
        for item in 0..20 {
            let (truth, other) = if item % 2 == 0 {
                ("x", "y")
            } else {
                ("y", "x")
            };
            for worker in ["a", "b", "c"] {
                rows.push((item.to_string(), worker.to_owned(), truth.to_owned()));
            }
            rows.push((item.to_string(), "wrong".to_owned(), other.to_owned()));
            rows.push((item.to_string(), "shy".to_owned(), "unsure".to_owned()));
        }
        // A tie that only knowledge of the workers breaks.
        rows.push(("tie".to_owned(), "a".to_owned(), "x".to_owned()));
        rows.push(("tie".to_owned(), "wrong".to_owned(), "y".to_owned()));
        let table = table_of(&rows);
        let fit = one_coin(&table, &[], &mut |_| {});
        assert!(fit.converged);
        let tie = table.item("tie").unwrap();
        assert!(fit.posteriors[tie][0] > 0.95, "{fit:?}");
        assert_eq!(fit.prevalence, [0.5, 0.5]);
        // 20 votes against everyone and one unknown: (1 + 20) / 26.
        let wrong = table.workers().iter().position(|w| w == "wrong").unwrap();
        assert!((fit.confusion[wrong].rate(0, 1) - 21.0 / 26.0).abs() < 0.05);
    }
}
