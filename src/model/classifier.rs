//! The `classifier` head: one score per class for a whole chip.
//!
//! Tensor: batch × classes. The chip is an area of its likeliest class but the background; chips that touch are
//! joined after the ledger.

use geo::coord;
use ndarray::ArrayView1;

use super::anchors::refuse_logits;
use super::{Activation, AreaPart, AreaRule, ChipBox, DetectError, Outputs, TensorInfo};
use crate::geometry::PixelArea;

/// The `classifier` head.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifierHead {
    /// Name of the output; `None`: the file's first.
    pub output: Option<String>,
    /// What is left to be done to the scores.
    pub activation: Activation,
    /// The class that stands for nothing.
    pub background: Option<usize>,
    /// Number of classes.
    pub classes: usize,
}

const EXPECTED: &str = "batch × classes";

impl ClassifierHead {
    /// Finds the output and compares its shape with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let tensor = TensorInfo::find_or_first(declared, self.output.as_deref())?;
        self.output = Some(tensor.name.clone());
        let [_, found] = tensor.sides(EXPECTED)?;
        if found > 0 && found != self.classes as i64 {
            return Err(format!(
                "output `{}` has {found} scores, the model has {} classes",
                tensor.name, self.classes
            ));
        }
        Ok(())
    }

    /// How areas are made of what it finds.
    pub(super) fn areas() -> AreaRule {
        AreaRule {
            of: AreaPart::Chips,
            min_area_m2: 0.0,
            simplify_m: 0.0,
            structure_m2: None,
        }
    }

    /// The chip of `size` (columns, rows) pixels as an area, if a class scores at least `min_score`.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.output.as_deref().unwrap_or_default();
        let raw: ArrayView1<'_, f32> = outputs.get(name, EXPECTED)?;
        if raw.len() != self.classes {
            return Err(DetectError::Shape {
                output: name.to_owned(),
                shape: raw.shape().to_vec(),
                expected: format!("{} classes", self.classes),
            });
        }
        let mut scores = raw.to_vec();
        self.activation.apply(&mut scores);
        let mut best: Option<(usize, f32)> = None;
        for (class, score) in scores.iter().enumerate() {
            let counts = score.is_finite() && self.background != Some(class);
            if counts && best.is_none_or(|(_, highest)| *score > highest) {
                best = Some((class, *score));
            }
        }
        let Some((class, score)) = best.filter(|(_, score)| *score >= min_score) else {
            return Ok(Vec::new());
        };
        refuse_logits(name, score)?;
        let end = coord! { x: size.0 as f64, y: size.1 as f64 };
        let outline = PixelArea {
            polygon: geo::Rect::new(coord! { x: 0.0, y: 0.0 }, end).to_polygon(),
        };
        let probability = |score: &f32| {
            if score.is_finite() {
                score.clamp(0.0, 1.0)
            } else {
                0.0
            }
        };
        Ok(outline
            .bounding_box()
            .map(|shape| ChipBox {
                shape,
                score: score.clamp(0.0, 1.0),
                class,
                class_scores: scores.iter().map(probability).collect(),
                type_scores: Vec::new(),
                outline: Some(outline),
            })
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{CowArray, arr2};

    use super::*;

    fn decoded(scores: [f32; 3], activation: Activation) -> Result<Vec<ChipBox>, DetectError> {
        let head = ClassifierHead {
            output: Some("scores".into()),
            activation,
            background: Some(0),
            classes: 3,
        };
        let mut outputs = Outputs::default();
        outputs.insert("scores", CowArray::from(arr2(&[scores]).into_dyn()), 0, 1)?;
        head.decode(&outputs, (64, 32), 0.25)
    }

    #[test]
    fn the_whole_chip_is_of_its_likeliest_class_but_the_background() {
        let found = decoded([0.6, 0.1, 0.3], Activation::None).unwrap();
        assert_eq!((found.len(), found[0].class, found[0].score), (1, 2, 0.3));
        assert_eq!((found[0].shape.length, found[0].shape.width), (64.0, 32.0));
        assert!(
            decoded([0.7, 0.1, 0.2], Activation::None)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn logits_go_through_the_activation_and_are_refused_without() {
        let logits = [1f32.ln(), 3f32.ln(), 6f32.ln()];
        let found = decoded(logits, Activation::Softmax).unwrap();
        assert!((found[0].score - 0.6).abs() < 1e-6);
        assert!(matches!(
            decoded(logits, Activation::None),
            Err(DetectError::NotProbabilities { .. })
        ));
        assert!(
            decoded([f32::NAN; 3], Activation::Softmax)
                .unwrap()
                .is_empty()
        );
    }
}
