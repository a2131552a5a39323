//! Which places of a run have a task already.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension};

use super::answer::TaskKind;
use super::candidates::Candidate;
use super::error::VerifyError;
use crate::geometry::{GroundIndex, LonLat, distance_m};

/// A site of a later run within this distance of one that has a task is the same, whatever its id.
const SAME_PLACE_M: f64 = 50.0;

/// Which candidates have a task already: by position, with the task.
pub(super) fn known_tasks(
    c: &Connection,
    all: &[Candidate],
) -> Result<BTreeMap<usize, String>, VerifyError> {
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
