//! Volunteers check what the detector found: their votes become a decision with a known error.
//!
//! **In:** runs, and the answers of volunteers. **Out:** for every site a status with the probability it rests on.
//!
//! ```text
//! runs ─► candidates ─► sample ─┐
//! scenes ─► render ─► chips ────┴► tasks ─► queue ─► packs ─► volunteers ─► voting
//!                                                                              │
//! verified layer ◄── verdicts ◄── derive ◄── consensus ◄─────────── event log ◄┘
//!
//! votes.csv ─► table ─► consensus over any table of votes
//! ```
//!
//! A [`Project`] is a folder with one SQLite file that all threads of a server, and several processes, may use at
//! once. What happens is written into a log that only grows ([`event`]); votes, tallies and verdicts are derived from
//! it ([`derive`](self)) and can be built again at any time. Members ([`Project::join`]) are known to the log by random codes.
//!
//! What a volunteer gets ([`Pack`], [`ChipBytes`], [`OwnWork`]) holds no coordinates, no names of places, scenes or
//! files, and only random ids.

mod answer;
mod areas;
mod backup;
mod batch;
mod candidates;
mod clusters;
pub mod consensus;
mod crew;
mod derive;
mod error;
mod estimate;
pub mod event;
mod experts;
mod export;
mod holds;
mod id;
mod import;
mod init;
mod intake;
mod judgement;
mod known;
mod members;
#[cfg(test)]
mod pace_tests;
mod pack;
mod pictures;
#[cfg(test)]
mod plans_tests;
mod progress;
mod project;
mod queue;
mod readers;
mod render;
mod replay;
mod rules;
mod sample;
mod store;
pub mod table;
#[cfg(test)]
mod testing;
mod verified;
mod voting;
mod wave;
mod workshop;

pub use answer::{DecidedBy, GoldPurpose, Role, Status, Stream, TaskKind, View};
pub use areas::read_areas;
pub use consensus::Answer;
pub use crew::MemberWork;
pub use error::VerifyError;
pub use estimate::CONSENSUS_VERSION;
pub use event::{Entry, Event};
pub use experts::{Gold, NOTE_LENGTH};
pub use export::{ExportOptions, Exported};
pub use id::SecretHash;
pub use import::{Imported, VoteColumns};
pub use intake::{Added, IntakeOptions};
pub use members::{Member, NAME_LENGTH, OwnWork, Token};
pub use pack::{ChipBytes, ChipInfo, Pack, PackTask, Training};
pub use progress::{ProjectProgress, StratumProgress, StreamProgress};
pub use project::{DATABASE, OpenOptions, Project};
pub use queue::{NextPack, NoTasks};
pub use replay::Replayed;
pub use rules::{PACK_SIZES, QuestionSet, Rules};
pub use verified::{LayerTerms, SiteFilter, VerifiedSite};
pub use voting::{MOST_VOTES, NewVote, Receipt, Submission, VoteOutcome};
