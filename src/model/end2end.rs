//! The `end2end` head: boxes that the model has suppressed itself (YOLOv10, YOLO26, exports with `nms=True`).
//!
//! | tensor | a box holds |
//! | --- | --- |
//! | batch × boxes × 6 | left, upper, right, lower edge; score; class |
//! | batch × boxes × 7 | centre x, y, width, height; score; class; direction of the width in radians, from +x towards +y |
//!
//! In pixels of the input. Rows that hold no box have score 0. The order of the seven numbers is that of Ultralytics'
//! oriented end-to-end head, seen on an export of `yolo26n-obb`
//! (github.com/ultralytics/ultralytics, issue 24481).

use ndarray::{ArrayView1, ArrayView2};

use super::anchors::{refuse_logits, turned, upright};
use super::{ChipBox, DetectError, Outputs, TensorInfo};
use crate::geometry::OrientedBox;

/// The `end2end` head.
#[derive(Debug, Clone, PartialEq)]
pub struct End2EndHead {
    /// Name of the output; `None`: the file's first.
    pub output: Option<String>,
    /// Number of classes.
    pub classes: usize,
}

const EXPECTED: &str = "batch × boxes × 6, or × 7 with an angle";

impl End2EndHead {
    /// Finds the output and compares its shape with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let tensor = TensorInfo::find_or_first(declared, self.output.as_deref())?;
        self.output = Some(tensor.name.clone());
        let [_, _, numbers] = tensor.sides(EXPECTED)?;
        if numbers > 0 && !matches!(numbers, 6 | 7) {
            return Err(format!(
                "output `{}` has shape {:?}, expected {EXPECTED}: candidates before suppression are read by the heads `yolo` and `yolo-obb`",
                tensor.name, tensor.shape
            ));
        }
        Ok(())
    }

    /// Boxes scoring at least `min_score`.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.output.as_deref().unwrap_or_default();
        let table: ArrayView2<'_, f32> = outputs.get(name, EXPECTED)?;
        if !matches!(table.ncols(), 6 | 7) {
            return Err(DetectError::Shape {
                output: name.to_owned(),
                shape: table.shape().to_vec(),
                expected: EXPECTED.to_owned(),
            });
        }
        let mut boxes = Vec::new();
        for row in table.rows() {
            let (score, class) = (row[4], row[5]);
            if !(score >= min_score && score.is_finite() && class.is_finite()) {
                continue;
            }
            refuse_logits(name, score)?;
            if class < 0.0 || class.round() as usize >= self.classes {
                return Err(DetectError::Class {
                    output: name.to_owned(),
                    class,
                    classes: self.classes,
                });
            }
            let shape = shape(&row);
            if !shape.is_valid() {
                continue;
            }
            let (class, score) = (class.round() as usize, score.clamp(0.0, 1.0));
            let mut class_scores = vec![0.0; self.classes];
            class_scores[class] = score;
            boxes.push(ChipBox {
                shape: shape.canonical(),
                score,
                class,
                class_scores,
                type_scores: Vec::new(),
                outline: None,
            });
        }
        Ok(boxes)
    }
}

fn shape(row: &ArrayView1<'_, f32>) -> OrientedBox {
    if let Some(angle) = row.get(6) {
        return turned((row[0], row[1]), row[2], row[3], *angle);
    }
    let (x0, y0, x1, y1) = (row[0], row[1], row[2], row[3]);
    upright(
        (f32::midpoint(x0, x1), f32::midpoint(y0, y1)),
        x1 - x0,
        y1 - y0,
    )
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, Array3, Axis, CowArray};

    use super::*;
    use crate::geometry::PixelPoint;

    fn decoded<const N: usize>(rows: &[[f32; N]]) -> Result<Vec<ChipBox>, DetectError> {
        let head = End2EndHead {
            output: Some("output0".into()),
            classes: 3,
        };
        let table = Array2::from_shape_fn((rows.len(), N), |(r, c)| rows[r][c]);
        let tensor: Array3<f32> = table.insert_axis(Axis(0));
        let mut outputs = Outputs::default();
        outputs.insert("output0", CowArray::from(tensor.into_dyn()), 0, 1)?;
        head.decode(&outputs, 0.25)
    }

    #[test]
    fn edges_become_a_centre_and_sides() {
        let boxes = decoded(&[[2.0, 4.0, 14.0, 10.0, 0.75, 2.0], [0.0; 6]]).unwrap();
        assert_eq!(boxes.len(), 1);
        assert_eq!(boxes[0].shape.center, PixelPoint::new(8.0, 7.0));
        assert_eq!((boxes[0].shape.length, boxes[0].shape.width), (12.0, 6.0));
        assert_eq!(boxes[0].class_scores, [0.0, 0.0, 0.75]);
    }

    #[test]
    fn seven_numbers_are_a_box_with_an_angle() {
        let boxes = decoded(&[[8.0, 7.0, 12.0, 6.0, 0.75, 0.0, 0.5]]).unwrap();
        assert_eq!(boxes[0].shape.center, PixelPoint::new(8.0, 7.0));
        assert!((boxes[0].shape.angle - 0.5).abs() < 1e-6);
    }

    #[test]
    fn numbers_that_are_none_are_dropped_and_unknown_classes_are_errors() {
        let odd = [
            [f32::NAN, 4.0, 14.0, 10.0, 0.75, 0.0],
            [2.0, 4.0, 14.0, 10.0, f32::NAN, 0.0],
            [2.0, 4.0, 14.0, 10.0, f32::INFINITY, 0.0],
            [2.0, 4.0, 14.0, 10.0, 0.75, f32::NAN],
            [14.0, 4.0, 2.0, 10.0, 0.75, 0.0],
        ];
        assert!(decoded(&odd).unwrap().is_empty());
        let error = decoded(&[[2.0, 4.0, 14.0, 10.0, 0.75, 3.0]]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "output `output0` names class 3, the model has 3 classes, counted from 0"
        );
    }
}
