//! Connections that read, shared between threads: each with its plans and pages kept, and never more than a few.

use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::error::VerifyError;
use super::store::connect;

/// Readers at a time. Reads take well under a millisecond, and opening a reader several: who comes when all are
/// taken is served sooner by waiting.
const MOST: usize = 16;

/// The readers of a database.
#[derive(Debug, Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    /// Readers that somebody uses.
    taken: usize,
}

impl Readers {
    /// Lends a reader to `look`, as soon as there is one. `look` must not ask for another.
    pub(super) fn lend<T>(
        &self,
        path: &Path,
        look: impl FnOnce(&Connection) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let mut loan = self.take();
        let reader = match loan.reader.take() {
            Some(reader) => reader,
            None => connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let found = look(&reader);
        loan.reader = Some(reader);
        found
    }

    fn take(&self) -> Loan<'_> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self
            .returned
            .wait_while(state, |state| state.taken >= MOST)
            .unwrap_or_else(PoisonError::into_inner);
        state.taken += 1;
        Loan {
            reader: state.idle.pop(),
            readers: self,
        }
    }
}

/// A place among the readers. It is given back however the reading ends.
struct Loan<'a> {
    reader: Option<Connection>,
    readers: &'a Readers,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut state = (self.readers.state.lock()).unwrap_or_else(PoisonError::into_inner);
        state.taken -= 1;
        state.idle.extend(self.reader.take());
        self.readers.returned.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_crowd_shares_a_few_readers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("db");
        connect(
            &file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
        .unwrap();
        let readers = Readers::default();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for n in 0..4 * MOST {
                let (readers, file, now, most) = (&readers, &file, &now, &most);
                scope.spawn(move || {
                    let looked = readers.lend(file, |_| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        now.fetch_sub(1, Ordering::SeqCst);
                        if n % 3 == 0 {
                            return Err(VerifyError::Unknown("task"));
                        }
                        Ok(())
                    });
                    assert_eq!(looked.is_ok(), n % 3 != 0);
                });
            }
        });
        assert!(most.into_inner() <= MOST);
        let state = readers.state.into_inner().unwrap();
        assert_eq!(state.taken, 0);
        assert!((1..=MOST).contains(&state.idle.len()));
    }
}
