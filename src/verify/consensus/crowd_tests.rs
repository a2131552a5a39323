use super::*;

const TASKS: [&str; 12] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
];

/// Ballots on twelve tasks, every other one yes: two volunteers agree, one always says the opposite.
fn opposed() -> Vec<(&'static str, Ballot<'static>)> {
    let mut ballots = Vec::new();
    for (number, task) in TASKS.into_iter().enumerate() {
        let (right, wrong) = if number % 2 == 0 {
            (Answer::Yes, Answer::No)
        } else {
            (Answer::No, Answer::Yes)
        };
        ballots.push((task, Ballot::new("ada", right)));
        ballots.push((task, Ballot::new("bo", right)));
        ballots.push((task, Ballot::new("cy", wrong)));
    }
    ballots
}

#[test]
fn between_batches_the_same_votes_give_the_same_posterior() {
    let ballots = opposed();
    let fit = Crowd::fit(ballots.clone(), &BTreeMap::new());
    for task in TASKS {
        let of_task: Vec<Ballot<'_>> = ballots
            .iter()
            .filter(|(t, _)| *t == task)
            .map(|(_, b)| *b)
            .collect();
        let online = fit.crowd.posterior(&of_task);
        assert!(
            (online - fit.p_votes(task)).abs() < 1e-9,
            "{online} {}",
            fit.p_votes(task)
        );
        let one_by_one = of_task.iter().fold(fit.crowd.prevalence(), |p, ballot| {
            fit.crowd.update(p, ballot)
        });
        assert!((one_by_one - online).abs() < 1e-9);
    }
}

#[test]
fn who_is_worse_than_chance_is_not_heard() {
    let fit = Crowd::fit(opposed(), &BTreeMap::new());
    let trusted = |name| fit.crowd.volunteer(name).unwrap().trusted;
    assert!(trusted("ada") && trusted("bo") && !trusted("cy"));
    assert_eq!(fit.crowd.evidence(&Ballot::new("cy", Answer::Yes)), 0.0);
    assert!(fit.p_votes("1") > 0.9 && fit.p_votes("2") < 0.1, "{fit:?}");
    assert_eq!(fit.crowd.volunteers().count(), 3);
}

#[test]
fn a_newcomer_counts_four_to_one_and_a_bad_image_nothing() {
    let crowd = Crowd::default();
    let evidence = |answer| crowd.evidence(&Ballot::new("new", answer));
    assert!((evidence(Answer::Yes) - 4f64.ln()).abs() < 1e-12);
    assert!((evidence(Answer::No) + 4f64.ln()).abs() < 1e-12);
    assert_eq!(evidence(Answer::Unsure), 0.0);
    assert_eq!(evidence(Answer::BadImage), 0.0);
    let hurried = Ballot {
        weight: 0.5,
        ..Ballot::new("new", Answer::Yes)
    };
    assert!((crowd.evidence(&hurried) - 2f64.ln()).abs() < 1e-12);
    assert_eq!(crowd.votes_to_certainty(0.5, 0.98), 3);
    assert_eq!(crowd.votes_to_certainty(0.01, 0.98), 0);
}

#[test]
fn training_tasks_teach_and_are_not_judged() {
    let known = BTreeMap::from([("1".to_owned(), true), ("2".to_owned(), false)]);
    let fit = Crowd::fit(opposed(), &known);
    assert_eq!(fit.p_votes.len(), 10);
    assert!(!fit.p_votes.contains_key("1"));
    assert_eq!(fit.p_votes("elsewhere"), fit.crowd.prevalence());
}

#[test]
fn the_order_of_votes_shows_in_no_bit() {
    let mut ballots = opposed();
    ballots[3].1.weight = 0.3;
    let one = Crowd::fit(ballots.clone(), &BTreeMap::new());
    ballots.reverse();
    assert_eq!(one, Crowd::fit(ballots.clone(), &BTreeMap::new()));
    ballots.rotate_left(4);
    assert_eq!(one, Crowd::fit(ballots, &BTreeMap::new()));
}

#[test]
fn a_crowd_survives_being_stored() {
    let crowd = Crowd::fit(opposed(), &BTreeMap::new()).crowd;
    let stored = serde_json::to_string(&crowd).unwrap();
    assert_eq!(crowd, serde_json::from_str(&stored).unwrap());
}
