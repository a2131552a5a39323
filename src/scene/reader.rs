//! Reading a window of a scene: used bands as planes of `f32`, and which pixels are measured.

use std::sync::atomic::AtomicBool;

use gdal::Dataset;
use gdal::errors::GdalError;
use gdal::raster::{GdalDataType, GdalType};

use super::error::SceneError;
use super::open::Scene;
use super::raw::{Resampling, read_window};
use super::remote::{is_remote, open_dataset, why_away};
use super::stored::{EmptyPixels, Sample, StoredPixels};
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
pub struct SceneReader<'a> {
    dataset: Dataset,
    bands: Vec<usize>,
    validity: ValidityRule,
    path: String,
    /// What GDAL opened.
    raster: String,
    /// The type of all used bands, where it is one that is kept as stored.
    data_type: Option<GdalDataType>,
    /// Rows that are read at a time, of all bands: whole blocks.
    rows_at_once: usize,
    scratch: Vec<f32>,
    mask: Vec<u8>,
    /// Raised when what is being read is not wanted any more.
    stop: Option<&'a AtomicBool>,
}

/// Fewer rows at a time than this are not worth the calls, where blocks are flat.
const MIN_ROWS_AT_ONCE: usize = 64;

impl SceneReader<'static> {
    /// Opens the file of a scene described before.
    pub fn open(scene: &Scene) -> Result<Self, SceneError> {
        Self::open_until(scene, None)
    }
}

impl<'a> SceneReader<'a> {
    /// The same for reads that fail when `stop` is raised meanwhile.
    pub fn open_until(scene: &Scene, stop: Option<&'a AtomicBool>) -> Result<Self, SceneError> {
        let dataset = open_dataset(scene.raster()).map_err(|source| SceneError::NotARaster {
            path: scene.path.clone(),
            source,
        })?;
        let data_type = (scene.bands.iter())
            .map(|&number| dataset.rasterband(number).map(|band| band.band_type()))
            .reduce(|a, b| match (a, b) {
                (Ok(a), Ok(b)) if a == b => Ok(a),
                // Bands of several types are read as one that holds them all.
                (Ok(_), Ok(_)) => Ok(GdalDataType::Float32),
                (Err(error), _) | (_, Err(error)) => Err(error),
            })
            .transpose()
            .map_err(|source| SceneError::NotARaster {
                path: scene.path.clone(),
                source,
            })?;
        let block_rows = (scene.blocks.height as usize).max(1);
        Ok(Self {
            dataset,
            bands: scene.bands.clone(),
            validity: scene.validity.clone(),
            path: scene.path.clone(),
            raster: scene.raster().to_owned(),
            data_type,
            rows_at_once: MIN_ROWS_AT_ONCE.next_multiple_of(block_rows),
            scratch: Vec::new(),
            mask: Vec::new(),
            stop,
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
        let origin = (
            window.x.floor().max(0.0) as usize,
            window.y.floor().max(0.0) as usize,
        );
        self.attempt(origin, |reader| {
            reader.read_inner(window, size, planes, valid)
        })
    }

    /// Reads; where that fails and a server has to do with it, tells whether it is away, and reads again if it is not.
    fn attempt(
        &mut self,
        origin: (usize, usize),
        mut read: impl FnMut(&mut Self) -> Result<(), GdalError>,
    ) -> Result<(), SceneError> {
        let mut done = read(self);
        if done.is_err() && is_remote(&self.raster) {
            if let Some(reason) = why_away(&self.dataset, &self.raster) {
                return Err(SceneError::Away {
                    path: self.path.clone(),
                    reason,
                });
            }
            done = read(self);
        }
        done.map_err(|source| SceneError::Read {
            path: self.path.clone(),
            column: origin.0 as u64,
            row: origin.1 as u64,
            source,
        })
    }

    /// Reads whole pixels, `size` columns and rows from `origin` on, as they are stored: each block of the file
    /// is decoded once, as long as the block cache holds one row of them. The rectangle must lie in the scene.
    pub fn read_stored(
        &mut self,
        origin: (usize, usize),
        size: (usize, usize),
        into: &mut StoredPixels,
    ) -> Result<(), SceneError> {
        (into.origin, into.size) = (origin, size);
        into.empty = match self.validity {
            ValidityRule::AllValid => EmptyPixels::Never,
            ValidityRule::SharedMask | ValidityRule::AlphaBand(_) | ValidityRule::BandMasks => {
                EmptyPixels::Masked
            }
            ValidityRule::Given(value) => EmptyPixels::Value(value as f32),
            ValidityRule::AssumedZero => EmptyPixels::Value(0.0),
        };
        self.attempt(origin, |reader| match reader.data_type {
            Some(GdalDataType::UInt8) => reader.read_samples::<u8>(into),
            Some(GdalDataType::UInt16) => reader.read_samples::<u16>(into),
            Some(GdalDataType::Int16) => reader.read_samples::<i16>(into),
            _ => reader.read_samples::<f32>(into),
        })
    }

    fn read_samples<T: Sample>(&mut self, into: &mut StoredPixels) -> Result<(), GdalError> {
        let mut values = T::take(&mut into.samples);
        let (columns, rows) = into.size;
        values.resize(columns * rows * self.bands.len(), T::default());
        let read = self.read_rows(into.origin, into.size, &mut values, &mut into.mask);
        into.samples = T::wrap(values);
        read
    }

    /// Reads a row of blocks after the other, all bands of each: GDAL decodes a block of interleaved pixels for
    /// all bands at once, but must not have dropped it before the last band is read.
    fn read_rows<T: GdalType + Copy>(
        &mut self,
        origin: (usize, usize),
        size: (usize, usize),
        values: &mut [T],
        mask: &mut Vec<u8>,
    ) -> Result<(), GdalError> {
        let pixels = size.0 * size.1;
        let masked = matches!(
            self.validity,
            ValidityRule::SharedMask | ValidityRule::AlphaBand(_) | ValidityRule::BandMasks
        );
        if masked {
            mask.clear();
            mask.resize(pixels, 0);
        }
        let (top, bottom) = (origin.1, origin.1 + size.1);
        let mut from = top;
        while from < bottom {
            let to = ((from / self.rows_at_once + 1) * self.rows_at_once).min(bottom);
            let window = Window {
                x: origin.0 as f64,
                y: from as f64,
                width: size.0 as f64,
                height: (to - from) as f64,
            };
            let part = (size.0, to - from);
            let range = (from - top) * size.0..(to - top) * size.0;
            for (plane, &number) in values.chunks_exact_mut(pixels).zip(&self.bands) {
                let band = self.dataset.rasterband(number)?;
                read_window(
                    &band,
                    window,
                    part,
                    Resampling::Nearest,
                    self.stop,
                    &mut plane[range.clone()],
                )?;
            }
            if masked {
                self.read_mask(window, part, &mut mask[range])?;
            }
            from = to;
        }
        Ok(())
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
                self.stop,
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
        match self.validity {
            ValidityRule::AllValid => valid.fill(1),
            ValidityRule::SharedMask | ValidityRule::AlphaBand(_) | ValidityRule::BandMasks => {
                self.read_mask(window, size, valid)?;
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

    /// Measured where the mask of any used band says so; one mask stands for all where they share it.
    fn read_mask(
        &mut self,
        window: Window,
        size: (usize, usize),
        valid: &mut [u8],
    ) -> Result<(), GdalError> {
        if let ValidityRule::AlphaBand(number) = self.validity {
            let alpha = self.dataset.rasterband(number)?;
            read_window(&alpha, window, size, Resampling::Nearest, self.stop, valid)?;
            for v in valid.iter_mut() {
                *v = u8::from(*v != 0);
            }
            return Ok(());
        }
        valid.fill(0);
        self.mask.resize(valid.len(), 0);
        let shared = self.validity == ValidityRule::SharedMask;
        for &number in self.bands.iter().take(if shared { 1 } else { usize::MAX }) {
            let band = self.dataset.rasterband(number)?;
            read_window(
                &band.open_mask_band()?,
                window,
                size,
                Resampling::Nearest,
                self.stop,
                &mut self.mask,
            )?;
            for (v, m) in valid.iter_mut().zip(&self.mask) {
                *v |= u8::from(*m != 0);
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
                self.stop,
                &mut self.scratch,
            )?;
            note(&self.scratch);
        }
        Ok(())
    }
}
