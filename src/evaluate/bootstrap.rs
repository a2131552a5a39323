//! Intervals by bootstrap over scenes: what the numbers would be, had other scenes been labelled.
//!
//! Objects of one scene share light, season and annotator, so scenes and not objects are drawn
//! (with replacement, as many as there are), and the middle 95 % of the results is the interval
//! (percentile bootstrap; Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
//! Scenes that overlap on the ground are not independent: intervals are then too narrow.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::curve::{Counts, Pooled};

/// Share of the replicates inside the interval.
pub const CONFIDENCE: f64 = 0.95;

/// Share of the replicates in which a measure must be defined for it to have an interval.
const DEFINED_SHARE: f64 = 0.5;

/// How scenes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// How many times a set of scenes is drawn.
    pub replicates: usize,
    /// Same seed, same intervals, whatever the number of threads.
    pub seed: u64,
}

/// The ends of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// 2.5 % of the replicates lie below.
    pub low: f64,
    /// 2.5 % of the replicates lie above.
    pub high: f64,
}

/// Intervals of what [`Pooled::measure`] gives. None where a measure is undefined too often.
#[derive(Debug, Clone, PartialEq)]
pub struct Intervals {
    /// Of average precision.
    pub ap: Option<Interval>,
    /// Of precision, recall and F1 at each score.
    pub at: Vec<[Option<Interval>; 3]>,
}

impl Resampling {
    /// Why `scenes` scenes give no interval; none if they do.
    pub fn no_interval_because(&self, scenes: usize) -> Option<&'static str> {
        match (scenes, self.replicates) {
            (0, _) => Some("no scenes: no interval"),
            (1, _) => Some("one scene: no interval"),
            (_, 0) => Some("no replicates were asked for"),
            _ => None,
        }
    }

    /// Intervals of AP, and of precision, recall and F1 at the given scores; none if
    /// [`Self::no_interval_because`] says why.
    pub fn intervals(&self, pooled: &Pooled, min_scores: &[f64]) -> Option<Intervals> {
        if self.no_interval_because(pooled.scenes()).is_some() {
            return None;
        }
        let replicates: Vec<_> = (0..self.replicates as u64)
            .into_par_iter()
            .map(|replicate| {
                let weights = self.draw(replicate, pooled.scenes());
                pooled.measure(Some(&weights), min_scores)
            })
            .collect();
        let of = |measure: &dyn Fn(usize) -> Option<f64>| {
            middle((0..replicates.len()).map(measure).collect())
        };
        let measures = [Counts::precision, Counts::recall, Counts::f1];
        Some(Intervals {
            ap: of(&|r| replicates[r].ap),
            at: (0..min_scores.len())
                .map(|t| measures.map(|measure| of(&|r| measure(&replicates[r].at[t]))))
                .collect(),
        })
    }

    /// How often each scene is drawn in one replicate. Each replicate has a random stream of its own.
    fn draw(&self, replicate: u64, scenes: usize) -> Vec<u32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(replicate);
        let mut weights = vec![0; scenes];
        for _ in 0..scenes {
            // 64 bits on every machine, so that the numbers are the same on all.
            weights[random.random_range(0..scenes as u64) as usize] += 1;
        }
        weights
    }
}

/// The middle 95 % of the values that are defined.
fn middle(values: Vec<Option<f64>>) -> Option<Interval> {
    let drawn = values.len() as f64;
    let mut defined: Vec<f64> = values.into_iter().flatten().collect();
    if defined.is_empty() || (defined.len() as f64) < DEFINED_SHARE * drawn {
        return None;
    }
    defined.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Interval {
        low: quantile(&defined, tail),
        high: quantile(&defined, 1.0 - tail),
    })
}

/// A quantile of sorted values, linear between neighbours (type 7 of Hyndman & Fan, 1996).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (at.floor() as usize, at.ceil() as usize);
    sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::matching::SceneMatch;

    const RESAMPLING: Resampling = Resampling {
        replicates: 400,
        seed: 7,
    };

    /// Scenes with ten objects each, of which a chance decides which are found.
    fn scenes(count: usize, recall: f64, seed: u64) -> Vec<SceneMatch> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| SceneMatch {
                records: (0..10)
                    .filter(|_| random.random_bool(recall))
                    .map(|_| (0.9, true))
                    .collect(),
                truth: 10,
                ignored: 0,
            })
            .collect()
    }

    #[test]
    fn the_number_of_threads_makes_no_difference() {
        let pooled = Pooled::new(&scenes(20, 0.6, 1));
        let with = |threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| RESAMPLING.intervals(&pooled, &[0.5]))
        };
        assert_eq!(with(1), with(3));
        let other = Resampling {
            seed: 8,
            ..RESAMPLING
        };
        assert_ne!(with(1), other.intervals(&pooled, &[0.5]));
    }

    #[test]
    fn intervals_hold_the_true_recall_about_as_often_as_they_say() {
        // Recall 0.6 by construction, 30 scenes of ten objects, 100 times over. 95 % are expected to
        // cover; with 30 scenes the percentile bootstrap does a little worse, so 88 of 100 will do.
        let covered = (0..100)
            .filter(|&seed| {
                let pooled = Pooled::new(&scenes(30, 0.6, seed));
                let [_, recall, _] = RESAMPLING.intervals(&pooled, &[0.5]).unwrap().at[0];
                let recall = recall.unwrap();
                recall.low <= 0.6 && 0.6 <= recall.high
            })
            .count();
        assert!((88..=100).contains(&covered), "{covered}");
    }

    #[test]
    fn the_interval_holds_the_estimate_and_narrows_with_more_scenes() {
        let width = |count| {
            let pooled = Pooled::new(&scenes(count, 0.6, 3));
            let ap = RESAMPLING.intervals(&pooled, &[]).unwrap().ap.unwrap();
            let estimate = pooled.measure(None, &[]).ap.unwrap();
            assert!(ap.low <= estimate && estimate <= ap.high);
            ap.high - ap.low
        };
        assert!(width(160) < width(10));
    }

    #[test]
    fn one_scene_gives_no_interval_and_the_reason() {
        assert!(
            RESAMPLING
                .intervals(&Pooled::new(&scenes(1, 0.6, 1)), &[])
                .is_none()
        );
        assert_eq!(
            RESAMPLING.no_interval_because(1),
            Some("one scene: no interval")
        );
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert!((quantile(&[0.0, 1.0, 2.0, 3.0], 0.5) - 1.5).abs() < 1e-12);
        assert!((quantile(&[5.0], 0.975) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn a_measure_that_is_mostly_undefined_has_no_interval() {
        assert!(middle(vec![Some(1.0), None, None]).is_none());
        assert!(middle(vec![Some(1.0), Some(1.0), None]).is_some());
    }
}
