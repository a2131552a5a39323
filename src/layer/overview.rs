//! The overview picture: a scene, small, with what was found drawn on it.

use std::path::Path;

use image::{Rgb, RgbImage};
use imageproc::drawing::draw_antialiased_line_segment_mut;
use imageproc::pixelops::interpolate;
use thiserror::Error;

use crate::detect::Detection;
use crate::geometry::{LonLat, PixelPoint};
use crate::scene::{GeoreferenceError, Scene, SceneError, SceneReader, Window};

/// Longest side of the picture in pixels.
const LONGEST_SIDE: usize = 2048;
/// A scene smaller than this is enlarged, so that boxes can be told apart.
const SHORTEST_SIDE: usize = 512;
/// Colours of the classes, in order; readable on vegetation and soil, and for the colour-blind (Okabe & Ito).
const CLASS_COLORS: [Rgb<u8>; 4] = [
    Rgb([240, 228, 66]),
    Rgb([86, 180, 233]),
    Rgb([204, 121, 167]),
    Rgb([0, 158, 115]),
];
const CLUSTER_COLOR: Rgb<u8> = Rgb([255, 255, 255]);
const UNSEEN_COLOR: Rgb<u8> = Rgb([60, 60, 72]);

/// Why there is no picture.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OverviewError {
    /// The scene cannot be read.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// A position cannot be drawn.
    #[error(transparent)]
    Georeference(#[from] GeoreferenceError),
    /// The picture cannot be encoded.
    #[error("the overview picture cannot be made: {0}")]
    Image(#[from] image::ImageError),
}

/// Draws a scene with its detections and the outlines of clusters, and returns the PNG.
///
/// `range` is the range of values, in the model's units, that goes from black to white.
pub fn draw(
    scene: &Scene,
    range: [f64; 2],
    detections: &[Detection],
    clusters: &[Vec<LonLat>],
) -> Result<Vec<u8>, OverviewError> {
    let longest = scene.width.max(scene.height);
    let factor = if longest > LONGEST_SIDE {
        LONGEST_SIDE as f64 / longest as f64
    } else if longest < SHORTEST_SIDE {
        (SHORTEST_SIDE as f64 / longest as f64).floor().max(1.0)
    } else {
        1.0
    };
    let side = |pixels: usize| ((pixels as f64 * factor).round() as usize).max(1);
    let size = (side(scene.width), side(scene.height));
    let mut picture = background(scene, range, size)?;

    let georeference = scene.georeference()?;
    let to_picture = |places: &[LonLat]| -> Result<Vec<PixelPoint>, GeoreferenceError> {
        let scale = (
            size.0 as f64 / scene.width as f64,
            size.1 as f64 / scene.height as f64,
        );
        Ok(georeference
            .to_pixels(places)?
            .iter()
            .map(|p| PixelPoint {
                x: p.x * scale.0,
                y: p.y * scale.1,
            })
            .collect())
    };
    for hull in clusters {
        // A cluster may reach into scenes where this one's projection ends: then it is not drawn here.
        if let Ok(ring) = to_picture(hull) {
            draw_ring(&mut picture, &ring, CLUSTER_COLOR, 1);
        }
    }
    for detection in detections {
        let ring = to_picture(&detection.corners)?;
        draw_ring(
            &mut picture,
            &ring,
            CLASS_COLORS[detection.class % CLASS_COLORS.len()],
            2,
        );
    }
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// The name of a scene's picture beside the others.
pub fn file_name(scene: &Scene, scenes: usize) -> std::path::PathBuf {
    if scenes == 1 {
        "overview.png".into()
    } else {
        Path::new("overview").join(format!("{}.png", scene.id))
    }
}

fn background(
    scene: &Scene,
    range: [f64; 2],
    size: (usize, usize),
) -> Result<RgbImage, SceneError> {
    let pixels = size.0 * size.1;
    let mut planes = vec![0f32; pixels * scene.bands.len()];
    let mut valid = vec![0u8; pixels];
    let whole = Window {
        x: 0.0,
        y: 0.0,
        width: scene.width as f64,
        height: scene.height as f64,
    };
    SceneReader::open(scene)?.read(whole, size, &mut planes, &mut valid)?;
    let gray = |value: f32| -> u8 {
        let value = f64::from(value) * scene.radiometry.scale + scene.radiometry.offset;
        ((value - range[0]) / (range[1] - range[0]) * 255.0).clamp(0.0, 255.0) as u8
    };
    let channel = |i: usize, c: usize| {
        // A scene of one band is grey; of many, the first three stand for red, green, blue.
        let band = if scene.bands.len() >= 3 { c } else { 0 };
        gray(planes[band * pixels + i])
    };
    Ok(RgbImage::from_fn(size.0 as u32, size.1 as u32, |x, y| {
        let i = y as usize * size.0 + x as usize;
        if valid[i] == 1 {
            Rgb([channel(i, 0), channel(i, 1), channel(i, 2)])
        } else {
            UNSEEN_COLOR
        }
    }))
}

fn draw_ring(picture: &mut RgbImage, ring: &[PixelPoint], color: Rgb<u8>, thickness: i32) {
    // Beyond this a line is nowhere near the picture, and its pixels need not be walked.
    let limit = 4.0 * LONGEST_SIDE as f64;
    for (i, from) in ring.iter().enumerate() {
        let to = ring[(i + 1) % ring.len()];
        if [from.x, from.y, to.x, to.y].iter().any(|v| v.abs() > limit) {
            continue;
        }
        for shift in 0..thickness {
            let at = |p: &PixelPoint| (p.x.round() as i32 + shift, p.y.round() as i32);
            draw_antialiased_line_segment_mut(picture, at(from), at(&to), color, interpolate);
        }
    }
}
