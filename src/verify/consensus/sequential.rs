//! Wald's sequential test: stop as soon as the evidence is enough for the errors that are accepted.

use super::odds::log_odds;

/// Thresholds on the log-likelihood ratio of yes against no (A. Wald, "Sequential Tests of Statistical Hypotheses", Annals
/// of Mathematical Statistics 16, 1945).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wald {
    /// Decide yes at or above.
    pub upper: f64,
    /// Decide no at or below.
    pub lower: f64,
}

impl Wald {
    /// `false_yes` and `false_no` are the accepted probabilities of deciding yes where no is true, and the reverse.
    pub fn new(false_yes: f64, false_no: f64) -> Self {
        Self {
            upper: ((1.0 - false_no) / false_yes).ln(),
            lower: (false_no / (1.0 - false_yes)).ln(),
        }
    }

    /// True for yes, false for no, none for more votes. `evidence` is the sum of what the votes add to the log-odds
    /// ([`Crowd::evidence`](super::Crowd::evidence)); `prior` the probability of yes before any vote, 1/2 if there is none.
    pub fn decide(&self, evidence: f64, prior: f64) -> Option<bool> {
        let sum = evidence + log_odds(prior);
        if sum >= self.upper {
            Some(true)
        } else if sum <= self.lower {
            Some(false)
        } else {
            None
        }
    }
}

/// By how many votes of workers with this accuracy yes must lead to bring a probability from `from` beyond `to`. Where a
/// number of votes lands on `to` itself, one more is asked for, so that rounding never decides.
pub fn net_votes(accuracy: f64, from: f64, to: f64) -> u32 {
    let votes = (log_odds(to) - log_odds(from)) / log_odds(accuracy);
    ((votes + 1e-9).floor() + 1.0).max(0.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        for (false_yes, false_no, upper, lower) in [
            (0.01, 0.05, 4.553_876_891_600_541, -2.985_681_937_700_489_3),
            (
                0.05,
                0.05,
                2.944_438_979_166_440_3,
                -2.944_438_979_166_440_3,
            ),
            (
                0.02,
                0.02,
                3.891_820_298_110_626_5,
                -3.891_820_298_110_626_5,
            ),
        ] {
            let wald = Wald::new(false_yes, false_no);
            assert!((wald.upper - upper).abs() < 1e-12);
            assert!((wald.lower - lower).abs() < 1e-12);
        }
    }

    #[test]
    fn votes_add_up_to_a_decision() {
        let wald = Wald::new(0.02, 0.02);
        let vote = 4f64.ln();
        assert_eq!(wald.decide(2.0 * vote, 0.5), None);
        assert_eq!(wald.decide(3.0 * vote, 0.5), Some(true));
        assert_eq!(wald.decide(-3.0 * vote, 0.5), Some(false));
        // Rare things need more.
        assert_eq!(wald.decide(3.0 * vote, 0.1), None);
    }

    #[test]
    fn votes_needed_by_accuracy() {
        for (accuracy, to_95, to_99) in [
            (0.6, 8, 12),
            (0.7, 4, 6),
            (0.8, 3, 4),
            (0.9, 2, 3),
            (0.95, 2, 2),
        ] {
            assert_eq!(net_votes(accuracy, 0.5, 0.95), to_95, "{accuracy}");
            assert_eq!(net_votes(accuracy, 0.5, 0.99), to_99, "{accuracy}");
        }
    }
}
