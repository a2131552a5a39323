//! Rasters that claim to be larger than anything there is.

use crate::fixture::Fixture;
use crate::harness::Workspace;

/// Starts a scan, stops it with Ctrl-C once it is under way, and returns its exit code and what it said.
fn interrupted(space: &Workspace, arguments: &str) -> (Option<i32>, String) {
    use std::time::{Duration, Instant};
    let mut child = space
        .command(arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !space.path("run/ledger.sqlite").exists() {
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "it does not begin"
        );
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(500));
    let killed = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_raster_of_a_million_pixels_a_side_is_planned_and_stops_cleanly() {
    let space = Workspace::new();
    // A metre a pixel, nothing stored: a file of a few megabytes.
    let vrt = "<VRTDataset rasterXSize=\"1000000\" rasterYSize=\"1000000\">
        <SRS>EPSG:32644</SRS><GeoTransform>100000, 1, 0, 3500000, 0, -1</GeoTransform>
        <VRTRasterBand dataType=\"UInt16\" band=\"1\"/><VRTRasterBand dataType=\"UInt16\" band=\"2\"/>
        <VRTRasterBand dataType=\"UInt16\" band=\"3\"/></VRTDataset>";
    space.write("a.vrt", vrt);
    space.write_model("stretching", |card| {
        card["kilnsight:stretch"] = serde_json::json!({"percentiles": [0.1, 99.9]});
    });
    let (code, said) = interrupted(
        &space,
        "scan a.vrt --model stretching --out run --workers 1",
    );
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("of 9"), "{said}");
    // Ten centimetres a model pixel would be more chips than can be numbered.
    space.write_model("fine", |card| {
        card["kilnsight:gsd_m"] = 0.1.into();
        card["kilnsight:overlap_m"] = 3.2.into();
    });
    let outcome = space.run("scan a.vrt --model fine --out fine-run --scale 1");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("would need more than"),
        "{outcome:?}"
    );
}

#[test]
fn a_picture_is_given_up_when_the_user_wants_to_stop() {
    use kilnsight::scene::{Scene, SceneOptions, SceneSource, Thumbnail};
    use std::sync::atomic::AtomicBool;
    let space = Workspace::new();
    Fixture::new((600, 400), Vec::new()).write(&space, "a.tif");
    let path = space.path("a.tif").to_str().unwrap().to_owned();
    let options = SceneOptions {
        bands: Some(vec!["1".to_owned()]),
        wanted_bands: vec!["red".to_owned()],
        ..SceneOptions::default()
    };
    let scene = Scene::open(&SceneSource::file(path), &options).unwrap();
    for (stop, read) in [(false, true), (true, false)] {
        let thumbnail = Thumbnail::read_until(&scene, (60, 40), Some(&AtomicBool::new(stop)));
        assert_eq!(thumbnail.is_ok(), read);
    }
}
