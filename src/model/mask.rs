//! The `mask` head: a class for every pixel, and from that the areas of each class.
//!
//! Tensor: batch × classes × rows × columns, in cells of one or more pixels. A pixel belongs to its likeliest
//! class, if that is not the background and its probability reaches the threshold. Pixels of one class that hang
//! together by their edges are an area; its score is their mean probability.

use ndarray::{ArrayView3, Axis};

use super::anchors::refuse_logits;
use super::{Activation, AreaPart, AreaRule, ChipBox, DetectError, Outputs, TensorInfo};
use crate::geometry::{NO_LABEL, PixelArea, trace_regions};

/// The `mask` head.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskHead {
    /// Name of the output; `None`: the file's first.
    pub output: Option<String>,
    /// What is left to be done to the scores.
    pub activation: Activation,
    /// The class that stands for nothing.
    pub background: Option<usize>,
    /// Probability from which on a pixel belongs to its class.
    pub threshold: f32,
    /// Smaller areas are left out, in square metres.
    pub min_area_m2: f64,
    /// How much outlines are simplified, in metres.
    pub simplify_m: f64,
    /// How much ground one structure takes, least and most, in square metres.
    pub structure_m2: Option<[f64; 2]>,
    /// Number of classes.
    pub classes: usize,
}

const EXPECTED: &str = "batch × classes × rows × columns";

impl MaskHead {
    /// Finds the output and compares its shape with what is read.
    pub(super) fn bind(&mut self, declared: &[TensorInfo]) -> Result<(), String> {
        let tensor = TensorInfo::find_or_first(declared, self.output.as_deref())?;
        self.output = Some(tensor.name.clone());
        tensor.check_channels(self.classes, "the model has that many classes")
    }

    /// How areas are made of what it finds.
    pub(super) fn areas(&self) -> AreaRule {
        AreaRule {
            of: AreaPart::Pixels,
            min_area_m2: self.min_area_m2,
            simplify_m: self.simplify_m,
            structure_m2: self.structure_m2,
        }
    }

    /// Areas in an input of `size` (columns, rows) pixels scoring at least `min_score`.
    pub fn decode(
        &self,
        outputs: &Outputs<'_>,
        size: (usize, usize),
        min_score: f32,
    ) -> Result<Vec<ChipBox>, DetectError> {
        let name = self.output.as_deref().unwrap_or_default();
        let maps: ArrayView3<'_, f32> = outputs.get(name, EXPECTED)?;
        let (classes, rows, columns) = maps.dim();
        let stride = size.0.checked_div(columns).unwrap_or(0);
        if classes != self.classes || (columns * stride, rows * stride) != size {
            return Err(DetectError::Shape {
                output: name.to_owned(),
                shape: maps.shape().to_vec(),
                expected: format!(
                    "{} classes in cells that tile {} × {} pixels",
                    self.classes, size.0, size.1
                ),
            });
        }
        let pixels = rows * columns;
        let probabilities = self.probabilities(&maps);
        let labels = self.labels(name, &probabilities, pixels)?;
        let regions = trace_regions(&labels, columns, rows);
        // Sums of each class over each region, then their means.
        let mut sums = vec![0f64; regions.all.len() * classes];
        let mut counts = vec![0u32; regions.all.len()];
        for (pixel, region) in regions.of_pixel.iter().enumerate() {
            if let Some(region) = (*region as usize).checked_sub(1) {
                counts[region] += 1;
                let of_pixel = &probabilities[pixel * classes..(pixel + 1) * classes];
                let sums = &mut sums[region * classes..(region + 1) * classes];
                sums.iter_mut()
                    .zip(of_pixel)
                    .for_each(|(sum, p)| *sum += f64::from(*p));
            }
        }
        let areas = regions.all.into_iter().enumerate();
        Ok(areas
            .filter_map(|(number, region)| {
                let class = region.label as usize - 1;
                let class_scores: Vec<f32> = sums[number * classes..(number + 1) * classes]
                    .iter()
                    .map(|sum| ((sum / f64::from(counts[number])) as f32).clamp(0.0, 1.0))
                    .collect();
                let score = class_scores[class];
                if score < min_score {
                    return None;
                }
                let outline = PixelArea {
                    polygon: enlarged(&region.polygon, stride as f64),
                };
                Some(ChipBox {
                    shape: outline.bounding_box()?,
                    score,
                    class,
                    class_scores,
                    type_scores: Vec::new(),
                    outline: Some(outline),
                })
            })
            .collect())
    }

    /// Probabilities of the classes, pixel after pixel.
    fn probabilities(&self, maps: &ArrayView3<'_, f32>) -> Vec<f32> {
        let (classes, rows, columns) = maps.dim();
        let mut all = vec![0f32; classes * rows * columns];
        for (class, map) in maps.axis_iter(Axis(0)).enumerate() {
            let into = all.iter_mut().skip(class).step_by(classes);
            into.zip(map.iter())
                .for_each(|(into, value)| *into = *value);
        }
        all.chunks_exact_mut(classes)
            .for_each(|scores| self.activation.apply(scores));
        all
    }

    /// The class of each pixel plus one, or [`NO_LABEL`].
    fn labels(
        &self,
        output: &str,
        probabilities: &[f32],
        pixels: usize,
    ) -> Result<Vec<u32>, DetectError> {
        let mut labels = Vec::with_capacity(pixels);
        let mut highest = 0f32;
        for scores in probabilities.chunks_exact(self.classes) {
            let (mut best, mut class) = (f32::NEG_INFINITY, 0);
            for (i, score) in scores.iter().enumerate() {
                if *score > best {
                    (best, class) = (*score, i);
                }
            }
            // Numbers that are none belong to no class, and infinite ones are none.
            let holds = best >= self.threshold && best.is_finite();
            if holds {
                highest = highest.max(best);
            }
            labels.push(if holds && self.background != Some(class) {
                class as u32 + 1
            } else {
                NO_LABEL
            });
        }
        refuse_logits(output, highest)?;
        Ok(labels)
    }
}

fn enlarged(polygon: &geo::Polygon, stride: f64) -> geo::Polygon {
    use geo::MapCoords;
    polygon.map_coords(|c| geo::coord! { x: c.x * stride, y: c.y * stride })
}

#[cfg(test)]
mod tests {
    use geo::Area;
    use ndarray::{Array3, Array4, Axis, CowArray};

    use super::*;

    fn head(activation: Activation) -> MaskHead {
        MaskHead {
            output: Some("mask".into()),
            activation,
            background: Some(0),
            threshold: 0.5,
            min_area_m2: 0.0,
            simplify_m: 0.0,
            structure_m2: None,
            classes: 2,
        }
    }

    fn decoded(head: &MaskHead, maps: Array3<f32>, size: (usize, usize)) -> Vec<ChipBox> {
        let batch: Array4<f32> = maps.insert_axis(Axis(0));
        let mut outputs = Outputs::default();
        outputs
            .insert("mask", CowArray::from(batch.into_dyn()), 0, 1)
            .unwrap();
        head.decode(&outputs, size, 0.02).unwrap()
    }

    #[test]
    fn a_ring_of_pixels_is_an_area_with_a_hole() {
        // Logits of two classes; a frame of 4 × 3 cells with one hole, in cells of two pixels.
        let mut maps = Array3::zeros((2, 6, 8));
        for row in 1..4 {
            for column in 2..6 {
                // softmax(0, ln 3) = ¾ for the second class.
                maps[[1, row, column]] = 3f32.ln();
            }
        }
        maps[[1, 2, 3]] = -1.0;
        let areas = decoded(&head(Activation::Softmax), maps, (16, 12));
        assert_eq!(areas.len(), 1);
        let outline = &areas[0].outline.as_ref().unwrap().polygon;
        assert_eq!(outline.unsigned_area(), (12.0 - 1.0) * 4.0);
        assert_eq!(outline.interiors().len(), 1);
        assert_eq!((areas[0].shape.length, areas[0].shape.width), (8.0, 6.0));
        assert_eq!(
            (areas[0].shape.center.x, areas[0].shape.center.y),
            (8.0, 5.0)
        );
        assert!((areas[0].score - 0.75).abs() < 1e-6);
        assert!((areas[0].class_scores[0] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn an_area_holds_as_many_structures_as_its_ground_has_room_for() {
        let of = |structure_m2| MaskHead {
            structure_m2,
            ..head(Activation::None)
        };
        assert_eq!(of(None).areas().structures(1000.0), None);
        let rule = of(Some([20.0, 60.0])).areas();
        assert_eq!(rule.structures(1000.0), Some((16, 50)));
        assert_eq!(rule.structures(1010.0), Some((16, 51)));
        assert_eq!(rule.structures(5.0), Some((1, 1)));
    }

    #[test]
    fn the_score_is_the_mean_over_the_pixels_and_no_numbers_belong_nowhere() {
        let mut maps = Array3::zeros((2, 2, 4));
        for (column, p) in [0.6f32, 1.0, f32::NAN, f32::INFINITY]
            .into_iter()
            .enumerate()
        {
            maps[[1, 0, column]] = p;
        }
        let areas = decoded(&head(Activation::None), maps, (4, 2));
        assert_eq!(areas.len(), 1);
        assert!((areas[0].score - 0.8).abs() < 1e-6);
        let outline = areas[0].outline.as_ref().unwrap();
        assert_eq!(
            outline.rings(),
            [[[2.0, 0.0], [2.0, 1.0], [0.0, 1.0], [0.0, 0.0]]]
        );
    }
}
