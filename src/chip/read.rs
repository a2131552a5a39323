//! The pixels of a chip, as a model wants them: planes first, scaled, empty pixels at zero.

use ndarray::Array3;

use super::plan::Chip;
use crate::scene::{Radiometry, Scene, SceneError, SceneReader, Window};

/// From stored values to a model's input: `(clamp(stored × scale + offset) × gain + bias)` per band.
#[derive(Debug, Clone, PartialEq)]
pub struct InputScaling {
    /// Range that values in the model's units are held to, where the model states one.
    pub clamp: Option<(f32, f32)>,
    /// Factor per band.
    pub gain: Vec<f32>,
    /// Term per band.
    pub bias: Vec<f32>,
}

/// A chip as read.
#[derive(Debug, Clone, PartialEq)]
pub struct ChipPixels {
    /// Bands × rows × columns, in the model's input units; 0 where nothing was measured.
    pub data: Array3<f32>,
    /// 1 where a pixel was measured, row by row.
    pub valid: Vec<u8>,
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

/// Reads chips of one scene. One per thread.
pub struct ChipReader {
    reader: SceneReader,
    scene_size: (f64, f64),
    radiometry: Radiometry,
    scaling: InputScaling,
    bands: usize,
}

/// A stretch of an axis that is read in one go: `(source start, source length, first pixel, pixels)`.
type Segment = (f64, f64, usize, usize);

impl ChipReader {
    /// Opens the scene's file for this thread.
    pub fn open(scene: &Scene, scaling: InputScaling) -> Result<Self, SceneError> {
        Ok(Self {
            reader: SceneReader::open(scene)?,
            scene_size: (scene.width as f64, scene.height as f64),
            radiometry: scene.radiometry.clone(),
            scaling,
            bands: scene.bands.len(),
        })
    }

    /// Reads one chip. Parts of its window outside the scene count as not measured.
    pub fn read(&mut self, chip: &Chip) -> Result<ChipPixels, SceneError> {
        let (columns, rows) = chip.size;
        let mut data = Array3::<f32>::zeros((self.bands, rows, columns));
        let mut valid = vec![0u8; rows * columns];
        let across = segments(chip.window.x, chip.scale.0, columns, self.scene_size.0);
        let down = segments(chip.window.y, chip.scale.1, rows, self.scene_size.1);
        if let ([(x, width, 0, w)], [(y, height, 0, h)]) = (across.as_slice(), down.as_slice())
            && (*w, *h) == chip.size
            && let Some(planes) = data.as_slice_mut()
        {
            let window = Window {
                x: *x,
                y: *y,
                width: *width,
                height: *height,
            };
            self.reader.read(window, chip.size, planes, &mut valid)?;
        } else {
            for &(y, height, first_row, part_rows) in &down {
                for &(x, width, first_column, part_columns) in &across {
                    let window = Window {
                        x,
                        y,
                        width,
                        height,
                    };
                    let mut planes = vec![0f32; self.bands * part_rows * part_columns];
                    let mut part_valid = vec![0u8; part_rows * part_columns];
                    self.reader.read(
                        window,
                        (part_columns, part_rows),
                        &mut planes,
                        &mut part_valid,
                    )?;
                    for (i, value) in planes.iter().enumerate() {
                        let (band, rest) = (i / part_valid.len(), i % part_valid.len());
                        let (r, c) = (
                            first_row + rest / part_columns,
                            first_column + rest % part_columns,
                        );
                        data[[band, r, c]] = *value;
                        valid[r * columns + c] = part_valid[rest];
                    }
                }
            }
        }
        self.scale(&mut data, &valid);
        Ok(ChipPixels { data, valid })
    }

    fn scale(&self, data: &mut Array3<f32>, valid: &[u8]) {
        let (low, high) = self
            .scaling
            .clamp
            .unwrap_or((f32::NEG_INFINITY, f32::INFINITY));
        let low = (self.radiometry.floor).map_or(low, |floor| low.max(floor as f32).min(high));
        for (band, mut plane) in data.outer_iter_mut().enumerate() {
            let stored = self.radiometry.bands[band];
            let (scale, offset) = (stored.scale as f32, stored.offset as f32);
            let (gain, bias) = (self.scaling.gain[band], self.scaling.bias[band]);
            for (value, valid) in plane.iter_mut().zip(valid) {
                *value = if *valid == 1 {
                    (*value * scale + offset).clamp(low, high) * gain + bias
                } else {
                    0.0
                };
            }
        }
    }
}

/// Cuts an axis of `count` model pixels, `scale` scene pixels each, into the part inside the scene and,
/// where the scene ends within a model pixel, that last pixel on its own (GDAL takes no window that
/// reaches past the raster, and leaving the rest out would leave scene pixels unseen).
fn segments(start: f64, scale: f64, count: usize, scene_length: f64) -> Vec<Segment> {
    // Rounding in start + count × scale must not push the window over the edge.
    const SLACK: f64 = 1e-6;
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
}
