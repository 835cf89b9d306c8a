//! The guards of both listeners with their counters since the start, for metrics and diagnosis.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web;

use super::connection_guard::Load;
use crate::actix::{KeyLockout, RateLimit};

/// A handle on the running service's counters.
#[derive(Clone)]
pub struct GuardStats {
    pub(super) limit: web::Data<RateLimit>,
    pub(super) lockout: web::Data<KeyLockout>,
    pub(super) public: Arc<Load>,
    pub(super) admin: Arc<Load>,
}

/// The counters at one moment. All but the open connections only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardCounts {
    /// Requests rejected with `rate_limited`.
    pub rate_limited: u64,
    /// Invalid API keys, repeated ones included.
    pub wrong_keys: u64,
    /// Calls rejected with `locked_out`.
    pub locked_out: u64,
    /// Open connections of both listeners.
    pub open_connections: u64,
    /// Connections ended because they took too long.
    pub timed_out: u64,
    /// Idle connections ended to make room for new ones.
    pub evicted_idle: u64,
    /// Connections that were just opened or used, or have an unfinished request or an unread answer, ended to make
    /// room for new ones.
    pub evicted_unfinished: u64,
}

impl GuardStats {
    /// Returns the current counters.
    pub fn counts(&self) -> GuardCounts {
        let both = |count: fn(&Load) -> u64| count(&self.public) + count(&self.admin);
        GuardCounts {
            rate_limited: self.limit.refused(),
            wrong_keys: self.lockout.wrong(),
            locked_out: self.lockout.refused(),
            open_connections: both(|load| load.open.load(Ordering::Relaxed) as u64),
            timed_out: both(|load| load.timed_out.load(Ordering::Relaxed)),
            evicted_idle: both(|load| load.evicted_idle.load(Ordering::Relaxed)),
            evicted_unfinished: both(|load| load.evicted_unfinished.load(Ordering::Relaxed)),
        }
    }
}
