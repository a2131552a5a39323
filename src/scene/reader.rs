//! Reading a window of a scene: used bands as planes of `f32`, and which pixels are measured.

use gdal::Dataset;
use gdal::errors::GdalError;

use super::open::{Scene, SceneError};
use super::raw::{Resampling, read_window};
use super::remote::open_dataset;
use super::validity::ValidityRule;

/// A rectangle in scene pixels; its corners may lie between pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// Width in scene pixels.
    pub width: f64,
    /// Height in scene pixels.
    pub height: f64,
}

impl Window {
    /// Whether reading this into `size` pixels needs no resampling.
    fn is_native(&self, size: (usize, usize)) -> bool {
        self.x.fract() == 0.0
            && self.y.fract() == 0.0
            && self.width == size.0 as f64
            && self.height == size.1 as f64
    }
}

/// An open scene. A GDAL dataset must not be used by two threads at once: each thread opens its own.
pub struct SceneReader {
    dataset: Dataset,
    bands: Vec<usize>,
    validity: ValidityRule,
    path: String,
    scratch: Vec<f32>,
    mask: Vec<u8>,
}

impl SceneReader {
    /// Opens the file of a scene described before.
    pub fn open(scene: &Scene) -> Result<Self, SceneError> {
        let dataset = open_dataset(scene.raster()).map_err(|source| SceneError::NotARaster {
            path: scene.path.clone(),
            source,
        })?;
        Ok(Self {
            dataset,
            bands: scene.bands.clone(),
            validity: scene.validity.clone(),
            path: scene.path.clone(),
            scratch: Vec::new(),
            mask: Vec::new(),
        })
    }

    /// Reads `window` resampled to `size` (columns, rows).
    ///
    /// `planes` receives the used bands one after the other, row by row, as stored (no scaling);
    /// `valid` receives 1 for measured pixels and 0 for empty ones. The window must lie inside the scene.
    pub fn read(
        &mut self,
        window: Window,
        size: (usize, usize),
        planes: &mut [f32],
        valid: &mut [u8],
    ) -> Result<(), SceneError> {
        self.read_inner(window, size, planes, valid)
            .map_err(|source| SceneError::Read {
                path: self.path.clone(),
                column: window.x.floor().max(0.0) as u64,
                row: window.y.floor().max(0.0) as u64,
                source,
            })
    }

    fn read_inner(
        &mut self,
        window: Window,
        size: (usize, usize),
        planes: &mut [f32],
        valid: &mut [u8],
    ) -> Result<(), GdalError> {
        let pixels = size.0 * size.1;
        if planes.len() != pixels * self.bands.len() || valid.len() != pixels {
            return Err(GdalError::BufferSizeMismatch(planes.len(), size));
        }
        let native = window.is_native(size);
        let resampling = if native {
            Resampling::Nearest
        } else {
            Resampling::Bilinear
        };
        for (plane, &band) in planes.chunks_exact_mut(pixels).zip(&self.bands) {
            read_window(
                &self.dataset.rasterband(band)?,
                window,
                size,
                resampling,
                plane,
            )?;
        }
        self.read_validity(window, size, native, planes, valid)?;
        for plane in planes.chunks_exact(pixels) {
            for (v, value) in valid.iter_mut().zip(plane) {
                *v &= u8::from(value.is_finite());
            }
        }
        Ok(())
    }

    fn read_validity(
        &mut self,
        window: Window,
        size: (usize, usize),
        native: bool,
        planes: &[f32],
        valid: &mut [u8],
    ) -> Result<(), GdalError> {
        let pixels = valid.len();
        match self.validity {
            ValidityRule::AllValid => valid.fill(1),
            ValidityRule::SharedMask => {
                let band = self.dataset.rasterband(self.bands[0])?;
                read_window(
                    &band.open_mask_band()?,
                    window,
                    size,
                    Resampling::Nearest,
                    valid,
                )?;
                for v in valid.iter_mut() {
                    *v = u8::from(*v != 0);
                }
            }
            ValidityRule::BandMasks => {
                valid.fill(0);
                self.mask.resize(pixels, 0);
                for &number in &self.bands {
                    let band = self.dataset.rasterband(number)?;
                    read_window(
                        &band.open_mask_band()?,
                        window,
                        size,
                        Resampling::Nearest,
                        &mut self.mask,
                    )?;
                    valid
                        .iter_mut()
                        .zip(&self.mask)
                        .for_each(|(v, m)| *v |= u8::from(*m != 0));
                }
            }
            ValidityRule::Given(empty) => {
                self.read_by_value(empty as f32, window, size, native, planes, valid)?;
            }
            ValidityRule::AssumedZero => {
                self.read_by_value(0.0, window, size, native, planes, valid)?;
            }
        }
        Ok(())
    }

    /// Measured where any used band differs from `empty`.
    fn read_by_value(
        &mut self,
        empty: f32,
        window: Window,
        size: (usize, usize),
        native: bool,
        planes: &[f32],
        valid: &mut [u8],
    ) -> Result<(), GdalError> {
        valid.fill(0);
        let mut note = |values: &[f32]| {
            for (v, value) in valid.iter_mut().zip(values) {
                *v |= u8::from((value - empty).abs() > 0.0);
            }
        };
        if native {
            planes.chunks_exact(size.0 * size.1).for_each(note);
            return Ok(());
        }
        // Resampling mixes the empty value with its neighbours: look at the stored pixels instead.
        self.scratch.resize(size.0 * size.1, 0.0);
        for &number in &self.bands {
            read_window(
                &self.dataset.rasterband(number)?,
                window,
                size,
                Resampling::Nearest,
                &mut self.scratch,
            )?;
            note(&self.scratch);
        }
        Ok(())
    }
}
