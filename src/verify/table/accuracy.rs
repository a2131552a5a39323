//! Labels against the truth.

use serde::Serialize;

/// Standard normal quantile of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// The ends of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How many labels are right.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Items with a vote and a known truth.
    pub items: usize,
    /// Decided and right.
    pub right: usize,
    /// Decided and wrong.
    pub wrong: usize,
    /// Ties: neither right nor wrong, and not counted as right.
    pub undecided: usize,
    /// For each true label, how many items got each class, and how many none (last).
    pub by_truth: Vec<(String, Vec<usize>)>,
}

impl Accuracy {
    /// Of pairs of true label and found class, for so many classes. `index` finds the class of a true label.
    pub fn of<'a>(
        pairs: impl IntoIterator<Item = (&'a str, Option<usize>)>,
        classes: usize,
        index: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let mut accuracy = Self {
            items: 0,
            right: 0,
            wrong: 0,
            undecided: 0,
            by_truth: Vec::new(),
        };
        let mut rows = std::collections::BTreeMap::<&str, Vec<usize>>::new();
        for (truth, label) in pairs {
            accuracy.items += 1;
            match label {
                None => accuracy.undecided += 1,
                Some(_) if label == index(truth) => accuracy.right += 1,
                Some(_) => accuracy.wrong += 1,
            }
            let row = rows.entry(truth).or_insert_with(|| vec![0; classes + 1]);
            row[label.unwrap_or(classes)] += 1;
        }
        let rows = rows.into_iter().map(|(truth, row)| (truth.to_owned(), row));
        accuracy.by_truth = rows.collect();
        // In the order of the classes; what no vote names comes last.
        (accuracy.by_truth).sort_by_key(|(truth, _)| index(truth).unwrap_or(classes));
        accuracy
    }

    /// Share of right labels among all items; none without items.
    pub fn share(&self) -> Option<f64> {
        (self.items > 0).then(|| self.right as f64 / self.items as f64)
    }

    /// Its 95 % interval.
    pub fn interval(&self) -> Option<Interval> {
        wilson(self.right, self.items)
    }
}

/// 95 % interval of a share by Wilson's score (E. B. Wilson, Journal of the American Statistical Association 22, 1927):
/// never beyond 0 and 1, and sound for few items. None of nothing.
pub fn wilson(right: usize, items: usize) -> Option<Interval> {
    if items == 0 {
        return None;
    }
    let (n, p) = (items as f64, right as f64 / items as f64);
    let shrink = 1.0 + Z_95 * Z_95 / n;
    let centre = (p + Z_95 * Z_95 / (2.0 * n)) / shrink;
    let half = Z_95 * (p * (1.0 - p) / n + Z_95 * Z_95 / (4.0 * n * n)).sqrt() / shrink;
    Some(Interval {
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_by_wilson() {
        // 81 of 263: Newcombe (1998), table I, method 3.
        let interval = wilson(81, 263).unwrap();
        assert!((interval.low - 0.2553).abs() < 5e-5, "{interval:?}");
        assert!((interval.high - 0.3662).abs() < 5e-5, "{interval:?}");
        let none_wrong = wilson(20, 20).unwrap();
        assert!(none_wrong.high <= 1.0 && (none_wrong.low - 0.8389).abs() < 5e-5);
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn undecided_is_neither_right_nor_wrong() {
        let classes = ["no", "yes"];
        let index = |label: &str| classes.iter().position(|class| *class == label);
        let pairs = [
            ("yes", Some(1)),
            ("yes", None),
            ("no", Some(1)),
            ("ruin", Some(0)),
        ];
        let accuracy = Accuracy::of(pairs, 2, index);
        assert_eq!(
            (accuracy.right, accuracy.wrong, accuracy.undecided),
            (1, 2, 1)
        );
        assert_eq!(accuracy.share(), Some(0.25));
        let rows: Vec<_> = accuracy
            .by_truth
            .iter()
            .map(|(t, row)| (t.as_str(), row.clone()))
            .collect();
        assert_eq!(
            rows,
            [
                ("no", vec![0, 1, 0]),
                ("yes", vec![0, 1, 1]),
                ("ruin", vec![1, 0, 0])
            ]
        );
    }
}
