//! The pixels of a chip, as a model wants them: planes first, scaled, empty pixels at zero, and beyond the edge of the
//! scene whatever the model was trained with there.
//!
//! Two steps, on two threads. A [`ChipReader`] reads a *strip*, neighbouring chips of one row together, as it is
//! stored. An [`InputTransform`] cuts one chip out of it: type, scale, range and layout in one pass over the
//! pixels, into buffers that are used again for the next chip. A chip that needs resampling is a strip of its own.

use ndarray::Array3;

use super::plan::Chip;
use crate::scene::{EmptyPixels, Samples, Scene, SceneError, SceneReader, StoredPixels, Window};

/// From stored values to a model's input: `(clamp(stored × scale + offset) × gain + bias)` per band.
#[derive(Debug, Clone, PartialEq)]
pub struct InputScaling {
    /// Range that values in the model's units are held to, where the model states one.
    pub clamp: Option<(f32, f32)>,
    /// Factor per band.
    pub gain: Vec<f32>,
    /// Term per band.
    pub bias: Vec<f32>,
    /// What lies beyond the edge of a scene, in the model's input.
    pub padding: f32,
}

/// A chip as a model sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChipPixels {
    /// Bands × rows × columns, in the model's input units; 0 where nothing was measured, and the model's padding
    /// beyond the edge of the scene.
    pub data: Array3<f32>,
    /// 1 where a pixel was measured, row by row.
    pub valid: Vec<u8>,
    /// Whether that is everywhere.
    pub complete: bool,
}

impl ChipPixels {
    /// Whether a pixel of the chip was measured; positions outside the chip were not.
    pub fn is_valid(&self, column: i64, row: i64) -> bool {
        let (_, rows, columns) = self.data.dim();
        match (usize::try_from(column), usize::try_from(row)) {
            (Ok(c), Ok(r)) if c < columns && r < rows => self.valid[r * columns + c] == 1,
            _ => false,
        }
    }

    /// Whether any pixel was measured.
    pub fn any_valid(&self) -> bool {
        self.valid.contains(&1)
    }
}

/// Reads strips of one scene. One per thread.
pub struct ChipReader {
    reader: SceneReader<'static>,
    scene_size: (usize, usize),
    bands: usize,
    part: (Vec<f32>, Vec<u8>),
}

/// A stretch of an axis that is read in one go: `(source start, source length, first pixel, pixels)`.
type Segment = (f64, f64, usize, usize);

impl ChipReader {
    /// Opens the scene's file for this thread.
    pub fn open(scene: &Scene) -> Result<Self, SceneError> {
        Ok(Self {
            reader: SceneReader::open(scene)?,
            scene_size: (scene.width, scene.height),
            bands: scene.bands.len(),
            part: Default::default(),
        })
    }

    /// Reads chips that follow one another in a row: either one chip, or several that need no resampling.
    pub fn read(&mut self, chips: &[Chip], into: &mut StoredPixels) -> Result<(), SceneError> {
        match chips {
            [chip] if !chip.is_native() => self.read_resampled(chip, into),
            [first, ..] => {
                let last = chips.last().unwrap_or(first);
                let (x, y) = (first.window.x as usize, first.window.y as usize);
                let columns = (last.window.x as usize + last.size.0).min(self.scene_size.0) - x;
                let rows = first.size.1.min(self.scene_size.1 - y);
                self.reader.read_stored((x, y), (columns, rows), into)
            }
            [] => Ok(()),
        }
    }

    /// Reads a chip whose pixels lie between those of the scene. Parts of its window outside the scene count as
    /// not measured.
    fn read_resampled(&mut self, chip: &Chip, into: &mut StoredPixels) -> Result<(), SceneError> {
        let (columns, rows) = chip.size;
        let scene_size = (self.scene_size.0 as f64, self.scene_size.1 as f64);
        let across = segments(chip.window.x, chip.scale.0, columns, scene_size.0);
        let down = segments(chip.window.y, chip.scale.1, rows, scene_size.1);
        let (planes, valid) = into.floats(self.bands, chip.size);
        if let ([(x, width, 0, w)], [(y, height, 0, h)]) = (across.as_slice(), down.as_slice())
            && (*w, *h) == chip.size
        {
            let window = Window {
                x: *x,
                y: *y,
                width: *width,
                height: *height,
            };
            return self.reader.read(window, chip.size, planes, valid);
        }
        planes.fill(0.0);
        valid.fill(0);
        let (part_planes, part_valid) = &mut self.part;
        for &(y, height, first_row, part_rows) in &down {
            for &(x, width, first_column, part_columns) in &across {
                let window = Window {
                    x,
                    y,
                    width,
                    height,
                };
                let size = (part_columns, part_rows);
                part_valid.resize(part_rows * part_columns, 0);
                part_planes.resize(self.bands * part_rows * part_columns, 0.0);
                self.reader.read(window, size, part_planes, part_valid)?;
                for row in 0..part_rows {
                    let from = row * part_columns..(row + 1) * part_columns;
                    let at = (first_row + row) * columns + first_column;
                    valid[at..at + part_columns].copy_from_slice(&part_valid[from.clone()]);
                    let parts = part_planes.chunks_exact(part_rows * part_columns);
                    for (plane, part) in planes.chunks_exact_mut(rows * columns).zip(parts) {
                        plane[at..at + part_columns].copy_from_slice(&part[from.clone()]);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What becomes of one band's stored numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BandTransform {
    scale: f32,
    offset: f32,
    low: f32,
    high: f32,
    gain: f32,
    bias: f32,
}

impl BandTransform {
    #[inline]
    fn apply(self, stored: f32) -> f32 {
        let value = stored * self.scale + self.offset;
        // As `f32::clamp`, written so that it is done on several numbers at once.
        let value = if value < self.low { self.low } else { value };
        let value = if value > self.high { self.high } else { value };
        value * self.gain + self.bias
    }
}

/// From the stored pixels of one scene to a model's input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputTransform {
    bands: Vec<BandTransform>,
    padding: f32,
    /// Columns and rows of the scene.
    scene_size: (usize, usize),
}

impl InputTransform {
    /// For a scene and a model.
    pub fn new(scene: &Scene, scaling: &InputScaling) -> Self {
        let (low, high) = scaling.clamp.unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let floor = scene.radiometry.floor;
        let low = floor.map_or(low, |floor| low.max(floor as f32).min(high));
        let stored = scene.radiometry.bands.iter();
        let input = scaling.gain.iter().zip(&scaling.bias);
        Self {
            bands: stored
                .zip(input)
                .map(|(stored, (&gain, &bias))| BandTransform {
                    scale: stored.scale as f32,
                    offset: stored.offset as f32,
                    low,
                    high,
                    gain,
                    bias,
                })
                .collect(),
            padding: scaling.padding,
            scene_size: (scene.width, scene.height),
        }
    }

    /// Cuts a chip out of the strip it was read with. Whatever of it lies outside the strip was not measured.
    pub fn cut(&self, chip: &Chip, strip: &StoredPixels, into: &mut ChipPixels) {
        let (columns, rows) = chip.size;
        let shape = (self.bands.len(), rows, columns);
        if into.data.dim() != shape {
            into.data = Array3::zeros(shape);
            into.valid = vec![0; rows * columns];
        }
        let origin = if chip.is_native() {
            (
                chip.window.x as usize - strip.origin.0,
                chip.window.y as usize - strip.origin.1,
            )
        } else {
            (0, 0)
        };
        let in_scene = self.in_scene(chip);
        match &strip.samples {
            Samples::U8(values) => self.cut_samples(values, strip, (origin, in_scene), into),
            Samples::U16(values) => self.cut_samples(values, strip, (origin, in_scene), into),
            Samples::I16(values) => self.cut_samples(values, strip, (origin, in_scene), into),
            Samples::F32(values) => self.cut_samples(values, strip, (origin, in_scene), into),
        }
    }

    /// Columns and rows of a chip that begin within the scene.
    fn in_scene(&self, chip: &Chip) -> (usize, usize) {
        let along = |start: f64, scale: f64, pixels: usize, length: usize| {
            let begun = ((length as f64 - start) / scale - SLACK).ceil().max(0.0);
            (begun as usize).min(pixels)
        };
        let (window, size) = (&chip.window, chip.size);
        (
            along(window.x, chip.scale.0, size.0, self.scene_size.0),
            along(window.y, chip.scale.1, size.1, self.scene_size.1),
        )
    }

    fn cut_samples<T: Number>(
        &self,
        values: &[T],
        strip: &StoredPixels,
        (origin, in_scene): ((usize, usize), (usize, usize)),
        into: &mut ChipPixels,
    ) {
        let (_, rows, columns) = into.data.dim();
        let (strip_columns, strip_rows) = strip.size;
        let plane_size = strip_columns * strip_rows;
        let inside = (
            in_scene.0.min(strip_columns.saturating_sub(origin.0)),
            in_scene.1.min(strip_rows.saturating_sub(origin.1)),
        );
        let Some(data) = into.data.as_slice_mut() else {
            return;
        };
        if inside != (columns, rows) {
            data.fill(self.padding);
            into.valid.fill(0);
        }
        let mut complete = inside == (columns, rows);
        for row in 0..inside.1 {
            let start = (origin.1 + row) * strip_columns + origin.0;
            let stored = |band: usize| {
                let at = band * plane_size + start;
                &values[at..at + inside.0]
            };
            let valid = &mut into.valid[row * columns..row * columns + inside.0];
            match strip.empty {
                EmptyPixels::Never => valid.fill(1),
                EmptyPixels::Masked => {
                    valid.copy_from_slice(&strip.mask[start..start + inside.0]);
                }
                EmptyPixels::Value(empty) => match T::stored(empty) {
                    Some(empty) => {
                        valid.fill(0);
                        for band in 0..self.bands.len() {
                            for (v, value) in valid.iter_mut().zip(stored(band)) {
                                *v |= u8::from(*value != empty);
                            }
                        }
                    }
                    None => valid.fill(1),
                },
            }
            if T::MAY_BE_NONE {
                for band in 0..self.bands.len() {
                    for (v, value) in valid.iter_mut().zip(stored(band)) {
                        *v &= u8::from(value.number().is_finite());
                    }
                }
            }
            let all = valid.iter().fold(1, |all, v| all & v) == 1;
            complete &= all;
            for (band, transform) in self.bands.iter().enumerate() {
                let at = (band * rows + row) * columns;
                let input = data[at..at + inside.0].iter_mut().zip(stored(band));
                if all {
                    input.for_each(|(x, value)| *x = transform.apply(value.number()));
                } else {
                    for ((x, value), valid) in input.zip(valid.iter()) {
                        let number = transform.apply(value.number());
                        *x = if *valid == 1 { number } else { 0.0 };
                    }
                }
            }
        }
        into.complete = complete;
    }
}

/// A stored number.
trait Number: Copy + PartialEq {
    /// Whether there are values that are no finite number.
    const MAY_BE_NONE: bool;

    /// Its value.
    fn number(self) -> f32;

    /// How a value is stored; `None` where no stored number has it. Compared as stored, sixteen bytes are looked at
    /// in the time of four floats.
    fn stored(value: f32) -> Option<Self>;
}

macro_rules! number {
    ($stored:ty, $may_be_none:literal) => {
        impl Number for $stored {
            const MAY_BE_NONE: bool = $may_be_none;

            #[inline]
            fn number(self) -> f32 {
                f32::from(self)
            }

            fn stored(value: f32) -> Option<Self> {
                let stored = value as Self;
                (f32::from(stored) == value).then_some(stored)
            }
        }
    };
}

number!(u8, false);
number!(u16, false);
number!(i16, false);
number!(f32, true);

/// Rounding in start + count × scale must not push a window over the edge; in model pixels.
const SLACK: f64 = 1e-6;

/// Cuts an axis of `count` model pixels, `scale` scene pixels each, into the part inside the scene and,
/// where the scene ends within a model pixel, that last pixel on its own (GDAL takes no window that
/// reaches past the raster, and leaving the rest out would leave scene pixels unseen).
fn segments(start: f64, scale: f64, count: usize, scene_length: f64) -> Vec<Segment> {
    let inside = (((scene_length - start) / scale + SLACK).floor().max(0.0) as usize).min(count);
    let mut parts = Vec::with_capacity(2);
    let end = start + inside as f64 * scale;
    if inside > 0 {
        parts.push((start, end.min(scene_length) - start, 0, inside));
    }
    let rest = scene_length - end;
    if inside < count && rest > SLACK * scale {
        parts.push((end, rest, inside, 1));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_inside_the_scene_is_one_segment() {
        assert_eq!(
            segments(10.0, 1.0, 256, 1000.0),
            vec![(10.0, 256.0, 0, 256)]
        );
    }

    #[test]
    fn a_scene_that_ends_within_a_model_pixel_is_seen_to_its_end() {
        // 100 scene pixels are 66 model pixels of 1.5 and one third of another.
        assert_eq!(
            segments(0.0, 1.5, 128, 100.0),
            vec![(0.0, 99.0, 0, 66), (99.0, 1.0, 66, 1)]
        );
    }

    #[test]
    fn a_window_shifted_to_the_edge_does_not_reach_over_it() {
        let scale = 10.0 / 15.0;
        let start = 1000.0 - 256.0 * scale;
        let parts = segments(start, scale, 256, 1000.0);
        assert_eq!(parts.len(), 1);
        assert!(parts[0].0 + parts[0].1 <= 1000.0);
        assert_eq!(parts[0].3, 256);
    }

    fn transform(bands: usize) -> InputTransform {
        let band = BandTransform {
            scale: 0.5,
            offset: 1.0,
            low: 0.0,
            high: 40.0,
            gain: 0.1,
            bias: -1.0,
        };
        InputTransform {
            bands: vec![band; bands],
            padding: -7.0,
            scene_size: (15, 22),
        }
    }

    fn chip(x: f64, y: f64, size: (usize, usize)) -> Chip {
        let window = Window {
            x,
            y,
            width: size.0 as f64,
            height: size.1 as f64,
        };
        let core = super::super::plan::PixelRect {
            x0: x,
            y0: y,
            x1: x + window.width,
            y1: y + window.height,
        };
        Chip {
            index: 0,
            row: 0,
            column: 0,
            window,
            core,
            size,
            scale: (1.0, 1.0),
        }
    }

    /// Two bands of 5 × 2 pixels that begin at column 10, row 20 of the scene.
    fn strip(samples: Samples, empty: EmptyPixels) -> StoredPixels {
        StoredPixels {
            origin: (10, 20),
            size: (5, 2),
            samples,
            empty,
            mask: vec![1, 1, 1, 0, 1, 1, 1, 1, 1, 1],
        }
    }

    #[test]
    fn a_chip_is_cut_scaled_clamped_and_emptied_in_one_pass() {
        let first = [0u8, 10, 20, 30, 40, 50, 60, 70, 80, 90];
        let second = [0u8, 0, 0, 0, 0, 0, 100, 0, 0, 0];
        let values: Vec<u8> = first.into_iter().chain(second).collect();
        let mut pixels = ChipPixels::default();
        let stored = strip(Samples::U8(values), EmptyPixels::Value(0.0));
        // One column of it lies right of the strip.
        transform(2).cut(&chip(13.0, 20.0, (3, 2)), &stored, &mut pixels);
        let value = |stored: f32| (stored * 0.5 + 1.0).clamp(0.0, 40.0) * 0.1 + -1.0;
        let expected = [30.0, 40.0, 80.0, 90.0].map(value);
        assert_eq!(pixels.data.dim(), (2, 2, 3));
        let plane: Vec<f32> = pixels.data.iter().take(6).copied().collect();
        let edge = -7.0;
        let cut = [
            expected[0],
            expected[1],
            edge,
            expected[2],
            expected[3],
            edge,
        ];
        assert_eq!(plane, cut);
        assert_eq!(pixels.valid, [1, 1, 0, 1, 1, 0]);
        assert!(!pixels.complete);
        // The buffer is used again, for a chip whose first pixel is empty in all bands.
        transform(2).cut(&chip(10.0, 20.0, (3, 2)), &stored, &mut pixels);
        assert_eq!(pixels.valid, [0, 1, 1, 1, 1, 1]);
        assert_eq!(pixels.data[[0, 0, 0]], 0.0);
        assert_eq!(pixels.data[[1, 1, 1]], value(100.0));
    }

    #[test]
    fn a_resampled_chip_is_padded_beyond_the_scene_and_empty_within() {
        // Three scene pixels a model pixel: of five columns two begin in the scene, of two rows one.
        let mut chip = chip(10.0, 20.0, (5, 2));
        chip.scale = (3.0, 3.0);
        let mut pixels = ChipPixels::default();
        let mut stored = strip(Samples::F32(vec![4.0; 10]), EmptyPixels::Masked);
        stored.mask = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        transform(1).cut(&chip, &stored, &mut pixels);
        let value = (4.0 * 0.5 + 1.0) * 0.1 - 1.0;
        let row: Vec<f32> = pixels.data.iter().take(6).copied().collect();
        assert_eq!(row, [value, 0.0, -7.0, -7.0, -7.0, -7.0]);
        assert_eq!(pixels.valid, stored.mask);
    }

    #[test]
    fn every_way_to_tell_empty_pixels_is_heeded() {
        let cut = |samples: Samples, empty: EmptyPixels| {
            let mut pixels = ChipPixels::default();
            let stored = strip(samples, empty);
            transform(1).cut(&chip(10.0, 20.0, (5, 2)), &stored, &mut pixels);
            pixels
        };
        let numbers = || (0..10).map(|v| v as f32).collect::<Vec<_>>();
        assert!(cut(Samples::F32(numbers()), EmptyPixels::Never).complete);
        let masked = cut(Samples::F32(numbers()), EmptyPixels::Masked);
        assert_eq!(masked.valid, [1, 1, 1, 0, 1, 1, 1, 1, 1, 1]);
        let mut with_none = numbers();
        (with_none[2], with_none[8]) = (f32::NAN, f32::INFINITY);
        let none = cut(Samples::F32(with_none), EmptyPixels::Never);
        assert_eq!(none.valid, [1, 1, 0, 1, 1, 1, 1, 1, 0, 1]);
        let whole = |samples: Samples| cut(samples, EmptyPixels::Value(3.0)).data;
        let floats = whole(Samples::F32(numbers()));
        assert_eq!(floats, whole(Samples::U8((0..10).collect())));
        assert_eq!(floats, whole(Samples::U16((0..10).collect())));
        assert_eq!(floats, whole(Samples::I16((0..10).collect())));
        // No byte holds any of these.
        for empty in [-1.0, 3.5, 256.0, f32::NAN] {
            let bytes = Samples::U8((0..10).collect());
            assert!(cut(bytes, EmptyPixels::Value(empty)).complete);
        }
    }
}
