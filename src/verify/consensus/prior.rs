//! What is believed of a worker before he has voted, and how fast his votes replace it.

/// Dirichlet prior on a worker's [`Confusion`](super::Confusion), as pseudo-counts per row.
///
/// A newcomer's row holds [`Self::NEWCOMER`] votes for the right class, one spread over the wrong classes, and
/// [`Self::NO_CLASS`] for each answer that names no class: he is right in four of five cases. This helps while votes
/// are few, and slows recognition of a worker who is biased. So the pseudo-count of the right class falls linearly
/// with the worker's own votes, to [`Self::SEASONED`] at [`Self::SEASONED_AT`] votes, and stays there:
///
/// ```text
/// right(n) = 4 - 2 min(n, 30) / 30        n: weight of all votes of the worker
/// ```
///
/// The prior depends on the number of votes only, which a fit does not change, so expectation maximisation still
/// climbs. The mass on the diagonal also decides which class is which.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfusionPrior {
    right: f64,
    wrong: f64,
    no_class: f64,
}

impl ConfusionPrior {
    /// Pseudo-count of the right class before a worker has voted.
    pub const NEWCOMER: f64 = 4.0;
    /// Pseudo-count of the right class for a worker with many votes.
    pub const SEASONED: f64 = 2.0;
    /// Votes after which a worker is seasoned.
    pub const SEASONED_AT: f64 = 30.0;
    /// Pseudo-count of all wrong classes together.
    pub const WRONG: f64 = 1.0;
    /// Pseudo-count of an answer that names no class.
    pub const NO_CLASS: f64 = 0.6;

    /// The prior for a worker whose votes weigh `votes` together.
    pub fn after(votes: f64, classes: usize) -> Self {
        let seasoned = (votes / Self::SEASONED_AT).clamp(0.0, 1.0);
        Self {
            right: Self::NEWCOMER + seasoned * (Self::SEASONED - Self::NEWCOMER),
            wrong: Self::WRONG / classes.saturating_sub(1).max(1) as f64,
            no_class: Self::NO_CLASS,
        }
    }

    /// Pseudo-count of answering `label` where `class` is true, among `classes` classes.
    pub fn pseudo_count(&self, class: usize, label: usize, classes: usize) -> f64 {
        if label == class {
            self.right
        } else if label < classes {
            self.wrong
        } else {
            self.no_class
        }
    }

    /// All pseudo-counts, row by row.
    pub fn pseudo_counts(&self, classes: usize, labels: usize) -> Vec<f64> {
        (0..classes)
            .flat_map(|class| (0..labels).map(move |label| (class, label)))
            .map(|(class, label)| self.pseudo_count(class, label, classes))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_weakens_as_votes_accumulate() {
        let rows = |votes| ConfusionPrior::after(votes, 2).pseudo_counts(2, 3);
        assert_eq!(rows(0.0), [4.0, 1.0, 0.6, 1.0, 4.0, 0.6]);
        assert_eq!(rows(15.0)[0], 3.0);
        assert_eq!(rows(30.0), [2.0, 1.0, 0.6, 1.0, 2.0, 0.6]);
        assert_eq!(rows(3000.0), rows(30.0));
    }

    #[test]
    fn wrong_classes_share_one_pseudo_vote() {
        let prior = ConfusionPrior::after(0.0, 5);
        assert_eq!(prior.pseudo_count(0, 3, 5), 0.25);
    }
}
