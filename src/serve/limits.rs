//! How much one address, one session and one name may ask for. All of it lives in memory: no address is ever
//! stored or logged, and a restart forgets everything.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::problem::Problem;
use crate::verify::SecretHash;

const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// Requests of one session: a pack's chips come in one burst.
const SESSION_REQUESTS: Quota = Quota::per_second(count(20)).allow_burst(count(200));
/// Votes of one session, in the long run. A phone that comes back from a day without a network sends several
/// packs at once.
const SESSION_VOTES: Quota = Quota::per_minute(count(60)).allow_burst(count(150));
/// Requests of one address: a class behind one router is one address.
const ADDRESS_REQUESTS: Quota = Quota::per_second(count(200)).allow_burst(count(2_000));
/// Wrong guesses (invite codes, tokens, recovery codes) of one address.
const ADDRESS_GUESSES: Quota = Quota::per_minute(count(6)).allow_burst(count(12));

/// Wrong passwords that cost nothing.
const FREE_FAILURES: u32 = 4;
/// The longest wait after wrong passwords.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// When every table is swept.
const SWEEP_EVERY: u32 = 4_096;
/// Names that failures are remembered of: an attacker must not fill the memory.
const NAMES: usize = 10_000;

/// All limits of a server.
pub(crate) struct Limits {
    session: DefaultKeyedRateLimiter<SecretHash>,
    votes: DefaultKeyedRateLimiter<SecretHash>,
    address: DefaultKeyedRateLimiter<IpAddr>,
    joins: DefaultKeyedRateLimiter<IpAddr>,
    guesses: DefaultKeyedRateLimiter<IpAddr>,
    failures: Mutex<HashMap<String, Failures>>,
    until_sweep: std::sync::atomic::AtomicU32,
    clock: DefaultClock,
}

/// Wrong passwords given for one name.
#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        let doublings = self.count.saturating_sub(FREE_FAILURES);
        if doublings == 0 {
            return Duration::ZERO;
        }
        Duration::from_secs(1_u64 << doublings.min(16)).min(LONGEST_WAIT)
    }
}

impl Limits {
    pub(crate) fn new(joins_per_hour: NonZeroU32) -> Self {
        Self {
            session: RateLimiter::keyed(SESSION_REQUESTS),
            votes: RateLimiter::keyed(SESSION_VOTES),
            address: RateLimiter::keyed(ADDRESS_REQUESTS),
            joins: RateLimiter::keyed(Quota::per_hour(joins_per_hour)),
            guesses: RateLimiter::keyed(ADDRESS_GUESSES),
            failures: Mutex::new(HashMap::new()),
            until_sweep: SWEEP_EVERY.into(),
            clock: DefaultClock::default(),
        }
    }

    /// A request from this address.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        self.sweep_now_and_then();
        self.one(
            &self.address,
            &network(address),
            "too many requests from this network",
        )
    }

    /// A request of this session.
    pub(crate) fn session(&self, session: &SecretHash) -> Result<(), Problem> {
        self.one(&self.session, session, "too many requests")
    }

    /// So many votes of this session.
    pub(crate) fn votes(&self, session: &SecretHash, number: usize) -> Result<(), Problem> {
        let Some(number) = u32::try_from(number).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        match self.votes.check_key_n(session, number) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = not_until.wait_time_from(self.clock.now());
                Err(Problem::too_many(
                    wait.as_secs() + 1,
                    "more answers than anyone can give with care: they are kept on your device and sent later",
                ))
            }
            Err(_more_than_ever_fits) => Err(Problem::bad_request(
                "more answers at once than a pack holds",
            )),
        }
    }

    /// A new volunteer from this address.
    pub(crate) fn join(&self, address: IpAddr) -> Result<(), Problem> {
        self.one(
            &self.joins,
            &network(address),
            "many people have just joined from this network: try again later, or ask the organiser to raise --joins-per-hour",
        )
    }

    /// A wrong code or token from this address.
    pub(crate) fn guess(&self, address: IpAddr) -> Result<(), Problem> {
        self.one(
            &self.guesses,
            &network(address),
            "too many wrong codes from this network",
        )
    }

    /// Whether a password may be tried for this name now.
    pub(crate) fn may_log_in(&self, name: &str) -> Result<(), Problem> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(failed) = failures.get(&name.to_lowercase()) else {
            return Ok(());
        };
        let left = failed.wait().saturating_sub(failed.last.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        Err(Problem::too_many(
            left.as_secs() + 1,
            "too many wrong passwords: wait before the next try",
        ))
    }

    /// What came of a try.
    pub(crate) fn logged_in(&self, name: &str, right: bool) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if right {
            failures.remove(&name.to_lowercase());
            return;
        }
        if failures.len() >= NAMES {
            failures.retain(|_, failed| failed.last.elapsed() < LONGEST_WAIT);
        }
        if failures.len() < NAMES {
            let failed = failures.entry(name.to_lowercase()).or_insert(Failures {
                count: 0,
                last: Instant::now(),
            });
            failed.count = failed.count.saturating_add(1);
            failed.last = Instant::now();
        }
    }

    fn one<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &DefaultKeyedRateLimiter<K>,
        key: &K,
        what: &str,
    ) -> Result<(), Problem> {
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Problem::too_many(wait.as_secs() + 1, what)
        })
    }

    /// Forgets those who have not been here for a while.
    fn sweep_now_and_then(&self) {
        use std::sync::atomic::Ordering::Relaxed;
        if self.until_sweep.fetch_sub(1, Relaxed) == 1 {
            self.until_sweep.store(SWEEP_EVERY, Relaxed);
            self.session.retain_recent();
            self.votes.retain_recent();
            self.address.retain_recent();
            self.joins.retain_recent();
            self.guesses.retain_recent();
        }
    }
}

/// What counts as one address: of IPv6, the network that a household gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let bits = v6.to_bits() >> 64 << 64;
            IpAddr::V6(bits.into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(count(5))
    }

    #[test]
    fn five_join_from_one_address_and_the_sixth_waits() {
        let limits = limits();
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..5 {
            limits.join(here).unwrap();
        }
        assert!(limits.join(here).is_err());
        limits.join("192.0.2.2".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_household_is_one_address() {
        let limits = limits();
        for n in 1..=5 {
            limits
                .join(format!("2001:db8::{n}").parse().unwrap())
                .unwrap();
        }
        assert!(limits.join("2001:db8::77".parse().unwrap()).is_err());
        assert!(limits.join("2001:db8:0:1::77".parse().unwrap()).is_ok());
        // The same address in its two forms.
        assert_eq!(
            network("::ffff:192.0.2.1".parse().unwrap()),
            network("192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn wrong_passwords_cost_more_each_time() {
        let waits: Vec<u64> = [1, 4, 5, 6, 10, 40]
            .map(|count| {
                let last = Instant::now();
                Failures { count, last }.wait().as_secs()
            })
            .to_vec();
        assert_eq!(waits, [0, 0, 2, 4, 64, 900]);
        let limits = limits();
        for _ in 0..FREE_FAILURES {
            limits.may_log_in("Ada").unwrap();
            limits.logged_in("Ada", false);
        }
        limits.may_log_in("ada").unwrap();
        limits.logged_in("ada", false);
        assert!(limits.may_log_in("ADA").is_err());
        limits.may_log_in("grace").unwrap();
        limits.logged_in("Ada", true);
        limits.may_log_in("Ada").unwrap();
    }

    #[test]
    fn a_session_votes_in_packs_and_not_for_ever() {
        let limits = limits();
        let session = SecretHash([1; 32]);
        for _ in 0..6 {
            limits.votes(&session, 25).unwrap();
        }
        assert!(limits.votes(&session, 25).is_err());
        limits.votes(&SecretHash([2; 32]), 25).unwrap();
        limits.votes(&session, 0).unwrap();
        assert!(limits.votes(&SecretHash([3; 32]), 1_000).is_err());
    }
}
