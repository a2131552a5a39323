//! Expectation maximisation over a table of votes: what Dawid-Skene and one-coin have in common.
//!
//! Numbers of equations are those of A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer
//! Error-Rates Using the EM Algorithm", Applied Statistics 28 (1979).

use super::confusion::Confusion;
use super::votes::VoteTable;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Convergence {
    /// No posterior changed by more than this in the last step.
    pub tolerance: f64,
    /// Steps at most.
    pub max_iterations: usize,
}

impl Default for Convergence {
    fn default() -> Self {
        Self {
            tolerance: 1e-10,
            max_iterations: 10_000,
        }
    }
}

/// What was learnt from a table of votes.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Log-likelihood of all votes (eq. 2.7), natural logarithm; for items whose class was known, given that class.
    pub log_likelihood: f64,
    /// Share of each class; adds up to 1.
    pub prevalence: Vec<f64>,
    /// Error rates of each worker.
    pub confusion: Vec<Confusion>,
    /// Probability of each class, for each item; adds up to 1.
    pub posteriors: Vec<Vec<f64>>,
    /// What was maximised, after each step: the log-likelihood, plus the log-density of the prior where there is one
    /// (up to a constant that does not depend on the estimates).
    pub trace: Vec<f64>,
    /// Whether the posteriors stood still in the end.
    pub converged: bool,
}

/// Prevalence and error rates.
pub(super) struct Parameters {
    pub(super) prevalence: Vec<f64>,
    pub(super) confusion: Vec<Confusion>,
}

/// The step that differs from method to method.
pub(super) trait Maximise {
    /// The best parameters for these posteriors (a row per item, a column per class). Items whose class is `known` were
    /// chosen by someone: they tell of error rates, not of prevalence.
    fn parameters(&self, table: &VoteTable, known: &Known<'_>, posteriors: &[f64]) -> Parameters;

    /// Log-density of the prior at these parameters, up to a constant.
    fn log_prior(&self, parameters: &Parameters) -> f64;
}

/// Classes that are known beforehand.
pub(super) struct Known<'a>(&'a [Option<usize>]);

impl Known<'_> {
    /// The class of an item, if known.
    pub(super) fn class(&self, item: usize) -> Option<usize> {
        self.0.get(item).copied().flatten()
    }
}

/// Climbs from vote shares (eq. 3.1) to the nearest maximum.
///
/// `known` holds, for each item, its class where that is known beforehand; where it is shorter than the items, nothing
/// is known of the rest. `watch` is told after each step which share of the way is done, from 0 to 1: the climb slows down
/// geometrically, so the logarithm of the last change tells.
pub(super) fn climb(
    table: &VoteTable,
    known: &[Option<usize>],
    method: &impl Maximise,
    convergence: Convergence,
    watch: &mut dyn FnMut(f64),
) -> Fit {
    let known = Known(known);
    let mut posteriors = vote_shares(table, &known);
    let mut trace = Vec::new();
    loop {
        let parameters = method.parameters(table, &known, &posteriors);
        let before = posteriors.clone();
        let log_likelihood = expect(table, &known, &parameters, &mut posteriors);
        trace.push(log_likelihood + method.log_prior(&parameters));
        let change = posteriors
            .iter()
            .zip(&before)
            .map(|(now, before)| (now - before).abs())
            .fold(0.0, f64::max);
        let converged = change <= convergence.tolerance;
        watch((change.log10() / convergence.tolerance.log10()).clamp(0.0, 1.0));
        if converged || trace.len() >= convergence.max_iterations {
            return Fit {
                log_likelihood,
                prevalence: parameters.prevalence,
                confusion: parameters.confusion,
                posteriors: posteriors
                    .chunks(table.classes().max(1))
                    .map(<[f64]>::to_vec)
                    .collect(),
                trace,
                converged,
            };
        }
    }
}

/// Eq. 3.1: the share of each class among the votes that name one.
fn vote_shares(table: &VoteTable, known: &Known<'_>) -> Vec<f64> {
    let classes = table.classes();
    let mut shares = Vec::with_capacity(table.items().len() * classes);
    for item in 0..table.items().len() {
        let counts = table.counts(item);
        let sum: f64 = counts[..classes].iter().sum();
        shares.extend((0..classes).map(|class| match known.class(item) {
            Some(known) => f64::from(u8::from(known == class)),
            None if sum > 0.0 => counts[class] / sum,
            None => 1.0 / classes as f64,
        }));
    }
    shares
}

/// Eq. 2.5 and 2.7: posteriors in place, and the log-likelihood.
fn expect(
    table: &VoteTable,
    known: &Known<'_>,
    parameters: &Parameters,
    posteriors: &mut [f64],
) -> f64 {
    let classes = table.classes();
    let log_prevalence: Vec<f64> = parameters.prevalence.iter().map(|p| p.ln()).collect();
    let log_rates: Vec<Vec<f64>> = parameters
        .confusion
        .iter()
        .map(|confusion| confusion.rates().iter().map(|rate| rate.ln()).collect())
        .collect();
    let labels = table.labels().len();
    let mut log_likelihood = 0.0;
    let mut log_joint = vec![0.0; classes];
    for (item, row) in posteriors.chunks_mut(classes.max(1)).enumerate() {
        log_joint.copy_from_slice(&log_prevalence);
        for vote in table.votes_on(item) {
            let rates = &log_rates[vote.worker];
            for (class, sum) in log_joint.iter_mut().enumerate() {
                *sum += vote.weight * rates[class * labels + vote.label];
            }
        }
        if let Some(class) = known.class(item) {
            log_likelihood += log_joint[class] - log_prevalence[class];
        } else {
            let log_evidence = log_sum_exp(&log_joint);
            log_likelihood += log_evidence;
            for (posterior, joint) in row.iter_mut().zip(&log_joint) {
                *posterior = (joint - log_evidence).exp();
            }
        }
    }
    log_likelihood
}

/// log(sum(exp(x))) without overflow.
fn log_sum_exp(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    largest + sum.ln()
}
