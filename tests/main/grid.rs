//! The same sites, wherever the grid of chips starts.
//!
//! The grid cannot be shifted on the command line, so these tests call the library.

use std::sync::atomic::AtomicBool;

use kilnsight::model::{Device, Model};
use kilnsight::run::{Existing, ScanRequest, Settings, SilentProgress, scan};
use proptest::prelude::*;

use crate::fixture::{Blob, Fixture};
use crate::harness::{Workspace, test_data};
use crate::layers::Feature;

/// Places agree to a decimetre …
const SAME_PLACE_DEG: f64 = 1e-6;
/// … and scores to what the order of additions in a convolution may change.
const SAME_SCORE: f64 = 1e-5;

/// Sites of `a.tif` when the grid of chips is shifted by some model pixels.
fn sites(space: &Workspace, model: &Model, shift_px: f64) -> Vec<Feature> {
    let mut settings = Settings::of(&model.card);
    settings.chips.grid_shift_px = shift_px;
    let out = space.path("shifted");
    let request = ScanRequest {
        device: Device::Cpu,
        batch: 1,
        scenes: vec![space.path("a.tif").display().to_string()],
        cache: None,
        cache_max: None,
        model,
        settings,
        out,
        workers: 1,
        existing: Existing::StartOver,
        overview: false,
    };
    scan(request, &SilentProgress, &AtomicBool::new(false)).unwrap();
    space.read_run("shifted").layer("sites").features
}

/// Whether each site of one list has its like in the other.
fn assert_same(
    unshifted: &[Feature],
    shifted: &[Feature],
    shift_px: f64,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(unshifted.len(), shifted.len(), "shifted by {}", shift_px);
    for site in unshifted {
        let like = shifted.iter().any(|other| {
            (site.number("lon") - other.number("lon")).abs() <= SAME_PLACE_DEG
                && (site.number("lat") - other.number("lat")).abs() <= SAME_PLACE_DEG
                && (site.number("score") - other.number("score")).abs() <= SAME_SCORE
        });
        prop_assert!(like, "{:?} is gone when shifted by {}", site.id, shift_px);
    }
    Ok(())
}

fn any_blob() -> impl Strategy<Value = Blob> {
    // Everywhere, even cut by the edge of the scene, and over one another.
    (0.0..230.0f64, 0.0..190.0f64, 110.0..180.0f64).prop_map(|(x, y, height)| Blob { x, y, height })
}

proptest! {
    // Each case is a dozen scans of some forty chips.
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sites_do_not_depend_on_where_the_grid_starts(
        blobs in prop::collection::vec(any_blob(), 1..60),
        shifts in prop::collection::vec(1u32..32, 3),
        hole in (0usize..180, 0usize..140, 1usize..50, 1usize..50),
    ) {
        let space = Workspace::new();
        let model = Model::load(&test_data("blob").display().to_string()).unwrap();
        let mut fixture = Fixture::new((230, 190), blobs);
        let (x, y, width, height) = hole;
        fixture.holes = vec![[x, y, x + width, y + height]];
        fixture.write(&space, "a.tif");
        let unshifted = sites(&space, &model, 0.0);
        for shift in shifts {
            let shifted = sites(&space, &model, f64::from(shift));
            assert_same(&unshifted, &shifted, f64::from(shift))?;
        }
    }
}

#[test]
fn a_grid_shifted_by_a_whole_step_is_the_same_grid() {
    let space = Workspace::new();
    let model = Model::load(&test_data("blob").display().to_string()).unwrap();
    let blobs = crate::fixture::field((200, 200), 40.0, 11);
    Fixture::new((200, 200), blobs).write(&space, "a.tif");
    sites(&space, &model, 0.0);
    let unshifted = space.read_run("shifted").bytes("detections.geojson");
    // Chips of 64 pixels that overlap by 32.
    sites(&space, &model, 32.0);
    let shifted = space.read_run("shifted").bytes("detections.geojson");
    assert_eq!(unshifted, shifted);
}

/// Pixels are resampled when chips start between them, and in degrees the scale of a row of chips depends on
/// where it lies: places may differ by what that does to noise, and nothing may be lost or found twice.
#[test]
fn a_grid_shifted_by_part_of_a_pixel_finds_the_same_places() {
    let model = Model::load(&test_data("blob").display().to_string()).unwrap();
    let mut degrees = Fixture::new((230, 190), crate::fixture::field((230, 190), 40.0, 12))
        .at(4326, [12.0, 1e-4, 0.0, 45.0, 0.0, -1e-4]);
    degrees.sigma = (3.8, 2.7);
    let metres = Fixture::new((230, 190), crate::fixture::field((230, 190), 35.0, 13));
    for fixture in [degrees, metres] {
        let space = Workspace::new();
        fixture.write(&space, "a.tif");
        for shift in [0.37, 5.5, 13.9, 31.5] {
            sites(&space, &model, shift);
            let found = space.read_run("shifted").layer("sites");
            assert_eq!(found.len(), fixture.blobs.len(), "shifted by {shift}");
            for place in crate::fixture::blob_places(&space, "a.tif", &fixture.blobs) {
                let (_, metres) = found.nearest(place);
                assert!(metres < 2.0, "{metres} m off when shifted by {shift}");
            }
        }
    }
}
