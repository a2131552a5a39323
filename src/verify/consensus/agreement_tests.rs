use super::*;
use crate::verify::consensus::testing::table_of;
use crate::verify::consensus::{Answer, Scale, krippendorff_alpha};

/// A row per worker, a column per item, `*` for no vote: the worked example of Krippendorff (2011).
const FOUR_BY_TWELVE: [&str; 4] = [
    "1 2 3 3 2 1 4 1 2 * * *",
    "1 2 3 3 2 2 4 1 2 5 * 3",
    "* 3 3 3 2 3 4 2 2 5 1 *",
    "1 2 3 3 2 4 4 1 2 5 1 *",
];

/// The same, a smaller textbook example.
const THREE_BY_FIFTEEN: [&str; 3] = [
    "* * * * * 3 4 1 2 1 1 3 3 * 3",
    "1 * 2 1 3 3 4 3 * * * * * * *",
    "* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
];

/// Fleiss (1971): 30 patients, six psychiatrists each, five diagnoses.
const DIAGNOSES: &str = "
    444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444
    224445 333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444
    133333 555555
";

/// A textbook example of Fleiss' kappa: ten items, fourteen votes each, five labels.
const TEN_BY_FOURTEEN: [[u32; 5]; 10] = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
];

/// Tallies of labels 1 to 5.
fn tallies(workers: &[&str]) -> Vec<Vec<u32>> {
    let votes: Vec<Vec<&str>> = workers.iter().map(|w| w.split(' ').collect()).collect();
    (0..votes[0].len())
        .map(|item| {
            let mut tally = vec![0; 5];
            for label in votes
                .iter()
                .filter_map(|worker| worker[item].parse::<usize>().ok())
            {
                tally[label - 1] += 1;
            }
            tally
        })
        .collect()
}

#[test]
fn alpha_of_published_examples() {
    let numbers = [1.0, 2.0, 3.0, 4.0, 5.0];
    let scales = [
        Scale::Nominal,
        Scale::Ordinal,
        Scale::Interval(&numbers),
        Scale::Ratio(&numbers),
    ];
    let expected: [(&[&str], [f64; 4]); 2] = [
        (
            &FOUR_BY_TWELVE,
            [
                0.743_421_052_632,
                0.815_387_503_755,
                0.849_107_142_857,
                0.797_402_774_712,
            ],
        ),
        (
            &THREE_BY_FIFTEEN,
            [
                0.691_358_024_691,
                0.806_721_419_941,
                0.810_844_892_812,
                0.808_943_670_784,
            ],
        ),
    ];
    for (workers, alphas) in expected {
        let tallies = tallies(workers);
        for (scale, expected) in scales.iter().zip(alphas) {
            let alpha = krippendorff_alpha(&tallies, *scale).unwrap();
            assert!((alpha - expected).abs() < 1e-11, "{scale:?}: {alpha}");
        }
    }
}

#[test]
fn kappa_of_published_examples() {
    let patients: Vec<Vec<u32>> = DIAGNOSES
        .split_whitespace()
        .map(|ratings| {
            let mut tally = vec![0; 5];
            for rating in ratings.chars() {
                tally[rating.to_digit(10).unwrap() as usize - 1] += 1;
            }
            tally
        })
        .collect();
    assert_eq!(patients.len(), 30);
    let kappa = fleiss_kappa(&patients).unwrap();
    assert!((kappa - 0.430_244_520_06).abs() < 1e-11, "{kappa}");

    let items = TEN_BY_FOURTEEN.map(Vec::from);
    let kappa = fleiss_kappa(&items).unwrap();
    assert!((kappa - 0.209_930_704_422).abs() < 1e-11, "{kappa}");
    for (item, expected) in items.iter().zip([
        1.0, 0.253, 0.308, 0.44, 0.33, 0.462, 0.242, 0.176, 0.286, 0.286,
    ]) {
        assert!((item_agreement(item).unwrap() - expected).abs() < 6e-4);
    }
}

#[test]
fn what_cannot_be_measured_is_none() {
    assert_eq!(fleiss_kappa(&[vec![2, 1], vec![1, 1]]), None);
    assert_eq!(fleiss_kappa(&[vec![1, 0], vec![1, 0]]), None);
    assert_eq!(fleiss_kappa(&[vec![3, 0], vec![3, 0]]), None);
    assert_eq!(fleiss_kappa(&[]), None);
    assert_eq!(krippendorff_alpha(&[vec![3, 0]], Scale::Nominal), None);
    assert_eq!(
        krippendorff_alpha(&[vec![1, 0], vec![0, 1]], Scale::Nominal),
        None
    );
    assert_eq!(krippendorff_alpha(&[], Scale::Nominal), None);
    assert_eq!(item_agreement(&[1, 0]), None);
    assert_eq!(specific_agreement(&[vec![1, 0]], 0), None);
}

#[test]
fn chance_is_zero_and_perfection_one() {
    assert_eq!(
        krippendorff_alpha(&[vec![2, 0], vec![0, 2]], Scale::Nominal),
        Some(1.0)
    );
    assert_eq!(fleiss_kappa(&[vec![2, 0], vec![0, 2]]), Some(1.0));
    // Two answers, independent of each other and of the item.
    let chance = [vec![2, 0], vec![1, 1], vec![1, 1], vec![0, 2]];
    assert!(fleiss_kappa(&chance).unwrap().abs() < 1e-12);
}

#[test]
fn rare_classes_hide_in_kappa_and_show_in_agreement_by_class() {
    // 98 items on which both say no, and two on which they differ.
    let mut tallies = vec![vec![2, 0]; 98];
    tallies.extend([vec![1, 1], vec![1, 1]]);
    let agreement = |label| specific_agreement(&tallies, label).unwrap();
    assert!(fleiss_kappa(&tallies).unwrap() < 0.0);
    assert!((agreement(0) - 196.0 / 198.0).abs() < 1e-12);
    assert_eq!(agreement(1), 0.0);
}

#[test]
fn agreement_of_a_table_and_of_ballots() {
    let table = table_of(&[
        ("1", "a", "yes"),
        ("1", "b", "yes"),
        ("2", "a", "no"),
        ("2", "b", "unsure"),
        ("3", "a", "no"),
    ]);
    let agreement = Agreement::of(&table);
    assert_eq!(agreement.by_item, [Some(1.0), Some(0.0), None]);
    assert_eq!(agreement.observed, Some(0.5));
    assert_eq!(agreement.by_label, [Some(0.0), Some(1.0), Some(0.0)]);
    assert_eq!(agreement.fleiss_kappa, None);

    let hurried = |answer| Ballot {
        weight: 0.1,
        ..Ballot::new("b", answer)
    };
    let ballots = [
        ("1", Ballot::new("a", Answer::Yes)),
        ("1", hurried(Answer::Yes)),
        ("2", Ballot::new("a", Answer::No)),
        ("2", hurried(Answer::Unsure)),
        ("3", Ballot::new("a", Answer::No)),
        ("3", hurried(Answer::BadImage)),
    ];
    assert_eq!(Agreement::of_ballots(ballots), agreement);
}
