//! Which tasks a volunteer gets next.
//!
//! Two streams are kept apart: *priority*, where an answer tells most, and *probability*, the random sample that
//! counts rest on, which is worked off in its own random order whatever the votes say. Training comes before both,
//! hidden controls are mixed in.
//!
//! A task is held for a volunteer for a while. No more are held than votes are still needed, in one transaction with
//! the count, so that nobody answers for nothing; but an answer that comes after its time counts all the same.
//! Tasks are given to whoever asks, never set aside for anybody.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use rand::RngExt;
use rand::seq::SliceRandom;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::answer::{Role, Stream, View};
use super::consensus::Answer;
use super::error::VerifyError;
use super::id::random_id;
use super::members::{Member, member};
use super::project::{Happening, Project, iso, questions};
use super::rules::PACK_SIZES;

/// Tasks to answer one after the other. Holds nothing that tells where on Earth they lie.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pack {
    /// Random id.
    pub id: String,
    /// Version of the questions.
    pub question_version: u32,
    /// Until when the tasks are held. Answers count after that as well.
    pub held_until: String,
    /// The tasks, in the order they are to be shown.
    pub tasks: Vec<PackTask>,
}

/// A task as a volunteer gets it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackTask {
    /// Random id.
    pub task: String,
    /// Class that is asked about: which question of the set.
    pub class: String,
    /// Pictures: the look that is asked about first, each close and in context.
    pub chips: Vec<ChipInfo>,
    /// In training: the right answer and what to look for, to be shown after answering.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
}

/// What a volunteer in training is told after answering.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Training {
    /// The right answer.
    pub answer: Answer,
    /// What to look for. Text of a researcher: escape it where it is shown.
    pub note: String,
}

/// A picture, without its bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChipInfo {
    /// Random id, by which the bytes are fetched.
    pub chip: String,
    /// First 16 hexadecimal digits of the SHA-256 of the bytes: what a vote names as seen.
    pub hash: String,
    /// Which look at the place: another number is another date.
    pub look: i64,
    /// How much it shows.
    pub view: View,
    /// When the picture was taken, where known.
    pub date: Option<String>,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Metres per pixel.
    pub gsd_m: f64,
    /// Corners of the outline in pixels: x right, y down, from the corner of the first pixel.
    pub outline: Vec<[f64; 2]>,
}

/// The bytes of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipBytes {
    /// `image/jpeg`.
    pub media_type: String,
    /// First 16 hexadecimal digits of the SHA-256 of the bytes. They never change: cache them for ever.
    pub hash: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What came of asking for tasks.
#[derive(Debug, Clone, PartialEq)]
pub enum NextPack {
    /// Here they are.
    Pack(Pack),
    /// There are none.
    Nothing(NoTasks),
}

/// Why there are no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoTasks {
    /// Every task of the project is decided, or waits for an expert.
    AllDone,
    /// Some are open, and this volunteer has answered all of them.
    NoneForYou,
    /// Those that are open are held by others: come back later.
    AllHeld,
    /// The volunteer holds as many as one may: answer some first.
    HoldingEnough,
    /// The volunteer gets no tasks any more.
    Blocked,
}

impl Project {
    /// Up to `size` tasks (10 to 25; `None`: as many as the project gives) for a member.
    ///
    /// With `resume`, tasks that the member holds and has not answered come first, as one pack: for a device that
    /// lost its pack. Without, new ones are given until the member holds as many as one may.
    pub fn next_pack(
        &self,
        member_id: &str,
        size: Option<usize>,
        resume: bool,
    ) -> Result<NextPack, VerifyError> {
        let size = size
            .unwrap_or(self.rules().pack_size)
            .clamp(*PACK_SIZES.start(), *PACK_SIZES.end());
        self.happen(|h| {
            let member = member(h.tx, member_id)?;
            if member.blocked {
                return Ok(NextPack::Nothing(NoTasks::Blocked));
            }
            if resume && let Some(pack) = self.resume(h, &member, size)? {
                return Ok(NextPack::Pack(pack));
            }
            let held: i64 = h
                .tx
                .prepare_cached("SELECT count(*) FROM lease WHERE voter = ?1 AND answered = 0 AND expires_at > ?2")?
                .query_row(params![member.voter, h.now], |row| row.get(0))?;
            let size = size.min(self.rules().max_held.saturating_sub(held as usize));
            if size == 0 {
                return Ok(NextPack::Nothing(NoTasks::HoldingEnough));
            }
            let chosen = self.choose(h, &member, size)?;
            if chosen.is_empty() {
                return Ok(NextPack::Nothing(why_nothing(h, &member.voter)?));
            }
            let pack = random_id()?;
            for (position, (task, stream)) in chosen.iter().enumerate() {
                h.tx
                    .prepare_cached(
                        "INSERT OR REPLACE INTO lease (task, voter, pack, position, stream, offered_at, expires_at, answered)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)",
                    )?
                    .execute(params![
                        task,
                        member.voter,
                        pack,
                        position as i64,
                        stream,
                        h.now,
                        h.now + self.rules().lease_seconds
                    ])?;
            }
            self.pack_of(h, pack, &chosen).map(NextPack::Pack)
        })
    }

    /// What the member holds, held a while longer.
    fn resume(
        &self,
        h: &Happening<'_>,
        member: &Member,
        size: usize,
    ) -> Result<Option<Pack>, VerifyError> {
        let held: Vec<(String, Stream, String)> = h
            .tx
            .prepare_cached(
                "SELECT task, stream, pack FROM lease WHERE voter = ?1 AND answered = 0 AND expires_at > ?2
                 ORDER BY offered_at, pack, position LIMIT ?3",
            )?
            .query_map(params![member.voter, h.now, size as i64], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        let Some((_, _, pack)) = held.first().cloned() else {
            return Ok(None);
        };
        let held: Vec<(String, Stream)> = held
            .into_iter()
            .filter(|(_, _, of)| *of == pack)
            .map(|(task, stream, _)| (task, stream))
            .collect();
        h.tx.prepare_cached(
            "UPDATE lease SET expires_at = ?3 WHERE voter = ?1 AND pack = ?2 AND answered = 0",
        )?
        .execute(params![
            member.voter,
            pack,
            h.now + self.rules().lease_seconds
        ])?;
        self.pack_of(h, pack, &held).map(Some)
    }

    /// Picks the tasks of a pack and their order.
    fn choose(
        &self,
        h: &Happening<'_>,
        member: &Member,
        size: usize,
    ) -> Result<Vec<(String, Stream)>, VerifyError> {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let mut by_chance = |mean: f64| {
            let whole = mean.floor();
            whole as usize + usize::from(random.random::<f64>() < mean - whole)
        };
        let mut desk = Desk {
            h,
            voter: &member.voter,
            taken: BTreeSet::new(),
            chosen: Vec::new(),
        };
        let done: i64 =
            h.tx.prepare_cached("SELECT training FROM voter WHERE voter = ?1")?
                .query_row([&member.voter], |row| row.get(0))
                .optional()?
                .unwrap_or(0);
        let training = (self.rules().training_tasks as i64 - done).max(0) as usize;
        desk.gold(Stream::Training, training.min(size))?;
        let trained = desk.chosen.len();
        let left = size - trained;

        // Each place in the pack is a control by the same chance, so that no volunteer can count them off.
        let controls = by_chance(left as f64 / self.rules().control_every.max(1) as f64);
        if member.role >= Role::Expert {
            desk.contested(left.div_ceil(2))?;
        }
        let rest = |desk: &Desk<'_, '_>| size - desk.chosen.len();
        let sampled =
            by_chance(rest(&desk).saturating_sub(controls) as f64 * self.rules().probability_share);
        desk.open(Stream::Probability, sampled.min(rest(&desk)))?;
        let wanted = rest(&desk).saturating_sub(controls);
        desk.open(Stream::Priority, wanted)?;
        // Where one stream has run dry, the other fills the pack.
        let wanted = rest(&desk).saturating_sub(controls);
        desk.open(Stream::Probability, wanted)?;
        // A pack of nothing but controls would give them away, and helps nobody.
        if desk.chosen.len() > trained {
            let wanted = controls.min(rest(&desk));
            desk.gold(Stream::Control, wanted)?;
            let wanted = rest(&desk);
            desk.open(Stream::Priority, wanted)?;
        }
        let mut chosen = desk.chosen;
        // Neighbours in the queue may be neighbours on the ground.
        chosen[trained..].shuffle(&mut *random);
        Ok(chosen)
    }

    fn pack_of(
        &self,
        h: &Happening<'_>,
        id: String,
        chosen: &[(String, Stream)],
    ) -> Result<Pack, VerifyError> {
        let until = h.now + self.rules().lease_seconds;
        Ok(Pack {
            id,
            question_version: questions(h.tx)?.version,
            held_until: iso(jiff::Timestamp::from_second(until).unwrap_or(jiff::Timestamp::MAX)),
            tasks: chosen
                .iter()
                .map(|(task, stream)| pack_task(h.tx, task, *stream))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The picture of an id.
    pub fn chip(&self, id: &str) -> Result<Option<ChipBytes>, VerifyError> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT media_type, substr(sha256, 1, 16), bytes FROM chip WHERE id = ?1",
            )?
            .query_row([id], |row| {
                Ok(ChipBytes {
                    media_type: row.get(0)?,
                    hash: row.get(1)?,
                    bytes: row.get(2)?,
                })
            })
            .optional()?)
        })
    }
}

/// Collects the tasks of a pack, none twice.
struct Desk<'a, 'h> {
    h: &'a Happening<'h>,
    voter: &'a str,
    taken: BTreeSet<String>,
    chosen: Vec<(String, Stream)>,
}

/// A task that the volunteer ?1 may get: not answered by them (an answer taken back may be given again) and not
/// held by them at ?2.
const NEW_TO_VOTER: &str = "NOT EXISTS (SELECT 1 FROM vote WHERE vote.task = v.task AND vote.voter = ?1 AND vote.state <> 'withdrawn')
    AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.task = v.task AND lease.voter = ?1 AND answered = 0 AND expires_at > ?2)";

/// Fewer hold the task at ?2 than votes are still needed.
const NOT_HELD_ENOUGH: &str = "(SELECT count(*) FROM lease WHERE lease.task = v.task AND answered = 0 AND expires_at > ?2) < v.needed";

impl Desk<'_, '_> {
    fn take(&mut self, stream: Stream, sql: &str, count: usize) -> Result<(), VerifyError> {
        if count == 0 {
            return Ok(());
        }
        // Tasks of this pack are not held yet: ask for so many more, and leave them out.
        let limit = count + self.taken.len();
        let found: Vec<String> = self
            .h
            .tx
            .prepare_cached(sql)?
            .query_map(params![self.voter, self.h.now, limit as i64], |row| {
                row.get(0)
            })?
            .collect::<Result<_, _>>()?;
        let mut left = count;
        for task in found {
            if left > 0 && self.taken.insert(task.clone()) {
                self.chosen.push((task, stream));
                left -= 1;
            }
        }
        Ok(())
    }

    /// Open tasks of a stream: those that others have begun first.
    fn open(&mut self, stream: Stream, count: usize) -> Result<(), VerifyError> {
        let sampled = i32::from(stream == Stream::Probability);
        let order = if stream == Stream::Probability {
            "(SELECT sample_order FROM task t WHERE t.id = v.task)"
        } else {
            "v.priority DESC"
        };
        let sql = format!(
            "SELECT v.task FROM verdict v WHERE v.needed > 0 AND v.sampled = {sampled}
             AND {NEW_TO_VOTER} AND {NOT_HELD_ENOUGH} ORDER BY v.started DESC, {order}, v.task LIMIT ?3"
        );
        self.take(stream, &sql, count)
    }

    /// Gold that the volunteer has not seen: training in a fixed order, controls by chance of their random ids.
    fn gold(&mut self, stream: Stream, count: usize) -> Result<(), VerifyError> {
        let sql = format!(
            "SELECT v.task FROM gold v JOIN task t ON t.id = v.task WHERE v.purpose = '{stream}' AND {NEW_TO_VOTER}
             ORDER BY CASE v.purpose WHEN 'training' THEN t.number ELSE t.jitter END LIMIT ?3"
        );
        self.take(stream, &sql, count)
    }

    /// Places that volunteers do not agree about.
    fn contested(&mut self, count: usize) -> Result<(), VerifyError> {
        let sql = format!(
            "SELECT v.task FROM verdict v WHERE v.status = 'contested' AND {NEW_TO_VOTER}
             ORDER BY v.priority DESC, v.task LIMIT ?3"
        );
        self.take(Stream::Expert, &sql, count)
    }
}

fn why_nothing(h: &Happening<'_>, voter: &str) -> Result<NoTasks, VerifyError> {
    let exists = |condition: &str| -> Result<bool, VerifyError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM verdict v WHERE v.needed > 0 AND (?1 = ?1) AND (?2 = ?2) AND {condition})"
        );
        Ok(h.tx
            .prepare_cached(&sql)?
            .query_row(params![voter, h.now], |row| row.get(0))?)
    };
    Ok(if !exists("true")? {
        NoTasks::AllDone
    } else if exists(NEW_TO_VOTER)? {
        NoTasks::AllHeld
    } else {
        NoTasks::NoneForYou
    })
}

fn pack_task(c: &Connection, task: &str, stream: Stream) -> Result<PackTask, VerifyError> {
    let class: String = c
        .prepare_cached("SELECT class FROM task WHERE id = ?1")?
        .query_row([task], |row| row.get(0))?;
    let training = if stream == Stream::Training {
        c.prepare_cached("SELECT answer, note FROM gold WHERE task = ?1")?
            .query_row([task], |row| {
                Ok(Training {
                    answer: row.get(0)?,
                    note: row.get(1)?,
                })
            })
            .optional()?
    } else {
        None
    };
    Ok(PackTask {
        chips: chips_of(c, task)?,
        task: task.to_owned(),
        class,
        training,
    })
}

/// Pictures of a task: the look that is asked about first, then the others; close before context.
pub(super) fn chips_of(c: &Connection, task: &str) -> Result<Vec<ChipInfo>, VerifyError> {
    let rows: Vec<(ChipInfo, String)> = c
        .prepare_cached(
            "SELECT c.id, substr(c.sha256, 1, 16), c.rank, c.view, s.date, c.width, c.height, c.gsd_m, c.outline
             FROM chip c JOIN source s ON s.number = c.source JOIN verdict v ON v.task = c.task
             WHERE c.task = ?1 ORDER BY c.rank <> v.rank, c.rank, c.view",
        )?
        .query_map([task], |row| {
            let chip = ChipInfo {
                chip: row.get(0)?,
                hash: row.get(1)?,
                look: row.get(2)?,
                view: row.get(3)?,
                date: row.get(4)?,
                width: row.get(5)?,
                height: row.get(6)?,
                gsd_m: row.get(7)?,
                outline: Vec::new(),
            };
            Ok((chip, row.get(8)?))
        })?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(chip, outline)| {
            Ok(ChipInfo {
                outline: serde_json::from_str(&outline)?,
                ..chip
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
