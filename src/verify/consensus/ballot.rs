//! What a volunteer can answer, and what one answer counts.

use serde::{Deserialize, Serialize};

/// An answer to "is there one here?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// There is.
    Yes,
    /// There is not.
    No,
    /// Looked, and cannot tell. Evidence like any other answer: who is unsure where shows in his error rates.
    Unsure,
    /// The image cannot be judged (cloud, blur, empty). No evidence about the site: counted apart.
    BadImage,
}

impl Answer {
    /// The label of the answer in tables of votes; none for [`Answer::BadImage`], which is no evidence.
    pub fn label(self) -> Option<&'static str> {
        match self {
            Self::Yes => Some("yes"),
            Self::No => Some("no"),
            Self::Unsure => Some("unsure"),
            Self::BadImage => None,
        }
    }
}

/// One volunteer's answer to one task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ballot<'a> {
    /// Who answered; any name that is always the same for the same volunteer.
    pub volunteer: &'a str,
    /// What was answered.
    pub answer: Answer,
    /// What the answer counts, from 0 to 1: see [`haste_weight`].
    pub weight: f64,
    /// Whether the volunteer is more than a device that says so (has passed the training, was invited by name).
    /// Answers of all others count at most one towards the least number of votes.
    pub verified: bool,
}

impl<'a> Ballot<'a> {
    /// An unhurried answer of a verified volunteer.
    pub fn new(volunteer: &'a str, answer: Answer) -> Self {
        Self {
            volunteer,
            answer,
            weight: 1.0,
            verified: true,
        }
    }
}

/// Seconds per chip from which an answer counts in full: half of what volunteers of `MapSwipe` take on average.
pub const UNHURRIED_S: f64 = 0.5;
/// Seconds per chip up to which an answer counts least: where `MapSwipe` drops the whole pack.
pub const BLIND_S: f64 = 0.125;
/// What an answer counts that cannot have been looked at.
pub const BLIND_WEIGHT: f64 = 0.1;

/// What an answer counts that took so many seconds: 1 from [`UNHURRIED_S`] on, [`BLIND_WEIGHT`] up to [`BLIND_S`],
/// in a straight line between them. A time that is no number counts as unhurried: it tells nothing.
///
/// Answers given too fast are weighed, never deleted: the log keeps them, and the weight can be changed later.
pub fn haste_weight(seconds: f64) -> f64 {
    if seconds.is_nan() {
        return 1.0;
    }
    let share = ((seconds - BLIND_S) / (UNHURRIED_S - BLIND_S)).clamp(0.0, 1.0);
    BLIND_WEIGHT + share * (1.0 - BLIND_WEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haste_costs_weight_and_never_all_of_it() {
        assert_eq!(haste_weight(0.0), BLIND_WEIGHT);
        assert_eq!(haste_weight(0.125), BLIND_WEIGHT);
        assert!((haste_weight(0.3125) - 0.55).abs() < 1e-12);
        assert_eq!(haste_weight(0.5), 1.0);
        assert_eq!(haste_weight(3600.0), 1.0);
        assert_eq!(haste_weight(f64::NAN), 1.0);
        assert_eq!(haste_weight(-1.0), BLIND_WEIGHT);
    }
}
