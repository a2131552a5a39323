use geo::{MultiPolygon, polygon};
use serde_json::json;

use super::*;
use crate::evaluate::matching::IouKind;
use crate::evaluate::options::Options;
use crate::evaluate::report::Report;
use crate::evaluate::testing::{path, scored, scored_in_pixels, square, utm};
use crate::geometry::distance_m;
use crate::scene::Georeference;

fn truth(document: &serde_json::Value) -> Truth {
    Truth::parse(document.to_string().as_bytes(), path()).unwrap()
}

fn input<'a>(id: &'a str, georeference: Option<&'a Georeference>) -> SceneInput<'a> {
    SceneInput {
        id,
        region: None,
        coverage: None,
        georeference,
        size_px: Some([128, 128]),
    }
}

fn named(scene: &str, detection: ScoredBox) -> ScoredBox {
    ScoredBox {
        scene: Some(scene.to_owned()),
        ..detection
    }
}

/// Corners of an upright square of ten pixels.
fn ten_px(x: f64, y: f64) -> [(f64, f64); 4] {
    [(x, y), (x + 10.0, y), (x + 10.0, y + 10.0), (x, y + 10.0)]
}

/// Three images: one with an object and an ignore region, one without anything, one without a scene.
fn coco() -> Truth {
    truth(&json!({
        "images": [
            {"id": 1, "file_name": "one.png", "width": 128, "height": 128, "region": "north"},
            {"id": 2, "file_name": "two.png", "width": 128, "height": 128, "region": "south"},
            {"id": 3, "file_name": "three.png", "width": 128, "height": 128, "region": "south"},
        ],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 10, 10, 10], "segmentation": [], "iscrowd": 0},
            {"image_id": 1, "category_id": 1, "bbox": [60, 60, 40, 40], "segmentation": [], "iscrowd": 1},
            {"image_id": 3, "category_id": 1, "bbox": [1, 1, 9, 9], "segmentation": [], "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "kiln"}],
    }))
}

#[test]
fn images_and_scenes_meet_by_name_and_what_is_left_is_counted() {
    let georeference = utm();
    let at = |x, y, score| scored_in_pixels(score, ten_px(x, y), &georeference);
    let detections = vec![
        named("one", at(12.0, 10.0, 0.9)),
        named("one", at(75.0, 75.0, 0.8)),
        named("two", at(30.0, 30.0, 0.7)),
        named("four", at(30.0, 30.0, 0.6)),
    ];
    let scenes = [
        input("one", Some(&georeference)),
        input("two", Some(&georeference)),
        input("four", Some(&georeference)),
    ];
    let pairing = coco().pair(&scenes, detections).unwrap();
    assert_eq!(
        pairing.not_compared,
        NotCompared {
            images_without_scene: 1,
            truth_in_images_without_scene: 1,
            scenes_without_image: 1,
            truth_outside_scenes: 0,
            detections_outside_scenes: 1,
        }
    );
    assert_eq!(pairing.images_without_scene, ["three.png"]);
    assert_eq!(pairing.scenes_without_image, ["four"]);

    let report = pairing.evaluate(&Options::default());
    assert_eq!(report.iou_kind, IouKind::Envelope);
    assert_eq!(report.envelope_axes, "pixels");
    let half = &report.overall.criteria[1];
    // Shared 8 x 10, together 12 x 10: IoU 2/3. The second falls to the ignore region, the third is a
    // false alarm in a scene without objects, below the right one: AP 1.
    assert_eq!((half.min_iou, half.ap), (Some(0.5), Some(1.0)));
    assert_eq!((half.detections_counted, half.detections_ignored), (2, 1));
    assert_eq!(report.overall.scenes_without_truth, 1);
    let regions: Vec<&str> = report.by_region.iter().map(|g| g.name.as_str()).collect();
    assert_eq!(regions, ["north", "south"]);
    assert_eq!(report.by_region[1].criteria[0].ap, None);
    assert_eq!(
        report.by_region[0].no_interval_because,
        Some("one scene: no interval")
    );
}

#[test]
fn a_labelled_square_lies_where_its_pixels_lie() {
    let georeference = utm();
    let pairing = coco()
        .pair(&[input("one", Some(&georeference))], vec![])
        .unwrap();
    let found = pairing.scenes[0].truth()[0].extent.unwrap().ground;
    let expected = georeference
        .to_lonlat(&[PixelPoint::new(15.0, 15.0)])
        .unwrap()[0];
    assert!(distance_m(found.center, expected) < 0.001);
    // The UTM scale on the central meridian is 0.9996: 100 m of grid are 100.04 m of ground.
    assert!((found.length_m - 100.04).abs() < 0.01, "{found:?}");
}

#[test]
fn labels_in_pixels_need_the_scene_they_were_drawn_on() {
    let georeference = utm();
    let problem = |scenes: &[SceneInput<'_>]| coco().pair(scenes, vec![]).unwrap_err().to_string();
    assert!(problem(&[input("one", None)]).contains("no georeference"));
    assert!(problem(&[input("else", None)]).contains("none of its 3 images has the name"));
    assert!(problem(&[]).contains("one of the 0 scenes"));
    let other_size = SceneInput {
        size_px: Some([512, 512]),
        ..input("one", Some(&georeference))
    };
    assert!(problem(&[other_size]).contains("labelled at 128 x 128 px"));
    let twice = [input("one", Some(&georeference)), input("one", None)];
    assert!(problem(&twice).contains("two scenes have the id `one`"));
}

/// GeoJSON of squares of 100 m, so many metres east, with these properties.
fn squares(features: &[(f64, serde_json::Value)]) -> Truth {
    let features: Vec<_> = features
        .iter()
        .map(|(east, properties)| {
            let corners = square(*east).corners();
            let ring: Vec<_> = (0..5)
                .map(|i| corners[i % 4])
                .map(|p| json!([p.lon, p.lat]))
                .collect();
            json!({"type": "Feature", "properties": properties,
                   "geometry": {"type": "Polygon", "coordinates": [ring]}})
        })
        .collect();
    truth(&json!({"type": "FeatureCollection", "features": features}))
}

/// Coverage from so many to so many metres east.
fn strip(from: f64, to: f64) -> MultiPolygon {
    let (west, east) = (square(from).center.lon, square(to).center.lon);
    let strip =
        polygon![(x: west, y: 0.5), (x: east, y: 0.5), (x: east, y: 1.5), (x: west, y: 1.5)];
    MultiPolygon::new(vec![strip])
}

#[test]
fn truth_on_the_ground_belongs_to_every_scene_that_saw_it() {
    let labels = squares(&[
        (0.0, json!({})),
        (1000.0, json!({})),
        (5000.0, json!({})),
        (1000.0, json!({"ignore": 1})),
    ]);
    let (west, east) = (strip(-500.0, 1200.0), strip(800.0, 2000.0));
    let scenes = [
        SceneInput {
            coverage: Some(&west),
            ..input("west", None)
        },
        SceneInput {
            coverage: Some(&east),
            ..input("east", None)
        },
    ];
    let detections = vec![
        scored(0.9, square(0.0)),
        scored(0.8, square(1010.0)),
        scored(0.7, square(9000.0)),
        named("east", scored(0.6, square(1900.0))),
        named("north", scored(0.5, square(1900.0))),
    ];
    let pairing = labels.pair(&scenes, detections).unwrap();
    let counts = |i: usize| {
        let scene: &EvaluationScene = &pairing.scenes[i];
        [
            scene.truth().len(),
            scene.ignore_regions().len(),
            scene.detections().len(),
        ]
    };
    assert_eq!(counts(0), [2, 1, 2]);
    assert_eq!(counts(1), [1, 1, 2]);
    assert_eq!(pairing.not_compared.truth_outside_scenes, 1);
    assert_eq!(pairing.not_compared.detections_outside_scenes, 2);
}

#[test]
fn labels_that_lie_elsewhere_are_an_error_and_swapped_ones_are_recognised() {
    let around = |lon: f64, lat: f64| {
        let strip = polygon![(x: lon - 0.1, y: lat - 0.1), (x: lon + 0.1, y: lat - 0.1),
            (x: lon + 0.1, y: lat + 0.1), (x: lon - 0.1, y: lat + 0.1)];
        MultiPolygon::new(vec![strip])
    };
    let problem = |coverage: &MultiPolygon| {
        let scene = SceneInput {
            coverage: Some(coverage),
            ..input("scene", None)
        };
        let labels = squares(&[(0.0, json!({}))]);
        labels.pair(&[scene], vec![]).unwrap_err().to_string()
    };
    assert!(problem(&around(1.0, 3.0)).contains("latitude and longitude swapped"));
    assert!(problem(&around(2.0, 3.0)).contains("show the same place"));
    let named = squares(&[(0.0, json!({"scene": "x"}))]);
    let error = named.pair(&[input("y", None)], vec![]).unwrap_err();
    assert!(error.to_string().contains("must hold scene ids"));
}

fn without_scenes(labels: &Truth, detections: Vec<ScoredBox>) -> (Vec<String>, Report) {
    let pairing = labels.pair(&[], detections).unwrap();
    let ids = pairing.scenes.iter().map(|s| s.id.clone()).collect();
    (ids, pairing.evaluate(&Options::default()))
}

#[test]
fn without_scenes_names_tell_them_apart_if_all_have_one() {
    let labels = squares(&[(0.0, json!({"scene": "a"})), (0.0, json!({"scene": "b"}))]);
    let found = |scene| named(scene, scored(0.9, square(0.0)));
    let (ids, report) = without_scenes(&labels, vec![found("a"), found("c")]);
    assert_eq!(ids, ["a", "b", "c"]);
    let at = report.overall.criteria[0].at_best_f1.as_ref().unwrap();
    assert_eq!(
        (at.true_positives, at.false_positives, at.missed),
        (1, 1, 1)
    );
    // One detection without a name, or no name in common: all is one scene.
    for detections in [
        vec![found("a"), scored(0.9, square(0.0))],
        vec![found("x"), found("y")],
    ] {
        let (ids, report) = without_scenes(&labels, detections);
        assert_eq!(ids, ["all"]);
        assert_eq!(report.overall.criteria[0].ap, Some(1.0));
    }
}

#[test]
fn a_scene_with_truth_of_several_regions_belongs_to_none() {
    let labels = squares(&[
        (0.0, json!({"region": "north"})),
        (500.0, json!({"region": "south"})),
    ]);
    let (_, report) = without_scenes(&labels, vec![]);
    assert!(report.by_region.is_empty());
    assert!(report.notices[0].contains("several regions"));
}
