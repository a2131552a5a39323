use proptest::prelude::*;

use super::*;

fn scene(records: &[(f64, bool)], truth: usize) -> SceneMatch {
    SceneMatch {
        records: records.to_vec(),
        truth,
        ignored: 0,
    }
}

fn ap(scenes: &[SceneMatch]) -> Option<f64> {
    Pooled::new(scenes).measure(None, &[]).ap
}

#[test]
fn a_curve_worked_by_hand() {
    // Four objects. Right, wrong, right, right, wrong:
    //   precision 1/1, 1/2, 2/3, 3/4, 3/5; recall 1/4, 1/4, 2/4, 3/4, 3/4.
    // Envelope: 1 up to recall 1/4, then 3/4 up to recall 3/4, then 0.
    // AP = 1/4 · 1 + 1/4 · 3/4 + 1/4 · 3/4 = 0.625. The two scenes are pooled by score.
    let scenes = [
        scene(&[(0.9, true), (0.6, true)], 3),
        scene(&[(0.8, false), (0.7, true), (0.5, false)], 1),
    ];
    assert!((ap(&scenes).unwrap() - 0.625).abs() < 1e-12);
}

#[test]
fn detections_of_equal_score_are_one_step() {
    // One object, a right and a wrong detection of the same score: precision 1/2 at recall 1,
    // whichever comes first.
    for records in [[(0.5, true), (0.5, false)], [(0.5, false), (0.5, true)]] {
        assert!((ap(&[scene(&records, 1)]).unwrap() - 0.5).abs() < 1e-12);
    }
}

#[test]
fn empty_cases_are_defined() {
    assert_eq!(ap(&[]), None);
    assert_eq!(ap(&[scene(&[(0.9, false)], 0)]), None);
    assert_eq!(ap(&[scene(&[], 5)]), Some(0.0));
    let measured = Pooled::new(&[scene(&[], 5)]).measure(None, &[0.5]);
    let counts = measured.at[0];
    assert_eq!(
        (counts.precision(), counts.recall(), counts.f1()),
        (None, Some(0.0), Some(0.0))
    );
    assert_eq!(Counts::default().f1(), None);
    assert_eq!(Pooled::new(&[scene(&[], 5)]).best_f1_score(), None);
    assert_eq!(
        Pooled::new(&[scene(&[(0.9, false)], 1)]).best_f1_score(),
        None
    );
}

#[test]
fn counts_at_a_score_include_that_score() {
    let pooled = Pooled::new(&[scene(&[(0.9, true), (0.5, false), (0.4, true)], 4)]);
    let at = pooled.measure(None, &[0.5, 0.4, 0.95]).at;
    let numbers = |c: Counts| (c.true_positives, c.false_positives, c.truth);
    assert_eq!(numbers(at[0]), (1, 1, 4));
    assert_eq!(numbers(at[1]), (2, 1, 4));
    assert_eq!(numbers(at[2]), (0, 0, 4));
    // F1 = 2 · 2 / (2 · 2 + 1 + 2) = 4/7.
    assert!((at[1].f1().unwrap() - 4.0 / 7.0).abs() < 1e-12);
}

#[test]
fn the_best_f1_is_found_and_the_highest_of_equals_taken() {
    // F1 after each: 2/5, 2/6, 4/7; then 4/8.
    let records = [(0.9, true), (0.5, false), (0.4, true), (0.3, false)];
    assert_eq!(
        Pooled::new(&[scene(&records, 4)]).best_f1_score(),
        Some(0.4)
    );
    // Of two objects: 2/3 after the first, 2/4, then 4/5, 4/6, 4/7, ... never better than 4/5.
    let records = [(0.9, true), (0.8, false), (0.7, true), (0.6, false)];
    assert_eq!(
        Pooled::new(&[scene(&records, 2)]).best_f1_score(),
        Some(0.7)
    );
}

#[test]
fn a_scene_that_counts_twice_is_two_scenes() {
    let scenes = [
        scene(&[(0.9, true), (0.3, false)], 2),
        scene(&[(0.8, false), (0.2, true)], 1),
    ];
    let weighted = Pooled::new(&scenes).measure(Some(&[2, 0]), &[0.1]);
    let doubled = Pooled::new(&[scenes[0].clone(), scenes[0].clone()]).measure(None, &[0.1]);
    assert_eq!(weighted, doubled);
}

prop_compose! {
    /// Scenes with at least as many objects as detections that found one. Scores in hundredths, so some are equal.
    fn any_scenes()(scenes in prop::collection::vec(
        (prop::collection::vec((0..100i32, any::<bool>()), 0..20), 0..5usize), 1..6,
    )) -> Vec<SceneMatch> {
        scenes.into_iter().map(|(mut records, missed)| {
            records.sort_by_key(|r| -r.0);
            let hits = records.iter().filter(|r| r.1).count();
            let records: Vec<_> = records.into_iter().map(|(s, hit)| (f64::from(s) / 100.0, hit)).collect();
            scene(&records, hits + missed)
        }).collect()
    }
}

proptest! {
    #[test]
    fn measures_are_shares(scenes in any_scenes(), min in 0.0..1.0f64) {
        let pooled = Pooled::new(&scenes);
        let measured = pooled.measure(None, &[min]);
        let truth: usize = scenes.iter().map(|s| s.truth).sum();
        prop_assert_eq!(measured.ap.is_some(), truth > 0);
        let counts = measured.at[0];
        for value in [measured.ap, counts.precision(), counts.recall(), counts.f1()].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&value));
        }
        // AP cannot exceed the recall that all detections together reach.
        let recall = pooled.steps(None).last().and_then(|s| s.1.recall()).unwrap_or(0.0);
        prop_assert!(measured.ap.unwrap_or(0.0) <= recall + 1e-12);
    }

    #[test]
    fn only_the_order_of_scores_matters(scenes in any_scenes()) {
        let mut squeezed = scenes.clone();
        for record in squeezed.iter_mut().flat_map(|s| &mut s.records) {
            record.0 = (3.0 * record.0).exp() - 7.0;
        }
        prop_assert_eq!(ap(&scenes), ap(&squeezed));
    }

    #[test]
    fn a_false_alarm_below_all_scores_never_raises_ap(scenes in any_scenes()) {
        let mut more = scenes.clone();
        more[0].records.push((-1.0, false));
        prop_assert!(ap(&more).unwrap_or(0.0) <= ap(&scenes).unwrap_or(0.0));
    }

    #[test]
    fn the_order_of_scenes_makes_no_difference(scenes in any_scenes()) {
        let mut turned = scenes.clone();
        turned.reverse();
        prop_assert_eq!(Pooled::new(&scenes).measure(None, &[0.5]), Pooled::new(&turned).measure(None, &[0.5]));
    }
}
