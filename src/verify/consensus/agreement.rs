//! How much workers agree, whatever the truth.
//!
//! Of items with unequal numbers of votes, Krippendorff's alpha is the figure to report; Fleiss' kappa needs equal
//! numbers. Both fall where one class is rare although nobody errs more often, so agreement on each class stands beside
//! them. All votes count one by one here: neither a worker's skill nor his haste matters, and a worker who votes on
//! an item twice counts as two.

use serde::Serialize;

use super::ballot::Ballot;
use super::crowd::ballot_table;
use super::krippendorff::{Scale, krippendorff_alpha};
use super::votes::VoteTable;

/// Agreement over a table of votes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Krippendorff's alpha for names without an order; none where all votes are equal or no item has two.
    /// From .8 on agreement is called reliable, from .667 on tentative.
    pub krippendorff_alpha: Option<f64>,
    /// Fleiss' kappa; none unless all items have the same number of votes.
    pub fleiss_kappa: Option<f64>,
    /// Share of pairs of votes on one item that agree, averaged over the items that have a pair.
    pub observed: Option<f64>,
    /// For each label, the share of agreeing pairs among pairs with a vote for it. For two classes these are negative
    /// and positive agreement.
    pub by_label: Vec<Option<f64>>,
    /// For each item, the share of pairs of votes that agree; none for fewer than two votes.
    pub by_item: Vec<Option<f64>>,
}

impl Agreement {
    /// Agreement over a table; answers that name no class are labels like others.
    pub fn of(table: &VoteTable) -> Self {
        let tallies = table.tallies();
        let by_item: Vec<Option<f64>> = tallies.iter().map(|item| item_agreement(item)).collect();
        let with_pairs: Vec<f64> = by_item.iter().copied().flatten().collect();
        Self {
            krippendorff_alpha: krippendorff_alpha(&tallies, Scale::Nominal),
            fleiss_kappa: fleiss_kappa(&tallies),
            observed: mean(&with_pairs),
            by_label: (0..table.labels().len())
                .map(|label| specific_agreement(&tallies, label))
                .collect(),
            by_item,
        }
    }

    /// Agreement of volunteers: labels are no, yes, unsure; bad images are left out.
    pub fn of_ballots<'a>(ballots: impl IntoIterator<Item = (&'a str, Ballot<'a>)>) -> Self {
        Self::of(&ballot_table(ballots))
    }
}

/// Share of pairs of votes on an item that agree: (Σ nⱼ² - n) / (n (n - 1)); none for fewer than two votes.
pub fn item_agreement(tally: &[u32]) -> Option<f64> {
    let n: f64 = tally.iter().copied().map(f64::from).sum();
    let agreeing: f64 = tally.iter().map(|&count| pairs(count)).sum();
    (n > 1.0).then(|| agreeing / (n * (n - 1.0)))
}

/// Fleiss' kappa (J. L. Fleiss, Psychological Bulletin 76, 1971): a tally per item, a column per label. None unless
/// every item has the same number of votes, at least two, and there are votes for more than one label.
pub fn fleiss_kappa(tallies: &[Vec<u32>]) -> Option<f64> {
    let votes = |tally: &Vec<u32>| tally.iter().sum::<u32>();
    let per_item = votes(tallies.first()?);
    if per_item < 2 || tallies.iter().any(|tally| votes(tally) != per_item) {
        return None;
    }
    let observed: Vec<f64> = tallies.iter().filter_map(|t| item_agreement(t)).collect();
    let all = f64::from(per_item) * tallies.len() as f64;
    let by_chance: f64 = (0..tallies.first()?.len())
        .map(|label| tallies.iter().map(|tally| f64::from(tally[label])).sum())
        .map(|count: f64| (count / all).powi(2))
        .sum();
    (by_chance < 1.0).then_some((mean(&observed)? - by_chance) / (1.0 - by_chance))
}

/// Share of agreeing pairs among pairs with a vote for `label`: positive agreement if the label means yes, negative
/// agreement if it means no (D. V. Cicchetti and A. R. Feinstein, Journal of Clinical Epidemiology 43, 1990, for any
/// number of votes per item). None where the label has no vote beside another.
pub fn specific_agreement(tallies: &[Vec<u32>], label: usize) -> Option<f64> {
    let (mut agreeing, mut all) = (0.0, 0.0);
    for tally in tallies {
        let n: u32 = tally.iter().sum();
        agreeing += pairs(tally[label]);
        all += f64::from(tally[label]) * f64::from(n.saturating_sub(1));
    }
    (all > 0.0).then(|| agreeing / all)
}

/// Ordered pairs among so many votes.
fn pairs(count: u32) -> f64 {
    f64::from(count) * (f64::from(count) - 1.0)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
