//! When a task has been asked often enough, and what was decided.

use serde::{Deserialize, Serialize};

use super::ballot::{Answer, Ballot};
use super::crowd::Crowd;

/// Votes in a whole project below which counting is better than a model: there is nothing to learn from yet.
pub const FEW_VOTES: u64 = 200;
/// Answers to hidden controls below which nothing is concluded from them.
pub const MIN_CONTROL_ANSWERS: u64 = 20;
/// So many answers to hidden controls, the latest, say how strong the crowd is now. A project's whole past would hide a
/// class that guesses behind a thousand good answers; a batch of 200 votes has some 13 controls, which say nothing.
pub const RECENT_CONTROLS: usize = 100;
/// Share of right answers to the latest hidden controls below which the crowd is weak.
pub const WEAK_CONTROLS: f64 = 0.8;
/// Reports of a bad image, among the first three answers, that end a task.
pub const BAD_IMAGE_REPORTS: u32 = 2;

/// The answers to one task, counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    /// There is one.
    pub yes: u32,
    /// There is none.
    pub no: u32,
    /// Cannot tell.
    pub unsure: u32,
    /// Cannot be judged.
    pub bad_image: u32,
    /// Bad images among the first three answers.
    pub bad_image_of_first_3: u32,
    /// Weight of yes, no and unsure, with at most 1 from all unverified volunteers together.
    pub weight: f64,
    /// Weight of yes, in the same way.
    pub yes_weight: f64,
    /// Weight of no, in the same way.
    pub no_weight: f64,
}

impl Tally {
    /// Counts ballots **in the order in which they came**: only [`Self::bad_image_of_first_3`] depends on it.
    pub fn of<'a>(ballots: impl IntoIterator<Item = &'a Ballot<'a>>) -> Self {
        let mut tally = Self::default();
        // Yes, no, unsure: of verified volunteers, and of others.
        let (mut verified, mut others) = ([0.0; 3], [0.0; 3]);
        for (number, ballot) in ballots.into_iter().enumerate() {
            let column = match ballot.answer {
                Answer::Yes => {
                    tally.yes += 1;
                    0
                }
                Answer::No => {
                    tally.no += 1;
                    1
                }
                Answer::Unsure => {
                    tally.unsure += 1;
                    2
                }
                Answer::BadImage => {
                    tally.bad_image += 1;
                    tally.bad_image_of_first_3 += u32::from(number < 3);
                    continue;
                }
            };
            let weights = if ballot.verified {
                &mut verified
            } else {
                &mut others
            };
            weights[column] += ballot.weight;
        }
        tally.yes_weight = verified[0] + others[0].min(1.0);
        tally.no_weight = verified[1] + others[1].min(1.0);
        tally.weight = verified.iter().sum::<f64>() + others.iter().sum::<f64>().min(1.0);
        tally
    }

    /// All answers.
    pub fn asked(&self) -> u32 {
        self.yes + self.no + self.unsure + self.bad_image
    }
}

/// How many votes a task gets, and how certain it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopRule {
    /// Votes before anything is decided, by weight.
    pub min: u32,
    /// Votes after which volunteers are asked no more.
    pub max: u32,
    /// The same in a contested area.
    pub max_contested: u32,
    /// Decide at a posterior of at least this, or at most 1 - this.
    pub certainty: f64,
    /// Decide at so many equal votes (by weight) instead, whatever the posterior.
    pub first_to: Option<u32>,
}

impl StopRule {
    /// At least 3 votes, 98 % certain, at most 9 votes, or 15 in a contested area.
    pub const STANDARD: Self = Self {
        min: 3,
        max: 9,
        max_contested: 15,
        certainty: 0.98,
        first_to: None,
    };

    /// While the latest controls are weak: at least 5 votes, 99 % certain, at most 15.
    pub const STRICT: Self = Self {
        min: 5,
        max: 15,
        max_contested: 15,
        certainty: 0.99,
        first_to: None,
    };

    /// While votes are few: the first three equal votes decide.
    pub const FIRST_TO_3: Self = Self {
        first_to: Some(3),
        ..Self::STANDARD
    };

    /// The rule for a project with so many votes, and such answers to the latest [`RECENT_CONTROLS`] hidden controls.
    pub fn choose(votes_in_project: u64, latest: ControlRecord) -> Self {
        if latest.is_weak() {
            Self::STRICT
        } else if votes_in_project < FEW_VOTES {
            Self::FIRST_TO_3
        } else {
            Self::STANDARD
        }
    }

    /// What the answers decide. `p_votes` is the posterior, calibrated on controls where there are enough of them;
    /// `crowd` is what is known of the volunteers.
    pub fn decide(
        &self,
        tally: &Tally,
        p_votes: f64,
        contested_area: bool,
        crowd: &Crowd,
    ) -> Verdict {
        if tally.bad_image_of_first_3 >= BAD_IMAGE_REPORTS {
            return Verdict::OtherDate;
        }
        if let Some(verdict) = self.settled(tally, p_votes) {
            return verdict;
        }
        let max = if contested_area {
            self.max_contested
        } else {
            self.max
        };
        let left = max.saturating_sub(tally.asked());
        if left == 0 {
            return Verdict::Expert;
        }
        Verdict::Open {
            wanted: self.wanted(tally, p_votes, crowd).clamp(1, left),
        }
    }

    fn settled(&self, tally: &Tally, p_votes: f64) -> Option<Verdict> {
        if let Some(enough) = self.first_to {
            let enough = f64::from(enough);
            return match (tally.yes_weight >= enough, tally.no_weight >= enough) {
                (true, false) => Some(Verdict::Confirmed),
                (false, true) => Some(Verdict::Rejected),
                _ => None,
            };
        }
        if tally.weight < f64::from(self.min) {
            None
        } else if p_votes >= self.certainty {
            Some(Verdict::Confirmed)
        } else if p_votes <= 1.0 - self.certainty {
            Some(Verdict::Rejected)
        } else {
            None
        }
    }

    /// The fewest votes that could decide.
    fn wanted(&self, tally: &Tally, p_votes: f64, crowd: &Crowd) -> u32 {
        if let Some(enough) = self.first_to {
            let ahead = tally.yes_weight.max(tally.no_weight);
            return (f64::from(enough) - ahead).ceil().max(0.0) as u32;
        }
        let to_min = (f64::from(self.min) - tally.weight).ceil().max(0.0) as u32;
        to_min.max(crowd.votes_to_certainty(p_votes, self.certainty))
    }
}

/// Answers to hidden controls. "Unsure" and bad images are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ControlRecord {
    /// Right answers.
    pub right: u64,
    /// Yes and no answers.
    pub answered: u64,
}

impl ControlRecord {
    /// Adds an answer to a control whose truth is known.
    pub fn add(&mut self, answer: Answer, truth: bool) {
        let said = match answer {
            Answer::Yes => true,
            Answer::No => false,
            Answer::Unsure | Answer::BadImage => return,
        };
        self.answered += 1;
        self.right += u64::from(said == truth);
    }

    /// Share of right answers; none before [`MIN_CONTROL_ANSWERS`].
    pub fn accuracy(&self) -> Option<f64> {
        (self.answered >= MIN_CONTROL_ANSWERS).then(|| self.right as f64 / self.answered as f64)
    }

    /// Whether the stricter rule is needed.
    pub fn is_weak(&self) -> bool {
        self.accuracy()
            .is_some_and(|accuracy| accuracy < WEAK_CONTROLS)
    }
}

/// What the answers to a task decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// Yes.
    Confirmed,
    /// No.
    Rejected,
    /// Volunteers disagree: an expert decides.
    Expert,
    /// The image cannot be judged: show another date. Where there is none, it stays an imagery problem.
    OtherDate,
    /// More votes, please.
    Open {
        /// So many could be under way at once without one too many: the fewest that could decide.
        wanted: u32,
    },
}

#[cfg(test)]
#[path = "stop_tests.rs"]
mod tests;
