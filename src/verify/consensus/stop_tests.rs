use super::*;

fn ballots(answers: &str) -> Vec<Ballot<'static>> {
    answers
        .chars()
        .map(|answer| match answer {
            'y' => Ballot::new("", Answer::Yes),
            'n' => Ballot::new("", Answer::No),
            'u' => Ballot::new("", Answer::Unsure),
            _ => Ballot::new("", Answer::BadImage),
        })
        .collect()
}

/// The verdict of newcomers' answers.
fn verdict(rule: StopRule, answers: &str, contested_area: bool) -> Verdict {
    let (crowd, ballots) = (Crowd::default(), ballots(answers));
    rule.decide(
        &Tally::of(&ballots),
        crowd.posterior(&ballots),
        contested_area,
        &crowd,
    )
}

#[test]
fn three_votes_and_certainty_decide() {
    // Newcomers are right in four of five cases: three equal votes are 64 to 1.
    assert_eq!(
        verdict(StopRule::STANDARD, "yyy", false),
        Verdict::Confirmed
    );
    assert_eq!(verdict(StopRule::STANDARD, "nnn", false), Verdict::Rejected);
    assert_eq!(
        verdict(StopRule::STANDARD, "yy", false),
        Verdict::Open { wanted: 1 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "", false),
        Verdict::Open { wanted: 3 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "yyn", false),
        Verdict::Open { wanted: 2 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "yynyy", false),
        Verdict::Confirmed
    );
    // Certain, and still too few votes.
    let tally = Tally::of(&ballots("yy"));
    let open = StopRule::STANDARD.decide(&tally, 0.999, false, &Crowd::default());
    assert_eq!(open, Verdict::Open { wanted: 1 });
}

#[test]
fn the_strict_rule_wants_five_and_more_certainty() {
    assert_eq!(
        verdict(StopRule::STRICT, "yyyy", false),
        Verdict::Open { wanted: 1 }
    );
    assert_eq!(
        verdict(StopRule::STRICT, "yyyyy", false),
        Verdict::Confirmed
    );
    let tally = Tally::of(&ballots("yyyyyy"));
    let at = |p| StopRule::STRICT.decide(&tally, p, false, &Crowd::default());
    assert_eq!(
        (at(0.985), at(0.99)),
        (Verdict::Open { wanted: 1 }, Verdict::Confirmed)
    );
}

#[test]
fn who_disagree_to_the_end_send_for_an_expert() {
    assert_eq!(
        verdict(StopRule::STANDARD, "ynynynyny", false),
        Verdict::Expert
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "ynynynyny", true),
        Verdict::Open { wanted: 2 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "ynynynynynynyny", true),
        Verdict::Expert
    );
    // What is wanted never goes beyond the most votes: nothing is collected in vain.
    assert_eq!(
        verdict(StopRule::STANDARD, "ynynynyn", false),
        Verdict::Open { wanted: 1 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "uuuuuuuuu", false),
        Verdict::Expert
    );
    // Over-collected votes are evidence like any other.
    assert_eq!(
        verdict(StopRule::STANDARD, "ynynynynyyyyy", false),
        Verdict::Confirmed
    );
}

#[test]
fn the_first_three_equal_votes_decide_while_votes_are_few() {
    let rule = StopRule::FIRST_TO_3;
    assert_eq!(verdict(rule, "ynny", false), Verdict::Open { wanted: 1 });
    assert_eq!(verdict(rule, "ynnyn", false), Verdict::Rejected);
    assert_eq!(verdict(rule, "yuyuy", false), Verdict::Confirmed);
    // Two late votes made it three all: no longer decided.
    assert_eq!(
        verdict(rule, "ynnynyyn", false),
        Verdict::Open { wanted: 1 }
    );
}

#[test]
fn two_bad_images_of_the_first_three_ask_for_another_date() {
    assert_eq!(verdict(StopRule::STANDARD, "bb", false), Verdict::OtherDate);
    assert_eq!(
        verdict(StopRule::STANDARD, "yyyb", false),
        Verdict::Confirmed
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "ybyb", false),
        Verdict::Open { wanted: 1 }
    );
    assert_eq!(
        verdict(StopRule::STANDARD, "byb", false),
        Verdict::OtherDate
    );
    // No evidence about the site, and yet an answer: they count towards the most.
    assert_eq!(
        verdict(StopRule::STANDARD, "ybybbbbbb", false),
        Verdict::Expert
    );
}

#[test]
fn hurried_and_unverified_answers_do_not_make_up_the_least_number() {
    let crowd = Crowd::default();
    let mut ballots = ballots("yyyy");
    for ballot in &mut ballots[..3] {
        ballot.verified = false;
    }
    let tally = Tally::of(&ballots);
    assert_eq!((tally.yes, tally.weight, tally.yes_weight), (4, 2.0, 2.0));
    let certain = StopRule::STANDARD.decide(&tally, 0.999, false, &crowd);
    assert_eq!(certain, Verdict::Open { wanted: 1 });
    let first = StopRule::FIRST_TO_3.decide(&tally, 0.5, false, &crowd);
    assert_eq!(first, Verdict::Open { wanted: 1 });

    let hurried: Vec<Ballot<'_>> = ballots
        .iter()
        .map(|b| Ballot {
            weight: 0.1,
            verified: true,
            ..*b
        })
        .collect();
    let tally = Tally::of(&hurried);
    assert!((tally.weight - 0.4).abs() < 1e-12);
    let certain = StopRule::STANDARD.decide(&tally, 0.999, false, &crowd);
    assert_eq!(certain, Verdict::Open { wanted: 3 });
}

#[test]
fn weak_controls_and_few_votes_choose_the_rule() {
    let mut controls = ControlRecord::default();
    assert_eq!(StopRule::choose(0, controls), StopRule::FIRST_TO_3);
    assert_eq!(StopRule::choose(FEW_VOTES, controls), StopRule::STANDARD);
    for number in 0..19 {
        controls.add(Answer::Yes, number % 4 != 0);
    }
    controls.add(Answer::Unsure, true);
    controls.add(Answer::BadImage, true);
    assert_eq!((controls.right, controls.answered), (14, 19));
    assert_eq!(controls.accuracy(), None);
    assert_eq!(StopRule::choose(1000, controls), StopRule::STANDARD);
    controls.add(Answer::No, false);
    assert_eq!(controls.accuracy(), Some(0.75));
    assert_eq!(StopRule::choose(1000, controls), StopRule::STRICT);
    assert_eq!(StopRule::choose(0, controls), StopRule::STRICT);
}
