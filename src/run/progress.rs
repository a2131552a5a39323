//! How long steps tell how far they are. What is shown, and how, is the command line's business.

/// Told of the progress of a scan.
pub trait Progress: Sync {
    /// A step of `total` units begins; `done` of them were finished before.
    fn begin(&self, step: &str, total: u64, done: u64);
    /// `units` more are finished.
    fn advance(&self, units: u64);
    /// The step has ended.
    fn end(&self);
    /// Something the user should know, on a line of its own.
    fn note(&self, message: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct SilentProgress;

impl Progress for SilentProgress {
    fn begin(&self, _step: &str, _total: u64, _done: u64) {}
    fn advance(&self, _units: u64) {}
    fn end(&self) {}
    fn note(&self, _message: &str) {}
}
