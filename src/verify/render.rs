//! Pictures for volunteers: a place, north up, close and in context, cut from a scene.
//!
//! A chip is a square of the plane tangent to the ellipsoid at the place: x runs east, y south, whatever the grid of
//! the scene does. GDAL reads (and shrinks) the window; the turn against the grid is a fraction of a degree to a few
//! degrees, and is taken out pixel by pixel. One stretch for a whole scene, so that pictures of a scene can be
//! compared. What comes out is a plain JPEG: no coordinates, no names, no metadata.

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};

use super::answer::View;
use super::error::VerifyError;
use crate::geometry::{LonLat, PixelPoint, PlanePoint};
use crate::scene::{Georeference, Scene, SceneError, SceneReader, Thumbnail, Window};

/// Side of a chip in pixels.
pub(super) const SIDE: u32 = 256;
/// A chip is at most this large, so that a pack of twenty with two views each is 0.6 MB.
pub(super) const MOST_BYTES: usize = 15_000;
/// The close view is so many times as wide as half the diagonal of the outline …
const CLOSE_RADII: f64 = 4.0;
/// … and at least so many pixels of the scene: enlarging fewer shows blur.
const CLOSE_LEAST_PX: f64 = 40.0;
/// The context is so many times as wide as the close view.
const CONTEXT: f64 = 4.0;
/// Less of the close view than this was measured: the scene does not show the place. A site in the very corner of a
/// scene shows a quarter.
const LEAST_SEEN: f64 = 0.24;
/// Percentiles of the scene that become black and white: as in the overview picture.
const PERCENTILES: [f64; 2] = [0.1, 99.9];
/// Longest side of the sample that they are taken from.
const SAMPLE_SIDE: usize = 1024;
/// Ground that was not measured.
const UNSEEN: Rgb<u8> = Rgb([96, 96, 104]);
/// Qualities tried until a chip is small enough.
const QUALITIES: [u8; 10] = [90, 84, 78, 72, 66, 58, 48, 38, 26, 12];

/// A picture with its outline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) view: View,
    pub(super) jpeg: Vec<u8>,
    /// Metres per pixel.
    pub(super) gsd_m: f64,
    /// Corners of the outline in pixels of the chip.
    pub(super) outline: Vec<[f64; 2]>,
}

/// Black and white of a scene, in stored numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    black: f64,
    white: f64,
}

impl Stretch {
    /// From a sample of the whole scene.
    pub(super) fn measure(scene: &Scene) -> Result<Self, SceneError> {
        let size = (scene.width.min(SAMPLE_SIDE), scene.height.min(SAMPLE_SIDE));
        let [black, white] = Thumbnail::read(scene, size)?
            .percentiles(PERCENTILES)
            .unwrap_or([0.0, 1.0]);
        // A scene of one single value is black.
        let white = if white > black { white } else { black + 1.0 };
        Ok(Self { black, white })
    }

    fn gray(self, value: f32) -> u8 {
        ((f64::from(value) - self.black) / (self.white - self.black) * 255.0).clamp(0.0, 255.0)
            as u8
    }
}

/// Cuts pictures from one scene. Each thread makes its own.
pub(super) struct Renderer<'a> {
    scene: &'a Scene,
    stretch: Stretch,
    reader: SceneReader<'static>,
    georeference: Georeference,
    planes: Vec<f32>,
    valid: Vec<u8>,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(scene: &'a Scene, stretch: Stretch) -> Result<Self, SceneError> {
        Ok(Self {
            scene,
            stretch,
            reader: SceneReader::open(scene)?,
            georeference: scene.georeference()?,
            planes: Vec::new(),
            valid: Vec::new(),
        })
    }

    /// Whether a place lies in the scene's raster.
    pub(super) fn covers(&self, place: LonLat) -> bool {
        let (w, h) = (self.scene.width as f64, self.scene.height as f64);
        self.georeference
            .to_pixels(&[place])
            .ok()
            .and_then(|p| p.first().copied())
            .is_some_and(|p| p.x >= 0.0 && p.y >= 0.0 && p.x < w && p.y < h)
    }

    /// The two views of a place; none where the scene does not show it.
    pub(super) fn render(
        &mut self,
        center: LonLat,
        radius_m: f64,
        outline: &[LonLat],
    ) -> Result<Option<[Picture; 2]>, VerifyError> {
        let gsd = self.scene.gsd_m[0].max(self.scene.gsd_m[1]);
        let close_m = (CLOSE_RADII * radius_m).max(CLOSE_LEAST_PX * gsd);
        let Some(close) = self.view(View::Close, center, close_m, outline)? else {
            return Ok(None);
        };
        let Some(context) = self.view(View::Context, center, close_m * CONTEXT, outline)? else {
            return Ok(None);
        };
        Ok(Some([close, context]))
    }

    fn view(
        &mut self,
        view: View,
        center: LonLat,
        width_m: f64,
        outline: &[LonLat],
    ) -> Result<Option<Picture>, VerifyError> {
        let half = width_m / 2.0;
        let square = [(-half, half), (half, half), (half, -half), (-half, -half)]
            .map(|(east, north)| center.displaced(PlanePoint { east, north }));
        // A corner may lie where the scene's projection ends: then the scene shows the place badly at best.
        let Ok(square) = self.georeference.to_pixels(&square) else {
            return Ok(None);
        };
        let Some((window, size)) = self.window(&square) else {
            return Ok(None);
        };
        let pixels = size.0 * size.1;
        self.planes.resize(pixels * self.scene.bands.len(), 0.0);
        self.valid.resize(pixels, 0);
        self.reader
            .read(window, size, &mut self.planes, &mut self.valid)?;
        let (image, seen) = self.draw(&square, window, size);
        if view == View::Close && seen < LEAST_SEEN {
            return Ok(None);
        }
        let outline = outline
            .iter()
            .map(|place| {
                let offset = center.offset_to(*place);
                let x = (offset.east / width_m + 0.5) * f64::from(SIDE);
                let y = (0.5 - offset.north / width_m) * f64::from(SIDE);
                [x, y].map(|v| (v * 10.0).round() / 10.0)
            })
            .collect();
        Ok(Some(Picture {
            view,
            jpeg: encode(&image)?,
            gsd_m: (width_m / f64::from(SIDE) * 100.0).round() / 100.0,
            outline,
        }))
    }

    /// The part of the scene that holds a square, and the size to read it in: no finer than the chip.
    fn window(&self, square: &[PixelPoint]) -> Option<(Window, (usize, usize))> {
        let (w, h) = (self.scene.width as f64, self.scene.height as f64);
        let low = |of: fn(&PixelPoint) -> f64| square.iter().map(of).fold(f64::INFINITY, f64::min);
        let high =
            |of: fn(&PixelPoint) -> f64| square.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        // Two pixels more on each side, to interpolate at the edge.
        let x0 = (low(|p| p.x).floor() - 2.0).max(0.0);
        let y0 = (low(|p| p.y).floor() - 2.0).max(0.0);
        let x1 = (high(|p| p.x).ceil() + 2.0).min(w);
        let y1 = (high(|p| p.y).ceil() + 2.0).min(h);
        if x1 - x0 < 1.0 || y1 - y0 < 1.0 {
            return None;
        }
        let window = Window {
            x: x0,
            y: y0,
            width: x1 - x0,
            height: y1 - y0,
        };
        let side = f64::from(SIDE);
        let per_pixel =
            |a: PixelPoint, b: PixelPoint| ((b.x - a.x).hypot(b.y - a.y) / side).max(1.0);
        let (across, down) = (
            per_pixel(square[0], square[1]),
            per_pixel(square[1], square[2]),
        );
        // North up, columns of the chip run along the scene's columns give or take a few degrees; for a scene that
        // is turned by more, the finer of the two serves both.
        let step = if (square[1].y - square[0].y).abs() > 0.2 * (square[1].x - square[0].x).abs() {
            (across.min(down), across.min(down))
        } else {
            (across, down)
        };
        let size = (
            ((window.width / step.0).round() as usize).max(1),
            ((window.height / step.1).round() as usize).max(1),
        );
        Some((window, size))
    }

    /// Resamples what was read onto the chip. Returns the share of it that was measured.
    fn draw(&self, square: &[PixelPoint], window: Window, size: (usize, usize)) -> (RgbImage, f64) {
        let pixels = size.0 * size.1;
        let scale = (size.0 as f64 / window.width, size.1 as f64 / window.height);
        let all_measured = self.valid.iter().all(|v| *v == 1);
        let mut seen = 0u32;
        let image = RgbImage::from_fn(SIDE, SIDE, |column, row| {
            let u = (f64::from(column) + 0.5) / f64::from(SIDE);
            let v = (f64::from(row) + 0.5) / f64::from(SIDE);
            let at = between(square, u, v);
            let x = (at.x - window.x) * scale.0;
            let y = (at.y - window.y) * scale.1;
            if x < 0.0 || y < 0.0 || x >= size.0 as f64 || y >= size.1 as f64 {
                return UNSEEN;
            }
            if self.valid[y as usize * size.0 + x as usize] == 0 {
                return UNSEEN;
            }
            seen += 1;
            // A scene of one band is grey; of many, the first three stand for red, green, blue.
            let colored = self.scene.bands.len() >= 3;
            let taps = Taps::new(size, x - 0.5, y - 0.5);
            let gray = |band: usize| {
                let plane = &self.planes[band * pixels..(band + 1) * pixels];
                self.stretch.gray(if all_measured {
                    taps.sample(plane)
                } else {
                    taps.sample_measured(plane, &self.valid)
                })
            };
            if colored {
                Rgb([gray(0), gray(1), gray(2)])
            } else {
                Rgb([gray(0); 3])
            }
        });
        (image, f64::from(seen) / f64::from(SIDE * SIDE))
    }
}

/// The point of a square at shares `u` to the right and `v` down of it.
fn between(square: &[PixelPoint], u: f64, v: f64) -> PixelPoint {
    let mix = |of: fn(&PixelPoint) -> f64| {
        let top = of(&square[0]) * (1.0 - u) + of(&square[1]) * u;
        let bottom = of(&square[3]) * (1.0 - u) + of(&square[2]) * u;
        top * (1.0 - v) + bottom * v
    };
    PixelPoint::new(mix(|p| p.x), mix(|p| p.y))
}

/// Cubic convolution (Keys, "Cubic convolution interpolation for digital image processing", 1981, a = -1/2) between
/// pixels, whose centres lie at whole numbers: which of them count how much, for all bands.
struct Taps {
    columns: [usize; 4],
    /// Where their rows start.
    rows: [usize; 4],
    across: [f64; 4],
    down: [f64; 4],
}

impl Taps {
    fn new(size: (usize, usize), x: f64, y: f64) -> Self {
        let weights = |t: f64| {
            let (t2, t3) = (t * t, t * t * t);
            [
                -0.5 * t3 + t2 - 0.5 * t,
                1.5 * t3 - 2.5 * t2 + 1.0,
                -1.5 * t3 + 2.0 * t2 + 0.5 * t,
                0.5 * t3 - 0.5 * t2,
            ]
        };
        let inside = |position: i64, limit: usize| position.clamp(0, limit as i64 - 1) as usize;
        let (x0, y0) = (x.floor() as i64, y.floor() as i64);
        let column = |step| inside(x0 + step, size.0);
        let row = |step| inside(y0 + step, size.1) * size.0;
        Self {
            columns: [column(-1), column(0), column(1), column(2)],
            rows: [row(-1), row(0), row(1), row(2)],
            across: weights(x - x.floor()),
            down: weights(y - y.floor()),
        }
    }

    /// Where every pixel was measured. Runs a hundred thousand times a picture: plain sums.
    fn sample(&self, plane: &[f32]) -> f32 {
        let [a, b, c, d] = self.columns;
        let row = |start: usize| {
            self.across[0] * f64::from(plane[start + a])
                + self.across[1] * f64::from(plane[start + b])
                + self.across[2] * f64::from(plane[start + c])
                + self.across[3] * f64::from(plane[start + d])
        };
        let sum = self.down[0] * row(self.rows[0])
            + self.down[1] * row(self.rows[1])
            + self.down[2] * row(self.rows[2])
            + self.down[3] * row(self.rows[3]);
        sum as f32
    }

    /// From the pixels that were measured alone; what was not must not bleed into its neighbours.
    fn sample_measured(&self, plane: &[f32], valid: &[u8]) -> f32 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, down) in self.rows.iter().zip(&self.down) {
            for (column, across) in self.columns.iter().zip(&self.across) {
                let pixel = row + column;
                if valid[pixel] == 1 {
                    sum += down * across * f64::from(plane[pixel]);
                    total += down * across;
                }
            }
        }
        if total > 0.25 {
            (sum / total) as f32
        } else {
            // Hardly anything is left of the weights: the nearest pixel, which was measured.
            let near = |weights: &[f64; 4]| if weights[1] >= weights[2] { 1 } else { 2 };
            plane[self.rows[near(&self.down)] + self.columns[near(&self.across)]]
        }
    }
}

/// The best JPEG that is small enough, found by halving: worse quality is never larger.
fn encode(image: &RgbImage) -> Result<Vec<u8>, VerifyError> {
    let (mut from, mut to) = (0, QUALITIES.len());
    let mut best = Vec::new();
    while from < to {
        let middle = usize::midpoint(from, to);
        let mut jpeg = Vec::with_capacity(2 * MOST_BYTES);
        JpegEncoder::new_with_quality(&mut jpeg, QUALITIES[middle]).encode_image(image)?;
        if jpeg.len() <= MOST_BYTES || middle + 1 == QUALITIES.len() {
            to = middle;
            best = jpeg;
        } else {
            from = middle + 1;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_noise_fits() {
        let mut state = 1u32;
        let noise = RgbImage::from_fn(SIDE, SIDE, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([(state >> 8) as u8, (state >> 16) as u8, (state >> 24) as u8])
        });
        let jpeg = encode(&noise).unwrap();
        assert!(jpeg.len() <= MOST_BYTES, "{}", jpeg.len());
    }

    #[test]
    fn interpolation_keeps_pixels_and_straight_lines() {
        let size = (8, 8);
        let plane: Vec<f32> = (0..64)
            .map(|i| (i % 8) as f32 * 3.0 + (i / 8) as f32)
            .collect();
        let valid = [1; 64];
        let sample = |x, y| {
            let taps = Taps::new(size, x, y);
            let all = taps.sample(&plane);
            assert!((all - taps.sample_measured(&plane, &valid)).abs() < 1e-4);
            all
        };
        assert_eq!(sample(3.0, 4.0), 13.0);
        assert!((sample(3.25, 4.5) - 14.25).abs() < 1e-5);
    }

    #[test]
    fn pixels_that_were_not_measured_do_not_bleed() {
        let size = (4, 1);
        let (plane, valid) = ([10.0, 10.0, 9999.0, 9999.0], [1, 1, 0, 0]);
        assert_eq!(
            Taps::new(size, 1.2, 0.0).sample_measured(&plane, &valid),
            10.0
        );
    }

    #[test]
    fn between_finds_the_middle_of_a_turned_square() {
        let square =
            [(0.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 0.0)].map(|(x, y)| PixelPoint::new(x, y));
        assert_eq!(between(&square, 0.5, 0.5), PixelPoint::new(1.0, 1.0));
        assert_eq!(between(&square, 1.0, 0.0), PixelPoint::new(1.0, 2.0));
    }
}
