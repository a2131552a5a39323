//! Volunteers check what the detector found: their votes become a decision with a known error.
//!
//! ```text
//! votes ─► consensus ─► p_votes, verdicts, error rates, agreement
//! ```

pub mod consensus;
