//! The rules of a project, fixed when it is made, and the questions it asks.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::VerifyError;

/// How a project hands out tasks and decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Tasks in a pack, unless a client asks for another number.
    pub pack_size: usize,
    /// How long a task is held for a volunteer. Answers that come later count all the same.
    pub lease_seconds: i64,
    /// Tasks that one volunteer may hold at a time.
    pub max_held: usize,
    /// Share of a pack that goes to the probability sample while it lasts.
    pub probability_share: f64,
    /// One in so many tasks of a pack is a hidden control.
    pub control_every: usize,
    /// Training tasks that a new volunteer answers first, if there are so many.
    pub training_tasks: usize,
    /// Votes between two estimates of all confusion matrices.
    pub batch_every: i64,
    /// Faster than this, in milliseconds, an answer is flagged, and weighs less.
    pub fast_ms: u64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            pack_size: 15,
            lease_seconds: 3600,
            max_held: 50,
            probability_share: 0.25,
            control_every: 15,
            training_tasks: 10,
            batch_every: 200,
            fast_ms: 300,
        }
    }
}

/// The smallest and largest pack that a client may ask for.
pub const PACK_SIZES: std::ops::RangeInclusive<usize> = 10..=25;

/// What volunteers are asked, in words. Answers carry the version they were given to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuestionSet {
    /// Version, from 1.
    pub version: u32,
    /// For each class of the detector: the question, and what to look for.
    pub questions: serde_json::Map<String, Value>,
}

impl QuestionSet {
    /// The first version: one question per class.
    pub fn first(classes: &[String]) -> Self {
        let question = |class: &str| {
            let thing = match class {
                "kiln" | "brick_kiln" => "a brick kiln".to_owned(),
                "camp" => "a camp".to_owned(),
                other => format!("a {}", other.replace('_', " ")),
            };
            json!({ "text": format!("Is there {thing} inside the outline?") })
        };
        Self {
            version: 1,
            questions: classes.iter().map(|c| (c.clone(), question(c))).collect(),
        }
    }

    /// From a file of a researcher: an object of classes, each with a `text`.
    pub fn parse(path: &str, text: &str, version: u32) -> Result<Self, VerifyError> {
        let wrong = |what: String| VerifyError::Content {
            path: path.to_owned(),
            line: None,
            what,
        };
        let questions: serde_json::Map<String, Value> =
            serde_json::from_str(text).map_err(|e| wrong(format!("not a JSON object: {e}")))?;
        for (class, question) in &questions {
            if question["text"]
                .as_str()
                .is_none_or(|t| t.trim().is_empty())
            {
                return Err(wrong(format!(
                    "the question of class `{class}` has no `text`"
                )));
            }
        }
        Ok(Self { version, questions })
    }
}
