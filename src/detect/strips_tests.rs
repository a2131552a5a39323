use gdal::spatial_ref::SpatialRef;

use super::*;
use crate::chip::{ChipPlan, ChipSpec};
use crate::detect::ChipSet;
use crate::scene::{BlockLayout, GroundScale, Radiometry, Scene, ValidityRule};

/// A scene of bytes with three bands in square blocks, 10 m a pixel, and chips of 64 model pixels of `gsd_m`.
fn planned(size: (usize, usize), block: u64, gsd_m: f64) -> PlannedScene {
    let scene = Scene {
        id: "s".into(),
        path: "s.tif".into(),
        raster: None,
        scaling: None,
        scaling_origin: None,
        scaling_note: None,
        clouds: None,
        date: None,
        date_origin: None,
        width: size.0,
        height: size.1,
        crs: "EPSG:32631".into(),
        crs_wkt: SpatialRef::from_epsg(32631).unwrap().to_wkt().unwrap(),
        geotransform: [500_000.0, 10.0, 0.0, 200_000.0, 0.0, -10.0],
        georeferencing: "geotransform".into(),
        gsd_m: [10.0; 2],
        ground_scale: GroundScale::Uniform {
            x_m: 10.0,
            y_m: 10.0,
        },
        data_type: "Byte".into(),
        bands: vec![1, 2, 3],
        validity: ValidityRule::AllValid,
        radiometry: Radiometry::as_stored(3),
        blocks: BlockLayout {
            width: block.min(size.0 as u64),
            height: block,
            row_bytes: size.0 as u64 * block * 3,
        },
        content: String::new(),
        cloud_content: String::new(),
        watches: Vec::new(),
    };
    let spec = ChipSpec {
        gsd_m,
        chip_px: 64,
        overlap_m: 8.0 * gsd_m,
        size_multiple: None,
        grid_shift_px: 0.0,
    };
    let plan = ChipPlan::new(&scene, &scene.georeference().unwrap(), &spec).unwrap();
    PlannedScene {
        scene,
        plan,
        area: None,
        finished: ChipSet::default(),
    }
}

/// All strips, as `readers` readers that take turns get them.
fn all(scenes: &[PlannedScene], readers: usize) -> Vec<Strip> {
    let strips = Strips::new(scenes, readers);
    let mut places: Vec<Place> = (0..readers).map(|_| Place::default()).collect();
    let mut found = Vec::new();
    let mut ended = 0;
    while ended < readers {
        ended = 0;
        for place in &mut places {
            match strips.next(place) {
                Some(strip) => found.push(strip),
                None => ended += 1,
            }
        }
    }
    found
}

fn chip_numbers(strips: &[Strip]) -> Vec<(usize, usize)> {
    let mut numbers: Vec<(usize, usize)> = (strips.iter())
        .flat_map(|strip| strip.chips.iter().map(|chip| (strip.scene, chip.index)))
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn every_chip_is_handed_out_once_whatever_the_number_of_readers() {
    let scenes = [
        planned((1000, 700), 256, 10.0),
        planned((100, 90), 256, 10.0),
        planned((900, 500), 256, 15.0),
    ];
    let expected: Vec<(usize, usize)> = (scenes.iter().enumerate())
        .flat_map(|(number, scene)| (0..scene.plan.len()).map(move |chip| (number, chip)))
        .collect();
    for readers in 1..6 {
        assert_eq!(chip_numbers(&all(&scenes, readers)), expected, "{readers}");
    }
}

#[test]
fn chips_of_the_scenes_own_pixels_are_read_a_row_at_a_time() {
    let scenes = [planned((1000, 700), 256, 10.0)];
    let strips = all(&scenes, 1);
    assert_eq!(strips.len(), scenes[0].plan.row_count());
    assert!(
        strips
            .iter()
            .all(|strip| strip.chips.len() == scenes[0].plan.row(0).len())
    );
}

#[test]
fn resampled_chips_are_read_one_by_one() {
    let scenes = [planned((1000, 700), 256, 15.0)];
    assert!(all(&scenes, 1).iter().all(|strip| strip.chips.len() == 1));
}

#[test]
fn a_strip_has_no_gap_where_chips_are_finished() {
    let mut scene = planned((1000, 120), 256, 10.0);
    // Its neighbours see most of what it sees: they are still read together. Two in a row leave a gap.
    for chip in [2, 6, 7, 8] {
        scene.finished.insert(chip);
    }
    let scenes = [scene];
    let strips = all(&scenes, 1);
    let first_row: Vec<Vec<usize>> = (strips.iter())
        .filter(|strip| strip.chips[0].row == 0)
        .map(|strip| strip.chips.iter().map(|chip| chip.index).collect())
        .collect();
    let count = scenes[0].plan.row(0).len();
    assert_eq!(first_row[0], [0, 1]);
    assert_eq!(first_row[1], [3, 4, 5]);
    assert_eq!(first_row[2], (9..count).collect::<Vec<_>>());
}

#[test]
fn a_wide_scene_of_square_blocks_is_walked_down_in_panels() {
    let scenes = [planned((200_000, 130), 256, 10.0)];
    let strips = all(&scenes, 1);
    let columns = scenes[0].plan.row(0).len();
    assert!(strips[0].chips.len() < columns / 2);
    // The second strip lies below the first, not beside it.
    assert_eq!(strips[1].chips[0].row, 1);
    assert_eq!(strips[1].chips[0].column, 0);
    let widest = strips.iter().map(|strip| strip.chips.len()).max().unwrap() as u64;
    assert!(widest * 64 * 64 * 3 <= STRIP_BYTES * 5 / 4);
}

#[test]
fn blocks_across_the_whole_width_are_not_divided() {
    let mut scene = planned((200_000, 130), 8, 10.0);
    scene.scene.blocks.width = 200_000;
    assert_eq!(panel_count(&scene), 1);
}

#[test]
fn the_block_cache_does_not_grow_with_the_scene() {
    let small = block_cache_bytes(&[planned((30_000, 30_000), 512, 10.0)], 1);
    let large = block_cache_bytes(&[planned((300_000, 300_000), 512, 10.0)], 1);
    assert!(large <= small * 5 / 4, "{small} {large}");
}
