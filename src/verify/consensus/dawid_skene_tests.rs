use super::super::testing::{anaesthetists, caries, table_of};
use super::*;
use crate::verify::consensus::Convergence;

/// Error rates of the five observers of 1979: observer, true class, answered class. Computed once with another
/// implementation of the paper's equations; the paper prints two digits.
const OBSERVERS: [[[f64; 4]; 4]; 5] = [
    [
        [0.889_488_349, 0.110_511_651, 0.0, 0.0],
        [0.070_585_451, 0.876_379_937, 0.053_034_613, 0.0],
        [0.0, 0.338_821_54, 0.661_178_46, 0.0],
        [0.0, 0.0, 0.555_555_556, 0.444_444_444],
    ],
    [
        [0.834_214_083, 0.165_785_917, 0.0, 0.0],
        [0.052_706_704, 0.632_946_195, 0.314_347_101, 0.0],
        [0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ],
    [
        [1.0, 0.0, 0.0, 0.0],
        [0.106_377_863, 0.788_299_403, 0.105_322_734, 0.0],
        [0.0, 0.403_671_414, 0.198_776_195, 0.397_552_39],
        [0.0, 0.0, 0.666_666_667, 0.333_333_333],
    ],
    [
        [0.944_430_04, 0.055_569_96, 0.0, 0.0],
        [0.053_671_517, 0.842_626_85, 0.103_701_633, 0.0],
        [0.0, 0.0, 0.801_223_805, 0.198_776_195],
        [0.0, 0.0, 0.333_333_333, 0.666_666_667],
    ],
    [
        [1.0, 0.0, 0.0, 0.0],
        [0.159_039_23, 0.734_520_493, 0.106_440_277, 0.0],
        [0.0, 0.209_113_511, 0.790_886_489, 0.0],
        [0.0, 0.0, 0.333_333_333, 0.666_666_667],
    ],
];

/// The most likely class of patients 1 to 45.
const PATIENTS: &str = "142222132243121111222222112111131224233111212";

/// Error rates of the five dentists: dentist, true class, answered class.
const DENTISTS: [[[f64; 2]; 2]; 5] = [
    [[0.994_180_95, 0.005_819_05], [0.596_321_977, 0.403_678_023]],
    [
        [0.898_286_387, 0.101_713_613],
        [0.294_137_966, 0.705_862_034],
    ],
    [
        [0.986_725_704, 0.013_274_296],
        [0.409_459_938, 0.590_540_062],
    ],
    [[0.969_237_51, 0.030_762_49], [0.514_604_846, 0.485_395_154]],
    [
        [0.695_570_779, 0.304_429_221],
        [0.086_593_618, 0.913_406_382],
    ],
];

/// Probability that a tooth with these ratings is carious.
const TEETH: [(&str, f64); 32] = [
    ("11111", 0.001_342_103),
    ("11112", 0.031_373_198),
    ("11121", 0.038_405_329),
    ("11122", 0.490_464_191),
    ("11211", 0.125_932_293),
    ("11212", 0.776_404_58),
    ("11221", 0.810_669_173),
    ("11222", 0.990_402_541),
    ("12111", 0.027_693_436),
    ("12112", 0.407_037_27),
    ("12121", 0.458_421_705),
    ("12122", 0.953_271_736),
    ("12211", 0.753_299_013),
    ("12212", 0.986_593_708),
    ("12221", 0.989_100_325),
    ("12222", 0.999_542_973),
    ("21111", 0.134_521_868),
    ("21112", 0.789_297_078),
    ("21121", 0.822_038_829),
    ("21122", 0.991_097_415),
    ("21211", 0.943_385_272),
    ("21212", 0.997_516_14),
    ("21221", 0.997_984_727),
    ("21222", 0.999_916_22),
    ("22111", 0.767_124_175),
    ("22112", 0.987_560_885),
    ("22121", 0.989_888_52),
    ("22122", 0.999_576_346),
    ("22211", 0.997_176_37),
    ("22212", 0.999_882_523),
    ("22221", 0.999_904_728),
    ("22222", 0.999_996_047),
];

#[track_caller]
fn assert_near(got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() <= tolerance,
        "{got} is not {expected}"
    );
}

#[test]
fn the_anaesthetists_of_1979() {
    let table = anaesthetists();
    assert_eq!((table.items().len(), table.given()), (45, 315));
    let fit = DawidSkene::plain().fit(&table, &[]);
    assert!(fit.converged);
    assert_near(fit.log_likelihood, -192.890_881_214, 1e-6);
    // The first steps of the climb, too.
    assert_near(fit.trace[0], -205.091_138_294, 1e-6);
    assert_near(fit.trace[5], -192.897_593_567, 1e-6);
    let prevalence = [0.399_554_753, 0.421_983_392, 0.111_795_189, 0.066_666_667];
    for (got, expected) in fit.prevalence.iter().zip(prevalence) {
        assert_near(*got, expected, 1e-6);
    }
    for (confusion, expected) in fit.confusion.iter().zip(OBSERVERS) {
        for (got, expected) in confusion.rates().iter().zip(expected.as_flattened()) {
            assert_near(*got, *expected, 1e-6);
        }
    }
    let likeliest: String = fit
        .posteriors
        .iter()
        .map(|row| {
            let best = row.iter().copied().fold(0.0, f64::max);
            let class = row.iter().position(|p| *p == best).unwrap();
            table.class_names()[class].as_str()
        })
        .collect();
    assert_eq!(likeliest, PATIENTS);
    for (patient, class, expected) in [
        (7, 0, 0.981_020_295),
        (35, 1, 0.947_995_202),
        (38, 1, 0.021_200_484),
    ] {
        assert_near(fit.posteriors[patient - 1][class], expected, 1e-6);
    }
}

#[test]
fn the_dentists_of_1989() {
    let table = caries();
    assert_eq!(table.items().len(), 3859);
    let fit = DawidSkene::plain().fit(&table, &[]);
    assert!(fit.converged);
    assert_near(fit.log_likelihood, -7_410.941_976_271, 1e-6);
    assert_near(fit.prevalence[1], 0.199_659_183, 1e-6);
    for (confusion, expected) in fit.confusion.iter().zip(DENTISTS) {
        for (got, expected) in confusion.rates().iter().zip(expected.as_flattened()) {
            assert_near(*got, *expected, 1e-6);
        }
    }
    for (pattern, expected) in TEETH {
        let tooth = table.item(&format!("{pattern}-0")).unwrap();
        assert_near(fit.posteriors[tooth][1], expected, 1e-6);
    }
}

#[test]
fn what_is_known_beforehand_stays_and_tells_of_workers_not_of_prevalence() {
    // Worker b is wrong wherever the class is known.
    let rows = [
        ("1", "a", "no"),
        ("1", "b", "yes"),
        ("2", "a", "yes"),
        ("2", "b", "no"),
        ("3", "a", "yes"),
        ("3", "b", "no"),
    ];
    let table = table_of(&rows);
    let fit = DawidSkene::with_prior().fit(&table, &[Some(0), Some(1)]);
    assert_eq!(fit.posteriors[0], [1.0, 0.0]);
    assert_eq!(fit.posteriors[1], [0.0, 1.0]);
    assert!(fit.posteriors[2][1] > 0.8, "{fit:?}");
    assert!(fit.prevalence[1] > 0.55, "{fit:?}");
}

#[test]
fn a_worker_who_never_saw_a_class_is_no_evidence_about_it() {
    let rows = [("1", "a", "x"), ("2", "b", "y"), ("3", "c", "x")];
    let fit = DawidSkene::plain().fit(&table_of(&rows), &[]);
    assert!(fit.log_likelihood.is_finite(), "{fit:?}");
    assert!(
        fit.confusion
            .iter()
            .all(|c| c.rates().iter().all(|r| r.is_finite()))
    );
}

#[test]
fn too_few_steps_are_said() {
    let fit = DawidSkene {
        convergence: Convergence {
            max_iterations: 3,
            ..Convergence::default()
        },
        ..DawidSkene::plain()
    }
    .fit(&anaesthetists(), &[]);
    assert_eq!((fit.trace.len(), fit.converged), (3, false));
}

#[test]
fn nothing_to_learn_from_is_no_reason_to_fail() {
    let empty = VoteTable::clone(&table_of::<&str>(&[]));
    let fit = DawidSkene::plain().fit(&empty, &[]);
    assert!(fit.posteriors.is_empty() && fit.converged);
    let unsure_only = table_of(&[("1", "a", "unsure")]);
    assert!(
        DawidSkene::plain()
            .fit(&unsure_only, &[])
            .posteriors
            .iter()
            .all(Vec::is_empty)
    );
}
