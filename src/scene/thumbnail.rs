//! A whole scene, small: for statistics that must not change from chip to chip, and for pictures.

use std::sync::atomic::AtomicBool;

use super::error::SceneError;
use super::open::Scene;
use super::reader::{SceneReader, Window};
use super::sample::percentiles_in;

/// The used bands of a scene at a reduced size. Its memory depends on that size alone.
pub struct Thumbnail {
    /// Columns and rows.
    pub size: (usize, usize),
    /// Bands one after the other, row by row, as stored.
    pub planes: Vec<f32>,
    /// 1 where measured, row by row.
    pub valid: Vec<u8>,
}

impl Thumbnail {
    /// Reads a scene into `size` pixels.
    pub fn read(scene: &Scene, size: (usize, usize)) -> Result<Self, SceneError> {
        Self::read_until(scene, size, None)
    }

    /// The same, and fails when `stop` is raised meanwhile: a large scene without overviews is decoded as a whole.
    pub fn read_until(
        scene: &Scene,
        size: (usize, usize),
        stop: Option<&AtomicBool>,
    ) -> Result<Self, SceneError> {
        let pixels = size.0 * size.1;
        let mut planes = vec![0f32; pixels * scene.bands.len()];
        let mut valid = vec![0u8; pixels];
        let whole = Window {
            x: 0.0,
            y: 0.0,
            width: scene.width as f64,
            height: scene.height as f64,
        };
        SceneReader::open_until(scene, stop)?.read(whole, size, &mut planes, &mut valid)?;
        Ok(Self {
            size,
            planes,
            valid,
        })
    }

    /// Two percentiles (0 to 100) of the measured values, over all bands together so that colours keep their
    /// balance. `None` where nothing was measured.
    pub fn percentiles(&self, percentiles: [f64; 2]) -> Option<[f64; 2]> {
        percentiles_in(self.measured_values(), percentiles)
    }

    /// The measured values of all bands.
    pub(super) fn measured_values(&self) -> Vec<f32> {
        self.planes
            .chunks_exact(self.valid.len())
            .flat_map(|plane| plane.iter().zip(&self.valid))
            .filter(|(_, valid)| **valid == 1)
            .map(|(value, _)| *value)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_measured_values_of_all_bands() {
        let thumbnail = Thumbnail {
            size: (2, 2),
            planes: vec![1.0, 2.0, 99.0, 3.0, 4.0, 5.0, 99.0, 6.0],
            valid: vec![1, 1, 0, 1],
        };
        assert_eq!(thumbnail.percentiles([0.0, 100.0]), Some([1.0, 6.0]));
        assert_eq!(thumbnail.percentiles([20.0, 80.0]), Some([2.0, 5.0]));
        assert_eq!(
            Thumbnail {
                valid: vec![0; 4],
                ..thumbnail
            }
            .percentiles([0.0, 100.0]),
            None
        );
    }
}
