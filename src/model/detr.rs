//! The `detr` head: a few hundred boxes, each with its class scores, that need no suppression by themselves.
//!
//! | export | outputs |
//! | --- | --- |
//! | RT-DETR (Ultralytics) | batch × boxes × (4 + classes): box, then a probability per class |
//! | RF-DETR, Deformable DETR | boxes: batch × boxes × 4; scores: batch × boxes × classes, logits of the logistic function |
//! | DETR | the same, logits of a softmax with "no object" as last class |
//!
//! Boxes are centre x, y, width, height as shares of the input's sides. A last score too many stands for "no
//! object" and is left out.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::anchors::{Scores, upright};
use super::{Activation, ChipBox, DetectError, Outputs, TensorInfo};

/// The `detr` head.
#[derive(Debug, Clone, PartialEq)]
pub struct DetrHead {
    /// Name of the output with boxes; `None`: found by its shape.
    pub boxes: Option<String>,
    /// Name of the output with scores; `None`: found by its shape, or the same tensor.
    pub scores: Option<String>,
    /// What is left to be done to scores; `None`: nothing in one tensor, the logistic function in two.
    pub activation: Option<Activation>,
    /// Number of classes.
    pub classes: usize,
}

impl DetrHead {
    /// Finds the outputs and compares their shapes with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let last = |t: &&TensorInfo, side: i64| t.shape.len() == 3 && t.shape[2] == side;
        let boxes = match &self.boxes {
            Some(name) => TensorInfo::find(declared, name)?,
            None => declared
                .iter()
                .find(|t| last(t, 4))
                .or_else(|| declared.first())
                .ok_or("the file has no outputs")?,
        };
        let [_, _, numbers] = boxes.sides("batch × boxes × 4, or × (4 + classes)")?;
        let scores = match &self.scores {
            Some(name) => Some(TensorInfo::find(declared, name)?),
            None if numbers == 4 => Some(
                declared
                    .iter()
                    .find(|t| t.name != boxes.name && t.shape.len() == 3)
                    .ok_or_else(|| format!("there are boxes in `{}` and no scores", boxes.name))?,
            ),
            None => None,
        };
        self.boxes = Some(boxes.name.clone());
        self.scores = scores.map(|t| t.name.clone());
        let classes = self.classes as i64;
        if let Some(tensor) = scores {
            let [_, _, found] = tensor.sides("batch × boxes × classes")?;
            if found > 0 && found != classes && found != classes + 1 {
                return Err(format!(
                    "output `{}` has {found} scores per box, the model has {classes} classes",
                    tensor.name
                ));
            }
        } else if numbers > 0 && numbers != 4 + classes {
            return Err(format!(
                "output `{}` has shape {:?}, expected [batch, boxes, {}] for {classes} classes, or boxes of 4 numbers with scores beside them",
                boxes.name,
                boxes.shape,
                4 + classes
            ));
        }
        Ok(())
    }

    /// Names of the outputs that are read.
    pub(super) fn reads(&self) -> Vec<String> {
        self.boxes.iter().chain(&self.scores).cloned().collect()
    }

    /// Boxes scoring at least `min_score` in an input of `size` (columns, rows) pixels.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.boxes.as_deref().unwrap_or_default();
        let boxes: ArrayView2<'_, f32> = outputs.get(name, "batch × boxes × numbers")?;
        let unfit = |output: &str, table: &ArrayView2<'_, f32>| DetectError::Shape {
            output: output.to_owned(),
            shape: table.shape().to_vec(),
            expected: format!("scores of {} classes for every box", self.classes),
        };
        let (output, raw) = match self.scores.as_deref() {
            Some(name) => (name, outputs.get(name, "batch × boxes × classes")?),
            None if boxes.ncols() == 4 + self.classes => (name, boxes.slice(s![.., 4..])),
            None => return Err(unfit(name, &boxes)),
        };
        let fits = (self.classes..=self.classes + 1).contains(&raw.ncols());
        if boxes.ncols() < 4 || raw.nrows() != boxes.nrows() || !fits {
            return Err(unfit(output, &raw));
        }
        let probabilities = self.probabilities(&raw);
        let scores = Scores {
            output,
            of_class: probabilities.slice(s![.., ..self.classes]).reversed_axes(),
            objectness: None,
        };
        let (columns, rows) = (size.0 as f32, size.1 as f32);
        let ranked = scores.ranked(min_score)?.into_iter();
        Ok(ranked
            .filter_map(|r| {
                let at = |column: usize| boxes[[r.anchor, column]];
                let shape = upright(
                    (at(0) * columns, at(1) * rows),
                    at(2) * columns,
                    at(3) * rows,
                );
                scores.chip_box(r, shape)
            })
            .collect())
    }

    /// Boxes × scores, after the activation.
    fn probabilities(&self, raw: &ArrayView2<'_, f32>) -> Array2<f32> {
        let activation = self.activation.unwrap_or(if self.scores.is_some() {
            Activation::Sigmoid
        } else {
            Activation::None
        });
        let mut table = raw.as_standard_layout().into_owned();
        for mut row in table.axis_iter_mut(Axis(0)) {
            if let Some(scores) = row.as_slice_mut() {
                activation.apply(scores);
            }
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, CowArray, arr2};

    use super::*;
    use crate::geometry::PixelPoint;

    fn head(activation: Option<Activation>, scores: bool) -> DetrHead {
        DetrHead {
            boxes: Some("dets".into()),
            scores: scores.then(|| "labels".into()),
            activation,
            classes: 2,
        }
    }

    fn decoded(head: &DetrHead, tensors: &[(&str, Array2<f32>)]) -> Vec<ChipBox> {
        let mut outputs = Outputs::default();
        for (name, table) in tensors {
            let batch = table.clone().insert_axis(Axis(0)).into_dyn();
            outputs.insert(name, CowArray::from(batch), 0, 1).unwrap();
        }
        head.decode(&outputs, (200, 100), 0.25).unwrap()
    }

    #[test]
    fn shares_of_the_input_become_pixels() {
        let one = arr2(&[
            [0.5, 0.25, 0.1, 0.1, 0.125, 0.75],
            [0.5, 0.5, 0.1, 0.1, 0.1, 0.2],
        ]);
        let boxes = decoded(&head(None, false), &[("dets", one)]);
        assert_eq!(boxes.len(), 1);
        assert_eq!(boxes[0].shape.center, PixelPoint::new(100.0, 25.0));
        assert!((boxes[0].shape.length - 20.0).abs() < 1e-5);
        assert!((boxes[0].shape.width - 10.0).abs() < 1e-5);
        assert_eq!(boxes[0].class_scores, [0.125, 0.75]);
    }

    #[test]
    fn logits_of_the_logistic_function_leave_out_a_last_score_too_many() {
        let boxes = decoded(
            &head(None, true),
            &[
                ("dets", arr2(&[[0.5, 0.5, 0.2, 0.2]])),
                // σ(ln 3) = 3/4.
                ("labels", arr2(&[[3f32.ln(), 0.0, 9.0]])),
            ],
        );
        assert!((boxes[0].score - 0.75).abs() < 1e-6 && boxes[0].class == 0);
        assert_eq!(boxes[0].class_scores.len(), 2);
    }

    #[test]
    fn a_softmax_counts_no_object() {
        let head = head(Some(Activation::Softmax), true);
        let labels = arr2(&[[6f32.ln(), 3f32.ln(), 1f32.ln()], [0.0, 0.0, 9f32.ln()]]);
        let dets = arr2(&[[0.5, 0.5, 0.2, 0.2], [0.1, 0.1, 0.2, 0.2]]);
        let boxes = decoded(&head, &[("dets", dets), ("labels", labels)]);
        assert_eq!(boxes.len(), 1);
        assert!((boxes[0].score - 0.6).abs() < 1e-6, "6 of 10");
    }

    #[test]
    fn outputs_are_found_by_their_shapes() {
        let tensor = |name: &str, sides: [i64; 3]| TensorInfo {
            name: name.into(),
            element: None,
            shape: sides.to_vec(),
        };
        let bound = |declared: &[TensorInfo]| {
            let mut head = DetrHead {
                boxes: None,
                scores: None,
                activation: None,
                classes: 2,
            };
            head.bind(declared).map(|()| head.reads())
        };
        let two = [tensor("labels", [1, 300, 3]), tensor("dets", [1, 300, 4])];
        assert_eq!(bound(&two).unwrap(), ["dets", "labels"]);
        assert_eq!(
            bound(&[tensor("output0", [1, 300, 6])]).unwrap(),
            ["output0"]
        );
        assert!(
            bound(&[tensor("output0", [1, 300, 9])])
                .unwrap_err()
                .contains("[batch, boxes, 6]")
        );
        assert!(bound(&two[1..]).unwrap_err().contains("no scores"));
    }
}
