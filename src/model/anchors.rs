//! What detection heads share: many candidate boxes, each with a score per class, of which few are kept.

use ndarray::{ArrayView1, ArrayView2};

use super::{ChipBox, DetectError};
use crate::geometry::OrientedBox;

/// Rounding may take a probability this far above one.
const PROBABILITY_SLACK: f32 = 1e-3;

/// Refuses scores that are no probabilities, by the highest of them: logits, mostly.
pub(super) fn refuse_logits(output: &str, highest: f32) -> Result<(), DetectError> {
    if highest > 1.0 + PROBABILITY_SLACK {
        return Err(DetectError::NotProbabilities {
            output: output.to_owned(),
            highest,
        });
    }
    Ok(())
}

/// A candidate that is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    /// Its number.
    pub(super) anchor: usize,
    /// Its best class.
    pub(super) class: usize,
    /// The score of that class.
    pub(super) score: f32,
}

/// Scores of many candidates: classes × anchors, in either memory layout, and what multiplies them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scores<'a> {
    /// Name of the tensor, for errors.
    pub(super) output: &'a str,
    /// Classes × anchors.
    pub(super) of_class: ArrayView2<'a, f32>,
    /// Probability that there is anything at all, per anchor.
    pub(super) objectness: Option<ArrayView1<'a, f32>>,
}

impl Scores<'_> {
    /// Candidates scoring at least `min_score`, in order. Scores that are no finite numbers count as none; scores
    /// above one are an error, since the card then says nothing of what they mean.
    pub(super) fn ranked(&self, min_score: f32) -> Result<Vec<Ranked>, DetectError> {
        let best = if self.of_class.strides()[1] == 1 {
            self.best_by_class()
        } else {
            self.best_by_anchor(min_score)
        };
        let mut kept = Vec::new();
        for (anchor, (score, class)) in best.into_iter().enumerate() {
            let score = score * self.objectness.map_or(1.0, |o| o[anchor]);
            if score >= min_score && score.is_finite() {
                kept.push(Ranked {
                    anchor,
                    class: class as usize,
                    score,
                });
            }
        }
        let highest = kept.iter().map(|r| r.score).fold(0.0, f32::max);
        refuse_logits(self.output, highest)?;
        Ok(kept)
    }

    /// Row after row of classes, as they lie in memory.
    fn best_by_class(&self) -> Vec<(f32, u32)> {
        let (classes, anchors) = self.of_class.dim();
        let mut best = vec![(f32::NEG_INFINITY, 0u32); anchors];
        for class in 0..classes {
            for (best, score) in best.iter_mut().zip(self.of_class.row(class)) {
                if *score > best.0 {
                    *best = (*score, class as u32);
                }
            }
        }
        best
    }

    /// Anchor after anchor, as they lie in memory, without those that cannot be kept.
    fn best_by_anchor(&self, min_score: f32) -> Vec<(f32, u32)> {
        let none = (f32::NEG_INFINITY, 0u32);
        let columns = self.of_class.columns().into_iter().enumerate();
        columns
            .map(|(anchor, column)| {
                if self.objectness.is_some_and(|o| o[anchor] < min_score) {
                    return none;
                }
                let scores = column.iter().zip(0u32..);
                scores.fold(none, |best, (score, class)| {
                    if *score > best.0 {
                        (*score, class)
                    } else {
                        best
                    }
                })
            })
            .collect()
    }

    /// Boxes scoring at least `min_score` of a table (attributes × candidates) that begins with centre x, y, width and
    /// height; the row `angle`, where there is one, holds the direction of the width.
    pub(super) fn boxes(
        &self,
        attributes: &ArrayView2<'_, f32>,
        angle: Option<usize>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let ranked = self.ranked(min_score)?.into_iter();
        let boxes = ranked.filter_map(|r| {
            let at = |row: usize| attributes[[row, r.anchor]];
            let shape = turned((at(0), at(1)), at(2), at(3), angle.map_or(0.0, at));
            self.chip_box(r, shape)
        });
        Ok(boxes.collect())
    }

    /// The box of a candidate; `None` where its shape is none.
    pub(super) fn chip_box(&self, ranked: Ranked, shape: OrientedBox) -> Option<ChipBox> {
        let probability = |value: f32| {
            let weighted = value * self.objectness.map_or(1.0, |o| o[ranked.anchor]);
            if weighted.is_finite() {
                weighted.clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        shape.is_valid().then(|| ChipBox {
            shape: shape.canonical(),
            score: ranked.score.clamp(0.0, 1.0),
            class: ranked.class,
            class_scores: self
                .of_class
                .column(ranked.anchor)
                .iter()
                .map(|v| probability(*v))
                .collect(),
            type_scores: Vec::new(),
            outline: None,
        })
    }
}

/// An axis-parallel box from its centre and sides.
pub(super) fn upright(center: (f32, f32), width: f32, height: f32) -> OrientedBox {
    turned(center, width, height, 0.0)
}

/// A box whose width lies along `angle` (radians, from +x towards +y).
pub(super) fn turned((x, y): (f32, f32), width: f32, height: f32, angle: f32) -> OrientedBox {
    OrientedBox {
        center: crate::geometry::PixelPoint::new(f64::from(x), f64::from(y)),
        length: f64::from(width),
        width: f64::from(height),
        angle: f64::from(angle),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr1, arr2};
    use proptest::prelude::*;

    use super::*;

    fn scores(table: &Array2<f32>) -> Scores<'_> {
        Scores {
            output: "output0",
            of_class: table.view(),
            objectness: None,
        }
    }

    #[test]
    fn numbers_that_are_none_are_dropped() {
        let table = arr2(&[
            [f32::NAN, f32::INFINITY, 0.5, f32::NEG_INFINITY],
            [0.4, 0.9, f32::NAN, f32::NAN],
        ]);
        let kept = scores(&table).ranked(0.1).unwrap();
        let anchors: Vec<_> = kept.iter().map(|r| (r.anchor, r.class, r.score)).collect();
        assert_eq!(anchors, [(0, 1, 0.4), (2, 0, 0.5)]);
    }

    #[test]
    fn logits_are_not_taken_for_probabilities() {
        let table = arr2(&[[0.5, 7.25]]);
        let error = scores(&table).ranked(0.1).unwrap_err().to_string();
        assert!(
            error.contains("`output0`") && error.contains("7.25"),
            "{error}"
        );
    }

    #[test]
    fn objectness_multiplies() {
        let (table, objectness) = (arr2(&[[0.5, 0.9]]), arr1(&[0.5, 0.1]));
        let scores = Scores {
            objectness: Some(objectness.view()),
            ..scores(&table)
        };
        let kept = scores.ranked(0.2).unwrap();
        assert_eq!((kept.len(), kept[0].score), (1, 0.25));
        let shape = upright((1.0, 1.0), 2.0, 2.0);
        assert_eq!(
            scores.chip_box(kept[0], shape).unwrap().class_scores,
            [0.25]
        );
    }

    proptest! {
        #[test]
        fn both_memory_layouts_rank_alike(values in prop::collection::vec(0.0f32..1.0, 40), floor in 0.0f32..0.9) {
            let rows = Array2::from_shape_vec((4, 10), values).unwrap();
            let columns = rows.t().as_standard_layout().into_owned();
            prop_assert_eq!(
                scores(&rows).ranked(floor).unwrap(),
                Scores { of_class: columns.t(), ..scores(&rows) }.ranked(floor).unwrap()
            );
        }
    }
}
