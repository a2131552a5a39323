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
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::answer::{GoldPurpose, Role, Stream};
use super::error::VerifyError;
use super::holds;
use super::id::random_id;
use super::members::{Member, member};
use super::pack::{Pack, describe};
use super::project::{Happening, Project};
use super::rules::PACK_SIZES;

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

/// Tasks that a member holds.
struct Held {
    pack: String,
    tasks: Vec<(String, Stream)>,
}

/// What there is for a member: held until a moment, in seconds since 1970.
enum Found {
    Tasks(Held, i64),
    Nothing(NoTasks),
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
        let found = self.happen(|h| {
            let member = member(h.tx, member_id)?;
            if member.blocked {
                return Ok(Found::Nothing(NoTasks::Blocked));
            }
            let until = h.now + self.rules().lease_seconds;
            holds::let_expire(h.tx, h.now)?;
            if resume && let Some(held) = held_pack(h, &member, size)? {
                holds::prolong(h.tx, &member.voter, &held.pack, until)?;
                return Ok(Found::Tasks(held, until));
            }
            let held: i64 = h
                .tx
                .prepare_cached("SELECT count(*) FROM lease WHERE voter = ?1 AND answered = 0 AND expires_at > ?2")?
                .query_row(params![member.voter, h.now], |row| row.get(0))?;
            let size = size.min(self.rules().max_held.saturating_sub(held as usize));
            if size == 0 {
                return Ok(Found::Nothing(NoTasks::HoldingEnough));
            }
            let tasks = self.choose(h, &member, size)?;
            if tasks.is_empty() {
                return Ok(Found::Nothing(why_nothing(h, &member.voter)?));
            }
            let pack = random_id()?;
            for (position, (task, stream)) in tasks.iter().enumerate() {
                let place = (pack.as_str(), position);
                holds::hold(h.tx, task, &member.voter, place, *stream, (h.now, until))?;
            }
            Ok(Found::Tasks(Held { pack, tasks }, until))
        })?;
        // What the pack looks like is read when others may write again.
        match found {
            Found::Nothing(why) => Ok(NextPack::Nothing(why)),
            Found::Tasks(held, until) => self
                .store
                .read(|c| describe(c, held.pack, until, &held.tasks))
                .map(NextPack::Pack),
        }
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
        desk.take(
            Stream::Training,
            &gold(GoldPurpose::Training),
            training.min(size),
        )?;
        let trained = desk.chosen.len();
        let left = size - trained;

        // Each place in the pack is a control by the same chance, so that no volunteer can count them off.
        let controls = by_chance(left as f64 / self.rules().control_every.max(1) as f64);
        if member.role >= Role::Expert {
            desk.take(Stream::Expert, &contested(), left.div_ceil(2))?;
        }
        let rest = |desk: &Desk<'_, '_>| size - desk.chosen.len();
        let sampled =
            by_chance(rest(&desk).saturating_sub(controls) as f64 * self.rules().probability_share);
        desk.take(Stream::Probability, &offers(true), sampled.min(rest(&desk)))?;
        let wanted = rest(&desk).saturating_sub(controls);
        desk.take(Stream::Priority, &offers(false), wanted)?;
        // Where one stream has run dry, the other fills the pack.
        let wanted = rest(&desk).saturating_sub(controls);
        desk.take(Stream::Probability, &offers(true), wanted)?;
        // A pack of nothing but controls would give them away, and helps nobody.
        if desk.chosen.len() > trained {
            let wanted = controls.min(rest(&desk));
            desk.take(Stream::Control, &gold(GoldPurpose::Control), wanted)?;
            let wanted = rest(&desk);
            desk.take(Stream::Priority, &offers(false), wanted)?;
        }
        let mut chosen = desk.chosen;
        // Neighbours in the queue may be neighbours on the ground.
        chosen[trained..].shuffle(&mut *random);
        Ok(chosen)
    }
}

/// The pack that a member holds, as far as it is not answered.
fn held_pack(h: &Happening<'_>, member: &Member, size: usize) -> Result<Option<Held>, VerifyError> {
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
    let tasks = held
        .into_iter()
        .filter(|(_, _, of)| *of == pack)
        .map(|(task, stream, _)| (task, stream))
        .collect();
    Ok(Some(Held { pack, tasks }))
}

/// Collects the tasks of a pack, none twice.
struct Desk<'a, 'h> {
    h: &'a Happening<'h>,
    voter: &'a str,
    taken: BTreeSet<String>,
    chosen: Vec<(String, Stream)>,
}

/// A task that the volunteer ?1 may get: not answered by them (an answer taken back may be given again) and not
/// held by them.
pub(super) const NEW_TO_VOTER: &str = "NOT EXISTS (SELECT 1 FROM vote WHERE vote.task = v.task AND vote.voter = ?1 AND vote.state <> 'withdrawn')
    AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.task = v.task AND lease.voter = ?1 AND held = 1)";

/// Tasks on offer of one of the two streams, best first: those that others have begun, then in the stream's order.
pub(super) fn offers(sampled: bool) -> String {
    let sampled = i32::from(sampled);
    format!(
        "SELECT v.task FROM offer v WHERE v.sampled = {sampled} AND {NEW_TO_VOTER}
         ORDER BY v.started DESC, v.place, v.task LIMIT ?2"
    )
}

/// Gold that the volunteer has not seen: training in a fixed order, controls by chance of their random ids.
pub(super) fn gold(purpose: GoldPurpose) -> String {
    let order = match purpose {
        GoldPurpose::Training => "number",
        GoldPurpose::Control => "jitter",
    };
    format!(
        "SELECT v.task FROM gold v JOIN task t ON t.id = v.task WHERE v.purpose = '{purpose}' AND {NEW_TO_VOTER}
         ORDER BY t.{order} LIMIT ?2"
    )
}

/// Places that volunteers do not agree about.
pub(super) fn contested() -> String {
    format!(
        "SELECT v.task FROM verdict v INDEXED BY verdict_contested WHERE v.status = 'contested' AND {NEW_TO_VOTER}
         ORDER BY v.priority DESC, v.task LIMIT ?2"
    )
}

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
            .query_map(params![self.voter, limit as i64], |row| row.get(0))?
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
}

/// Whether there is an open task for which a condition holds.
pub(super) fn any_open(condition: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT 1 FROM verdict v WHERE v.needed > 0 AND ?1 = ?1 AND {condition})"
    )
}

fn why_nothing(h: &Happening<'_>, voter: &str) -> Result<NoTasks, VerifyError> {
    let exists = |condition: &str| -> Result<bool, VerifyError> {
        Ok(h.tx
            .prepare_cached(&any_open(condition))?
            .query_row([voter], |row| row.get(0))?)
    };
    Ok(if !exists("true")? {
        NoTasks::AllDone
    } else if exists(NEW_TO_VOTER)? {
        NoTasks::AllHeld
    } else {
        NoTasks::NoneForYou
    })
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
