//! SWAP: workers learn on items whose truth is known, and every vote moves its item at once.
//!
//! P. J. Marshall et al., "Space Warps I", MNRAS 455 (2016), section 3. Workers' rates are kept as counts, so it does not
//! matter in which order they saw the training items.

use std::collections::BTreeMap;

use super::confusion::Confusion;
use super::odds::{log_odds, probability};
use super::votes::VoteTable;

/// Rates never leave this distance from 0 and 1.
const EDGE: f64 = 0.01;

/// Where a worker starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwapStart {
    /// Pseudo-votes on items of each class.
    pub votes: f64,
    /// How many of them are right.
    pub right: f64,
}

impl SwapStart {
    /// As in Space Warps: a worker is no better than a coin until he has shown it.
    pub const COIN: Self = Self {
        votes: 4.0,
        right: 2.0,
    };
    /// Four of five right: far better while training items are few.
    pub const FOUR_OF_FIVE: Self = Self {
        votes: 5.0,
        right: 4.0,
    };
}

/// One worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SwapAgent {
    /// Of items that are not, and that are.
    votes: [f64; 2],
    right: [f64; 2],
}

impl SwapAgent {
    /// A worker who has seen nothing.
    pub fn new(start: SwapStart) -> Self {
        Self {
            votes: [start.votes; 2],
            right: [start.right; 2],
        }
    }

    /// He answered `said` about a training item that is `truth`.
    pub fn train(&mut self, said: bool, truth: bool) {
        self.train_by(said, truth, 1.0);
    }

    fn train_by(&mut self, said: bool, truth: bool, weight: f64) {
        self.votes[usize::from(truth)] += weight;
        if said == truth {
            self.right[usize::from(truth)] += weight;
        }
    }

    /// Probability of the right answer where the truth is `truth`: in the paper PD for false and PL for true.
    pub fn rate(&self, truth: bool) -> f64 {
        let class = usize::from(truth);
        (self.right[class] / self.votes[class]).clamp(EDGE, 1.0 - EDGE)
    }

    /// Pseudo-votes and votes on training items of a class.
    pub fn votes(&self, truth: bool) -> f64 {
        self.votes[usize::from(truth)]
    }

    /// What an answer adds to the log-odds of yes.
    pub fn evidence(&self, said: bool) -> f64 {
        let (if_yes, if_no) = if said {
            (self.rate(true), 1.0 - self.rate(false))
        } else {
            (1.0 - self.rate(true), self.rate(false))
        };
        (if_yes / if_no).ln()
    }

    /// The probability of yes after his answer.
    pub fn update(&self, p: f64, said: bool) -> f64 {
        probability(log_odds(p) + self.evidence(said))
    }
}

/// The result of SWAP over a table of votes.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapFit {
    /// Probability of the second class, item by item; 0 or 1 for training items.
    pub posteriors: Vec<f64>,
    /// Rates of each worker: rows and columns are the two classes.
    pub confusion: Vec<Confusion>,
}

/// SWAP over a table of two classes: first all workers are trained on the items that `gold` knows (by index; the value is
/// the index of the class), then all votes move their items, from `prior` on. Answers that name no class move nothing.
pub fn swap(
    table: &VoteTable,
    gold: &BTreeMap<usize, usize>,
    start: SwapStart,
    prior: f64,
) -> SwapFit {
    let mut agents = vec![SwapAgent::new(start); table.workers().len()];
    let votes = || table.votes().iter().filter(|vote| vote.label < 2);
    for vote in votes() {
        if let Some(&truth) = gold.get(&vote.item) {
            agents[vote.worker].train_by(vote.label == 1, truth == 1, vote.weight);
        }
    }
    let mut sums = vec![log_odds(prior); table.items().len()];
    for vote in votes() {
        sums[vote.item] += vote.weight * agents[vote.worker].evidence(vote.label == 1);
    }
    let posteriors = (0..sums.len())
        .map(|item| match gold.get(&item) {
            Some(&truth) => truth as f64,
            None => probability(sums[item]),
        })
        .collect();
    let confusion = agents
        .iter()
        .map(|agent| {
            let [no, yes] = [agent.rate(false), agent.rate(true)];
            Confusion::from_weights(2, vec![no, 1.0 - no, 1.0 - yes, yes])
        })
        .collect();
    SwapFit {
        posteriors,
        confusion,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::table_of;
    use super::*;

    fn trained(answers: &[(bool, bool)]) -> SwapAgent {
        let mut agent = SwapAgent::new(SwapStart::COIN);
        for &(said, truth) in answers {
            agent.train(said, truth);
        }
        agent
    }

    #[test]
    fn a_trajectory() {
        let (y, n) = (true, false);
        let a = trained(&[(y, y), (y, y), (n, n), (y, n), (y, y), (n, n)]);
        let b = trained(&[(n, y), (y, y), (y, n), (y, n)]);
        assert!((a.rate(true) - 5.0 / 7.0).abs() < 1e-12);
        assert!((a.rate(false) - 4.0 / 7.0).abs() < 1e-12);
        assert!((b.rate(true) - 0.5).abs() < 1e-12);
        assert!((b.rate(false) - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(
            (a.votes(true), a.votes(false), b.votes(true)),
            (7.0, 7.0, 6.0)
        );
        // By the paper's formulae, from a prior of .2.
        let expected = [
            0.294_117_647_058_823_5,
            0.238_095_238_095_238_1,
            0.135_135_135_135_135_1,
            0.206_611_570_247_933_9,
        ];
        let mut p = 0.2;
        for ((agent, said), expected) in [(a, y), (b, y), (a, n), (a, y)].into_iter().zip(expected)
        {
            p = agent.update(p, said);
            assert!((p - expected).abs() < 1e-12, "{p} {expected}");
        }
    }

    #[test]
    fn rates_stay_off_the_edges() {
        let agent = trained(&[(true, true); 2000]);
        assert_eq!(agent.rate(true), 0.99);
    }

    #[test]
    fn training_items_teach_and_keep_their_truth() {
        let rows = [
            ("g", "a", "yes"),
            ("g", "b", "no"),
            ("x", "a", "yes"),
            ("x", "b", "no"),
            ("x", "c", "unsure"),
        ];
        let table = table_of(&rows);
        let gold = BTreeMap::from([(table.item("g").unwrap(), 1)]);
        let fit = swap(&table, &gold, SwapStart::FOUR_OF_FIVE, 0.5);
        assert_eq!(fit.posteriors[0], 1.0);
        assert!(fit.posteriors[1] > 0.5);
        assert!(fit.confusion[0].rate(1, 1) > fit.confusion[1].rate(1, 1));
    }
}
