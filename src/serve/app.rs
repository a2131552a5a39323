//! What all requests share.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::door;
use super::hosts::Hosts;
use super::limits::Limits;
use super::listen::ServeError;
use super::password::Passwords;
use super::problem::Problem;
use super::session::Cookies;
use crate::verify::{Project, VerifyError};

/// After an estimate the server makes none for so many times as long as it took.
const ESTIMATE_REST: u32 = 4;

/// What the app is told when it starts.
pub(crate) struct Settings {
    /// Where the server listens.
    pub(crate) listen: SocketAddr,
    /// Further names of it.
    pub(crate) hosts: Vec<String>,
    /// Whether browsers reach it by TLS only.
    pub(crate) secure: bool,
    /// Volunteers who may join from one network in an hour.
    pub(crate) joins_per_hour: NonZeroU32,
}

/// The project, and all that stands at its door.
pub(crate) struct App {
    pub(crate) project: Project,
    pub(crate) passwords: Passwords,
    pub(crate) limits: Limits,
    pub(crate) hosts: Hosts,
    pub(crate) cookies: Cookies,
    pub(crate) secure: bool,
    estimating: AtomicBool,
    /// Held while a backup is made.
    pub(crate) backing_up: tokio::sync::Mutex<()>,
}

impl App {
    /// Opens the project, and makes a token for the first account where there is none.
    pub(crate) fn open(
        folder: &Path,
        settings: &Settings,
    ) -> Result<(Self, Option<String>), ServeError> {
        Project::remove_abandoned(folder);
        let project = Project::open(folder)?;
        let first = door::first_token(&project)?;
        let app = Self {
            passwords: Passwords::new()?,
            limits: Limits::new(settings.joins_per_hour),
            hosts: Hosts::new(settings.listen, &settings.hosts),
            cookies: Cookies::new(&door::instance(&project)?, settings.secure),
            secure: settings.secure,
            estimating: AtomicBool::new(false),
            backing_up: tokio::sync::Mutex::new(()),
            project,
        };
        Ok((app, first.map(|secret| secret.text().to_owned())))
    }

    /// Estimates the crowd anew in the background, unless that is under way or was just done.
    pub(crate) fn estimate_soon(self: &Arc<Self>) {
        if self.estimating.swap(true, Ordering::AcqRel) {
            return;
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            let begun = Instant::now();
            let outcome = app.project(Project::run_batch).await;
            if let Err(problem) = outcome {
                // The votes are safe; the next batch tries again.
                tracing::error!("the crowd could not be estimated anew: {problem:?}");
            }
            // With many votes an estimate takes a while, and another is due when it is done: volunteers come first.
            tokio::time::sleep(begun.elapsed() * ESTIMATE_REST).await;
            app.estimating.store(false, Ordering::Release);
        });
    }

    /// Asks the project, on a thread that may wait.
    pub(crate) async fn project<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Project) -> Result<T, VerifyError> + Send + 'static,
    ) -> Result<T, Problem> {
        let app = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&app.project)).await;
        Ok(done.map_err(|e| Problem::internal(&e))??)
    }
}

/// What people are told of what the project refuses. Its paths and its database's words stay inside.
impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Unknown(_) => Self::not_found(),
            VerifyError::Refused(reason) => Self::conflict("refused", reason),
            error if error.is_passing() => Self::busy(),
            error => Self::internal(&error),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
