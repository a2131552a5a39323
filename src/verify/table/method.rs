//! The methods that can be applied to any table of votes.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::verify::consensus::{
    Confusion, DawidSkene, Fit, SwapStart, VoteTable, majority, one_coin, swap,
};

/// How labels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The label with the most votes.
    Majority,
    /// One accuracy per worker, even prevalence, a prior of four in five.
    OneCoin,
    /// Error rates per worker and class, maximum likelihood: Dawid-Skene (1979), for any number of classes.
    TwoCoin,
    /// The same with a prior: maximum a posteriori.
    TwoCoinPrior,
    /// Workers learn on items of known truth only; two classes.
    Swap,
}

/// Why a method cannot be applied.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodError {
    /// SWAP knows yes and no.
    #[error("swap is for two classes and the votes name {0}; use --method two-coin")]
    NotTwoClasses(usize),
    /// There is nothing to choose from.
    #[error("no vote names a class; check the labels given as unsure and as bad image")]
    NoClasses,
}

/// What a method found.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// The method.
    pub method: Method,
    /// For each item, the probability of each class; shares of the votes for [`Method::Majority`].
    pub posteriors: Vec<Vec<f64>>,
    /// For each item its class; none where two are equally probable, or nothing is known.
    pub labels: Vec<Option<usize>>,
    /// Natural logarithm; none where the method has no likelihood.
    pub log_likelihood: Option<f64>,
    /// Share of each class, where the method has one.
    pub prevalence: Option<Vec<f64>>,
    /// Error rates of each worker, where the method has them.
    pub error_rates: Option<Vec<Confusion>>,
    /// Steps, where the method takes any.
    pub iterations: Option<usize>,
    /// False if the last step still changed something.
    pub converged: bool,
}

impl Method {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Majority => "majority",
            Self::OneCoin => "one-coin",
            Self::TwoCoin => "two-coin",
            Self::TwoCoinPrior => "two-coin-prior",
            Self::Swap => "swap",
        }
    }

    /// Finds labels. `known` holds the class of items, by index, that workers may be judged by; these items keep it.
    /// `watch` is told now and then about which share of the way is done, from 0 to 1.
    pub fn apply(
        self,
        table: &VoteTable,
        known: &BTreeMap<usize, usize>,
        watch: &mut dyn FnMut(f64),
    ) -> Result<Findings, MethodError> {
        if table.classes() == 0 {
            return Err(MethodError::NoClasses);
        }
        let classes: Vec<Option<usize>> = (0..table.items().len())
            .map(|item| known.get(&item).copied())
            .collect();
        Ok(match self {
            Self::Majority => by_majority(table, &classes),
            Self::OneCoin => self.fitted(one_coin(table, &classes, watch)),
            Self::TwoCoin => self.fitted(DawidSkene::plain().fit_watched(table, &classes, watch)),
            Self::TwoCoinPrior => {
                self.fitted(DawidSkene::with_prior().fit_watched(table, &classes, watch))
            }
            Self::Swap => by_swap(table, known)?,
        })
    }

    fn fitted(self, fit: Fit) -> Findings {
        Findings {
            method: self,
            labels: fit.posteriors.iter().map(|p| majority(p)).collect(),
            posteriors: fit.posteriors,
            log_likelihood: Some(fit.log_likelihood),
            prevalence: Some(fit.prevalence),
            error_rates: Some(fit.confusion),
            iterations: Some(fit.trace.len()),
            converged: fit.converged,
        }
    }
}

/// A method without steps and without likelihood.
fn counted(method: Method, posteriors: Vec<Vec<f64>>) -> Findings {
    Findings {
        method,
        labels: posteriors.iter().map(|p| majority(p)).collect(),
        posteriors,
        log_likelihood: None,
        prevalence: None,
        error_rates: None,
        iterations: None,
        converged: true,
    }
}

fn by_majority(table: &VoteTable, known: &[Option<usize>]) -> Findings {
    let shares = known.iter().enumerate().map(|(item, known)| {
        let mut shares = table.counts(item);
        shares.truncate(table.classes());
        if let Some(class) = *known {
            shares.fill(0.0);
            shares[class] = 1.0;
        }
        let sum: f64 = shares.iter().sum();
        if sum > 0.0 {
            for share in &mut shares {
                *share /= sum;
            }
        }
        shares
    });
    counted(Method::Majority, shares.collect())
}

fn by_swap(table: &VoteTable, known: &BTreeMap<usize, usize>) -> Result<Findings, MethodError> {
    if table.classes() != 2 {
        return Err(MethodError::NotTwoClasses(table.classes()));
    }
    let fit = swap(table, known, SwapStart::FOUR_OF_FIVE, 0.5);
    let posteriors = fit.posteriors.iter().map(|&p| vec![1.0 - p, p]).collect();
    Ok(Findings {
        prevalence: Some(vec![0.5, 0.5]),
        error_rates: Some(fit.confusion),
        ..counted(Method::Swap, posteriors)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::consensus::VoteTableBuilder;

    fn table(rows: &[(&str, &str, &str)]) -> VoteTable {
        let mut builder = VoteTableBuilder::new();
        for (item, worker, label) in rows {
            builder.add(item, worker, label, 1.0);
        }
        builder.build(|label| label == "unsure")
    }

    const ALL: [Method; 5] = [
        Method::Majority,
        Method::OneCoin,
        Method::TwoCoin,
        Method::TwoCoinPrior,
        Method::Swap,
    ];

    #[test]
    fn ties_and_items_that_nobody_judged_stay_undecided() {
        let table = table(&[
            ("tie", "a", "yes"),
            ("tie", "b", "no"),
            ("clear", "a", "yes"),
            ("clear", "b", "yes"),
            ("foggy", "a", "unsure"),
        ]);
        for method in [Method::Majority, Method::OneCoin, Method::Swap] {
            let findings = method.apply(&table, &BTreeMap::new(), &mut |_| {}).unwrap();
            assert_eq!(findings.labels, [Some(1), None, None], "{method:?}");
        }
    }

    #[test]
    fn what_is_known_is_kept_by_every_method() {
        let table = table(&[("1", "a", "yes"), ("1", "b", "yes"), ("2", "a", "no")]);
        for method in ALL {
            let findings = method
                .apply(&table, &BTreeMap::from([(0, 0)]), &mut |_| {})
                .unwrap();
            assert_eq!(findings.labels[0], Some(0), "{method:?}");
            assert_eq!(findings.posteriors[0], [1.0, 0.0], "{method:?}");
        }
    }

    #[test]
    fn what_cannot_be_applied_is_said() {
        let three = table(&[("1", "a", "x"), ("2", "a", "y"), ("3", "a", "z")]);
        assert_eq!(
            Method::Swap.apply(&three, &BTreeMap::new(), &mut |_| {}),
            Err(MethodError::NotTwoClasses(3))
        );
        let none = table(&[("1", "a", "unsure")]);
        for method in ALL {
            assert_eq!(
                method.apply(&none, &BTreeMap::new(), &mut |_| {}),
                Err(MethodError::NoClasses)
            );
        }
    }

    #[test]
    fn shares_and_posteriors_add_up_to_one() {
        let table = table(&[
            ("1", "a", "x"),
            ("1", "b", "y"),
            ("1", "c", "y"),
            ("2", "a", "x"),
            ("2", "b", "unsure"),
        ]);
        for method in ALL {
            let findings = method.apply(&table, &BTreeMap::new(), &mut |_| {}).unwrap();
            for row in &findings.posteriors {
                assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{method:?}");
            }
        }
        let shares = Method::Majority
            .apply(&table, &BTreeMap::new(), &mut |_| {})
            .unwrap();
        assert_eq!(shares.posteriors[0], [1.0 / 3.0, 2.0 / 3.0]);
    }
}
