//! A fixed number of strip buffers, handed round.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::scene::StoredPixels;

/// How often a reader that waits for a buffer looks whether it still should.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The buffers that are free.
pub(super) struct Buffers {
    free: Receiver<StoredPixels>,
    home: Sender<StoredPixels>,
}

impl Buffers {
    pub(super) fn new(count: usize) -> Self {
        let (home, free) = bounded(count);
        for _ in 0..count {
            // There is room for all of them.
            drop(home.try_send(StoredPixels::default()));
        }
        Self { free, home }
    }

    /// Waits for a free buffer; `None` when it is no use waiting.
    pub(super) fn take(&self, going: &dyn Fn() -> bool) -> Option<Filled> {
        while going() {
            match self.free.recv_timeout(LOOK_UP) {
                Ok(pixels) => {
                    return Some(Filled {
                        pixels,
                        home: self.home.clone(),
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }
}

/// A buffer in use. Goes back when it is dropped.
pub(super) struct Filled {
    pixels: StoredPixels,
    home: Sender<StoredPixels>,
}

impl Deref for Filled {
    type Target = StoredPixels;

    fn deref(&self) -> &StoredPixels {
        &self.pixels
    }
}

impl DerefMut for Filled {
    fn deref_mut(&mut self) -> &mut StoredPixels {
        &mut self.pixels
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // As many buffers were made as there is room for.
        drop(self.home.try_send(std::mem::take(&mut self.pixels)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_keeps_its_memory() {
        let buffers = Buffers::new(1);
        let mut first = buffers.take(&|| true).unwrap();
        first.floats(3, (100, 100));
        drop(first);
        let again = buffers.take(&|| true).unwrap();
        assert_eq!(again.size, (100, 100));
    }

    #[test]
    fn nobody_waits_for_a_buffer_once_the_scan_stops() {
        let buffers = Buffers::new(1);
        let _in_use = buffers.take(&|| true).unwrap();
        let looks = std::cell::Cell::new(0);
        let going = || {
            looks.set(looks.get() + 1);
            looks.get() < 3
        };
        assert!(buffers.take(&going).is_none());
    }
}
