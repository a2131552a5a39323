use proptest::prelude::*;

use super::*;
use crate::evaluate::boxes::EvaluationScene;
use crate::evaluate::testing::{ground, scene, scored_in_pixels, square, utm};
use crate::geometry::{GroundBox, PixelPoint};

const IOU: Criterion = Criterion::Iou(0.5);
const NEAR: Criterion = Criterion::CentreDistance(50.0);

fn matched(scene: &EvaluationScene, criterion: Criterion) -> SceneMatch {
    match_scene(scene, criterion, IouKind::Oriented, None)
}

#[test]
fn the_second_detection_of_one_object_is_a_false_alarm() {
    let scene = scene(
        &[
            (0.6, square(5.0)),
            (0.9, square(10.0)),
            (0.3, square(900.0)),
        ],
        &[square(0.0)],
        &[],
    );
    for criterion in [IOU, NEAR] {
        let expected = vec![(0.9, true), (0.6, false), (0.3, false)];
        assert_eq!(matched(&scene, criterion).records, expected);
    }
}

#[test]
fn a_detection_takes_the_best_object_that_is_still_free() {
    // The surer detection takes the object 4 m away (not the one 36 m away); the other, for which the
    // same object would be best, then takes the free one, 38 m away: IoU 62 / 138 = 0.45.
    let scene = scene(
        &[(0.9, square(4.0)), (0.8, square(2.0))],
        &[square(0.0), square(40.0)],
        &[],
    );
    assert_eq!(
        matched(&scene, NEAR).records,
        vec![(0.9, true), (0.8, true)]
    );
    assert_eq!(
        matched(&scene, Criterion::Iou(0.44)).records,
        vec![(0.9, true), (0.8, true)]
    );
    assert_eq!(
        matched(&scene, IOU).records,
        vec![(0.9, true), (0.8, false)]
    );
}

#[test]
fn ignore_regions_neither_reward_nor_punish() {
    let region = ground(1000.0, 0.0, 300.0, 300.0, 0.0);
    let scene = scene(
        &[
            (0.9, square(0.0)),
            (0.8, square(1000.0)),
            (0.7, square(1100.0)),
            (0.6, square(2000.0)),
        ],
        &[square(0.0)],
        &[region],
    );
    for criterion in [IOU, NEAR] {
        let result = matched(&scene, criterion);
        assert_eq!(result.records, vec![(0.9, true), (0.6, false)]);
        assert_eq!((result.truth, result.ignored), (1, 2));
    }
}

#[test]
fn an_object_inside_an_ignore_region_is_still_found() {
    let scene = scene(
        &[(0.9, square(0.0)), (0.8, square(3.0))],
        &[square(0.0)],
        &[ground(0.0, 0.0, 500.0, 500.0, 0.0)],
    );
    let result = matched(&scene, IOU);
    assert_eq!(result.records, vec![(0.9, true)]);
    assert_eq!(result.ignored, 1);
}

#[test]
fn a_scene_without_objects_holds_false_alarms_only() {
    let empty = scene(&[(0.9, square(0.0))], &[], &[]);
    assert_eq!(matched(&empty, IOU).records, vec![(0.9, false)]);
    assert_eq!(matched(&scene(&[], &[], &[]), IOU), SceneMatch::default());
}

#[test]
fn oriented_and_upright_overlaps_of_a_turned_box_differ() {
    // A box of 100 m x 50 m at 45° and its mirror image at 135° share a square of 50 m: oriented IoU is
    // 2500 / (2 · 5000 − 2500) = 1/3. Their envelopes are the same square: IoU 1.
    let scene = scene(
        &[(0.9, ground(0.0, 0.0, 100.0, 50.0, 135.0))],
        &[ground(0.0, 0.0, 100.0, 50.0, 45.0)],
        &[],
    );
    let found =
        |threshold, kind| match_scene(&scene, Criterion::Iou(threshold), kind, None).records[0].1;
    assert!(found(0.33, IouKind::Oriented) && !found(0.34, IouKind::Oriented));
    assert!(found(0.999, IouKind::Envelope));
}

#[test]
fn envelopes_of_pixel_labels_lie_along_the_pixels() {
    // Truth is the pixel square 10 to 20; the detection a diamond with its corners in the middle of
    // the square's sides: its envelope in pixels is that square, its own area half of it.
    let georeference = utm();
    let corners = [(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)];
    let truth = TruthBox::from_pixels(
        &corners.map(|(x, y)| PixelPoint::new(x, y)),
        false,
        None,
        &georeference,
    );
    let diamond = [(15.0, 10.0), (20.0, 15.0), (15.0, 20.0), (10.0, 15.0)];
    let detection = scored_in_pixels(0.9, diamond, &georeference);
    let scene = EvaluationScene::new(
        "scene",
        None,
        vec![detection],
        vec![truth.unwrap().unwrap()],
        vec![],
        Some(&georeference),
    )
    .unwrap();
    let found =
        |threshold, kind| match_scene(&scene, Criterion::Iou(threshold), kind, None).records[0].1;
    assert!(found(0.999, IouKind::Envelope));
    assert!(found(0.49, IouKind::Oriented) && !found(0.51, IouKind::Oriented));
    assert_eq!(
        IouKind::Auto.resolve(std::slice::from_ref(&scene)),
        IouKind::Envelope
    );
}

#[test]
fn auto_is_oriented_only_if_every_object_is() {
    let turned = ground(0.0, 0.0, 100.0, 50.0, 30.0);
    let upright = ground(500.0, 0.0, 100.0, 50.0, 0.0);
    assert_eq!(
        IouKind::Auto.resolve(&[scene(&[], &[turned], &[upright])]),
        IouKind::Oriented
    );
    assert_eq!(
        IouKind::Auto.resolve(&[scene(&[], &[turned, upright], &[])]),
        IouKind::Envelope
    );
}

#[test]
fn a_class_leaves_the_others_out() {
    let scene = scene(&[(0.9, square(0.0))], &[square(0.0)], &[]);
    let of = |class| match_scene(&scene, IOU, IouKind::Oriented, Some(class));
    assert_eq!(of("kiln").records, vec![(0.9, true)]);
    assert_eq!(of("camp"), SceneMatch::default());
}

#[test]
fn the_order_in_which_detections_are_given_makes_no_difference() {
    let mut detections = vec![
        (0.5, square(30.0)),
        (0.5, square(-20.0)),
        (0.5, square(10.0)),
    ];
    let objects = [square(0.0), square(45.0)];
    let first = matched(&scene(&detections, &objects, &[]), NEAR);
    detections.rotate_left(1);
    assert_eq!(matched(&scene(&detections, &objects, &[]), NEAR), first);
}

/// Matching as its definition reads: every pair compared.
fn by_definition(scene: &EvaluationScene, criterion: Criterion, kind: IouKind) -> Vec<(f64, bool)> {
    let mut free = vec![true; scene.truth.len()];
    let mut records = Vec::new();
    for i in 0..scene.detections.len() {
        let mut best: Option<(f64, usize)> = None;
        for (j, truth) in scene.truth.iter().enumerate() {
            let Some(near) = nearness(scene, i, truth, criterion, kind) else {
                continue;
            };
            if free[j] && best.is_none_or(|(b, _)| near > b) {
                best = Some((near, j));
            }
        }
        if let Some((_, j)) = best {
            free[j] = false;
        }
        records.push((scene.detections[i].score, best.is_some()));
    }
    records
}

prop_compose! {
    fn any_box()(e in 0.0..600.0f64, n in 0.0..600.0f64, l in 40.0..200.0f64, w in 40.0..200.0f64, a in 0.0..180.0f64) -> GroundBox {
        ground(e, n, l.max(w), l.min(w), a)
    }
}

proptest! {
    #[test]
    fn the_index_changes_nothing_and_nothing_is_lost(
        found in prop::collection::vec((0.0..1.0f64, any_box()), 0..25),
        objects in prop::collection::vec(any_box(), 0..25),
        ignored in prop::collection::vec(any_box(), 0..3),
        threshold in 0.05..0.9f64, metres in 1.0..200.0f64,
    ) {
        let plain = scene(&found, &objects, &[]);
        let with_regions = scene(&found, &objects, &ignored);
        for criterion in [Criterion::Iou(threshold), Criterion::CentreDistance(metres)] {
            for kind in [IouKind::Oriented, IouKind::Envelope] {
                let result = match_scene(&plain, criterion, kind, None);
                prop_assert_eq!(&result.records, &by_definition(&plain, criterion, kind));
                let hits = |m: &SceneMatch| m.records.iter().filter(|r| r.1).count();
                prop_assert!(hits(&result) <= result.truth.min(found.len()));
                // Regions take false alarms away, and nothing else.
                let spared = match_scene(&with_regions, criterion, kind, None);
                prop_assert_eq!(hits(&spared), hits(&result));
                prop_assert_eq!(spared.records.len() + spared.ignored, found.len());
            }
        }
    }
}
