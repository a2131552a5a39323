//! Copies of a project, made and put back while it is served.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::VerifyError;
use super::project::{DATABASE, Project};
use super::store::{self, Store};
use crate::run::Progress;

/// Pages copied between two looks at the clock.
const STEP: i32 = 2048;

impl Project {
    /// Writes all that the project holds at this moment, pictures too, into one file that appears whole or not at
    /// all. Votes go on meanwhile, and are not in it. Returns its size in bytes.
    pub fn backup(&self, file: &Path, progress: &dyn Progress) -> Result<u64, VerifyError> {
        let wrong = |source| VerifyError::File {
            path: file.display().to_string(),
            source,
        };
        let folder = file
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let part = tempfile::Builder::new()
            .prefix(".backup-")
            .tempfile_in(folder)
            .map_err(wrong)?;
        self.store.read(|source| {
            // The copy is of the state that this read transaction sees, however long it takes.
            let _head = super::event::head(source)?;
            let mut copy = Connection::open(part.path())?;
            copy_pages(source, &mut copy, progress)?;
            // One file, without a log beside it.
            copy.pragma_update(None, "journal_mode", "delete")?;
            Ok(())
        })?;
        part.as_file().sync_all().map_err(wrong)?;
        let bytes = part.as_file().metadata().map_err(wrong)?.len();
        part.persist(file).map_err(|e| wrong(e.error))?;
        Ok(bytes)
    }

    /// Puts a backup in the place of what a folder holds, which may be nothing. The backup is checked first: its log
    /// must hold together. A server that has the project open goes on with the restored state.
    pub fn restore(
        folder: &Path,
        backup: &Path,
        progress: &dyn Progress,
    ) -> Result<u64, VerifyError> {
        if !backup.is_file() {
            return Err(VerifyError::File {
                path: backup.display().to_string(),
                source: std::io::Error::from(std::io::ErrorKind::NotFound),
            });
        }
        let source = Connection::open_with_flags(
            backup,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(|e| store::at(backup, e.into()))?;
        let events = (|| {
            Store::check_format(&source, backup)?;
            super::event::walk(&source, |_| Ok(()))
        })()
        .map_err(|e| store::at(backup, e))?;
        std::fs::create_dir_all(folder).map_err(|e| VerifyError::File {
            path: folder.display().to_string(),
            source: e,
        })?;
        let target = folder.join(DATABASE);
        let put_back = || -> Result<(), VerifyError> {
            let mut live = Connection::open(&target)?;
            live.busy_timeout(Duration::from_secs(10))?;
            copy_pages(&source, &mut live, progress)?;
            live.pragma_update(None, "journal_mode", "wal")?;
            Ok(())
        };
        put_back().map_err(|e| store::at(&target, e))?;
        Ok(events)
    }
}

fn copy_pages(
    from: &Connection,
    to: &mut Connection,
    progress: &dyn Progress,
) -> Result<(), VerifyError> {
    let backup = Backup::new(from, to)?;
    let (mut started, mut done) = (false, 0);
    let outcome = loop {
        match backup.step(STEP) {
            Ok(StepResult::Done) => break Ok(()),
            Ok(StepResult::Busy | StepResult::Locked) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(_) => {}
            Err(error) => break Err(error.into()),
        }
        let state = backup.progress();
        if !started {
            progress.begin("pages", state.pagecount.max(0) as u64, 0);
            started = true;
        }
        let now = (state.pagecount - state.remaining).max(0) as u64;
        progress.advance(now.saturating_sub(done));
        done = now;
    };
    if started {
        progress.end();
    }
    outcome
}
