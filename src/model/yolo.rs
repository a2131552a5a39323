//! The `yolo` head: one row of numbers per candidate box, before suppression.
//!
//! | export | tensor | a candidate holds |
//! | --- | --- | --- |
//! | YOLO v8 to v12 (Ultralytics), v9 | batch × (4 + classes) × candidates | centre x, y, width, height; a probability per class |
//! | YOLO v5, v6, v7 | batch × candidates × (5 + classes) | the same with the probability of any object before the classes |
//!
//! Boxes are in pixels of the input. Which of the two it is follows from the shape.

use ndarray::{ArrayView2, s};

use super::anchors::Scores;
use super::{ChipBox, DetectError, Outputs, TensorInfo};

/// Numbers of an instance mask that segmentation exports add to each candidate.
const MASK_COEFFICIENTS: usize = 32;
/// End-to-end exports keep about this many boxes; a head of raw candidates has thousands.
const END_TO_END_BOXES: i64 = 1000;

/// Stands for a side that the file leaves open: more candidates than any model has.
const OPEN: i64 = i64::MAX;

/// The `yolo` head.
#[derive(Debug, Clone, PartialEq)]
pub struct YoloHead {
    /// Name of the output; `None`: the file's first.
    pub output: Option<String>,
    /// Number of classes.
    pub classes: usize,
}

/// How candidates lie in the tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// (4 + classes) × candidates.
    AttributesFirst,
    /// Candidates × (5 + classes).
    WithObjectness,
    /// Candidates × (4 + classes).
    AttributesLast,
}

impl YoloHead {
    /// Finds the output and compares its shape with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let tensor = TensorInfo::find_or_first(declared, self.output.as_deref())?;
        self.output = Some(tensor.name.clone());
        let [_, a, b] = tensor.sides("batch × (4 + classes) × candidates")?;
        if a > 0 || b > 0 {
            // A side that the file leaves open is the number of candidates.
            let known = |side: i64| if side > 0 { side } else { OPEN };
            self.layout(known(a), known(b))
                .map_err(|why| format!("output `{}`: {why}", tensor.name))?;
        }
        Ok(())
    }

    fn layout(&self, a: i64, b: i64) -> Result<Layout, String> {
        let classes = self.classes as i64;
        let fitting = [
            (Layout::AttributesFirst, a == 4 + classes, b),
            (Layout::WithObjectness, b == 5 + classes, a),
            (Layout::AttributesLast, b == 4 + classes, a),
        ];
        // Where two fit, there are more candidates than numbers in one.
        let best = fitting.into_iter().filter(|(_, fits, _)| *fits).max_by_key(
            |(layout, _, candidates)| (*candidates, *layout == Layout::AttributesFirst),
        );
        best.map(|(layout, ..)| layout)
            .ok_or_else(|| unfit(a, b, classes))
    }

    /// Boxes scoring at least `min_score`.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.output.as_deref().unwrap_or_default();
        let table: ArrayView2<'_, f32> = outputs.get(name, "batch × (4 + classes) × candidates")?;
        let (a, b) = table.dim();
        let layout = self
            .layout(a as i64, b as i64)
            .map_err(|expected| DetectError::Shape {
                output: name.to_owned(),
                shape: vec![a, b],
                expected,
            })?;
        let attributes = match layout {
            Layout::AttributesFirst => table,
            Layout::WithObjectness | Layout::AttributesLast => table.reversed_axes(),
        };
        let first_class = if layout == Layout::WithObjectness {
            5
        } else {
            4
        };
        let scores = Scores {
            output: name,
            of_class: attributes.slice(s![first_class.., ..]),
            objectness: (layout == Layout::WithObjectness).then(|| attributes.row(4)),
        };
        scores.boxes(&attributes, None, min_score)
    }
}

/// What a tensor of sides `a` × `b` is, if not this head's.
fn unfit(a: i64, b: i64, classes: i64) -> String {
    let side = |side: i64| {
        if side == OPEN {
            "any".to_owned()
        } else {
            side.to_string()
        }
    };
    let seen = format!("[batch, {}, {}] for {classes} classes", side(a), side(b));
    let extra = a - 4 - classes;
    if (b == 6 || b == 7) && a <= END_TO_END_BOXES {
        format!(
            "{seen} looks like an end-to-end export, whose boxes are already suppressed (YOLO26, YOLOv10, `nms=True`): its head is `end2end`"
        )
    } else if extra == 1 {
        format!("{seen} looks like an oriented export with an angle: its head is `yolo-obb`")
    } else if extra == MASK_COEFFICIENTS as i64 {
        format!(
            "{seen} looks like an instance segmentation export, which is not read: export a detection or an oriented model"
        )
    } else if extra > 0 && (extra % 3 == 0 || extra % 2 == 0) && extra < 200 {
        format!(
            "{seen} has {extra} more numbers per box, as a pose export has, which is not read: export a detection or an oriented model"
        )
    } else {
        format!(
            "{seen}: expected [batch, {}, candidates] (YOLO v8 and later) or [batch, candidates, {}] (YOLO v5 to v7)",
            4 + classes,
            5 + classes
        )
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ArrayD, CowArray};

    use super::*;
    use crate::geometry::PixelPoint;

    fn head(classes: usize) -> YoloHead {
        YoloHead {
            output: Some("output0".into()),
            classes,
        }
    }

    fn decoded(head: &YoloHead, tensor: ArrayD<f32>) -> Result<Vec<ChipBox>, DetectError> {
        let mut outputs = Outputs::default();
        outputs.insert("output0", CowArray::from(tensor), 0, 1)?;
        head.decode(&outputs, 0.25)
    }

    /// Three candidates of two classes; the second is weak, the third wider than tall.
    fn candidates() -> [[f32; 6]; 3] {
        [
            [10.0, 20.0, 4.0, 8.0, 0.1, 0.9],
            [11.0, 20.0, 4.0, 8.0, 0.2, 0.1],
            [50.5, 60.5, 12.0, 6.0, 0.7, 0.3],
        ]
    }

    #[test]
    fn a_v8_export_is_read_by_column() {
        let tensor = Array3::from_shape_fn((1, 6, 3), |(_, r, c)| candidates()[c][r]).into_dyn();
        let boxes = decoded(&head(2), tensor).unwrap();
        assert_eq!(boxes.len(), 2);
        // Taller than wide: the length axis points down, a quarter turn from +x.
        assert_eq!(boxes[0].shape.center, PixelPoint::new(10.0, 20.0));
        assert_eq!((boxes[0].shape.length, boxes[0].shape.width), (8.0, 4.0));
        assert!((boxes[0].shape.angle - std::f64::consts::FRAC_PI_2).abs() < 1e-12);
        assert_eq!((boxes[0].class, boxes[0].score), (1, 0.9));
        assert_eq!(boxes[1].class_scores, [0.7, 0.3]);
        assert_eq!((boxes[1].shape.length, boxes[1].shape.angle), (12.0, 0.0));
    }

    #[test]
    fn a_v5_export_is_read_by_row_and_multiplied_by_its_objectness() {
        let rows: [[f32; 7]; 8] = std::array::from_fn(|i| {
            let score = if i == 3 { 0.8 } else { 0.1 };
            [30.0, 40.0, 12.0, 6.0, score, 0.25, 0.5]
        });
        let tensor = Array3::from_shape_fn((1, 8, 7), |(_, r, c)| rows[r][c]).into_dyn();
        let boxes = decoded(&head(2), tensor).unwrap();
        assert_eq!(boxes.len(), 1);
        assert!((boxes[0].score - 0.4).abs() < 1e-6, "0.8 × 0.5");
        assert!((boxes[0].class_scores[0] - 0.2).abs() < 1e-6, "0.8 × 0.25");
    }

    #[test]
    fn boxes_that_are_none_are_dropped() {
        let mut tensor = Array3::from_elem((1, 5, 9), 0.9f32);
        tensor[[0, 0, 0]] = f32::NAN;
        tensor[[0, 2, 1]] = -3.0;
        tensor[[0, 3, 2]] = f32::INFINITY;
        tensor[[0, 4, 3]] = f32::NAN;
        assert_eq!(decoded(&head(1), tensor.into_dyn()).unwrap().len(), 5);
    }

    #[test]
    fn other_exports_are_refused_by_name() {
        let refused = |a: i64, b: i64, classes: usize| head(classes).layout(a, b).unwrap_err();
        insta::assert_snapshot!(
            [
                refused(300, 6, 80),
                refused(300, 7, 15),
                refused(20, 21504, 15),
                refused(116, 8400, 80),
                refused(56, 8400, 1),
                refused(9, 8400, 4),
                refused(7, OPEN, 2),
            ]
            .join("\n")
        );
    }
}
