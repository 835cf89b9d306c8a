//! Counters of a listener's connections, and the phases of its shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

/// Counters shared by all workers of a listener.
#[derive(Debug, Default)]
pub(in crate::server) struct Load {
    /// Open connections.
    pub(in crate::server) open: AtomicUsize,
    /// Connections ended because they took too long.
    pub(in crate::server) timed_out: AtomicU64,
    /// Idle connections ended to make room.
    pub(in crate::server) evicted_idle: AtomicU64,
    /// Connections that were just opened or used, or have an unfinished request or an unread answer, ended to make
    /// room.
    pub(in crate::server) evicted_unfinished: AtomicU64,
    /// Set during shutdown: each answer then closes its connection.
    pub(in crate::server) draining: AtomicBool,
    /// Set when shutdown waits for requests in progress only: all other connections are closed.
    pub(in crate::server) ending: watch::Sender<bool>,
    /// For each worker, how often it has checked its connections: a counter that stands still means a
    /// stuck worker.
    rounds: parking_lot::Mutex<Vec<Arc<AtomicU64>>>,
}

impl Load {
    /// Returns the counter of a new worker.
    pub(super) fn add_worker(&self) -> Arc<AtomicU64> {
        let rounds = Arc::new(AtomicU64::new(0));
        self.rounds.lock().push(rounds.clone());
        rounds
    }

    /// Returns how often each worker has checked its connections.
    pub(in crate::server) fn rounds(&self) -> Vec<u64> {
        let rounds = self.rounds.lock();
        rounds
            .iter()
            .map(|rounds| rounds.load(Ordering::Relaxed))
            .collect()
    }
}
