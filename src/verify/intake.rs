//! From runs to tasks with pictures.
//!
//! Tasks appear all at once, with the event that tells the log of them; until then, what an interrupted intake left
//! behind is invisible, and the next one removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use geo::{Contains, MultiPolygon, Point};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::json;

use super::answer::TaskKind;
use super::candidates::{Candidate, candidates};
use super::error::VerifyError;
use super::event::{Event, canonical};
use super::id::{random_id, random_numbers, sha256_hex};
use super::project::{DATABASE, OpenOptions, Project};
use super::render::{Picture, Renderer, SIDE, Stretch};
use super::rules::{QuestionSet, Rules};
use super::sample::{self, stratum_of};
use crate::geometry::{GroundIndex, LonLat, distance_m};
use crate::run::{Failure, LoadedRun, Progress};
use crate::scene::Scene;

/// A site of a later run within this distance of one that has a task is the same, whatever its id.
const SAME_PLACE_M: f64 = 50.0;
/// Pictures drawn between two commits.
const BATCH: usize = 128;

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

/// A task that pictures are drawn for.
struct Job {
    task: String,
    /// Ranks of its pictures start here.
    first_rank: i64,
    candidate: Candidate,
}

impl Project {
    /// Makes a project from runs. It appears whole or not at all.
    pub fn init(
        folder: &Path,
        runs: &[std::path::PathBuf],
        rules: &Rules,
        questions: Option<QuestionSet>,
        options: &IntakeOptions,
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<Vec<Added>, VerifyError> {
        if folder.join(DATABASE).exists() {
            return Err(VerifyError::Exists {
                path: folder.display().to_string(),
            });
        }
        let file_error = |source| VerifyError::File {
            path: folder.display().to_string(),
            source,
        };
        let mut classes = BTreeSet::new();
        for run in runs {
            classes.extend(LoadedRun::open(run)?.classes);
        }
        let classes: Vec<String> = classes.into_iter().collect();
        let questions = questions.unwrap_or_else(|| QuestionSet::first(&classes));
        if let Some(class) = classes
            .iter()
            .find(|c| !questions.questions.contains_key(*c))
        {
            return Err(VerifyError::Refused(format!(
                "the questions say nothing about class `{class}`, which the runs have"
            )));
        }
        let is_new = !folder.exists();
        std::fs::create_dir_all(folder).map_err(file_error)?;
        let beside = tempfile::Builder::new()
            .prefix(".init-")
            .tempdir_in(folder)
            .map_err(file_error)?;
        let made = (|| {
            let project = Self::create(beside.path(), rules, &questions, OpenOptions::default())?;
            let added = runs
                .iter()
                .map(|run| project.add_run(run, options, progress, stop))
                .collect::<Result<Vec<_>, _>>()?;
            project.store.close()?;
            Ok(added)
        })();
        let finish = made.and_then(|added| {
            if added.iter().all(|a| a.tasks() == 0) {
                let unread: Vec<&str> = added
                    .iter()
                    .flat_map(|a| &a.failures)
                    .map(|f| f.reason.as_str())
                    .collect();
                return Err(VerifyError::Nothing(if unread.is_empty() {
                    "the runs hold nothing that can be asked about".to_owned()
                } else {
                    format!(
                        "no pictures can be cut: {}; give the command where the scan was made",
                        unread.join("; ")
                    )
                }));
            }
            std::fs::rename(beside.path().join(DATABASE), folder.join(DATABASE))
                .map_err(file_error)?;
            Ok(added)
        });
        drop(beside);
        if finish.is_err() && is_new {
            // Only if nothing else has been put there meanwhile.
            drop(std::fs::remove_dir(folder));
        }
        finish
    }

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

    /// Draws the pictures of all jobs from all scenes of a run.
    fn draw_pictures(
        &self,
        run: &LoadedRun,
        jobs: &[Job],
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<(u64, Vec<Failure>), VerifyError> {
        let index = GroundIndex::new(jobs.iter().map(|j| j.candidate.center));
        let shown: Vec<Vec<usize>> = run
            .scenes
            .iter()
            .map(|planned| jobs_in(&planned.scene, &index))
            .collect::<Result<_, _>>()?;
        let total: usize = shown.iter().map(Vec::len).sum();
        let order = looks(run);
        progress.begin("pictures", total as u64, 0);
        let (mut chips, mut failures) = (0, Vec::new());
        for (number, jobs_here) in shown.iter().enumerate() {
            let scene = &run.scenes[number].scene;
            let drawn = self.draw_scene(scene, number, &order, jobs, jobs_here, progress, stop);
            match drawn {
                Ok(count) => chips += count,
                Err(VerifyError::Scene(error)) => failures.push(Failure {
                    scene: scene.id.clone(),
                    chips: None,
                    away: error.is_away(),
                    reason: error.to_string(),
                }),
                Err(error) => {
                    progress.end();
                    return Err(error);
                }
            }
        }
        progress.end();
        Ok((chips, failures))
    }

    #[expect(clippy::too_many_arguments, reason = "one loop body, named")]
    fn draw_scene(
        &self,
        scene: &Scene,
        number: usize,
        order: &[usize],
        jobs: &[Job],
        jobs_here: &[usize],
        progress: &dyn Progress,
        stop: &AtomicBool,
    ) -> Result<u64, VerifyError> {
        if jobs_here.is_empty() {
            return Ok(0);
        }
        let stretch = Stretch::measure(scene)?;
        let source = self.store.write(|tx| source_of(tx, scene))?;
        let mut chips = 0;
        for batch in jobs_here.chunks(BATCH) {
            if stop.load(Ordering::Relaxed) {
                return Err(VerifyError::Interrupted("nothing was added"));
            }
            // Each worker has its own dataset: GDAL's must not be shared.
            let per_worker = batch.len().div_ceil(rayon::current_num_threads().max(1));
            let drawn: Vec<(usize, Option<[Picture; 2]>)> = batch
                .par_chunks(per_worker.max(1))
                .map(|part| {
                    let mut renderer = Renderer::new(scene, stretch)?;
                    part.iter()
                        .map(|&i| {
                            let c = &jobs[i].candidate;
                            let pictures = if renderer.covers(c.center) {
                                renderer.render(c.center, c.radius_m, &c.outline)?
                            } else {
                                None
                            };
                            Ok((i, pictures))
                        })
                        .collect::<Result<Vec<_>, VerifyError>>()
                })
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect();
            self.store.write(|tx| {
                for (i, pictures) in &drawn {
                    let job = &jobs[*i];
                    // What the detector saw comes first, then the others, latest first.
                    let rank = if job.first_rank == 0 && job.candidate.scene == number {
                        0
                    } else {
                        job.first_rank + 1 + order[number] as i64
                    };
                    for picture in pictures.iter().flatten() {
                        chips += insert_chip(tx, &job.task, source, rank, picture)?;
                    }
                }
                Ok(())
            })?;
            progress.advance(batch.len() as u64);
        }
        Ok(chips)
    }

    /// Removes tasks without a picture, closes gaps between ranks, and tells the log.
    fn finish_wave(&self, wave: i64) -> Result<Added, VerifyError> {
        self.happen(|h| {
            let unseen: Vec<String> = h
                .tx
                .prepare("SELECT site_id FROM task WHERE wave = ?1 AND NOT EXISTS (SELECT 1 FROM chip WHERE chip.task = task.id) ORDER BY number")?
                .query_map([wave], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            h.tx.execute(
                "DELETE FROM task WHERE wave = ?1 AND NOT EXISTS (SELECT 1 FROM chip WHERE chip.task = task.id)",
                [wave],
            )?;
            h.tx.execute_batch(
                "CREATE TEMP TABLE dense AS SELECT id, dense_rank() OVER (PARTITION BY task ORDER BY rank) - 1 AS rank FROM chip;
                 UPDATE chip SET rank = dense.rank FROM dense WHERE dense.id = chip.id AND dense.rank <> chip.rank;
                 DROP TABLE dense;",
            )?;
            let count = |condition: &str| -> Result<u64, VerifyError> {
                let sql = format!("SELECT count(*) FROM task WHERE wave = ?1 AND {condition}");
                Ok(h.tx.query_row(&sql, [wave], |row| row.get::<_, i64>(0))? as u64)
            };
            let added = Added {
                sites: count("kind = 'site'")?,
                below: count("kind = 'below'")?,
                empty: count("kind = 'empty'")?,
                sampled: count("inclusion IS NOT NULL")?,
                unseen,
                ..Added::default()
            };
            if added.tasks() > 0 {
                let digest = wave_digest(h.tx, wave)?;
                h.record(Event::Tasks {
                    wave,
                    count: added.tasks(),
                    digest,
                })?;
            } else {
                h.tx.execute("DELETE FROM stratum WHERE wave = ?1", [wave])?;
                h.tx.execute("DELETE FROM wave WHERE number = ?1", [wave])?;
            }
            Ok(added)
        })
    }
}

/// Removes what an intake left that did not get to its event.
fn remove_unfinished(tx: &Transaction<'_>) -> Result<(), VerifyError> {
    let unfinished = "SELECT id FROM task WHERE id NOT IN (SELECT task FROM verdict)";
    tx.execute(
        &format!("DELETE FROM chip WHERE task IN ({unfinished})"),
        [],
    )?;
    tx.execute(
        &format!("DELETE FROM known_as WHERE task IN ({unfinished})"),
        [],
    )?;
    tx.execute(&format!("DELETE FROM task WHERE id IN ({unfinished})"), [])?;
    let empty = "SELECT number FROM wave WHERE number NOT IN (SELECT wave FROM task)";
    tx.execute(&format!("DELETE FROM stratum WHERE wave IN ({empty})"), [])?;
    tx.execute(&format!("DELETE FROM wave WHERE number IN ({empty})"), [])?;
    Ok(())
}

/// Which candidates have a task already: by position, with the task.
fn known_tasks(c: &Connection, all: &[Candidate]) -> Result<BTreeMap<usize, String>, VerifyError> {
    let places: Vec<(String, String, LonLat)> = c
        .prepare("SELECT id, class, lon, lat FROM task WHERE kind <> 'empty' ORDER BY number")?
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                LonLat::new(row.get(2)?, row.get(3)?),
            ))
        })?
        .collect::<Result<_, _>>()?;
    let index = GroundIndex::new(places.iter().map(|p| p.2));
    let mut by_id = c.prepare(
        "SELECT id FROM task WHERE site_id = ?1 UNION SELECT task FROM known_as WHERE site_id = ?1",
    )?;
    let mut known = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (position, candidate) in all.iter().enumerate() {
        let mut task: Option<String> = by_id
            .query_row([&candidate.site_id], |row| row.get(0))
            .optional()?;
        if task.is_none() && candidate.kind != TaskKind::Empty {
            task = index
                .within(candidate.center, SAME_PLACE_M)
                .filter(|&i| places[i].1 == candidate.class)
                .min_by(|&a, &b| {
                    let distance = |i: usize| distance_m(candidate.center, places[i].2);
                    distance(a).total_cmp(&distance(b)).then(a.cmp(&b))
                })
                .map(|i| places[i].0.clone());
        }
        // Two sites of a run are two places, however near: the first, which scores best, takes the task.
        if let Some(task) = task.filter(|task| taken.insert(task.clone())) {
            known.insert(position, task);
        }
    }
    Ok(known)
}

fn insert_task(
    tx: &Transaction<'_>,
    task: &str,
    wave: i64,
    candidate: &Candidate,
    sampled: Option<(i64, f64)>,
    options: &IntakeOptions,
    jitter: f64,
) -> Result<(), VerifyError> {
    let center = Point::new(candidate.center.lon, candidate.center.lat);
    let area_priority = options
        .area_priority
        .iter()
        .filter(|(area, _)| area.contains(&center))
        .map(|(_, priority)| *priority)
        .fold(0.0, f64::max);
    let outline: Vec<[f64; 2]> = candidate.outline.iter().map(|c| [c.lon, c.lat]).collect();
    tx.prepare_cached(
        "INSERT INTO task (id, number, wave, kind, site_id, class, type, score, lon, lat, outline, cluster_id,
         first_seen, last_seen, stratum, inclusion, sample_order, area_priority, jitter)
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM task), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,
         ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?
    .execute(params![
        task,
        wave,
        candidate.kind,
        candidate.site_id,
        candidate.class,
        candidate.kiln_type,
        candidate.score,
        candidate.center.lon,
        candidate.center.lat,
        serde_json::to_string(&outline)?,
        candidate.cluster_id,
        candidate.first_seen,
        candidate.last_seen,
        stratum_of(candidate.kind, candidate.score).0,
        sampled.map(|s| s.1),
        sampled.map(|s| s.0),
        area_priority,
        jitter
    ])?;
    Ok(())
}

/// The row of a scene that pictures come from.
fn source_of(tx: &Transaction<'_>, scene: &Scene) -> Result<i64, VerifyError> {
    tx.execute(
        "INSERT OR IGNORE INTO source (scene, path, content, date) VALUES (?1, ?2, ?3, ?4)",
        params![scene.id, scene.path, scene.content, scene.date],
    )?;
    Ok(tx.query_row(
        "SELECT number FROM source WHERE path = ?1 AND content = ?2",
        params![scene.path, scene.content],
        |row| row.get(0),
    )?)
}

/// Returns 1 where the picture is new.
fn insert_chip(
    tx: &Transaction<'_>,
    task: &str,
    source: i64,
    rank: i64,
    picture: &Picture,
) -> Result<u64, VerifyError> {
    Ok(tx
        .prepare_cached(
            "INSERT OR IGNORE INTO chip (id, task, source, rank, view, media_type, width, height, gsd_m, outline, sha256, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, 'image/jpeg', ?6, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            random_id()?,
            task,
            source,
            rank,
            picture.view,
            SIDE,
            picture.gsd_m,
            serde_json::to_string(&picture.outline)?,
            sha256_hex(&picture.jpeg),
            picture.jpeg
        ])? as u64)
}

/// Jobs that may lie in a scene, in their order.
fn jobs_in(scene: &Scene, index: &GroundIndex) -> Result<Vec<usize>, VerifyError> {
    use crate::geometry::PixelPoint;
    let (w, h) = (scene.width as f64, scene.height as f64);
    let georeference = scene.georeference()?;
    let places = georeference
        .to_lonlat(&[
            PixelPoint::new(w / 2.0, h / 2.0),
            PixelPoint::new(0.0, 0.0),
            PixelPoint::new(w, 0.0),
            PixelPoint::new(w, h),
            PixelPoint::new(0.0, h),
        ])
        .map_err(|source| VerifyError::Georeference {
            scene: scene.id.clone(),
            source,
        })?;
    let reach = places[1..]
        .iter()
        .map(|corner| distance_m(places[0], *corner))
        .fold(0.0, f64::max);
    let mut jobs: Vec<usize> = index.within(places[0], reach * 1.01).collect();
    jobs.sort_unstable();
    Ok(jobs)
}

/// For each scene its place among all of them: latest date first, undated ones last.
fn looks(run: &LoadedRun) -> Vec<usize> {
    let mut by_date: Vec<usize> = (0..run.scenes.len()).collect();
    by_date.sort_by(|&a, &b| {
        let date = |i: usize| run.scenes[i].scene.date.as_deref();
        date(b).cmp(&date(a)).then(a.cmp(&b))
    });
    let mut place = vec![0; by_date.len()];
    for (position, scene) in by_date.into_iter().enumerate() {
        place[scene] = position;
    }
    place
}

/// SHA-256 over all that the tasks of a wave ask, so that the log holds it.
pub(super) fn wave_digest(c: &Connection, wave: i64) -> Result<String, VerifyError> {
    let mut lines = String::new();
    let mut statement = c.prepare(
        "SELECT t.id, t.number, t.kind, t.site_id, t.class, t.type, t.score, t.lon, t.lat, t.outline, t.stratum,
                t.inclusion, t.sample_order, t.area_priority, t.jitter
         FROM task t WHERE t.wave = ?1 ORDER BY t.number",
    )?;
    let mut rows = statement.query([wave])?;
    while let Some(row) = rows.next()? {
        let line = json!([
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, String>(3)?,
            row.get::<_, String>(4)?,
            row.get::<_, Option<String>>(5)?,
            row.get::<_, f64>(6)?,
            row.get::<_, f64>(7)?,
            row.get::<_, f64>(8)?,
            row.get::<_, String>(9)?,
            row.get::<_, String>(10)?,
            row.get::<_, Option<f64>>(11)?,
            row.get::<_, Option<i64>>(12)?,
            row.get::<_, f64>(13)?,
            row.get::<_, f64>(14)?,
        ]);
        lines.push_str(&canonical(&line));
        lines.push('\n');
    }
    Ok(sha256_hex(lines.as_bytes()))
}
