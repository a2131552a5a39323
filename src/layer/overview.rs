//! The overview picture: a scene, small, with what was found drawn on it.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use image::{Rgb, RgbImage};
use imageproc::drawing::draw_antialiased_line_segment_mut;
use imageproc::pixelops::interpolate;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::detect::Detection;
use crate::geometry::{LonLat, PixelPoint};
use crate::scene::{GeoreferenceError, Scene, SceneError, Thumbnail, hex};

/// Longest side of the picture in pixels.
const LONGEST_SIDE: usize = 2048;
/// A scene smaller than this is enlarged, so that boxes can be told apart.
const SHORTEST_SIDE: usize = 512;
/// Colours of the classes, in order. Bright, and of hues that land does not have; the black line outside each
/// makes them stand out on white sand as on dark water, and to colour-blind eyes.
const CLASS_COLORS: [Rgb<u8>; 4] = [
    Rgb([0, 240, 255]),
    Rgb([255, 0, 200]),
    Rgb([255, 240, 0]),
    Rgb([160, 120, 255]),
];
const CLUSTER_COLOR: Rgb<u8> = Rgb([255, 255, 255]);
const HALO_COLOR: Rgb<u8> = Rgb([0, 0, 0]);
/// Boxes are drawn this many pixels larger than they are, so that what is in them stays to be seen.
const MARGIN: f64 = 3.0;
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

/// Draws a scene with its detections and the outlines of clusters, and returns the PNG. Fails when `stop` is raised.
pub fn draw(
    scene: &Scene,
    detections: &[&Detection],
    clusters: &[Vec<LonLat>],
    stop: &AtomicBool,
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
    let mut picture = background(scene, size, stop)?;

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
        let color = CLASS_COLORS[detection.class % CLASS_COLORS.len()];
        let Some(area) = &detection.outline else {
            draw_ring(&mut picture, &to_picture(&detection.corners)?, color, 2);
            continue;
        };
        for (outer, holes) in &area.polygons {
            for ring in std::iter::once(outer).chain(holes) {
                draw_outline(&mut picture, &to_picture(ring)?, color);
            }
        }
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
        Path::new("overview").join(format!("{}.png", safe_name(&scene.id)))
    }
}

/// Longest name in bytes, its ending left aside: file systems take 255.
const LONGEST_NAME: usize = 200;

/// An id as a file name. A product may call itself `../../x`: then it is told by a digest instead of by what was
/// taken out.
fn safe_name(id: &str) -> String {
    let tame = |c: char| !(c.is_control() || matches!(c, '/' | '\\' | ':'));
    if id.chars().all(tame) && !id.starts_with('.') && id.len() <= LONGEST_NAME {
        return id.to_owned();
    }
    let kept = id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c));
    let digest = hex(&Sha256::digest(id));
    format!(
        "{}-{}",
        kept.take(100).collect::<String>(),
        digest.get(..12).unwrap_or(&digest)
    )
}

/// Percentiles of the picture that become black and white: for the eye only, the model sees other numbers.
const DISPLAY_PERCENTILES: [f64; 2] = [0.1, 99.9];

fn background(
    scene: &Scene,
    size: (usize, usize),
    stop: &AtomicBool,
) -> Result<RgbImage, SceneError> {
    let thumbnail = Thumbnail::read_until(scene, size, Some(stop))?;
    let [black, white] = thumbnail
        .percentiles(DISPLAY_PERCENTILES)
        .unwrap_or([0.0, 1.0]);
    // A scene of one single value is black.
    let range = if white > black { white - black } else { 1.0 };
    let pixels = size.0 * size.1;
    let gray = |i: usize, channel: usize| {
        // A scene of one band is grey; of many, the first three stand for red, green, blue.
        let band = if scene.bands.len() >= 3 { channel } else { 0 };
        let value = f64::from(thumbnail.planes[band * pixels + i]);
        ((value - black) / range * 255.0).clamp(0.0, 255.0) as u8
    };
    Ok(RgbImage::from_fn(size.0 as u32, size.1 as u32, |x, y| {
        let i = y as usize * size.0 + x as usize;
        if thumbnail.valid[i] == 1 {
            Rgb([gray(i, 0), gray(i, 1), gray(i, 2)])
        } else {
            UNSEEN_COLOR
        }
    }))
}

/// Draws a closed line `thickness` pixels wide, with a black line outside it.
fn draw_ring(picture: &mut RgbImage, ring: &[PixelPoint], color: Rgb<u8>, thickness: i32) {
    for step in 0..=thickness {
        let outline = grown(ring, MARGIN + f64::from(step));
        draw_line(
            picture,
            &outline,
            if step == thickness { HALO_COLOR } else { color },
        );
    }
}

/// Draws a closed line of any shape two pixels wide where it runs, with a black line on both sides.
fn draw_outline(picture: &mut RgbImage, ring: &[PixelPoint], color: Rgb<u8>) {
    const HALO: [(f64, f64); 4] = [(-1.0, 0.0), (2.0, 0.0), (0.0, -1.0), (0.0, 2.0)];
    const LINE: [(f64, f64); 3] = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)];
    let moved = |(dx, dy): (f64, f64)| -> Vec<PixelPoint> {
        let by = |p: &PixelPoint| PixelPoint {
            x: p.x + dx,
            y: p.y + dy,
        };
        ring.iter().map(by).collect()
    };
    for by in HALO {
        draw_line(picture, &moved(by), HALO_COLOR);
    }
    for by in LINE {
        draw_line(picture, &moved(by), color);
    }
}

/// A convex ring with every corner moved away from its middle by about `by` pixels across each edge.
fn grown(ring: &[PixelPoint], by: f64) -> Vec<PixelPoint> {
    let count = ring.len() as f64;
    let (x, y) = ring
        .iter()
        .fold((0.0, 0.0), |(x, y), p| (x + p.x / count, y + p.y / count));
    ring.iter()
        .map(|p| {
            let (dx, dy) = (p.x - x, p.y - y);
            let length = dx.hypot(dy).max(1e-9);
            // A corner of a square lies √2 times as far out as its edges.
            let factor = 1.0 + by * std::f64::consts::SQRT_2 / length;
            PixelPoint {
                x: x + dx * factor,
                y: y + dy * factor,
            }
        })
        .collect()
}

fn draw_line(picture: &mut RgbImage, ring: &[PixelPoint], color: Rgb<u8>) {
    // Beyond this a line is nowhere near the picture, and its pixels need not be walked.
    let limit = 4.0 * LONGEST_SIDE as f64;
    for (i, from) in ring.iter().enumerate() {
        let to = ring[(i + 1) % ring.len()];
        if [from.x, from.y, to.x, to.y].iter().any(|v| v.abs() > limit) {
            continue;
        }
        let at = |p: &PixelPoint| (p.x.round() as i32, p.y.round() as i32);
        draw_antialiased_line_segment_mut(picture, at(from), at(&to), color, interpolate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_drawn_along_its_outline() {
        const GROUND: Rgb<u8> = Rgb([90, 90, 90]);
        let mut picture = RgbImage::from_pixel(40, 40, GROUND);
        // An L: its corner at the upper right is missing.
        let ring = [(5, 5), (20, 5), (20, 20), (35, 20), (35, 35), (5, 35)]
            .map(|(x, y)| PixelPoint::new(f64::from(x), f64::from(y)));
        draw_outline(&mut picture, &ring, CLASS_COLORS[0]);
        for (x, y) in [(5, 15), (20, 12), (28, 20), (30, 35)] {
            assert_eq!(*picture.get_pixel(x, y), CLASS_COLORS[0], "{x} {y}");
        }
        for (x, y) in [(30, 10), (35, 5), (12, 28)] {
            assert_eq!(*picture.get_pixel(x, y), GROUND, "{x} {y}");
        }
        assert_eq!(*picture.get_pixel(4, 15), HALO_COLOR);
    }

    #[test]
    fn a_picture_stays_in_its_folder_whatever_the_scene_is_called() {
        assert_eq!(safe_name("S2A_T44RKR 2024.v1 ü"), "S2A_T44RKR 2024.v1 ü");
        for id in [
            "../../etc/x",
            "/etc/x",
            "..",
            "a\nb",
            "C:x",
            &"x".repeat(300),
        ] {
            let name = safe_name(id);
            let path = Path::new("overview").join(format!("{name}.png"));
            assert_eq!(path.parent(), Some(Path::new("overview")), "{id}");
            assert_eq!(path.components().count(), 2, "{id}");
            assert!(name.len() <= LONGEST_NAME && !name.contains(char::is_control));
        }
        assert_ne!(safe_name("../a"), safe_name("/a"));
    }
}
