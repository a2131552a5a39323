//! From runs to tasks with pictures.
//!
//! Tasks appear all at once, with the event that tells the log of them; until then, what an interrupted intake left
//! behind is invisible, and the next one removes it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use geo::MultiPolygon;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rusqlite::params;

use super::answer::TaskKind;
use super::candidates::{Candidate, candidates};
use super::error::VerifyError;
use super::id::{random_id, random_numbers};
use super::known::known_tasks;
use super::pictures::Job;
use super::project::Project;
use super::sample;
use super::wave::{insert_task, remove_unfinished};
use crate::run::{Failure, LoadedRun, Progress};

/// What a run is taken in with.
#[derive(Debug, Clone, PartialEq)]
pub struct IntakeOptions {
    /// Members drawn from each stratum for the probability sample.
    pub sample_per_stratum: usize,
    /// Seed of the sample; `None`: from the system.
    pub seed: Option<u64>,
    /// Areas whose tasks come earlier, with how much (0 to 1).
    pub area_priority: Vec<(MultiPolygon, f64)>,
}

impl Default for IntakeOptions {
    fn default() -> Self {
        Self {
            sample_per_stratum: 30,
            seed: None,
            area_priority: Vec::new(),
        }
    }
}

/// What a run brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Added {
    /// New tasks that ask about sites.
    pub sites: u64,
    /// New tasks that ask about detections below the score of sites.
    pub below: u64,
    /// New tasks that ask about empty ground.
    pub empty: u64,
    /// Sites that had a task already, and keep its votes.
    pub known: u64,
    /// New tasks in the probability sample.
    pub sampled: u64,
    /// Pictures.
    pub chips: u64,
    /// Sites without a task, since no scene shows them.
    pub unseen: Vec<String>,
    /// Scenes that could not be read.
    pub failures: Vec<Failure>,
}

impl Added {
    /// New tasks.
    pub fn tasks(&self) -> u64 {
        self.sites + self.below + self.empty
    }
}

impl Project {
    /// Takes in a run: a task for each site that has none yet, and for the sample drawn from the rest. Sites that
    /// have a task keep it and its votes, and gain the run's pictures.
    pub fn add_run(
        &self,
        path: &Path,
        options: &IntakeOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Added, VerifyError> {
        let run = LoadedRun::open(path)?;
        let all = candidates(&run)?;
        self.store.write(remove_unfinished)?;
        let known = self.store.read(|c| known_tasks(c, &all))?;
        let mut random = random_numbers(options.seed)?;
        let (wave, mut jobs) = self.plan_tasks(path, &run, &all, &known, options, &mut random)?;
        jobs.extend(self.store.read(|c| {
            known
                .iter()
                .map(|(&position, task)| {
                    let used: i64 = c
                        .prepare_cached(
                            "SELECT coalesce(max(rank) + 1, 0) FROM chip WHERE task = ?1",
                        )?
                        .query_row([task], |row| row.get(0))?;
                    Ok(Job {
                        task: task.clone(),
                        first_rank: used,
                        candidate: all[position].clone(),
                    })
                })
                .collect::<Result<Vec<_>, VerifyError>>()
        })?);
        let (chips, failures) = self.draw_pictures(&run, &jobs, progress, stop)?;
        let mut added = self.finish_wave(wave)?;
        added.known = known.len() as u64;
        added.chips = chips;
        added.failures = failures;
        Ok(added)
    }

    /// Draws the sample and writes the rows of the new tasks.
    fn plan_tasks(
        &self,
        path: &Path,
        run: &LoadedRun,
        all: &[Candidate],
        known: &BTreeMap<usize, String>,
        options: &IntakeOptions,
        random: &mut ChaCha8Rng,
    ) -> Result<(i64, Vec<Job>), VerifyError> {
        // What has a task was in the population of an earlier wave.
        let fresh: Vec<usize> = (0..all.len()).filter(|i| !known.contains_key(i)).collect();
        let strata = sample::draw(
            fresh.iter().map(|&i| (all[i].kind, all[i].score)),
            options.sample_per_stratum,
            random,
        );
        let mut drawn: Vec<(usize, f64)> = strata
            .iter()
            .flat_map(|s| s.drawn.iter().map(|&i| (fresh[i], s.inclusion())))
            .collect();
        drawn.shuffle(random);
        let places: BTreeMap<usize, (i64, f64)> = drawn
            .iter()
            .enumerate()
            .map(|(order, &(i, p))| (i, (order as i64, p)))
            .collect();
        let (_, at) = self.now();
        self.store.write(|tx| {
            let wave: i64 = tx.query_row("SELECT coalesce(max(number), 0) + 1 FROM wave", [], |row| row.get(0))?;
            tx.execute(
                "INSERT INTO wave (number, run, model, added_at) VALUES (?1, ?2, ?3, ?4)",
                params![wave, path.display().to_string(), run.model, at],
            )?;
            for s in &strata {
                tx.execute(
                    "INSERT INTO stratum (wave, name, low, high, population, sampled) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![wave, s.name, s.low, s.high, s.members.len() as i64, s.drawn.len() as i64],
                )?;
            }
            let mut jobs = Vec::new();
            for &i in &fresh {
                let sampled = places.get(&i).copied();
                if all[i].kind != TaskKind::Site && sampled.is_none() {
                    continue;
                }
                let task = random_id()?;
                insert_task(tx, &task, wave, &all[i], sampled, options, random.random())?;
                jobs.push(Job {
                    task,
                    first_rank: 0,
                    candidate: all[i].clone(),
                });
            }
            for (&i, task) in known {
                tx.prepare_cached("INSERT OR IGNORE INTO known_as (site_id, task) VALUES (?1, ?2)")?
                    .execute([&all[i].site_id, task])?;
            }
            Ok((wave, jobs))
        })
    }
}
