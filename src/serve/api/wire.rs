//! Tasks, answers and verdicts as they cross the wire. The project's own types may change; these are a contract.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::verify::{
    Answer, ChipInfo, GoldPurpose, NextPack, NoTasks, PackTask, QuestionSet, Status, View,
    VoteOutcome,
};

/// An enum of the wire that mirrors one of the project, variant by variant: a new one there does not compile here.
macro_rules! mirrored {
    ($(#[$meta:meta])* $wire:ident of $inner:ident { $($(#[$doc:meta])* $variant:ident),+ $(,)? } $(, $direction:ident)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum $wire {
            $($(#[$doc])* $variant),+
        }

        impl From<$inner> for $wire {
            fn from(value: $inner) -> Self {
                match value { $($inner::$variant => Self::$variant),+ }
            }
        }

        impl From<$wire> for $inner {
            fn from(value: $wire) -> Self {
                match value { $($wire::$variant => Self::$variant),+ }
            }
        }
    };
}

mirrored! {
    /// An answer.
    AnswerName of Answer {
        /// There is one inside the outline.
        Yes,
        /// There is none.
        No,
        /// Cannot tell from the picture.
        Unsure,
        /// The picture is cloudy, dark, blurred or missing: says nothing about the place.
        BadImage,
    }
}

mirrored! {
    /// What is decided about a place.
    StatusName of Status {
        /// Nothing yet.
        Unverified,
        /// It is what the detector said.
        Confirmed,
        /// It is not.
        Rejected,
        /// The votes do not agree.
        Contested,
        /// No picture shows the place well enough.
        ImageryProblem,
    }
}

mirrored! {
    /// What gold is used for.
    PurposeName of GoldPurpose {
        /// Shown first, with the right answer.
        Training,
        /// Mixed in unannounced.
        Control,
    }
}

mirrored! {
    /// What became of an answer.
    Outcome of VoteOutcome {
        /// It is on the disk and counts.
        Accepted,
        /// It was here before.
        Known,
        /// The task was answered under another id: to change that, send a correction.
        AlreadyAnswered,
        /// The id has a form that is not allowed.
        BadId,
        /// There is no such task, or it was not offered to this volunteer.
        NotOffered,
        /// The questions have changed since: load the new ones.
        OtherQuestions,
        /// The picture is none of this task's.
        OtherPicture,
        /// There is no such vote to change.
        NoSuchVote,
    }
}

mirrored! {
    /// Why there are no tasks.
    NothingLeft of NoTasks {
        /// Every task is decided, or waits for an expert.
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
}

/// Tasks to answer one after the other, or the reason why there are none.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PackTold {
    /// Random id of the pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pack: Option<String>,
    /// Version of the questions: votes carry it.
    question_version: u32,
    /// Until when the tasks are held. Answers count after that as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    held_until: Option<String>,
    /// In the order they are to be shown.
    tasks: Vec<TaskTold>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    nothing_left: Option<NothingLeft>,
}

/// A task. Nothing in it tells where on Earth it lies.
#[derive(Debug, Serialize, ToSchema)]
struct TaskTold {
    /// Random id.
    task: String,
    /// The question, in words of the researchers: text, never markup.
    question: String,
    /// Looks at the place on one date each; the one that is asked about comes first.
    #[schema(min_items = 1)]
    looks: Vec<LookTold>,
    /// In practice: what to tell after the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    training: Option<TrainingTold>,
}

/// What a volunteer in practice is told after answering.
#[derive(Debug, Serialize, ToSchema)]
struct TrainingTold {
    answer: AnswerName,
    /// What to look for: text, never markup.
    note: String,
}

/// A place on one date.
#[derive(Debug, Serialize, ToSchema)]
struct LookTold {
    close: PictureTold,
    context: PictureTold,
}

/// A picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct PictureTold {
    /// Random id: the picture is at `/api/v1/chips/{chip}`.
    chip: String,
    /// What a vote names as seen.
    hash: String,
    width: u32,
    height: u32,
    /// Metres per pixel.
    gsd_m: f64,
    /// Corners of the outline in pixels: x right, y down, from the corner of the first pixel.
    #[schema(value_type = Vec<Vec<f64>>)]
    outline: Vec<[f64; 2]>,
}

impl PackTold {
    pub(super) fn new(next: NextPack, questions: &QuestionSet) -> Self {
        match next {
            NextPack::Pack(pack) => Self {
                pack: Some(pack.id),
                question_version: pack.question_version,
                held_until: Some(pack.held_until),
                tasks: pack
                    .tasks
                    .into_iter()
                    .filter_map(|task| task_told(task, questions))
                    .collect(),
                nothing_left: None,
            },
            NextPack::Nothing(why) => Self {
                pack: None,
                question_version: questions.version,
                held_until: None,
                tasks: Vec::new(),
                nothing_left: Some(why.into()),
            },
        }
    }
}

/// A task without a picture cannot be asked about: it is left out.
fn task_told(task: PackTask, questions: &QuestionSet) -> Option<TaskTold> {
    let question = questions
        .questions
        .get(&task.class)
        .and_then(|question| question["text"].as_str());
    let looks = looks_told(&task.chips);
    (!looks.is_empty()).then(|| TaskTold {
        task: task.task,
        question: question.unwrap_or_default().to_owned(),
        looks,
        training: task.training.map(|training| TrainingTold {
            answer: training.answer.into(),
            note: training.note,
        }),
    })
}

fn looks_told(chips: &[ChipInfo]) -> Vec<LookTold> {
    let mut looks: Vec<i64> = Vec::new();
    for chip in chips {
        if !looks.contains(&chip.look) {
            looks.push(chip.look);
        }
    }
    let picture = |look: i64, view: View| {
        chips
            .iter()
            .find(|chip| chip.look == look && chip.view == view)
    };
    looks
        .into_iter()
        .filter_map(|look| {
            let close = picture(look, View::Close)?;
            let context = picture(look, View::Context).unwrap_or(close);
            Some(LookTold {
                close: picture_told(close),
                context: picture_told(context),
            })
        })
        .collect()
}

fn picture_told(chip: &ChipInfo) -> PictureTold {
    PictureTold {
        chip: chip.chip.clone(),
        hash: chip.hash.clone(),
        width: chip.width,
        height: chip.height,
        gsd_m: chip.gsd_m,
        outline: chip.outline.clone(),
    }
}

/// A number that the wire has a place for, or nothing: JSON knows no infinity.
pub(super) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}
