use gdal::spatial_ref::SpatialRef;
use proptest::prelude::*;

use super::*;
use crate::scene::{BlockLayout, GroundScale, Radiometry, ValidityRule};

fn scene(width: usize, height: usize, pixel_m: f64) -> Scene {
    Scene {
        id: "s".into(),
        path: "s.tif".into(),
        raster: None,
        scaling: None,
        scaling_origin: None,
        scaling_note: None,
        clouds: None,
        date: None,
        date_origin: None,
        width,
        height,
        crs: "EPSG:32631".into(),
        crs_wkt: SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap(),
        geotransform: [500_000.0, pixel_m, 0.0, 200_000.0, 0.0, -pixel_m],
        georeferencing: "geotransform".into(),
        gsd_m: [pixel_m; 2],
        ground_scale: GroundScale::Uniform {
            x_m: pixel_m,
            y_m: pixel_m,
        },
        data_type: "Byte".into(),
        bands: vec![1, 2, 3],
        validity: ValidityRule::AllValid,
        radiometry: Radiometry::as_stored(3),
        blocks: BlockLayout::default(),
        content: String::new(),
        cloud_content: String::new(),
        watches: Vec::new(),
    }
}

fn spec(chip_px: usize, overlap_m: f64) -> ChipSpec {
    ChipSpec {
        gsd_m: 10.0,
        chip_px,
        overlap_m,
        size_multiple: None,
        grid_shift_px: 0.0,
    }
}

fn plan(scene: &Scene, spec: &ChipSpec) -> ChipPlan {
    ChipPlan::new(scene, &scene.georeference().unwrap(), spec).unwrap()
}

#[test]
fn a_scene_of_one_chip_is_read_without_padding() {
    let plan = plan(&scene(128, 128, 10.0), &spec(128, 320.0));
    assert_eq!(plan.len(), 1);
    let chip = plan.chip(0).unwrap();
    assert_eq!(
        chip.window,
        Window {
            x: 0.0,
            y: 0.0,
            width: 128.0,
            height: 128.0
        }
    );
}

#[test]
fn a_model_of_any_size_gets_a_chip_of_the_size_of_a_small_scene() {
    let spec = ChipSpec {
        size_multiple: Some(8),
        ..spec(256, 320.0)
    };
    assert_eq!(plan(&scene(128, 100, 10.0), &spec).chip_size(), (128, 104));
}

#[test]
fn the_last_chip_is_shifted_inwards() {
    let plan = plan(&scene(1000, 300, 10.0), &spec(256, 320.0));
    // Steps of 224: 0, 224, 448, 672 and then 744 instead of 896.
    let starts: Vec<f64> = plan
        .chips()
        .take_while(|c| c.row == 0)
        .map(|c| c.window.x)
        .collect();
    assert_eq!(starts, [0.0, 224.0, 448.0, 672.0, 744.0]);
}

#[test]
fn ratios_are_not_rounded() {
    // A 10 m model on 15 m pixels: two thirds of a scene pixel per model pixel.
    let plan = plan(&scene(3000, 3000, 15.0), &spec(256, 320.0));
    let chip = plan.chip(1).unwrap();
    assert!((chip.window.width - 256.0 / 1.5).abs() < 1e-9);
    assert!((chip.window.x - 224.0 / 1.5).abs() < 1e-9);
}

#[test]
fn an_overlap_as_large_as_the_chip_is_refused() {
    let scene = scene(1000, 1000, 10.0);
    let refused = ChipPlan::new(&scene, &scene.georeference().unwrap(), &spec(32, 320.0));
    assert!(matches!(refused, Err(PlanError::Overlap { .. })));
}

#[test]
fn rows_of_a_scene_in_degrees_widen_towards_the_pole() {
    let mut degrees = scene(4000, 40_000, 10.0);
    degrees.crs_wkt = SpatialRef::from_epsg(4326).unwrap().to_wkt().unwrap();
    degrees.geotransform = [10.0, 1e-3, 0.0, 70.0, 0.0, -1e-3];
    degrees.ground_scale = GroundScale::ByRow;
    let plan = plan(
        &degrees,
        &ChipSpec {
            gsd_m: 100.0,
            overlap_m: 3200.0,
            ..spec(256, 0.0)
        },
    );
    let (first, last) = (plan.chip(0).unwrap(), plan.chip(plan.len() - 1).unwrap());
    // A degree of longitude is cos 70° / cos 30° as long at the top as at the bottom.
    assert!(
        (first.scale.0 / last.scale.0 - 2.5).abs() < 0.1,
        "{} {}",
        first.scale.0,
        last.scale.0
    );
    assert_covers(&plan, 4000.0, 40_000.0);
}

/// Cores tile the scene: every row of chips spans the width without gap, rows follow one another, and
/// every chip sees all of its core.
fn assert_covers(plan: &ChipPlan, width: f64, height: f64) {
    let chips: Vec<Chip> = plan.chips().collect();
    let mut y = 0.0;
    for row in chips.chunk_by(|a, b| a.row == b.row) {
        let mut x = 0.0;
        for chip in row {
            assert!((chip.core.x0 - x).abs() < 1e-6 && (chip.core.y0 - y).abs() < 1e-6);
            assert!(chip.window.x <= chip.core.x0 + 1e-6 && chip.window.y <= chip.core.y0 + 1e-6);
            assert!(chip.window.x + chip.window.width >= chip.core.x1 - 1e-6);
            assert!(chip.window.y + chip.window.height >= chip.core.y1 - 1e-6);
            assert!(chip.core.x1 > chip.core.x0);
            x = chip.core.x1;
        }
        assert!((x - width).abs() < 1e-6);
        y = row[0].core.y1;
    }
    assert!((y - height).abs() < 1e-6);
}

proptest! {
    #[test]
    fn every_pixel_is_owned_once_and_seen_by_its_owner(
        width in 1usize..3000, height in 1usize..3000, pixel_m in 2.0..40.0f64,
        chip_px in 64usize..512, overlap_m in 0.0..600.0f64, shift in 0.0..500.0f64, fits in any::<bool>(),
    ) {
        let scene = scene(width, height, pixel_m);
        let spec = ChipSpec { grid_shift_px: shift, size_multiple: fits.then_some(8), ..spec(chip_px, overlap_m) };
        assert_covers(&plan(&scene, &spec), width as f64, height as f64);
    }

    #[test]
    fn neighbours_share_at_least_the_overlap(width in 600usize..3000, shift in 0.0..500.0f64) {
        let plan = plan(&scene(width, 100, 10.0), &ChipSpec { grid_shift_px: shift, ..spec(256, 320.0) });
        let chips: Vec<Chip> = plan.chips().collect();
        for pair in chips.windows(2) {
            prop_assert!(pair[0].window.x + 256.0 - pair[1].window.x >= 32.0 - 1e-9);
        }
    }
}
