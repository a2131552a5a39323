//! A pack as a volunteer gets it: tasks with their pictures, and nothing that tells where on Earth they lie.

use rusqlite::{Connection, OptionalExtension};
use serde::Serialize;

use super::answer::{Stream, View};
use super::consensus::Answer;
use super::error::VerifyError;
use super::project::{Project, iso, questions};

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

/// Describes the tasks of a pack that are held until a moment, in seconds since 1970.
pub(super) fn describe(
    c: &Connection,
    id: String,
    until: i64,
    chosen: &[(String, Stream)],
) -> Result<Pack, VerifyError> {
    Ok(Pack {
        id,
        question_version: questions(c)?.version,
        held_until: iso(jiff::Timestamp::from_second(until).unwrap_or(jiff::Timestamp::MAX)),
        tasks: chosen
            .iter()
            .map(|(task, stream)| pack_task(c, task, *stream))
            .collect::<Result<_, _>>()?,
    })
}

impl Project {
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
