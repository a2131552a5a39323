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
/// Less of the close view than this was measured: the scene does not show the place.
const LEAST_SEEN: f64 = 0.6;
/// Percentiles of the scene that become black and white.
const PERCENTILES: [f64; 2] = [0.5, 99.5];
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
    reader: SceneReader,
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
            let gray = |channel: usize| {
                // A scene of one band is grey; of many, the first three stand for red, green, blue.
                let band = if self.scene.bands.len() >= 3 {
                    channel
                } else {
                    0
                };
                let plane = &self.planes[band * pixels..(band + 1) * pixels];
                self.stretch
                    .gray(sample(plane, &self.valid, size, x - 0.5, y - 0.5))
            };
            Rgb([gray(0), gray(1), gray(2)])
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
/// measured pixels; pixel centres lie at whole numbers. Pixels that were not measured are left out.
fn sample(plane: &[f32], valid: &[u8], size: (usize, usize), x: f64, y: f64) -> f32 {
    let weights = |t: f64| {
        let (t2, t3) = (t * t, t * t * t);
        [
            -0.5 * t3 + t2 - 0.5 * t,
            1.5 * t3 - 2.5 * t2 + 1.0,
            -1.5 * t3 + 2.0 * t2 + 0.5 * t,
            0.5 * t3 - 0.5 * t2,
        ]
    };
    let (wx, wy) = (weights(x - x.floor()), weights(y - y.floor()));
    let index = |start: f64, step: usize, limit: usize| {
        ((start.floor() as i64 - 1 + step as i64).clamp(0, limit as i64 - 1)) as usize
    };
    let (mut sum, mut weight) = (0.0, 0.0);
    for (j, wy) in wy.iter().enumerate() {
        let row = index(y, j, size.1) * size.0;
        for (i, wx) in wx.iter().enumerate() {
            let pixel = row + index(x, i, size.0);
            if valid[pixel] == 1 {
                sum += wx * wy * f64::from(plane[pixel]);
                weight += wx * wy;
            }
        }
    }
    if weight > 1e-6 {
        (sum / weight) as f32
    } else {
        plane[index(y, 1, size.1) * size.0 + index(x, 1, size.0)]
    }
}

/// The best JPEG that is small enough.
fn encode(image: &RgbImage) -> Result<Vec<u8>, VerifyError> {
    let mut jpeg = Vec::new();
    for quality in QUALITIES {
        jpeg.clear();
        JpegEncoder::new_with_quality(&mut jpeg, quality).encode_image(image)?;
        if jpeg.len() <= MOST_BYTES {
            break;
        }
    }
    Ok(jpeg)
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
        assert_eq!(sample(&plane, &valid, size, 3.0, 4.0), 13.0);
        assert!((sample(&plane, &valid, size, 3.25, 4.5) - 14.25).abs() < 1e-5);
    }

    #[test]
    fn pixels_that_were_not_measured_do_not_bleed() {
        let size = (4, 1);
        let (plane, valid) = ([10.0, 10.0, 9999.0, 9999.0], [1, 1, 0, 0]);
        assert_eq!(sample(&plane, &valid, size, 1.2, 0.0), 10.0);
    }

    #[test]
    fn between_finds_the_middle_of_a_turned_square() {
        let square =
            [(0.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 0.0)].map(|(x, y)| PixelPoint::new(x, y));
        assert_eq!(between(&square, 0.5, 0.5), PixelPoint::new(1.0, 1.0));
        assert_eq!(between(&square, 1.0, 0.0), PixelPoint::new(1.0, 2.0));
    }
}
