//! Projects for tests: tasks without imagery, and volunteers whose skill is known.

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rusqlite::params;
use tempfile::TempDir;

use super::consensus::Answer;
use super::event::Event;
use super::id::{random_id, random_numbers, sha256_hex};
use super::members::Member;
use super::pack::Pack;
use super::project::{OpenOptions, Project};
use super::queue::NextPack;
use super::rules::{QuestionSet, Rules};
use super::wave::wave_digest;
use super::{NewVote, SecretHash};

/// A project in a folder of its own, with a clock that stands still and known chance.
pub(super) struct Trial {
    pub(super) project: Project,
    pub(super) folder: TempDir,
    /// Truth by task, in the order of numbers.
    pub(super) tasks: Vec<(String, bool)>,
}

pub(super) const NOON: i64 = 1_800_000_000;

impl Trial {
    /// `count` tasks with one picture each, every third of them true; a fifth of them in the random sample.
    pub(super) fn new(count: usize) -> Self {
        Self::with(count, 1, &Rules::default())
    }

    pub(super) fn with(count: usize, looks: i64, rules: &Rules) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = OpenOptions {
            seed: Some(1),
            clock: Some(NOON),
        };
        let questions = QuestionSet::first(&["kiln".to_owned()]);
        let project =
            Project::create(&folder.path().join("project"), rules, &questions, options).unwrap();
        let mut random = random_numbers(Some(2)).unwrap();
        let tasks: Vec<(String, bool)> = (0..count)
            .map(|i| (random_id().unwrap(), i.is_multiple_of(3)))
            .collect();
        project
            .happen(|h| {
                h.tx.execute("INSERT INTO wave VALUES (1, 'run', 'test 1', 'then')", [])?;
                for look in 0..looks {
                    h.tx.execute(
                        "INSERT INTO source (scene, path, content) VALUES (?1, ?1, '')",
                        [format!("scene {look}")],
                    )?;
                }
                for (i, (task, truth)) in tasks.iter().enumerate() {
                    insert_task(h.tx, i, task, *truth, &mut random);
                    for look in 0..looks {
                        let picture = format!("{task} {look}");
                        h.tx.execute(
                            "INSERT INTO chip VALUES (?1, ?2, ?3, ?4, 'close', 'image/jpeg', 256, 256, 1.5, '[]', ?5, ?6)",
                            params![random_id()?, task, look + 1, look, sha256_hex(picture.as_bytes()), picture.as_bytes()],
                        )?;
                    }
                }
                let digest = wave_digest(h.tx, 1)?;
                h.record(Event::Tasks {
                    wave: 1,
                    count: count as u64,
                    digest,
                })
            })
            .unwrap();
        Self {
            project,
            folder,
            tasks,
        }
    }

    pub(super) fn volunteer(&self, name: &str) -> Member {
        self.project.join(name, SecretHash::of(name)).unwrap()
    }

    pub(super) fn expert(&self, name: &str) -> Member {
        self.project
            .create_member(name, super::Role::Expert, "hash")
            .unwrap()
    }

    /// A new pack for a member who must get one.
    pub(super) fn pack(&self, member: &Member) -> Pack {
        match self.project.next_pack(&member.id, None, false).unwrap() {
            NextPack::Pack(pack) => pack,
            NextPack::Nothing(why) => panic!("no pack: {why:?}"),
        }
    }

    /// One value of the database.
    pub(super) fn number(&self, sql: &str) -> i64 {
        self.project
            .store
            .read(|c| Ok(c.query_row(sql, [], |row| row.get(0))?))
            .unwrap()
    }
}

fn insert_task(
    tx: &rusqlite::Transaction<'_>,
    i: usize,
    task: &str,
    truth: bool,
    random: &mut ChaCha8Rng,
) {
    let sampled = i.is_multiple_of(5).then_some(0.2);
    let score: f64 = 0.5 + random.random_range(-0.2..0.2) + if truth { 0.2 } else { -0.2 };
    tx.execute(
        "INSERT INTO task VALUES (?1, ?2, 1, 'site', ?3, 'kiln', NULL, ?4, 0, 0, '[]', ?5, NULL, NULL, 'site', ?6, ?7, 0, ?8)",
        params![
            task,
            i as i64 + 1,
            format!("site-{i}"),
            score,
            i.is_multiple_of(4).then(|| format!("cluster-{}", i / 16)),
            sampled,
            sampled.map(|_| (i as i64 * 7919) % 1009),
            random.random::<f64>()
        ],
    )
    .unwrap();
}

/// A vote for a task of a pack.
pub(super) fn vote(task: &str, answer: Answer) -> NewVote {
    NewVote {
        id: random_id().unwrap(),
        task: task.to_owned(),
        answer,
        question_version: 1,
        chip_hash: None,
        milliseconds: Some(2500),
    }
}

/// How a volunteer answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Skill {
    /// Chance of "yes" where it is true.
    pub(super) sensitivity: f64,
    /// Chance of "no" where it is not.
    pub(super) specificity: f64,
    /// Chance of "not sure", before all else.
    pub(super) unsure: f64,
}

impl Skill {
    pub(super) fn answer(&self, truth: bool, random: &mut ChaCha8Rng) -> Answer {
        if random.random::<f64>() < self.unsure {
            return Answer::Unsure;
        }
        let right = random.random::<f64>()
            < if truth {
                self.sensitivity
            } else {
                self.specificity
            };
        if right == truth {
            Answer::Yes
        } else {
            Answer::No
        }
    }
}

/// A crowd of mixed skill: most are good, some see kilns everywhere, some do not look.
pub(super) fn crowd(count: usize, random: &mut ChaCha8Rng) -> Vec<Skill> {
    let mut skills: Vec<Skill> = (0..count)
        .map(|i| match i % 10 {
            0 => Skill {
                sensitivity: 0.95,
                specificity: 0.5,
                unsure: 0.0,
            },
            1 => Skill {
                sensitivity: 0.5,
                specificity: 0.5,
                unsure: 0.0,
            },
            _ => Skill {
                sensitivity: 0.88,
                specificity: 0.9,
                unsure: 0.08,
            },
        })
        .collect();
    skills.shuffle(random);
    skills
}
