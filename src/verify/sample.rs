//! The probability sample: which candidates counts will rest on, each with its known chance of having been drawn.
//!
//! Stratified simple random sampling without replacement (Cochran, Sampling Techniques, 1977, chapter 5): every
//! member of a stratum of N, from which n are drawn, is in the sample with probability n / N. Strata are bands of the
//! detector's score, and empty ground.

use rand::Rng;
use rand::seq::index;

use super::answer::TaskKind;

/// Lower ends of the bands of scores, rising.
const BANDS: [f64; 6] = [0.0, 0.1, 0.3, 0.5, 0.7, 0.9];

/// A stratum and what was drawn from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stratum {
    pub(super) name: String,
    /// Scores from this …
    pub(super) low: f64,
    /// … to below this.
    pub(super) high: f64,
    /// Positions of its members, in the order given.
    pub(super) members: Vec<usize>,
    /// Positions of those drawn, in random order.
    pub(super) drawn: Vec<usize>,
}

impl Stratum {
    /// The probability with which each member came into the sample.
    pub(super) fn inclusion(&self) -> f64 {
        self.drawn.len() as f64 / self.members.len().max(1) as f64
    }
}

/// The stratum of a candidate: name, and the scores it holds.
pub(super) fn stratum_of(kind: TaskKind, score: f64) -> (String, f64, f64) {
    let word = match kind {
        TaskKind::Site => "site",
        TaskKind::Below => "below",
        TaskKind::Empty => return ("empty".to_owned(), 0.0, 0.0),
    };
    let band = BANDS.iter().rposition(|low| score >= *low).unwrap_or(0);
    let high = BANDS.get(band + 1).copied().unwrap_or(1.0);
    (
        format!("{word} {:.1}-{high:.1}", BANDS[band]),
        BANDS[band],
        high,
    )
}

/// Draws `per_stratum` members of each stratum, or all where there are fewer.
pub(super) fn draw(
    candidates: impl IntoIterator<Item = (TaskKind, f64)>,
    per_stratum: usize,
    random: &mut impl Rng,
) -> Vec<Stratum> {
    let mut strata: std::collections::BTreeMap<String, Stratum> = std::collections::BTreeMap::new();
    for (position, (kind, score)) in candidates.into_iter().enumerate() {
        let (name, low, high) = stratum_of(kind, score);
        strata
            .entry(name.clone())
            .or_insert_with(|| Stratum {
                name,
                low,
                high,
                members: Vec::new(),
                drawn: Vec::new(),
            })
            .members
            .push(position);
    }
    let mut strata: Vec<Stratum> = strata.into_values().collect();
    for stratum in &mut strata {
        let count = per_stratum.min(stratum.members.len());
        stratum.drawn = index::sample(random, stratum.members.len(), count)
            .into_iter()
            .map(|i| stratum.members[i])
            .collect();
    }
    strata
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn population() -> Vec<(TaskKind, f64)> {
        let site = (0..40).map(|i| (TaskKind::Site, 0.4 + 0.015 * f64::from(i)));
        let below = (0..100).map(|i| (TaskKind::Below, 0.02 + 0.0037 * f64::from(i)));
        site.chain(below)
            .chain((0..300).map(|_| (TaskKind::Empty, 0.0)))
            .collect()
    }

    #[test]
    fn strata_hold_everyone_once() {
        let strata = draw(population(), 8, &mut ChaCha8Rng::seed_from_u64(1));
        let mut all: Vec<usize> = strata.iter().flat_map(|s| s.members.clone()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..440).collect::<Vec<_>>());
        for stratum in &strata {
            assert_eq!(stratum.drawn.len(), stratum.members.len().min(8));
            assert!(stratum.drawn.iter().all(|d| stratum.members.contains(d)));
        }
        assert_eq!(stratum_of(TaskKind::Site, 1.0).0, "site 0.9-1.0");
        assert_eq!(stratum_of(TaskKind::Below, 0.1).0, "below 0.1-0.3");
    }

    /// Pearson's statistic over all members of a stratum against its quantile: how often each was drawn, in so many
    /// samples, is what the recorded probability says.
    #[test]
    fn members_are_drawn_as_often_as_their_probability_says() {
        const SAMPLES: usize = 2000;
        let population = population();
        let mut times = vec![0u32; population.len()];
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let mut strata = Vec::new();
        for _ in 0..SAMPLES {
            strata = draw(population.iter().copied(), 8, &mut random);
            for &drawn in strata.iter().flat_map(|s| &s.drawn) {
                times[drawn] += 1;
            }
        }
        for stratum in strata.iter().filter(|s| s.members.len() > 8) {
            let p = stratum.inclusion();
            let n = stratum.members.len() as f64;
            // Counts are hypergeometric: each has variance S p (1-p), and they add up to S n p exactly, which leaves
            // n - 1 degrees of freedom and the factor (n - 1) / n.
            let chi2: f64 = stratum
                .members
                .iter()
                .map(|&m| (f64::from(times[m]) - SAMPLES as f64 * p).powi(2))
                .sum::<f64>()
                / (SAMPLES as f64 * p * (1.0 - p))
                * (n - 1.0)
                / n;
            // Wilson and Hilferty's approximation of the 99.9 % quantile.
            let k = n - 1.0;
            let limit = k * (1.0 - 2.0 / (9.0 * k) + 3.09 * (2.0 / (9.0 * k)).sqrt()).powi(3);
            assert!(chi2 < limit, "{}: {chi2} > {limit}", stratum.name);
            assert!(
                chi2 > k * 0.3,
                "{}: {chi2} is too even to be chance",
                stratum.name
            );
        }
    }
}
