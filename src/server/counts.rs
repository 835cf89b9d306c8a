//! What the guards of both listeners have counted since the start: for metrics and for a person who wonders.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::web;

use super::guarded::Load;
use crate::actix::{Guesses, RateLimit};

/// A handle on the running service's counts.
#[derive(Clone)]
pub struct Counter {
    pub(super) limit: web::Data<RateLimit>,
    pub(super) guesses: web::Data<Guesses>,
    pub(super) loads: Vec<Arc<Load>>,
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
    pub overstayed: u64,
    /// Idle connections that were ended because almost all places were taken.
    pub made_room: u64,
}

impl Counter {
    /// The counts now.
    #[must_use]
    pub fn now(&self) -> Counts {
        let sum = |of: fn(&Load) -> u64| self.loads.iter().map(|load| of(load)).sum();
        Counts {
            rate_limited: self.limit.refused(),
            wrong_keys: self.guesses.wrong(),
            locked_out: self.guesses.refused(),
            open_connections: sum(|load| load.open.load(Ordering::Relaxed) as u64),
            overstayed: sum(|load| load.overstayed.load(Ordering::Relaxed)),
            made_room: sum(|load| load.made_room.load(Ordering::Relaxed)),
        }
    }
}
