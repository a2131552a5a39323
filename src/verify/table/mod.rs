//! Consensus over any table of votes: what `kilnsight verify consensus` does.
//!
//! **In:** a CSV file of votes (`item,worker,label`), perhaps one of what is true. **Out:** a [`Report`] with labels,
//! posteriors, error rates, agreement, and accuracy against the truth; as JSON or as text for people.
//!
//! ```text
//! votes.csv ─ read_votes ─► VoteTable ─ Method::apply ─► Findings ─┐
//! truth.csv ─ read_truth ─► Truth ─────────────────────────────────┴─ Report::new ─► to_json, to_text
//! ```

mod accuracy;
mod method;
mod read;
mod report;
mod text;

pub use accuracy::{Accuracy, Interval, wilson};
pub use method::{Findings, Method, MethodError};
pub use read::{TableError, Truth, Vocabulary, VotesRead, read_truth, read_votes};
pub use report::Report;
