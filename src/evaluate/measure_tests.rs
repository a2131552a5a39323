use proptest::prelude::*;

use super::*;
use crate::evaluate::bootstrap::Resampling;
use crate::evaluate::boxes::TruthBox;
use crate::evaluate::outline::Outline;
use crate::evaluate::testing::{ground, scene, scored, square, truth};

fn options() -> Options {
    Options {
        resampling: Resampling {
            replicates: 200,
            seed: 5,
        },
        ..Options::default()
    }
}

/// Twelve scenes in two regions: in each, one kiln found well, one found 40 m off, one false alarm.
fn scenes() -> Vec<EvaluationScene> {
    (0..12)
        .map(|i| {
            let lower = f64::from(i) / 100.0;
            let turned = ground(1000.0, 0.0, 120.0, 60.0, 30.0);
            let mut scene = scene(
                &[
                    (0.9 - lower, square(0.0)),
                    (0.6 - lower, ground(1040.0, 0.0, 120.0, 60.0, 30.0)),
                    (0.3 - lower, square(3000.0)),
                ],
                &[square(0.0), turned],
                &[],
            );
            scene.region = Some(if i < 4 { "brahmaputra valley" } else { "delta" }.to_owned());
            scene
        })
        .collect()
}

#[test]
fn every_criterion_and_region_has_its_measures() {
    let report = evaluate(&scenes(), &options());
    let all = &report.overall;
    assert_eq!((all.scenes, all.truth, all.detections), (12, 24, 36));
    let ap: Vec<f64> = all.criteria.iter().map(|c| c.ap.unwrap()).collect();
    // By distance all 24 are found before the false alarms: AP 1. By IoU (upright squares make it
    // envelopes) the second kiln is 40 m off in an envelope 112 m wide: IoU 72 / 152 = 0.47.
    assert_eq!(ap, [1.0, 0.5, 1.0]);
    assert_eq!(report.iou_kind, IouKind::Envelope);
    let best = all.criteria[1].at_best_f1.as_ref().unwrap();
    assert_eq!(best.true_positives + best.missed, 24);
    assert!(best.f1_low.unwrap() <= best.f1.unwrap() && best.f1.unwrap() <= best.f1_high.unwrap());
    let regions: Vec<(&str, usize)> = report
        .by_region
        .iter()
        .map(|g| (g.name.as_str(), g.truth))
        .collect();
    assert_eq!(regions, [("brahmaputra valley", 8), ("delta", 16)]);
    // One score for all regions.
    for region in &report.by_region {
        let at = region.criteria[0].at_best_f1.as_ref().unwrap();
        assert!(
            (at.min_score - all.criteria[0].at_best_f1.as_ref().unwrap().min_score).abs() < 1e-12
        );
    }
}

#[test]
fn the_same_scenes_give_the_same_report_and_json_is_self_explaining() {
    let report = evaluate(&scenes(), &options());
    assert_eq!(report, evaluate(&scenes(), &options()));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["iou_kind"], "envelope");
    assert_eq!(json["overall"]["criteria"][2]["max_distance_m"], 50.0);
    assert_eq!(
        json["overall"]["criteria"][2]["criterion"],
        "centre_distance"
    );
    assert_eq!(json["overall"]["criteria"][0]["min_iou"], 0.3);
    assert_eq!(json["bootstrap"]["replicates"], 200);
    assert!(json["not_compared"]["images_without_scene"].is_number());
    assert!(json["overall"]["criteria"][0]["at_scores"][0]["precision_low"].is_number());
}

#[test]
fn the_table_fits_and_says_what_limits_it() {
    let mut options = options();
    options.iou_thresholds = vec![0.3, 0.5, 0.75];
    let report = evaluate(&scenes(), &options);
    let text = report.to_text();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    for part in [
        "24 objects in 12 scenes",
        "Average precision",
        "An interval without width",
        "fewer than 10 scenes",
        "IoU >= 0.75",
        "centre <= 50 m",
        "only 24 true objects",
        "95 %, bootstrap over scenes, 200 replicates, seed 5",
        "upright envelopes, north up (not every label says its direction)",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn nothing_at_all_is_a_report_too() {
    for scenes in [vec![], vec![scene(&[], &[], &[])]] {
        let report = evaluate(&scenes, &options());
        assert_eq!(report.overall.criteria[0].ap, None);
        assert!(report.to_text().contains("no true objects"));
    }
}

#[test]
fn points_are_compared_by_distance_alone() {
    let place = square(0.0).center;
    let objects = vec![
        TruthBox::from_outline(&Outline::Point(place), None).unwrap(),
        truth(square(500.0)),
    ];
    let detections = vec![scored(0.9, square(20.0)), scored(0.8, square(500.0))];
    let scene = EvaluationScene::new("a", None, detections, objects, vec![], None).unwrap();
    let report = evaluate(&[scene], &options());
    assert_eq!(report.overall.criteria.len(), 1);
    assert_eq!(report.overall.criteria[0].ap, Some(1.0));
    assert_eq!(report.overall.truth_points, 1);
    assert!(report.to_text().contains("IoU was left out"));
}

#[test]
fn classes_are_compared_on_their_own_if_asked() {
    let mut camp = truth(square(500.0));
    camp.class = Some("camp".to_owned());
    let detections = vec![scored(0.9, square(0.0)), scored(0.8, square(500.0))];
    let objects = vec![truth(square(0.0)), camp];
    let scene = EvaluationScene::new("a", None, detections, objects, vec![], None).unwrap();
    let scenes = [scene];
    let any = evaluate(
        &scenes,
        &Options {
            by_class: true,
            ..options()
        },
    );
    assert_eq!(any.overall.criteria[0].ap, Some(1.0));
    let by_class: Vec<_> = any
        .by_class
        .iter()
        .map(|g| (g.name.as_str(), g.truth, g.criteria[0].ap))
        .collect();
    assert_eq!(by_class, [("camp", 1, Some(0.0)), ("kiln", 1, Some(1.0))]);
    let only = |class: &str| Options {
        class: Some(class.to_owned()),
        ..options()
    };
    let kilns = evaluate(&scenes, &only("kiln")).overall;
    assert_eq!((kilns.truth, kilns.criteria[0].detections_counted), (1, 2));
    let tents = evaluate(&scenes, &only("tent")).to_text();
    assert!(tents.contains("classes of the truth: camp,"), "{tents}");
}

proptest! {
    #[test]
    fn counts_add_up_in_every_group(
        found in prop::collection::vec((0.0..1.0f64, -300.0..300.0f64), 0..12),
        objects in prop::collection::vec(-300.0..300.0f64, 0..6),
    ) {
        let detections: Vec<_> = found.iter().map(|&(s, east)| (s, square(east))).collect();
        let boxes: Vec<_> = objects.iter().map(|&east| square(east)).collect();
        let scenes = [scene(&detections, &boxes, &[]), scene(&[], &boxes, &[])];
        let mut options = options();
        options.resampling.replicates = 20;
        let report = evaluate(&scenes, &options);
        for criterion in &report.overall.criteria {
            prop_assert_eq!(criterion.ap.is_some(), !objects.is_empty());
            prop_assert!(criterion.ap.is_none_or(|ap| (0.0..=0.5 + 1e-12).contains(&ap)));
            for at in &criterion.at_scores {
                prop_assert_eq!(at.true_positives + at.missed, 2 * objects.len());
                let counted = found.iter().filter(|f| f.0 >= at.min_score).count();
                prop_assert_eq!(at.true_positives + at.false_positives, counted);
            }
        }
    }
}
