//! What is kept so that nobody has to count: offers, tallies of clusters, and how far an estimate is applied.

use super::consensus::Answer;
use super::estimate::{CONSENSUS_VERSION, Estimate};
use super::event::{self, Event};
use super::testing::{Trial, vote};
use super::{NewVote, NextPack};

/// Several volunteers answer some packs each, rightly for the most part.
pub(super) fn some_votes(trial: &Trial, volunteers: usize, packs: usize) {
    let truth: std::collections::BTreeMap<_, _> = trial.tasks.iter().cloned().collect();
    for v in 0..volunteers {
        let member = trial.volunteer(&format!("v{v}"));
        for _ in 0..packs {
            let NextPack::Pack(pack) = trial.project.next_pack(&member.id, None, false).unwrap()
            else {
                return;
            };
            let votes: Vec<NewVote> = pack
                .tasks
                .iter()
                .enumerate()
                .map(|(i, t)| {
                    let right = if truth[&t.task] {
                        Answer::Yes
                    } else {
                        Answer::No
                    };
                    let answer = match (i + v) % 11 {
                        0 => Answer::Unsure,
                        1 => Answer::BadImage,
                        2 => Answer::Yes,
                        _ => right,
                    };
                    vote(&t.task, answer)
                })
                .collect();
            trial.project.submit(&member.id, &votes).unwrap();
        }
    }
}

/// The first half of a batch: an estimate, and the position of the log that it rests on.
fn look(trial: &Trial) -> (i64, Estimate) {
    trial
        .project
        .store
        .read(|c| Ok((event::head(c)?.0, Estimate::fit(c)?)))
        .unwrap()
}

/// The second: it goes into the log, and verdicts begin to follow it.
fn batch_begins(trial: &Trial, (through, estimate): (i64, Estimate)) {
    trial
        .project
        .happen(|h| {
            let event = Event::Batch {
                through,
                consensus_version: CONSENSUS_VERSION.to_owned(),
            };
            h.record_made(event, Some(estimate))
        })
        .unwrap();
}

#[test]
fn offers_are_what_fewer_hold_than_votes_are_needed() {
    let trial = Trial::new(200);
    some_votes(&trial, 9, 4);
    // Some hold packs, some of them for too long.
    for name in ["a", "b", "c"] {
        trial.pack(&trial.volunteer(name));
        trial.project.advance_clock(2_000);
    }
    let last = trial.volunteer("d");
    trial.pack(&last);
    trial.project.forget(&last.id).unwrap();
    trial.project.run_batch().unwrap();
    let should = "SELECT v.task, v.sampled, v.started,
                         CASE WHEN v.sampled THEN CAST(t.sample_order AS REAL) ELSE -v.priority END
                  FROM verdict v JOIN task t ON t.id = v.task
                  WHERE v.needed > (SELECT count(*) FROM lease l WHERE l.task = v.task AND l.held)";
    for (one, other) in [
        ("SELECT * FROM offer", should),
        (should, "SELECT * FROM offer"),
    ] {
        let differ = trial.number(&format!("SELECT count(*) FROM ({one} EXCEPT {other})"));
        assert_eq!(differ, 0, "{one}");
    }
    assert!(trial.number("SELECT count(*) FROM offer") > 20);
    assert!(trial.number("SELECT count(*) FROM lease WHERE held = 0 AND answered = 0") > 0);
}

#[test]
fn tallies_of_clusters_are_what_counting_gives() {
    let trial = Trial::new(200);
    some_votes(&trial, 12, 6);
    trial.project.run_batch().unwrap();
    let counted = "SELECT t.cluster_id, count(*), sum(v.status IN ('confirmed', 'rejected')), sum(v.status = 'contested')
                   FROM verdict v JOIN task t ON t.id = v.task WHERE t.cluster_id IS NOT NULL GROUP BY t.cluster_id";
    let differ = trial.number(&format!(
        "SELECT count(*) FROM (SELECT * FROM cluster_tally EXCEPT {counted})"
    ));
    assert_eq!(differ, 0);
    assert!(trial.number("SELECT sum(decided) FROM cluster_tally") > 0);
}

#[test]
fn votes_go_on_while_verdicts_follow_a_new_estimate() {
    let trial = Trial::new(300);
    some_votes(&trial, 20, 2);
    batch_begins(&trial, look(&trial));
    assert!(trial.project.batch_due().unwrap(), "it is not done");
    // A few verdicts follow, then volunteers vote, correct and are voided, then the process is killed.
    trial
        .project
        .happen(|h| h.deriver.follow_estimate(40))
        .unwrap();
    let ana = trial.volunteer("ana");
    let pack = trial.pack(&ana);
    let votes: Vec<NewVote> = pack
        .tasks
        .iter()
        .map(|t| vote(&t.task, Answer::No))
        .collect();
    trial.project.submit(&ana.id, &votes).unwrap();
    trial
        .project
        .correct(&ana.id, "correction-1", &votes[0].id, Answer::Yes)
        .unwrap();
    assert!(trial.project.batch_due().unwrap());
    // Replay finishes what was begun, and finds the same.
    assert!(trial.project.replay().unwrap().same);
    assert!(!trial.project.batch_due().unwrap());
}

#[test]
fn an_estimate_rests_on_the_votes_it_says_whatever_came_meanwhile() {
    let trial = Trial::new(300);
    some_votes(&trial, 20, 2);
    let seen = look(&trial);
    // Between the look and the event: new votes, and other answers to old ones.
    let ana = trial.volunteer("ana");
    let first = vote(&trial.pack(&ana).tasks[0].task, Answer::Yes);
    trial
        .project
        .submit(&ana.id, std::slice::from_ref(&first))
        .unwrap();
    trial
        .project
        .correct(&ana.id, "correction-1", &first.id, Answer::No)
        .unwrap();
    batch_begins(&trial, seen);
    trial.project.finish_batch().unwrap();
    assert!(trial.project.replay().unwrap().same);
}
