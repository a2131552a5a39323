//! The pictures of tasks, cut from every scene that shows them.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use rusqlite::{Transaction, params};

use super::candidates::Candidate;
use super::error::VerifyError;
use super::id::{random_id, sha256_hex};
use super::project::Project;
use super::render::{Picture, Renderer, SIDE, Stretch};
use crate::geometry::{GroundIndex, PixelPoint, distance_m};
use crate::run::{Failure, LoadedRun, Progress};
use crate::scene::Scene;

/// Pictures drawn between two commits.
const BATCH: usize = 128;

/// A task that pictures are drawn for.
pub(super) struct Job {
    pub(super) task: String,
    /// Ranks of its pictures start here.
    pub(super) first_rank: i64,
    pub(super) candidate: Candidate,
}

impl Project {
    /// Draws the pictures of all jobs from all scenes of a run.
    pub(super) fn draw_pictures(
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
