//! A crowd of volunteers: error rates from a batch of votes, and posteriors between batches.
//!
//! The class is {no, yes}, the answers are {no, yes, unsure}: a 2×3 matrix per volunteer, estimated by
//! [`DawidSkene::with_prior`]. Between two batch runs the matrices stand still and every new vote moves the log-odds of
//! its task, as in SWAP (Marshall et al. 2016): that is the expectation step for one item, so the two never disagree
//! about a task whose votes have not changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ballot::{Answer, Ballot};
use super::confusion::Confusion;
use super::dawid_skene::DawidSkene;
use super::em::Fit;
use super::odds::{log_odds, probability};
use super::prior::ConfusionPrior;
use super::votes::{VoteTable, VoteTableBuilder};

/// Classes of the crowd's tables: "no" and "yes", in this order.
const CLASSES: usize = 2;
const YES: usize = 1;
/// Columns of the matrices.
const LABELS: usize = 3;

/// What is known of the volunteers: serialise it to keep it between batch runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// Share of tasks whose answer is yes.
    prevalence: f64,
    volunteers: BTreeMap<String, Volunteer>,
}

/// What is known of one volunteer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volunteer {
    /// Rows: no, yes (the truth). Columns: no, yes, unsure (the answer).
    pub confusion: Confusion,
    /// Weight of the votes behind it.
    pub votes: f64,
    /// False for who does no better than chance: his votes are kept and count nothing.
    pub trusted: bool,
}

/// The result of a batch run.
#[derive(Debug, Clone, PartialEq)]
pub struct CrowdFit {
    /// What is known of the volunteers now.
    pub crowd: Crowd,
    /// Probability of yes from votes alone, for each task with a yes, no or unsure vote. Training tasks are left out.
    pub p_votes: BTreeMap<String, f64>,
    /// Log-likelihood of the votes that count.
    pub log_likelihood: f64,
    /// Steps of the last fit.
    pub iterations: usize,
    /// Whether the posteriors stood still in the end.
    pub converged: bool,
}

impl CrowdFit {
    /// Probability of yes from votes alone; the prevalence for a task that nobody has judged.
    pub fn p_votes(&self, task: &str) -> f64 {
        let known = self.p_votes.get(task).copied();
        known.unwrap_or_else(|| self.crowd.prevalence())
    }
}

impl Default for Crowd {
    fn default() -> Self {
        Self::newcomers(0.5)
    }
}

impl Crowd {
    /// A crowd that nothing is known of; `prevalence` is the share of tasks that are expected to be yes.
    pub fn newcomers(prevalence: f64) -> Self {
        Self {
            prevalence,
            volunteers: BTreeMap::new(),
        }
    }

    /// Learns from all votes, in any order. `known` holds the answer of training tasks (true: yes). Leave hidden
    /// controls out of it when their posteriors are to be compared with the truth.
    ///
    /// A volunteer whose matrix is no better than chance ([`Confusion::skill`] of 0 or less) is no longer trusted: the
    /// fit is repeated without him, until it names no one else.
    pub fn fit<'a>(
        ballots: impl IntoIterator<Item = (&'a str, Ballot<'a>)>,
        known: &BTreeMap<String, bool>,
    ) -> CrowdFit {
        let table = ballot_table(ballots);
        let classes: Vec<Option<usize>> = table
            .items()
            .iter()
            .map(|task| known.get(task).map(|&yes| usize::from(yes)))
            .collect();
        let mut distrusted = BTreeSet::new();
        let fit = loop {
            let heard = table.without_workers(|worker| distrusted.contains(&worker));
            let fit = DawidSkene::with_prior().fit(&heard, &classes);
            let fools: Vec<usize> = (0..table.workers().len())
                .filter(|worker| !distrusted.contains(worker))
                .filter(|&worker| fit.confusion[worker].skill() <= 0.0)
                .collect();
            if fools.is_empty() {
                break fit;
            }
            distrusted.extend(fools);
        };
        let crowd = Self {
            prevalence: fit.prevalence[YES],
            volunteers: volunteers(&table, &fit, &distrusted),
        };
        let p_votes = (table.items().iter().zip(&classes).zip(&fit.posteriors))
            .filter(|((_, class), _)| class.is_none())
            .map(|((task, _), posterior)| (task.clone(), posterior[YES]))
            .collect();
        CrowdFit {
            crowd,
            p_votes,
            log_likelihood: fit.log_likelihood,
            iterations: fit.trace.len(),
            converged: fit.converged,
        }
    }

    /// Share of tasks whose answer is yes.
    pub fn prevalence(&self) -> f64 {
        self.prevalence
    }

    /// What is known of a volunteer; none of who has not voted before the last batch run.
    pub fn volunteer(&self, name: &str) -> Option<&Volunteer> {
        self.volunteers.get(name)
    }

    /// All volunteers by name.
    pub fn volunteers(&self) -> impl Iterator<Item = (&str, &Volunteer)> {
        self.volunteers.iter().map(|(name, v)| (name.as_str(), v))
    }

    /// Probability of yes from votes alone. The order of the votes does not matter beyond rounding.
    pub fn posterior<'a>(&self, ballots: impl IntoIterator<Item = &'a Ballot<'a>>) -> f64 {
        let evidence: f64 = ballots.into_iter().map(|b| self.evidence(b)).sum();
        probability(log_odds(self.prevalence) + evidence)
    }

    /// The probability of yes after one more vote: the online update between batch runs.
    pub fn update(&self, p_votes: f64, ballot: &Ballot<'_>) -> f64 {
        probability(log_odds(p_votes) + self.evidence(ballot))
    }

    /// What a vote adds to the log-odds of yes: positive speaks for it. Zero for a bad image.
    pub fn evidence(&self, ballot: &Ballot<'_>) -> f64 {
        let Some(label) = column(ballot.answer) else {
            return 0.0;
        };
        let ratio =
            |confusion: &Confusion| (confusion.rate(YES, label) / confusion.rate(0, label)).ln();
        let evidence = match self.volunteers.get(ballot.volunteer) {
            Some(volunteer) if !volunteer.trusted => 0.0,
            Some(volunteer) => ratio(&volunteer.confusion),
            None => ratio(&newcomer()),
        };
        evidence * ballot.weight
    }

    /// How many more votes of newcomers, all the same way, take `p_votes` beyond `certainty` on the side it leans to.
    pub fn votes_to_certainty(&self, p_votes: f64, certainty: f64) -> u32 {
        let per_vote = self
            .evidence(&Ballot::new("", Answer::Yes))
            .max(f64::MIN_POSITIVE);
        let missing = log_odds(certainty) - log_odds(p_votes).abs();
        (missing / per_vote).ceil().max(0.0) as u32
    }
}

/// Error rates of who has not voted yet: the mean of the prior.
fn newcomer() -> Confusion {
    let prior = ConfusionPrior::after(0.0, CLASSES);
    Confusion::from_weights(LABELS, prior.pseudo_counts(CLASSES, LABELS))
}

/// Column of an answer in the matrices.
fn column(answer: Answer) -> Option<usize> {
    match answer {
        Answer::No => Some(0),
        Answer::Yes => Some(YES),
        Answer::Unsure => Some(2),
        Answer::BadImage => None,
    }
}

/// The ballots as a table of the labels no, yes, unsure. Bad images are not in it.
pub(super) fn ballot_table<'a>(
    ballots: impl IntoIterator<Item = (&'a str, Ballot<'a>)>,
) -> VoteTable {
    let mut builder = VoteTableBuilder::new();
    // All three, whether or not anyone gave them: the matrices always have the same shape.
    for label in [Answer::No, Answer::Yes, Answer::Unsure] {
        builder.add_label(label.label().unwrap_or_default());
    }
    for (task, ballot) in ballots {
        if let Some(label) = ballot.answer.label() {
            builder.add(task, ballot.volunteer, label, ballot.weight);
        }
    }
    builder.build(|label| Some(label) == Answer::Unsure.label())
}

fn volunteers(
    table: &VoteTable,
    fit: &Fit,
    distrusted: &BTreeSet<usize>,
) -> BTreeMap<String, Volunteer> {
    let votes = table.weight_by_worker();
    table
        .workers()
        .iter()
        .enumerate()
        .map(|(worker, name)| {
            let volunteer = Volunteer {
                confusion: fit.confusion[worker].clone(),
                votes: votes[worker],
                trusted: !distrusted.contains(&worker),
            };
            (name.clone(), volunteer)
        })
        .collect()
}

#[cfg(test)]
#[path = "crowd_tests.rs"]
mod tests;
