//! The `yolo-obb` head: candidates as in [`yolo`](super::yolo), each with an angle.
//!
//! Tensor: batch × (4 + classes + 1) × candidates: centre x, y, width, height in pixels of the input, a
//! probability per class, and the direction of the width in radians, from +x (right) towards +y (down).

use ndarray::{ArrayView2, s};

use super::anchors::Scores;
use super::{ChipBox, DetectError, Outputs, TensorInfo};

/// The `yolo-obb` head.
#[derive(Debug, Clone, PartialEq)]
pub struct YoloObbHead {
    /// Name of the output; `None`: the file's first.
    pub output: Option<String>,
    /// Number of classes.
    pub classes: usize,
}

impl YoloObbHead {
    /// Finds the output and compares its shape with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let tensor = TensorInfo::find_or_first(declared, self.output.as_deref())?;
        self.output = Some(tensor.name.clone());
        let [_, a, b] = tensor.sides("batch × (5 + classes) × candidates")?;
        if a > 0 && a != self.attributes() as i64 {
            return Err(format!("output `{}`: {}", tensor.name, self.unfit(a, b)));
        }
        Ok(())
    }

    /// Numbers per candidate.
    fn attributes(&self) -> usize {
        4 + self.classes + 1
    }

    fn unfit(&self, a: i64, b: i64) -> String {
        let seen = format!("[batch, {a}, {b}] for {} classes", self.classes);
        if b == 7 {
            format!(
                "{seen} looks like an end-to-end oriented export, whose boxes are already suppressed: its head is `end2end`"
            )
        } else if a == 4 + self.classes as i64 {
            format!("{seen} has no angle: its head is `yolo`")
        } else {
            format!(
                "{seen}: expected [batch, {}, candidates]",
                self.attributes()
            )
        }
    }

    /// Boxes scoring at least `min_score`.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.output.as_deref().unwrap_or_default();
        let table: ArrayView2<'_, f32> = outputs.get(name, "batch × (5 + classes) × candidates")?;
        let (a, b) = table.dim();
        if a != self.attributes() {
            return Err(DetectError::Shape {
                output: name.to_owned(),
                shape: vec![a, b],
                expected: self.unfit(a as i64, b as i64),
            });
        }
        let scores = Scores {
            output: name,
            of_class: table.slice(s![4..4 + self.classes, ..]),
            objectness: None,
        };
        scores.boxes(&table, Some(4 + self.classes), min_score)
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_3, FRAC_PI_6};

    use ndarray::{Array3, CowArray};

    use super::*;

    fn decoded(candidates: &[[f32; 6]]) -> Vec<ChipBox> {
        let head = YoloObbHead {
            output: Some("output0".into()),
            classes: 1,
        };
        let tensor = Array3::from_shape_fn((1, 6, candidates.len()), |(_, r, c)| candidates[c][r]);
        let mut outputs = Outputs::default();
        outputs
            .insert("output0", CowArray::from(tensor.into_dyn()), 0, 1)
            .unwrap();
        head.decode(&outputs, 0.25).unwrap()
    }

    #[test]
    fn the_angle_is_that_of_the_longer_side() {
        let sixth = FRAC_PI_6 as f32;
        let boxes = decoded(&[
            // Width along 30°: it is the longer side.
            [10.0, 20.0, 12.0, 6.0, 0.9, sixth],
            // Width along −60°, height along 30°: the height is the longer side.
            [10.0, 20.0, 6.0, 12.0, 0.8, -2.0 * sixth],
        ]);
        for found in &boxes {
            assert!((found.shape.angle - FRAC_PI_6).abs() < 1e-6);
            assert_eq!((found.shape.length, found.shape.width), (12.0, 6.0));
        }
        // The end of the length axis lies to the right and below.
        let end = boxes[0].shape.axis_ends()[1];
        assert!((end.x - (10.0 + 6.0 * FRAC_PI_6.cos())).abs() < 1e-5);
        assert!((end.y - (20.0 + 6.0 * FRAC_PI_3.cos())).abs() < 1e-5);
    }

    #[test]
    fn an_angle_that_is_no_number_drops_the_box() {
        assert!(decoded(&[[10.0, 20.0, 12.0, 6.0, 0.9, f32::NAN]]).is_empty());
    }

    #[test]
    fn other_exports_are_refused_by_name() {
        let head = YoloObbHead {
            output: None,
            classes: 15,
        };
        insta::assert_snapshot!(
            [
                head.unfit(300, 7),
                head.unfit(19, 21504),
                head.unfit(84, 8400),
            ]
            .join("\n")
        );
    }
}
