//! A fixed-size table with one number per client, and the clock for governor.
//!
//! A map of clients would grow with every address that an attacker can send from, and an attacker with an
//! IPv6 network has billions. Here two clients may share a number, but rarely and never by an attacker's
//! choice: to fill the table, an attacker would have to use up the rate limit of every cell, again and
//! again.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::RateLimiter;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;

use crate::clock::Clock;

/// governor's limiter on this table.
pub(crate) type Limiter = RateLimiter<u64, RateBuckets, Clock, NoOpMiddleware<Duration>>;

/// The table. Each process maps keys to cells differently.
#[derive(Debug)]
pub(crate) struct RateBuckets {
    count: usize,
    /// Each page is allocated when one of its cells is first used.
    pages: Box<[OnceLock<Box<[AtomicU64]>>]>,
    seed: RandomState,
}

impl RateBuckets {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            pages: (0..count.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
            seed: RandomState::new(),
        }
    }

    /// Returns the number of this key.
    pub(crate) fn of(&self, key: impl Hash) -> &AtomicU64 {
        let at = self.hash(key) % self.count as u64;
        let at = usize::try_from(at).expect("less than a length");
        let new_page = || (0..PAGE).map(|_| AtomicU64::new(0)).collect();
        &self.pages[at / PAGE].get_or_init(new_page)[at % PAGE]
    }

    /// Returns a hash that is unpredictable outside this process.
    pub(crate) fn hash(&self, key: impl Hash) -> u64 {
        self.seed.hash_one(key)
    }
}

impl StateStore for RateBuckets {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, f: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let cell = self.of(*key);
        let mut before = cell.load(Ordering::Acquire);
        loop {
            let known = (before != 0).then(|| Nanos::from(before));
            let (outcome, after) = f(known)?;
            match cell.compare_exchange_weak(
                before,
                after.as_u64(),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(outcome),
                Err(now) => before = now,
            }
        }
    }
}

/// Cells per page: 4 KiB.
const PAGE: usize = 512;

impl GovernorClock for Clock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.uptime()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_one_bucket_is_shared_by_all_and_never_grows() {
        let cells = RateBuckets::new(1);
        for key in 0..1_000_u64 {
            cells.of(key).fetch_add(1, Ordering::Relaxed);
        }
        assert_eq!(cells.of(7_u64).load(Ordering::Relaxed), 1_000);
    }

    #[test]
    fn the_bucket_of_a_key_is_unpredictable() {
        let (a, b) = (RateBuckets::new(1 << 16), RateBuckets::new(1 << 16));
        assert!((0..64_u64).any(|key| a.hash(key) != b.hash(key)));
    }
}
