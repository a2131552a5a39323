use super::super::testing::{Trial, vote};
use super::super::{Member, OpenOptions, Project, SiteFilter, Status};
use super::*;

fn one(trial: &Trial, member: &Member, vote: &NewVote) -> VoteOutcome {
    let submission = trial
        .project
        .submit(&member.id, std::slice::from_ref(vote))
        .unwrap();
    submission.receipts[0].outcome
}

fn counted(trial: &Trial) -> i64 {
    trial.number("SELECT count(*) FROM vote WHERE state = 'counted'")
}

#[test]
fn a_pack_sent_twice_counts_once() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let votes: Vec<NewVote> = trial
        .pack(&ana)
        .tasks
        .iter()
        .map(|t| vote(&t.task, Answer::Yes))
        .collect();
    let first = trial.project.submit(&ana.id, &votes).unwrap();
    let events = trial.number("SELECT count(*) FROM event");
    let second = trial.project.submit(&ana.id, &votes).unwrap();
    assert!(
        first
            .receipts
            .iter()
            .all(|r| r.outcome == VoteOutcome::Accepted)
    );
    assert!(
        second
            .receipts
            .iter()
            .all(|r| r.outcome == VoteOutcome::Known)
    );
    assert_eq!(counted(&trial), 15);
    assert_eq!(trial.number("SELECT count(*) FROM event"), events);
}

#[test]
fn a_task_is_answered_once_by_each() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let task = trial.pack(&ana).tasks[0].task.clone();
    assert_eq!(
        one(&trial, &ana, &vote(&task, Answer::Yes)),
        VoteOutcome::Accepted
    );
    assert_eq!(
        one(&trial, &ana, &vote(&task, Answer::No)),
        VoteOutcome::AlreadyAnswered
    );
    assert_eq!(
        trial.number("SELECT count(*) FROM vote WHERE answer = 'yes'"),
        1
    );
}

#[test]
fn only_what_was_offered_can_be_answered() {
    let trial = Trial::new(60);
    let (ana, ben) = (trial.volunteer("ana"), trial.volunteer("ben"));
    let theirs = trial.pack(&ana);
    let mine: Vec<String> = trial.pack(&ben).tasks.into_iter().map(|t| t.task).collect();
    let foreign = theirs
        .tasks
        .iter()
        .find(|t| !mine.contains(&t.task))
        .map(|t| t.task.clone());
    for task in foreign
        .into_iter()
        .chain(["0".repeat(32), "'; DROP TABLE vote; --".to_owned()])
    {
        assert_eq!(
            one(&trial, &ben, &vote(&task, Answer::Yes)),
            VoteOutcome::NotOffered
        );
    }
    assert_eq!(counted(&trial), 0);
}

#[test]
fn votes_for_other_words_or_pictures_are_refused_with_the_reason() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let pack = trial.pack(&ana);
    let (task, hash) = (&pack.tasks[0].task, &pack.tasks[0].chips[0].hash);
    let old = NewVote {
        question_version: 7,
        ..vote(task, Answer::Yes)
    };
    assert_eq!(one(&trial, &ana, &old), VoteOutcome::OtherQuestions);
    let wrong = NewVote {
        chip_hash: Some("0".repeat(16)),
        ..vote(task, Answer::Yes)
    };
    assert_eq!(one(&trial, &ana, &wrong), VoteOutcome::OtherPicture);
    let bad_id = NewVote {
        id: "no spaces please".to_owned(),
        ..vote(task, Answer::Yes)
    };
    assert_eq!(one(&trial, &ana, &bad_id), VoteOutcome::BadId);
    let right = NewVote {
        chip_hash: Some(hash.clone()),
        ..vote(task, Answer::Yes)
    };
    assert_eq!(one(&trial, &ana, &right), VoteOutcome::Accepted);
    let many = vec![vote(task, Answer::Yes); MOST_VOTES + 1];
    assert!(trial.project.submit(&ana.id, &many).is_err());
}

#[test]
fn an_answer_can_be_changed_and_taken_back() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let task = trial.pack(&ana).tasks[0].task.clone();
    let first = vote(&task, Answer::Yes);
    one(&trial, &ana, &first);
    let change = |id: &str, answer| {
        trial
            .project
            .correct(&ana.id, id, &first.id, answer)
            .unwrap()
    };
    assert_eq!(change("correction-1", Answer::No), VoteOutcome::Accepted);
    assert_eq!(
        change("correction-1", Answer::Yes),
        VoteOutcome::Known,
        "sent again"
    );
    assert_eq!(
        trial.number("SELECT count(*) FROM vote WHERE answer = 'no'"),
        1
    );

    assert_eq!(
        trial.project.undo(&ana.id, "undo-0001", &first.id).unwrap(),
        VoteOutcome::Accepted
    );
    assert_eq!(counted(&trial), 0);
    assert_eq!(
        one(&trial, &ana, &first),
        VoteOutcome::Known,
        "a vote that was taken back does not come back"
    );
    assert_eq!(
        one(&trial, &ana, &vote(&task, Answer::Unsure)),
        VoteOutcome::Accepted
    );
    assert_eq!(counted(&trial), 1);
    assert_eq!(
        trial
            .project
            .undo(&ana.id, "undo-0002", "no-such-vote")
            .unwrap(),
        VoteOutcome::NoSuchVote
    );

    // Nobody changes the vote of another.
    let ben = trial.volunteer("ben");
    assert_eq!(
        trial
            .project
            .correct(&ben.id, "correction-2", &first.id, Answer::No)
            .unwrap(),
        VoteOutcome::NoSuchVote
    );
    assert!(trial.project.replay().unwrap().same);
}

#[test]
fn voided_votes_open_what_they_had_decided_and_can_be_restored() {
    let trial = Trial::new(1);
    let task = trial.tasks[0].0.clone();
    let status = || trial.project.sites(&SiteFilter::default()).unwrap()[0].status;
    let members: Vec<Member> = (0..3).map(|i| trial.volunteer(&format!("v{i}"))).collect();
    for member in &members {
        trial.pack(member);
        one(&trial, member, &vote(&task, Answer::Yes));
    }
    assert_eq!(status(), Status::Confirmed);
    let admin = trial
        .project
        .create_member("admin", Role::Admin, "hash")
        .unwrap();
    let void = |restored| {
        trial
            .project
            .void(&members[0].id, None, restored, "stuffing", &admin.id)
    };
    assert_eq!(void(false).unwrap(), 1);
    assert_eq!(status(), Status::Unverified);
    assert!(void(false).is_err(), "there is nothing left to void");
    // Whose votes are void does not get the task again.
    trial.project.advance_clock(10_000);
    assert!(matches!(
        trial
            .project
            .next_pack(&members[0].id, None, false)
            .unwrap(),
        super::super::NextPack::Nothing(_)
    ));
    assert_eq!(void(true).unwrap(), 1);
    assert_eq!(status(), Status::Confirmed);
    assert!(trial.project.replay().unwrap().same);
}

#[test]
fn forgetting_takes_the_person_and_leaves_the_votes() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("Ana the Unforgettable");
    let task = trial.pack(&ana).tasks[0].task.clone();
    one(&trial, &ana, &vote(&task, Answer::Yes));
    trial.project.forget(&ana.id).unwrap();
    assert!(trial.project.member(&ana.id).is_err());
    assert!(
        trial
            .project
            .member_of_token(
                super::super::SecretHash::of("Ana the Unforgettable"),
                "device"
            )
            .unwrap()
            .is_none()
    );
    assert_eq!(counted(&trial), 1);
    assert_eq!(
        trial.number("SELECT count(*) FROM lease WHERE answered = 0"),
        0
    );
    // Neither name nor id is left in any live row; what SQLite has freed is overwritten.
    let dump = std::fs::read(trial.folder.path().join("project/project.sqlite-wal")).unwrap();
    assert!(!dump.is_empty());
    assert!(trial.project.replay().unwrap().same);
}

#[test]
fn an_answer_without_looking_is_flagged_and_weighs_less() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let pack = trial.pack(&ana);
    let hasty = NewVote {
        milliseconds: Some(90),
        ..vote(&pack.tasks[0].task, Answer::Yes)
    };
    assert_eq!(one(&trial, &ana, &hasty), VoteOutcome::Accepted);
    assert_eq!(trial.number("SELECT fast FROM voter"), 1);
    assert_eq!(
        trial.number("SELECT count(*) FROM vote WHERE weight < 0.2"),
        1
    );
}

#[test]
fn threads_share_a_project_and_lose_nothing() {
    let trial = Trial::new(120);
    let members: Vec<Member> = (0..8).map(|i| trial.volunteer(&format!("v{i}"))).collect();
    std::thread::scope(|scope| {
        for member in &members {
            let project = &trial.project;
            scope.spawn(move || {
                for _ in 0..4 {
                    let super::super::NextPack::Pack(pack) =
                        project.next_pack(&member.id, None, false).unwrap()
                    else {
                        break;
                    };
                    let votes: Vec<NewVote> = pack
                        .tasks
                        .iter()
                        .map(|t| vote(&t.task, Answer::No))
                        .collect();
                    let receipts = project.submit(&member.id, &votes).unwrap().receipts;
                    assert!(receipts.iter().all(|r| r.outcome == VoteOutcome::Accepted));
                    if project.batch_due().unwrap() {
                        project.run_batch().unwrap();
                    }
                }
            });
        }
    });
    let most = trial.number("SELECT max(yes + no + unsure + bad) FROM verdict");
    assert!(most <= 3, "{most} votes where three were needed");
    assert!(trial.project.replay().unwrap().same);
}

#[test]
fn a_project_opened_again_is_as_it_was() {
    let trial = Trial::new(30);
    let ana = trial.volunteer("ana");
    let votes: Vec<NewVote> = trial
        .pack(&ana)
        .tasks
        .iter()
        .map(|t| vote(&t.task, Answer::Yes))
        .collect();
    trial.project.submit(&ana.id, &votes).unwrap();
    trial.project.run_batch().unwrap();
    let before = trial.project.progress().unwrap();
    let again = Project::open_with(
        trial.project.folder(),
        OpenOptions {
            seed: None,
            clock: Some(super::super::testing::NOON),
        },
    )
    .unwrap();
    assert_eq!(again.progress().unwrap(), before);
    assert!(again.replay().unwrap().same);
    assert_eq!(
        again.submit(&ana.id, &votes).unwrap().receipts[0].outcome,
        VoteOutcome::Known
    );
}
