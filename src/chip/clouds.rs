//! The clouds over a chip.

use super::plan::Chip;
use crate::geometry::OrientedBox;
use crate::scene::{CloudClass, CloudReader, SceneError};

/// What covers the pixels of a chip, by the scene's cloud mask.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipClouds {
    size: (usize, usize),
    /// Row by row; `None`: clear.
    classes: Vec<Option<CloudClass>>,
}

/// How much of a box lies under cloud.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloudCover {
    /// Share of its pixels, 0 to 1, under cloud of any class.
    pub share: f64,
    /// The class of most of them; `None` where none are.
    pub class: Option<CloudClass>,
}

impl ChipClouds {
    /// Reads the mask under a chip.
    pub fn read(reader: &mut CloudReader, chip: &Chip) -> Result<Self, SceneError> {
        Ok(Self {
            size: chip.size,
            classes: reader.read(chip.window, chip.size)?,
        })
    }

    /// Whether a pixel, counted row by row, lies under cloud that hides the ground. Thin cloud and shadow do not.
    pub fn hides(&self, pixel: usize) -> bool {
        self.classes[pixel] == Some(CloudClass::Cloud)
    }

    /// How much of a box, in pixels of the chip, lies under cloud. A box smaller than a pixel goes by that pixel.
    pub fn over(&self, shape: &OrientedBox) -> CloudCover {
        let (columns, rows) = self.size;
        let corners = shape.corners();
        let range = |values: [f64; 4], limit: usize| {
            let low = values.into_iter().fold(f64::INFINITY, f64::min);
            let high = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let from = low.floor().clamp(0.0, limit as f64) as usize;
            from..high.ceil().clamp(0.0, limit as f64) as usize
        };
        let (sin, cos) = shape.angle.sin_cos();
        let mut counts = [0u32; 4];
        let mut count = |pixel: usize| {
            counts[self.classes[pixel].map_or(0, |class| class as usize + 1)] += 1;
        };
        for row in range(corners.map(|c| c.y), rows) {
            for column in range(corners.map(|c| c.x), columns) {
                let (dx, dy) = (
                    column as f64 + 0.5 - shape.center.x,
                    row as f64 + 0.5 - shape.center.y,
                );
                let (along, across) = (dx * cos + dy * sin, dy * cos - dx * sin);
                if along.abs() <= shape.length / 2.0 && across.abs() <= shape.width / 2.0 {
                    count(row * columns + column);
                }
            }
        }
        if counts.iter().sum::<u32>() == 0 {
            let at = |value: f64, limit: usize| (value.max(0.0) as usize).min(limit - 1);
            counts[self.classes
                [at(shape.center.y, rows) * columns + at(shape.center.x, columns)]
            .map_or(0, |class| class as usize + 1)] += 1;
        }
        let all: u32 = counts.iter().sum();
        let [clear, shadow, thin, cloud] = counts;
        let class = [
            (cloud, CloudClass::Cloud),
            (thin, CloudClass::Thin),
            (shadow, CloudClass::Shadow),
        ]
        .into_iter()
        .max_by_key(|(count, class)| (*count, *class))
        .filter(|(count, _)| *count > 0);
        CloudCover {
            share: f64::from(all - clear) / f64::from(all),
            class: class.map(|(_, class)| class),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::PixelPoint;

    /// 8 × 8 pixels, the right half under `class`.
    fn half(class: CloudClass) -> ChipClouds {
        ChipClouds {
            size: (8, 8),
            classes: (0..64).map(|i| (i % 8 >= 4).then_some(class)).collect(),
        }
    }

    fn square(x: f64, side: f64, angle: f64) -> OrientedBox {
        OrientedBox {
            center: PixelPoint::new(x, 4.0),
            length: side,
            width: side,
            angle,
        }
    }

    #[test]
    fn the_share_is_that_of_the_pixels_in_the_box() {
        let clouds = half(CloudClass::Thin);
        let cover = |x| clouds.over(&square(x, 4.0, 0.0));
        assert_eq!(cover(2.0).share, 0.0);
        assert_eq!(cover(2.0).class, None);
        assert_eq!(cover(3.0).share, 0.25);
        assert_eq!(cover(4.0).share, 0.5);
        assert_eq!(cover(6.0).share, 1.0);
        assert_eq!(cover(6.0).class, Some(CloudClass::Thin));
        let turned = clouds.over(&square(4.0, 4.0, 0.5));
        assert!((turned.share - 0.5).abs() < 0.1, "{turned:?}");
    }

    #[test]
    fn a_box_smaller_than_a_pixel_or_off_the_chip_has_an_answer() {
        let clouds = half(CloudClass::Cloud);
        assert_eq!(clouds.over(&square(6.2, 0.1, 0.0)).share, 1.0);
        assert_eq!(clouds.over(&square(90.0, 2.0, 0.0)).share, 1.0);
        assert_eq!(clouds.over(&square(-5.0, 2.0, 0.0)).share, 0.0);
    }
}
