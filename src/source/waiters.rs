//! Waits on a network that overlap: nearly all of the time that it takes to find and open remote scenes is spent on
//! waiting for answers.

use std::sync::OnceLock;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Answers that are waited for at the same time. A server is not pressed harder on a machine of many cores.
const AT_ONCE: usize = 8;

/// Threads that wait for servers. They are made when they are first needed.
#[derive(Debug, Default)]
pub struct Waiters {
    /// `None` where the system has no threads left: then one answer is waited for after the other.
    pool: OnceLock<Option<ThreadPool>>,
}

impl Waiters {
    /// Does `act` with each of `items`: several at a time where `remote` says that it means waiting for a server, one
    /// after the other where it does not (some libraries that read local files bear one thread only). The results are
    /// in the order of `items`, however long each takes.
    pub fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        remote: impl Fn(&T) -> bool,
        act: impl Fn(&T) -> R + Sync,
    ) -> Vec<R> {
        let numbered = |i: usize| (i, act(&items[i]));
        let (waits, others): (Vec<usize>, Vec<usize>) =
            (0..items.len()).partition(|&i| remote(&items[i]));
        let pool = (waits.len() > 1).then(|| self.pool()).flatten();
        let mut done: Vec<(usize, R)> = match pool {
            Some(pool) => pool.install(|| {
                let waits = waits.into_par_iter().with_max_len(1);
                waits.map(numbered).collect()
            }),
            None => waits.into_iter().map(numbered).collect(),
        };
        done.extend(others.into_iter().map(numbered));
        done.sort_unstable_by_key(|(i, _)| *i);
        done.into_iter().map(|(_, result)| result).collect()
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let make = || {
            let threads = ThreadPoolBuilder::new().num_threads(AT_ONCE);
            let pool = threads.thread_name(|i| format!("waiter {i}")).build();
            pool.inspect_err(|error| tracing::warn!("no threads to wait with: {error}"))
                .ok()
        };
        self.pool.get_or_init(make).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_are_in_order_and_local_files_are_read_by_one_thread() {
        let here = thread::current().id();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<u64> = (0..24).collect();
        let results = Waiters::default().each(
            &items,
            |i| i % 3 != 0,
            |&i| {
                if i % 3 == 0 {
                    assert_eq!(thread::current().id(), here);
                    return i;
                }
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // The first take longest.
                thread::sleep(Duration::from_millis(48 - 2 * i));
                now.fetch_sub(1, Ordering::SeqCst);
                i
            },
        );
        assert_eq!(results, items);
        assert!((2..=AT_ONCE).contains(&most.into_inner()));
    }
}
