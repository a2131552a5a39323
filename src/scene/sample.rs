//! Percentiles of a scene from a sample that is the same each time and bounded for a scene of any size.

use super::error::SceneError;
use super::open::Scene;
use super::reader::{SceneReader, Window};
use super::remote::open_dataset;
use super::thumbnail::Thumbnail;

/// A scene of at most this many pixels is taken whole. A larger one is taken through its overviews if it has small
/// ones, at this side, and else by windows.
const SIDE: usize = 1024;
/// An overview of more than this many times the side would be read for no gain.
const OVERVIEW_FACTOR: usize = 8;
/// Side of a sampled window.
const WINDOW: usize = 32;
/// Windows of a batch: about a million pixels.
const BATCH: usize = 1024;
/// Batches are added until this many pixels were measured …
const ENOUGH: usize = 1 << 18;
/// … or there were this many. A mosaic may be nearly empty.
const MAX_BATCHES: usize = 16;

/// Two percentiles (0 to 100) of the measured values, over all used bands together. `None` where nothing was
/// measured.
pub(super) fn percentiles_of(
    scene: &Scene,
    percentiles: [f64; 2],
) -> Result<Option<[f64; 2]>, SceneError> {
    let size = (scene.width.min(SIDE), scene.height.min(SIDE));
    let whole = scene.width.saturating_mul(scene.height) <= SIDE * SIDE;
    let values = if whole || has_small_overview(scene) {
        Thumbnail::read(
            scene,
            if whole {
                (scene.width, scene.height)
            } else {
                size
            },
        )?
        .measured_values()
    } else {
        by_windows(scene)?
    };
    Ok(percentiles_in(values, percentiles))
}

/// Two percentiles (0 to 100) of values, by the nearest rank.
pub(super) fn percentiles_in(mut values: Vec<f32>, percentiles: [f64; 2]) -> Option<[f64; 2]> {
    values.sort_unstable_by(f32::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(
        percentiles
            .map(|p| f64::from(values[((p / 100.0 * last as f64).round() as usize).min(last)])),
    )
}

fn has_small_overview(scene: &Scene) -> bool {
    let smallest = || {
        let dataset = open_dataset(scene.raster()).ok()?;
        let band = dataset.rasterband(*scene.bands.first()?).ok()?;
        let last = usize::try_from(band.overview_count().ok()?.checked_sub(1)?).ok()?;
        Some(band.overview(last).ok()?.size())
    };
    smallest().is_some_and(|(w, h)| w.max(h) <= OVERVIEW_FACTOR * SIDE)
}

/// Values of windows spread evenly over a scene: the R2 sequence of M. Roberts, "The Unreasonable Effectiveness of
/// Quasirandom Sequences" (2018).
fn by_windows(scene: &Scene) -> Result<Vec<f32>, SceneError> {
    const STEP: [f64; 2] = [0.754_877_666_246_692_7, 0.569_840_290_998_053_2];
    let window = (scene.width.min(WINDOW), scene.height.min(WINDOW));
    let pixels = window.0 * window.1;
    let mut reader = SceneReader::open(scene)?;
    let (mut planes, mut valid) = (vec![0f32; pixels * scene.bands.len()], vec![0u8; pixels]);
    let (mut values, mut measured) = (Vec::new(), 0);
    for batch in 0..MAX_BATCHES {
        let place = |n: usize, axis: usize, length: usize, side: usize| {
            let share = (0.5 + n as f64 * STEP[axis]).fract();
            (share * (length - side + 1) as f64) as usize
        };
        let mut corners: Vec<(usize, usize)> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|n| {
                (
                    place(n, 1, scene.height, window.1),
                    place(n, 0, scene.width, window.0),
                )
            })
            .collect();
        // From top to bottom, so that a block is decoded once.
        corners.sort_unstable();
        for (row, column) in corners {
            let at = Window {
                x: column as f64,
                y: row as f64,
                width: window.0 as f64,
                height: window.1 as f64,
            };
            reader.read(at, window, &mut planes, &mut valid)?;
            measured += valid.iter().map(|v| usize::from(*v)).sum::<usize>();
            for plane in planes.chunks_exact(pixels) {
                let seen = plane.iter().zip(&valid).filter(|(_, v)| **v == 1);
                values.extend(seen.map(|(value, _)| *value));
            }
        }
        if measured >= ENOUGH {
            break;
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_go_by_the_nearest_rank() {
        let values = vec![6.0, 1.0, 4.0, 2.0, 3.0, 5.0];
        assert_eq!(
            percentiles_in(values.clone(), [0.0, 100.0]),
            Some([1.0, 6.0])
        );
        assert_eq!(percentiles_in(values, [20.0, 80.0]), Some([2.0, 5.0]));
        assert_eq!(percentiles_in(Vec::new(), [0.0, 100.0]), None);
    }
}
