//! The `center` head: a heat map whose peaks are object centres, with maps of box size beside it.
//!
//! After Zhou, Wang & Krähenbühl, "Objects as Points" (arXiv 1904.07850): peaks are the cells that are
//! not below any of their eight neighbours, and each peak reads its box from the other maps at its cell.
//!
//! Maps cover the chip with cells of `stride` pixels (stride 1: one cell a pixel):
//!
//! | map | channels | holds |
//! | --- | --- | --- |
//! | heat map | one per class | probability that a centre lies in this cell |
//! | size | 2 | natural logarithm of length and width in pixels (without an angle map: along x and along y) |
//! | offset (optional) | 2 | from the middle of the cell to the centre, in pixels |
//! | angle (optional) | 2 | cos 2θ, sin 2θ; θ is the length axis from +x towards +y (down) |
//! | type (optional) | one per type | logits of the type within the class |

use ndarray::ArrayView3;

use super::{ChipBox, DetectError, Outputs, TensorInfo};
use crate::geometry::{OrientedBox, PixelPoint};

/// Names of the output tensors, from the card.
#[derive(Debug, Clone, PartialEq)]
pub struct CenterHead {
    /// Probability of a centre, per class.
    pub heatmap: String,
    /// Logarithm of the sides.
    pub size: String,
    /// Sub-cell position.
    pub offset: Option<String>,
    /// Direction, doubled.
    pub angle: Option<String>,
    /// Logits of the types.
    pub kind: Option<String>,
    /// Names of the types, in order.
    pub types: Vec<String>,
}

/// The maps of one chip: channels × rows × columns.
#[derive(Debug, Clone, Copy)]
pub struct CenterOutputs<'a> {
    /// Heat map.
    pub heatmap: ArrayView3<'a, f32>,
    /// Size map.
    pub size: ArrayView3<'a, f32>,
    /// Offset map.
    pub offset: Option<ArrayView3<'a, f32>>,
    /// Angle map.
    pub angle: Option<ArrayView3<'a, f32>>,
    /// Type map.
    pub kind: Option<ArrayView3<'a, f32>>,
}

impl CenterHead {
    /// Names of all outputs that are read, with the number of channels each must have.
    fn outputs(&self, classes: usize) -> Vec<(&str, usize)> {
        let mut outputs = vec![(self.heatmap.as_str(), classes), (self.size.as_str(), 2)];
        outputs.extend(self.offset.as_deref().map(|name| (name, 2)));
        outputs.extend(self.angle.as_deref().map(|name| (name, 2)));
        outputs.extend(self.kind.as_deref().map(|name| (name, self.types.len())));
        outputs
    }

    /// Compares the outputs that a file declares with those that are read.
    pub(super) fn check(&self, declared: &[TensorInfo], classes: usize) -> Result<(), String> {
        for (name, channels) in self.outputs(classes) {
            TensorInfo::find(declared, name)?.check_channels(channels, "the card says so")?;
        }
        Ok(())
    }

    /// Names of all outputs that are read.
    pub(super) fn reads(&self) -> Vec<String> {
        let outputs = self.outputs(0).into_iter();
        outputs.map(|(name, _)| name.to_owned()).collect()
    }

    /// The maps among all outputs.
    pub(super) fn maps<'a>(
        &self,
        outputs: &'a Outputs<'_>,
    ) -> Result<CenterOutputs<'a>, DetectError> {
        let map = |name: &String| outputs.get(name, "1 × channels × rows × columns");
        let optional = |name: &Option<String>| name.as_ref().map(map).transpose();
        Ok(CenterOutputs {
            heatmap: map(&self.heatmap)?,
            size: map(&self.size)?,
            offset: optional(&self.offset)?,
            angle: optional(&self.angle)?,
            kind: optional(&self.kind)?,
        })
    }

    /// Boxes at the peaks scoring at least `min_score`, for a chip of `chip_size` (columns, rows) pixels.
    ///
    /// Peaks with a size or position that is not a finite number are dropped: they cannot be drawn.
    pub fn decode(
        &self,
        maps: &CenterOutputs<'_>,
        chip_size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let (classes, rows, columns) = maps.heatmap.dim();
        let stride = self.stride(maps, chip_size)?;
        let mut boxes = Vec::new();
        for class in 0..classes {
            for row in 0..rows {
                for column in 0..columns {
                    let score = maps.heatmap[[class, row, column]];
                    if score >= min_score && is_peak(&maps.heatmap, class, row, column) {
                        boxes.extend(Self::read_box(maps, stride, class, row, column));
                    }
                }
            }
        }
        Ok(boxes)
    }

    /// Pixels per cell. All maps must have the same cells, and the cells must tile the chip.
    fn stride(
        &self,
        maps: &CenterOutputs<'_>,
        chip_size: (usize, usize),
    ) -> Result<f64, DetectError> {
        let (classes, rows, columns) = maps.heatmap.dim();
        let fits = rows > 0
            && columns > 0
            && chip_size.0.is_multiple_of(columns)
            && chip_size.1.is_multiple_of(rows)
            && chip_size.0 / columns == chip_size.1 / rows;
        if !fits {
            return Err(DetectError::Shape {
                output: self.heatmap.clone(),
                shape: vec![classes, rows, columns],
                expected: format!(
                    "cells that tile a chip of {} × {} pixels",
                    chip_size.0, chip_size.1
                ),
            });
        }
        let others = [
            (Some(&self.size), Some(maps.size), 2),
            (self.offset.as_ref(), maps.offset, 2),
            (self.angle.as_ref(), maps.angle, 2),
            (self.kind.as_ref(), maps.kind, self.types.len()),
        ];
        for (name, map, channels) in others {
            if let (Some(name), Some(map)) = (name, map)
                && map.dim() != (channels, rows, columns)
            {
                return Err(DetectError::Shape {
                    output: name.clone(),
                    shape: map.shape().to_vec(),
                    expected: format!("[{channels}, {rows}, {columns}]"),
                });
            }
        }
        Ok((chip_size.0 / columns) as f64)
    }

    fn read_box(
        maps: &CenterOutputs<'_>,
        stride: f64,
        class: usize,
        row: usize,
        column: usize,
    ) -> Option<ChipBox> {
        let at = |map: &ArrayView3<'_, f32>, channel: usize| f64::from(map[[channel, row, column]]);
        let (dx, dy) = maps
            .offset
            .as_ref()
            .map_or((0.0, 0.0), |map| (at(map, 0), at(map, 1)));
        let angle = maps
            .angle
            .as_ref()
            .map_or(0.0, |map| at(map, 1).atan2(at(map, 0)) / 2.0);
        let shape = OrientedBox {
            center: PixelPoint::new(
                (column as f64 + 0.5) * stride + dx,
                (row as f64 + 0.5) * stride + dy,
            ),
            length: at(&maps.size, 0).exp(),
            width: at(&maps.size, 1).exp(),
            angle,
        };
        if !shape.is_valid() {
            return None;
        }
        let (classes, ..) = maps.heatmap.dim();
        Some(ChipBox {
            shape: shape.canonical(),
            score: maps.heatmap[[class, row, column]].clamp(0.0, 1.0),
            class,
            class_scores: (0..classes)
                .map(|c| maps.heatmap[[c, row, column]].clamp(0.0, 1.0))
                .collect(),
            type_scores: maps.kind.as_ref().map_or_else(Vec::new, |map| {
                softmax((0..map.dim().0).map(|t| map[[t, row, column]]))
            }),
            outline: None,
        })
    }
}

/// Whether a cell is not below its eight neighbours. Of equal neighbours the first in row-major order is
/// the peak, so that a plateau gives one box.
fn is_peak(heatmap: &ArrayView3<'_, f32>, class: usize, row: usize, column: usize) -> bool {
    let (_, rows, columns) = heatmap.dim();
    let score = heatmap[[class, row, column]];
    for r in row.saturating_sub(1)..(row + 2).min(rows) {
        for c in column.saturating_sub(1)..(column + 2).min(columns) {
            let other = heatmap[[class, r, c]];
            let earlier = (r, c) < (row, column);
            if (r, c) != (row, column) && (other > score || (earlier && other >= score)) {
                return false;
            }
        }
    }
    true
}

fn softmax(logits: impl Iterator<Item = f32>) -> Vec<f32> {
    let logits: Vec<f32> = logits.collect();
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|l| (l - highest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    // Logits that are no numbers tell nothing about the type.
    if sum.is_finite() && sum > 0.0 {
        powers.into_iter().map(|p| p / sum).collect()
    } else {
        vec![1.0 / logits.len() as f32; logits.len()]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    fn head(angle: bool) -> CenterHead {
        CenterHead {
            heatmap: "heatmap".into(),
            size: "size".into(),
            offset: None,
            angle: angle.then(|| "angle".into()),
            kind: None,
            types: vec![],
        }
    }

    fn maps<'a>(
        heat: &'a Array3<f32>,
        size: &'a Array3<f32>,
        angle: Option<&'a Array3<f32>>,
    ) -> CenterOutputs<'a> {
        CenterOutputs {
            heatmap: heat.view(),
            size: size.view(),
            offset: None,
            angle: angle.map(|map| map.view()),
            kind: None,
        }
    }

    #[test]
    fn a_peak_becomes_a_box_round_the_middle_of_its_pixel() {
        let mut heat = Array3::zeros((1, 8, 8));
        heat[[0, 2, 5]] = 0.9;
        heat[[0, 2, 6]] = 0.5;
        let mut size = Array3::zeros((2, 8, 8));
        size[[0, 2, 5]] = 4f32.ln();
        size[[1, 2, 5]] = 2f32.ln();
        let boxes = head(false)
            .decode(&maps(&heat, &size, None), (8, 8), 0.1)
            .unwrap();
        assert_eq!(boxes.len(), 1);
        assert_eq!(boxes[0].shape.center, PixelPoint::new(5.5, 2.5));
        assert!(
            (boxes[0].shape.length - 4.0).abs() < 1e-5 && (boxes[0].shape.width - 2.0).abs() < 1e-5
        );
        assert!((boxes[0].score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn the_doubled_angle_is_halved() {
        let mut heat = Array3::zeros((1, 4, 4));
        heat[[0, 1, 1]] = 0.9;
        let mut size = Array3::zeros((2, 4, 4));
        size[[0, 1, 1]] = 1.0;
        let mut angle = Array3::zeros((2, 4, 4));
        // 2θ = 90°: the length axis points 45° down to the right.
        angle[[1, 1, 1]] = 0.7;
        let boxes = head(true)
            .decode(&maps(&heat, &size, Some(&angle)), (4, 4), 0.1)
            .unwrap();
        assert!((boxes[0].shape.angle - std::f64::consts::FRAC_PI_4).abs() < 1e-6);
    }

    #[test]
    fn a_plateau_gives_one_box() {
        let heat = Array3::from_elem((1, 6, 6), 0.5);
        let size = Array3::zeros((2, 6, 6));
        let boxes = head(false)
            .decode(&maps(&heat, &size, None), (6, 6), 0.1)
            .unwrap();
        assert_eq!(boxes.len(), 1);
    }

    #[test]
    fn cells_of_several_pixels_scale_positions() {
        let mut heat = Array3::zeros((1, 4, 4));
        heat[[0, 0, 3]] = 0.9;
        let size = Array3::zeros((2, 4, 4));
        let boxes = head(false)
            .decode(&maps(&heat, &size, None), (16, 16), 0.1)
            .unwrap();
        assert_eq!(boxes[0].shape.center, PixelPoint::new(14.0, 2.0));
    }

    #[test]
    fn numbers_that_are_none_give_no_box_and_no_panic() {
        let mut heat = Array3::zeros((1, 4, 4));
        heat[[0, 0, 0]] = f32::NAN;
        heat[[0, 2, 2]] = f32::INFINITY;
        let mut size = Array3::zeros((2, 4, 4));
        size[[0, 2, 2]] = f32::INFINITY;
        assert!(
            head(false)
                .decode(&maps(&heat, &size, None), (4, 4), 0.1)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn maps_that_do_not_fit_one_another_are_refused() {
        let (heat, size) = (Array3::zeros((1, 4, 4)), Array3::zeros((2, 4, 5)));
        let error = head(false)
            .decode(&maps(&heat, &size, None), (4, 4), 0.1)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "output `size` has shape [2, 4, 5], expected [2, 4, 4]"
        );
        let heat = Array3::zeros((1, 3, 3));
        assert!(
            head(false)
                .decode(&maps(&heat, &Array3::zeros((2, 3, 3)), None), (4, 4), 0.1)
                .is_err()
        );
    }

    #[test]
    fn type_probabilities_add_up_to_one() {
        let scores = softmax([1.0, 2.0, 3.0].into_iter());
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6 && scores[2] > scores[1]);
        assert_eq!(softmax([f32::NAN, 1.0].into_iter()), [0.5, 0.5]);
    }
}
