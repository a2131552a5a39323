//! Probabilities and log-odds, and the one place where votes and detector meet.

/// Probabilities are kept this far from 0 and 1: no number of votes makes a site certain beyond reach.
const EDGE: f64 = 1e-12;

/// log(p / (1 - p)), with `p` kept a little away from 0 and 1.
pub fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(EDGE, 1.0 - EDGE);
    (p / (1.0 - p)).ln()
}

/// The inverse of [`log_odds`].
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Probability of yes from votes **and** detector: a second number beside `p_votes`, never in place of it.
///
/// `prevalence` is the prior that went into `p_votes`; it is taken out and the detector's calibrated probability put in
/// its place, on the assumption that votes and detector err independently.
///
/// Never evaluate or retrain the detector with the result: it would confirm its own errors.
pub fn p_combined(p_votes: f64, prevalence: f64, p_detector: f64) -> f64 {
    probability(log_odds(p_votes) - log_odds(prevalence) + log_odds(p_detector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detector_takes_the_place_of_the_prevalence() {
        // No votes: the detector alone. A detector that knows the prevalence only: the votes alone.
        assert!((p_combined(0.3, 0.3, 0.8) - 0.8).abs() < 1e-9);
        assert!((p_combined(0.9, 0.3, 0.3) - 0.9).abs() < 1e-9);
        // Bayes by hand: odds 9/1 of votes at prevalence 1/2, times detector odds 1/3.
        assert!((p_combined(0.9, 0.5, 0.25) - 0.75).abs() < 1e-9);
    }

    #[test]
    fn certainty_stays_finite() {
        assert!(log_odds(0.0).is_finite() && log_odds(1.0).is_finite());
        assert!(p_combined(1.0, 0.5, 0.0).is_finite());
        assert!((probability(log_odds(0.2)) - 0.2).abs() < 1e-12);
    }
}
