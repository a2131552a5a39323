//! Krippendorff's alpha: agreement beyond chance, for any number of votes per item and any scale.
//!
//! K. Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), by coincidences.

/// How far apart two labels are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale<'a> {
    /// Names: equal or not.
    Nominal,
    /// Ranks, in the order of the labels: as far apart as there are votes between them.
    Ordinal,
    /// Numbers, one per label: by their difference.
    Interval(&'a [f64]),
    /// Numbers with a zero, one per label: by their difference over their sum.
    Ratio(&'a [f64]),
}

/// Alpha of tallies: a row per item, a column per label. Items with fewer than two votes are left out. 1 is perfect, 0
/// chance, below 0 worse. None where no item has two votes, or where all votes are equal: nothing could have differed.
pub fn krippendorff_alpha(tallies: &[Vec<u32>], scale: Scale<'_>) -> Option<f64> {
    let labels = tallies.first()?.len();
    // o[c][k]: how often c and k stand together on an item, each item weighing as much as it has votes.
    let mut coincidences = vec![vec![0.0; labels]; labels];
    for tally in tallies {
        let votes: u32 = tally.iter().sum();
        if votes < 2 {
            continue;
        }
        let others = f64::from(votes - 1);
        for (c, row) in coincidences.iter_mut().enumerate() {
            for (k, sum) in row.iter_mut().enumerate() {
                let partner = f64::from(tally[k]) - f64::from(u8::from(c == k));
                *sum += f64::from(tally[c]) * partner / others;
            }
        }
    }
    let totals: Vec<f64> = coincidences.iter().map(|row| row.iter().sum()).collect();
    let n: f64 = totals.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for c in 0..labels {
        for k in 0..labels {
            let distance = scale.distance(c, k, &totals);
            observed += coincidences[c][k] * distance;
            expected += totals[c] * totals[k] * distance;
        }
    }
    (expected > 0.0).then(|| 1.0 - (n - 1.0) * observed / expected)
}

impl Scale<'_> {
    /// Squared difference of two labels.
    fn distance(&self, c: usize, k: usize, totals: &[f64]) -> f64 {
        if c == k {
            return 0.0;
        }
        let difference = match self {
            Self::Nominal => 1.0,
            Self::Ordinal => {
                let between: f64 = totals[c.min(k)..=c.max(k)].iter().sum();
                between - f64::midpoint(totals[c], totals[k])
            }
            Self::Interval(values) => values[c] - values[k],
            Self::Ratio(values) => {
                let sum = values[c] + values[k];
                if sum == 0.0 {
                    0.0
                } else {
                    (values[c] - values[k]) / sum
                }
            }
        };
        difference * difference
    }
}
