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

mod agreement;
mod ballot;
mod calibration;
mod confusion;
mod counting;
mod crowd;
mod dawid_skene;
mod em;
mod krippendorff;
mod odds;
mod one_coin;
mod prior;
#[cfg(test)]
mod properties;
mod sequential;
#[cfg(test)]
mod simulations;
mod stop;
mod swap;
#[cfg(test)]
mod testing;
mod votes;

pub use agreement::{Agreement, fleiss_kappa, item_agreement, specific_agreement};
pub use ballot::{Answer, BLIND_S, BLIND_WEIGHT, Ballot, UNHURRIED_S, haste_weight};
pub use calibration::Calibration;
pub use confusion::Confusion;
pub use counting::{LeadByDelta, majority};
pub use crowd::{Crowd, CrowdFit, Volunteer};
pub use dawid_skene::DawidSkene;
pub use em::{Convergence, Fit};
pub use krippendorff::{Scale, krippendorff_alpha};
pub use odds::{log_odds, p_combined, probability};
pub use one_coin::one_coin;
pub use prior::ConfusionPrior;
pub use sequential::{Wald, net_votes};
pub use stop::{
    BAD_IMAGE_REPORTS, ControlRecord, FEW_VOTES, MIN_CONTROL_ANSWERS, RECENT_CONTROLS, StopRule,
    Tally, Verdict, WEAK_CONTROLS,
};
pub use swap::{SwapAgent, SwapFit, SwapStart, swap};
pub use votes::{Vote, VoteTable, VoteTableBuilder};
