//! Deciding by counting: no model of the workers.

/// The class with the most votes; none on a tie, and none without votes. A tie is never broken: whoever breaks it by
/// taking the first label is wrong half of the time without saying so.
pub fn majority(counts: &[f64]) -> Option<usize> {
    let most = counts.iter().copied().fold(0.0, f64::max);
    // Weighted votes that are equal on paper may differ in the last bits.
    let mut ahead = (0..counts.len()).filter(|&class| most - counts[class] <= most * 1e-9);
    match (ahead.next(), ahead.next()) {
        (Some(class), None) if most > 0.0 => Some(class),
        _ => None,
    }
}

/// Asks until one of two answers leads by so many votes: gambler's ruin (W. Feller, "An Introduction to Probability
/// Theory and Its Applications", volume 1, chapter XIV).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadByDelta(
    /// The lead that decides; at least 1.
    pub u32,
);

impl LeadByDelta {
    /// True for yes, false for no, none while nobody leads by enough.
    pub fn decide(self, yes: u32, no: u32) -> Option<bool> {
        (yes.abs_diff(no) >= self.0).then_some(yes > no)
    }

    /// Share of right decisions, where every vote is right with probability `p` (between 0 and 1).
    pub fn accuracy(self, p: f64) -> f64 {
        1.0 / (1.0 + self.ruin(p))
    }

    /// Votes that a decision takes on average.
    pub fn expected_votes(self, p: f64) -> f64 {
        let lead = f64::from(self.0);
        let drift = 2.0 * p - 1.0;
        if drift.abs() < 1e-9 {
            // The limit at p = 1/2.
            return lead * lead;
        }
        let ruin = self.ruin(p);
        lead * (1.0 - ruin) / (drift * (1.0 + ruin))
    }

    fn ruin(self, p: f64) -> f64 {
        ((1.0 - p) / p).powf(f64::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn ties_stay_undecided() {
        assert_eq!(majority(&[2.0, 3.0]), Some(1));
        assert_eq!(majority(&[2.0, 2.0]), None);
        assert_eq!(majority(&[3.0, 1.0, 3.0]), None);
        assert_eq!(majority(&[0.1 + 0.2, 0.3]), None);
        assert_eq!(majority(&[0.0, 0.0]), None);
        assert_eq!(majority(&[]), None);
    }

    #[test]
    fn accuracy_and_cost_of_a_lead() {
        // Closed form, in per cent and votes: for p = .6, .7, .8, .9 and a lead of 1 to 4.
        let table = [
            (
                0.6,
                [
                    (60.0, 1.0),
                    (69.231, 3.846),
                    (77.143, 8.143),
                    (83.505, 13.402),
                ],
            ),
            (
                0.7,
                [
                    (70.0, 1.0),
                    (84.483, 3.448),
                    (92.703, 6.405),
                    (96.737, 9.347),
                ],
            ),
            (
                0.8,
                [
                    (80.0, 1.0),
                    (94.118, 2.941),
                    (98.462, 4.846),
                    (99.611, 6.615),
                ],
            ),
            (
                0.9,
                [
                    (90.0, 1.0),
                    (98.780, 2.439),
                    (99.863, 3.740),
                    (99.985, 4.998),
                ],
            ),
        ];
        for (p, row) in table {
            for (lead, (accuracy, votes)) in (1..).zip(row) {
                let rule = LeadByDelta(lead);
                assert!(
                    (rule.accuracy(p) * 100.0 - accuracy).abs() < 6e-4,
                    "{p} {lead}"
                );
                assert!((rule.expected_votes(p) - votes).abs() < 6e-4, "{p} {lead}");
            }
        }
        assert_eq!(LeadByDelta(3).expected_votes(0.5), 9.0);
        assert_eq!(LeadByDelta(3).accuracy(0.5), 0.5);
    }

    #[test]
    fn the_rule_does_what_the_closed_form_says() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let (rule, p, tasks) = (LeadByDelta(3), 0.7, 20_000);
        let (mut right, mut votes) = (0, 0);
        for _ in 0..tasks {
            let (mut yes, mut no) = (0, 0);
            while rule.decide(yes, no).is_none() {
                if random.random_bool(p) {
                    yes += 1;
                } else {
                    no += 1;
                }
            }
            right += u32::from(rule.decide(yes, no) == Some(true));
            votes += yes + no;
        }
        let tasks = f64::from(tasks);
        // Four standard errors: sqrt(.927 * .073 / 20000) = .0018; the votes' deviation is about 4.5.
        assert!((f64::from(right) / tasks - rule.accuracy(p)).abs() < 0.008);
        assert!((f64::from(votes) / tasks - rule.expected_votes(p)).abs() < 0.13);
    }
}
