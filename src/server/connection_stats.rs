//! What the guards of both listeners have counted since the start: for metrics and for a person who wonders.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web;

use super::timeouts::Load;
use crate::actix::{KeyLockout, RateLimit};

/// A handle on the running service's counts.
#[derive(Clone)]
pub struct Counter {
    pub(super) limit: web::Data<RateLimit>,
    pub(super) guesses: web::Data<KeyLockout>,
    pub(super) public: Arc<Load>,
    pub(super) private: Arc<Load>,
}

/// The counts at one moment. All but the open connections only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were refused with `rate_limited`.
    pub rate_limited: u64,
    /// Wrong API keys, repeated ones included.
    pub wrong_keys: u64,
    /// Calls that were refused with `locked_out`.
    pub locked_out: u64,
    /// Connections that are open now, on both listeners.
    pub open_connections: u64,
    /// Connections that were ended because they took too long.
    pub timed_out: u64,
    /// Idle connections that were ended to make room for new ones.
    pub evicted_idle: u64,
    /// Connections with an unfinished request, or an answer that is not read, that were ended to make room for new ones.
    pub evicted_unfinished: u64,
}

/// A listener's.
pub(super) struct Connections {
    pub(super) open: u64,
    pub(super) timed_out: u64,
    pub(super) evicted_idle: u64,
    pub(super) evicted_unfinished: u64,
}

impl Counter {
    /// The counts now.
    #[must_use]
    pub fn now(&self) -> Counts {
        let [public, private] = self.connections();
        Counts {
            rate_limited: self.limit.refused(),
            wrong_keys: self.guesses.wrong(),
            locked_out: self.guesses.refused(),
            open_connections: public.open + private.open,
            timed_out: public.timed_out + private.timed_out,
            evicted_idle: public.evicted_idle + private.evicted_idle,
            evicted_unfinished: public.evicted_unfinished + private.evicted_unfinished,
        }
    }

    /// Those of each listener: public, private.
    pub(super) fn connections(&self) -> [Connections; 2] {
        [&self.public, &self.private].map(|load| Connections {
            open: load.open.load(Ordering::Relaxed) as u64,
            timed_out: load.timed_out.load(Ordering::Relaxed),
            evicted_idle: load.evicted_idle.load(Ordering::Relaxed),
            evicted_unfinished: load.evicted_unfinished.load(Ordering::Relaxed),
        })
    }
}
