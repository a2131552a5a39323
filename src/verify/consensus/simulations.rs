//! Made-up crowds with a known truth: whether the rules do what they are for. Seeds are fixed, so the figures are too.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// How a volunteer answers: probabilities of no, yes (the rest: unsure) where no is true, and where yes is.
#[derive(Clone, Copy)]
struct Manner([[f64; 2]; 2]);

impl Manner {
    /// Right with these probabilities on no and on yes, never unsure.
    fn sure(on_no: f64, on_yes: f64) -> Self {
        Self([[on_no, 1.0 - on_no], [1.0 - on_yes, on_yes]])
    }

    fn answer(self, truth: bool, random: &mut ChaCha8Rng) -> Answer {
        let [no, yes] = self.0[usize::from(truth)];
        let drawn: f64 = random.random();
        if drawn < no {
            Answer::No
        } else if drawn < no + yes {
            Answer::Yes
        } else {
            Answer::Unsure
        }
    }
}

struct World {
    random: ChaCha8Rng,
    volunteers: Vec<Manner>,
    names: Vec<String>,
    truth: Vec<bool>,
    tasks: Vec<String>,
}

impl World {
    fn new(seed: u64, tasks: usize, prevalence: f64, volunteers: Vec<Manner>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Self {
            truth: (0..tasks).map(|_| random.random_bool(prevalence)).collect(),
            names: (0..volunteers.len()).map(|n| format!("v{n}")).collect(),
            tasks: (0..tasks).map(|n| format!("t{n}")).collect(),
            volunteers,
            random,
        }
    }

    /// One more answer to a task, by a volunteer who has not answered it.
    fn ask(&mut self, task: usize, asked: &mut Vec<(usize, Answer)>) {
        loop {
            let who = self.random.random_range(0..self.volunteers.len() as u64) as usize;
            if asked.iter().all(|(before, _)| *before != who) {
                let answer = self.volunteers[who].answer(self.truth[task], &mut self.random);
                asked.push((who, answer));
                return;
            }
        }
    }

    fn collect(&mut self, votes: usize) -> Vec<Vec<(usize, Answer)>> {
        let mut all = vec![Vec::new(); self.truth.len()];
        for (task, asked) in all.iter_mut().enumerate() {
            for _ in 0..votes {
                self.ask(task, asked);
            }
        }
        all
    }

    fn ballots<'a>(&'a self, votes: &'a [Vec<(usize, Answer)>]) -> Vec<(&'a str, Ballot<'a>)> {
        let tasks = self.tasks.iter().zip(votes);
        tasks
            .flat_map(|(task, asked)| {
                let ballot = |&(who, answer): &(usize, Answer)| {
                    (task.as_str(), Ballot::new(&self.names[who], answer))
                };
                asked.iter().map(ballot)
            })
            .collect()
    }

    fn fit(&self, votes: &[Vec<(usize, Answer)>]) -> CrowdFit {
        Crowd::fit(self.ballots(votes), &BTreeMap::new())
    }

    /// Share of tasks on the right side of 1/2; a tie is half right.
    fn accuracy(&self, p_yes: impl Fn(usize) -> f64) -> f64 {
        let right: f64 = (0..self.truth.len())
            .map(|task| match p_yes(task) {
                p if (p - 0.5).abs() < 1e-9 => 0.5,
                p => f64::from(u8::from((p > 0.5) == self.truth[task])),
            })
            .sum();
        right / self.truth.len() as f64
    }

    fn majority_accuracy(&self, votes: &[Vec<(usize, Answer)>]) -> f64 {
        self.accuracy(|task| {
            let count = |answer| votes[task].iter().filter(|(_, a)| *a == answer).count() as f64;
            match majority(&[count(Answer::No), count(Answer::Yes)]) {
                Some(class) => class as f64,
                None => 0.5,
            }
        })
    }

    fn model_accuracy(&self, votes: &[Vec<(usize, Answer)>]) -> f64 {
        let fit = self.fit(votes);
        self.accuracy(|task| fit.p_votes(&self.tasks[task]))
    }

    /// Asks one more vote for every open task, fits, decides, until no task is open. Returns votes per task, accuracy of
    /// all tasks and accuracy of those that the rule decided.
    fn run(&mut self, rule: StopRule) -> (f64, f64, f64) {
        let tasks = self.truth.len();
        let mut votes = vec![Vec::new(); tasks];
        let mut verdicts = vec![Verdict::Open { wanted: 1 }; tasks];
        while verdicts.iter().any(|v| matches!(v, Verdict::Open { .. })) {
            for task in 0..tasks {
                if matches!(verdicts[task], Verdict::Open { .. }) {
                    self.ask(task, &mut votes[task]);
                }
            }
            let fit = self.fit(&votes);
            for task in 0..tasks {
                if matches!(verdicts[task], Verdict::Open { .. }) {
                    let ballots: Vec<Ballot<'_>> = votes[task]
                        .iter()
                        .map(|&(who, answer)| Ballot::new(&self.names[who], answer))
                        .collect();
                    let p = fit.p_votes(&self.tasks[task]);
                    verdicts[task] = rule.decide(&Tally::of(&ballots), p, false, &fit.crowd);
                }
            }
        }
        let cast: usize = votes.iter().map(Vec::len).sum();
        let decided =
            |task: &usize| matches!(verdicts[*task], Verdict::Confirmed | Verdict::Rejected);
        let right = |task: &usize| (verdicts[*task] == Verdict::Confirmed) == self.truth[*task];
        let called: Vec<usize> = (0..tasks).filter(decided).collect();
        let of_called = called.iter().filter(|t| right(t)).count() as f64 / called.len() as f64;
        (
            cast as f64 / tasks as f64,
            self.model_accuracy(&votes),
            of_called,
        )
    }
}

/// Volunteers who are unsure now and then, more often where there is something.
fn hesitant(count: usize, random: &mut ChaCha8Rng) -> Vec<Manner> {
    (0..count)
        .map(|_| {
            let (on_no, on_yes) = (
                random.random_range(0.65..0.95),
                random.random_range(0.6..0.9),
            );
            let (shy_no, shy_yes) = (random.random_range(0.0..0.2), random.random_range(0.1..0.5));
            Manner([
                [on_no * (1.0 - shy_no), (1.0 - on_no) * (1.0 - shy_no)],
                [(1.0 - on_yes) * (1.0 - shy_yes), on_yes * (1.0 - shy_yes)],
            ])
        })
        .collect()
}

/// Of 60 volunteers 40 are good, 10 see kilns everywhere, 6 are careless and 4 press any button.
fn mixed() -> Vec<Manner> {
    let mut crowd = vec![Manner::sure(0.88, 0.85); 40];
    crowd.extend([Manner::sure(0.6, 0.95); 10]);
    crowd.extend([Manner::sure(0.7, 0.65); 6]);
    crowd.extend([Manner::sure(0.5, 0.5); 4]);
    crowd
}

#[test]
fn unsure_is_evidence_and_the_model_beats_counting() {
    let [mut counted, mut dropped, mut kept] = [0.0; 3];
    let runs = 5_u8;
    for seed in 0..runs {
        let manners = hesitant(60, &mut ChaCha8Rng::seed_from_u64(100 + u64::from(seed)));
        let mut world = World::new(u64::from(seed), 2000, 0.4, manners);
        let votes = world.collect(4);
        counted += world.majority_accuracy(&votes) / f64::from(runs);
        kept += world.model_accuracy(&votes) / f64::from(runs);
        let mut sure = votes;
        for asked in &mut sure {
            asked.retain(|(_, answer)| *answer != Answer::Unsure);
        }
        dropped += world.model_accuracy(&sure) / f64::from(runs);
    }
    // Measured: 86.0 % by majority, 85.9 % without the unsure, 90.1 % with them.
    assert!(kept > dropped + 0.03, "{kept} {dropped}");
    assert!(kept > counted + 0.03, "{kept} {counted}");
}

#[test]
fn half_the_votes_are_as_good_as_ten_plain_ones() {
    let mut world = World::new(11, 1500, 0.3, mixed());
    let (votes, accuracy, of_called) = world.run(StopRule::STANDARD);
    let ten = world.collect(10);
    let plain = world.majority_accuracy(&ten);
    // Measured: 4.4 votes and 99.0 % right, against 98.0 % of ten plain votes.
    assert!(votes <= 5.5, "{votes}");
    assert!(accuracy >= plain, "{accuracy} {plain}");
    assert!(of_called >= 0.98, "{of_called}");
}

#[test]
fn the_strict_rule_buys_accuracy_where_the_crowd_is_weak() {
    // Most share a bias: what looks like a kiln is called one.
    let mut crowd = vec![Manner::sure(0.55, 0.85); 30];
    crowd.extend([Manner::sure(0.85, 0.8); 15]);
    let mut world = World::new(5, 800, 0.4, crowd);
    let mut controls = ControlRecord::default();
    let asked = world.collect(1);
    for (task, answers) in asked.iter().enumerate().take(100) {
        controls.add(answers[0].1, world.truth[task]);
    }
    assert!(controls.is_weak(), "{controls:?}");
    let (standard_votes, standard, _) = world.run(StopRule::STANDARD);
    let (votes, strict, _) = world.run(StopRule::choose(10_000, controls));
    // Measured: 95.3 % with 6.3 votes, 98.8 % with 8.1.
    assert!(strict > standard + 0.01, "{strict} {standard}");
    assert!(votes > standard_votes);
}

#[test]
fn biased_careless_and_inverted_volunteers_are_seen_through() {
    let mut crowd = mixed();
    // One who always says the opposite, and is diligent.
    crowd.push(Manner::sure(0.1, 0.1));
    let mut world = World::new(3, 1500, 0.3, crowd);
    let votes = world.collect(5);
    let fit = world.fit(&votes);
    let of = |n: usize| fit.crowd.volunteer(&world.names[n]).unwrap();
    assert!(!of(60).trusted);
    assert!((0..50).all(|n| of(n).trusted));
    // Good ones: rates within the spread that some 125 votes leave.
    for n in 0..40 {
        let confusion = &of(n).confusion;
        assert!((confusion.rate(0, 0) - 0.88).abs() < 0.14, "{confusion:?}");
        assert!((confusion.rate(1, 1) - 0.85).abs() < 0.22, "{confusion:?}");
    }
    assert!(world.model_accuracy(&votes) > world.majority_accuracy(&votes));
}

#[test]
fn a_calibrated_posterior_is_right_as_often_as_it_says() {
    // Every fifth task deceives: it looks like the opposite to everyone, and the model does not know of it.
    let mut world = World::new(21, 3000, 0.4, mixed());
    for task in (0..world.truth.len()).step_by(5) {
        world.truth[task] = !world.truth[task];
    }
    let votes = world.collect(5);
    for task in (0..world.truth.len()).step_by(5) {
        world.truth[task] = !world.truth[task];
    }
    let fit = world.fit(&votes);
    let p: Vec<f64> = world.tasks.iter().map(|task| fit.p_votes(task)).collect();
    let controls: Vec<(f64, bool)> = (0..200).map(|task| (p[task], world.truth[task])).collect();
    let calibration = Calibration::fit(&controls);
    let gap = |p: &dyn Fn(f64) -> f64, posteriors: &[f64]| {
        let sure: Vec<usize> = (200..3000)
            .filter(|&t| posteriors[t].max(1.0 - posteriors[t]) > 0.95)
            .collect();
        let said: f64 = sure
            .iter()
            .map(|&t| p(posteriors[t]).max(1.0 - p(posteriors[t])))
            .sum();
        let right = sure
            .iter()
            .filter(|&&t| (posteriors[t] > 0.5) == world.truth[t])
            .count() as f64;
        (said - right) / sure.len() as f64
    };
    let before = gap(&|p| p, &p);
    let after = gap(&|p| calibration.apply(p), &p);
    // Measured: called 20 points too sure, then 1 point too unsure.
    assert!(before > 0.1, "{before}");
    assert!(after.abs() < 0.05, "{after}");
}
