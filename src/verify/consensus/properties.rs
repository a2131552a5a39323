//! What holds for any votes.

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::em::Convergence;
use super::votes::{VoteTable, VoteTableBuilder};
use super::*;

/// Item, worker, label, and how much the vote counts.
type Row = (u8, u8, u8, f64);

/// Votes of up to five workers on up to twelve items, with up to three classes and an answer that names none. Any set of
/// them, in any order, the same vote more than once, and not all count in full.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let weight = prop_oneof![3 => Just(1.0), 1 => 0.1..1.0_f64];
    prop::collection::vec((0..12_u8, 0..5_u8, 0..4_u8, weight), 1..60)
}

/// Names of the labels; the last one names no class.
const LABELS: [&str; 4] = ["a", "b", "c", "unsure"];

fn table(rows: &[Row], names: [&str; 4]) -> VoteTable {
    let mut builder = VoteTableBuilder::new();
    for name in names {
        builder.add_label(name);
    }
    for &(item, worker, label, weight) in rows {
        builder.add(
            &item.to_string(),
            &worker.to_string(),
            names[usize::from(label)],
            weight,
        );
    }
    builder.build(|label| label == "unsure")
}

/// A few steps: rounding does not grow in so few, not even where an estimate stands on a ridge.
fn few_steps(with_prior: bool) -> DawidSkene {
    DawidSkene {
        with_prior,
        convergence: Convergence {
            tolerance: 0.0,
            max_iterations: 15,
        },
    }
}

fn assert_close(a: &[f64], b: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (x, y) in a.iter().zip(b) {
        prop_assert!((x - y).abs() < 1e-7, "{:?} {:?}", a, b);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_step_climbs(rows in rows(), known in 0..3_usize) {
        let table = table(&rows, LABELS);
        let known = vec![Some(known)];
        for fit in [
            DawidSkene::plain().fit(&table, &[]),
            DawidSkene::with_prior().fit(&table, &known),
            one_coin(&table, &known, &mut |_| {}),
        ] {
            for pair in fit.trace.windows(2) {
                prop_assert!(pair[1] >= pair[0] - 1e-9 * (1.0 + pair[0].abs()), "{:?}", fit.trace);
            }
        }
    }

    #[test]
    fn probabilities_are_probabilities(rows in rows()) {
        let table = table(&rows, LABELS);
        for fit in [DawidSkene::plain().fit(&table, &[]), DawidSkene::with_prior().fit(&table, &[]), one_coin(&table, &[], &mut |_| {})] {
            prop_assert!(fit.log_likelihood <= 1e-9, "{}", fit.log_likelihood);
            let rates = fit.confusion.iter().flat_map(|c| c.rates().chunks(4));
            let posteriors = fit.posteriors.iter().map(Vec::as_slice);
            for row in rates.chain(posteriors).chain([fit.prevalence.as_slice()]) {
                prop_assert!(row.iter().all(|p| (0.0..=1.0 + 1e-12).contains(p)), "{row:?}");
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{row:?}");
            }
        }
    }

    #[test]
    fn the_order_of_votes_shows_in_no_bit(rows in rows(), seed in any::<prop::sample::Index>()) {
        let fit = |rows: &[Row]| {
            let table = table(rows, LABELS);
            (DawidSkene::with_prior().fit(&table, &[]), Agreement::of(&table))
        };
        let mut other = rows.clone();
        other.rotate_left(seed.index(rows.len()));
        other.reverse();
        prop_assert_eq!(fit(&rows), fit(&other));
    }

    #[test]
    fn other_names_for_classes_change_names_only(rows in rows(), with_prior in any::<bool>()) {
        // Classes a, b, c become z, a, m: in another order.
        let (before, after) = (table(&rows, LABELS), table(&rows, ["z", "a", "m", "unsure"]));
        let moved = [2, 0, 1];
        let (one, two) = (few_steps(with_prior).fit(&before, &[]), few_steps(with_prior).fit(&after, &[]));
        prop_assert!((one.log_likelihood - two.log_likelihood).abs() < 1e-7);
        for (p, q) in one.posteriors.iter().zip(&two.posteriors) {
            assert_close(p, &moved.map(|class| q[class]))?;
        }
        for (m, n) in one.confusion.iter().zip(&two.confusion) {
            for class in 0..3 {
                let same: Vec<f64> = moved.iter().chain([&3]).map(|&label| n.rate(moved[class], label)).collect();
                let row: Vec<f64> = (0..4).map(|label| m.rate(class, label)).collect();
                assert_close(&row, &same)?;
            }
        }
        let (one, two) = (Agreement::of(&before), Agreement::of(&after));
        prop_assert_eq!(one.krippendorff_alpha.is_some(), two.krippendorff_alpha.is_some());
        if let (Some(a), Some(b)) = (one.krippendorff_alpha, two.krippendorff_alpha) {
            prop_assert!((a - b).abs() < 1e-9 && a <= 1.0 + 1e-12);
        }
    }

    #[test]
    fn a_vote_that_counts_twice_is_two_votes(rows in rows(), twice in subsequence((0..60).collect::<Vec<usize>>(), 0..30)) {
        let (mut heavy, mut double) = (rows.clone(), rows.clone());
        for number in twice.into_iter().filter(|n| *n < rows.len()) {
            heavy[number].3 *= 2.0;
            double.push(rows[number]);
        }
        let fit = |rows: &[Row]| few_steps(true).fit(&table(rows, LABELS), &[]);
        let (one, two) = (fit(&heavy), fit(&double));
        for (p, q) in one.posteriors.iter().zip(&two.posteriors) {
            assert_close(p, q)?;
        }
    }

    #[test]
    fn between_batches_nothing_jumps(answers in prop::collection::vec((0..8_u8, 0..6_u8, 0..4_u8), 1..60)) {
        let names: Vec<String> = (0..8).map(|n| n.to_string()).collect();
        let answer = |n: u8| [Answer::No, Answer::Yes, Answer::Unsure, Answer::BadImage][usize::from(n)];
        let ballots: Vec<(&str, Ballot<'_>)> = answers
            .iter()
            .map(|&(task, who, said)| (names[usize::from(task)].as_str(), Ballot::new(&names[usize::from(who)], answer(said))))
            .collect();
        let fit = Crowd::fit(ballots.iter().copied(), &std::collections::BTreeMap::new());
        for (task, p) in &fit.p_votes {
            let of_task: Vec<Ballot<'_>> = ballots.iter().filter(|(t, _)| t == task).map(|(_, b)| *b).collect();
            prop_assert!((fit.crowd.posterior(&of_task) - p).abs() < 1e-7);
        }
    }
}
