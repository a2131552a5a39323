//! Consensus: votes in, decisions with a known error out. Pure arithmetic: no files, no store, no clock.
//!
//! **For a project of volunteers**, answers are yes, no, unsure, bad image:
//!
//! ```text
//! ballots ─ Crowd::fit ──► Crowd (error rates per volunteer), p_votes          now and then, from the whole log
//! ballots ─ Crowd::posterior, Crowd::update ──► p_votes                        at once, vote by vote
//! ballots ─ Tally::of ─┐
//! p_votes ─────────────┼─ StopRule::decide ──► Verdict                         StopRule::choose says which rule
//! p_votes, detector ─── p_combined                                             a second number, for ordering only
//! ```
//!
//! **For any table of votes** with any number of classes: [`VoteTable`] and [`DawidSkene`].
//!
//! Sums run over votes in one canonical order, so the order in which votes came shows in no bit of a result.

mod ballot;
mod confusion;
mod crowd;
mod dawid_skene;
mod em;
mod odds;
mod prior;
mod stop;
#[cfg(test)]
mod testing;
mod votes;

pub use ballot::{Answer, BLIND_S, BLIND_WEIGHT, Ballot, UNHURRIED_S, haste_weight};
pub use confusion::Confusion;
pub use crowd::{Crowd, CrowdFit, Volunteer};
pub use dawid_skene::DawidSkene;
pub use em::{Convergence, Fit};
pub use odds::{log_odds, p_combined, probability};
pub use prior::ConfusionPrior;
pub use stop::{
    BAD_IMAGE_REPORTS, ControlRecord, FEW_VOTES, MIN_CONTROL_ANSWERS, StopRule, Tally, Verdict,
    WEAK_CONTROLS,
};
pub use votes::{Vote, VoteTable, VoteTableBuilder};
