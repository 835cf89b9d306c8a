//! Request counters: by route and status with latency, and by account.
//!
//! Plain atomics, looked up once and incremented without a lock. Each worker holds a counter per route of
//! its own, so that no two workers write to one cache line; an account's counter lies with the account. A
//! client cannot create labels: routes are patterns, statuses come from a fixed list, and unknown account
//! names share one label.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::broker::{Broker, Distribution, StatusCounts};

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListenerName {
    /// The public listener, which pages call.
    Public,
    /// The admin listener, which clients call.
    Admin,
}

impl ListenerName {
    /// Returns `public` or `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }
}

/// All request counters of a process. Clones share the same counters.
#[derive(Clone, Debug, Default)]
pub struct RequestStats(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    routes: Mutex<BTreeMap<(ListenerName, String), Shards>>,
    /// Requests that named an unknown account.
    unknown: StatusCounts,
}

/// The counters of one route: those in use, and the sum of those that their workers have dropped.
#[derive(Debug, Default)]
struct Shards {
    used: Vec<Arc<RouteCounter>>,
    before: RouteCounter,
}

/// The answers of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRequests {
    /// The listener.
    pub listener: ListenerName,
    /// Its pattern, or [`OTHER_ROUTE`].
    pub route: String,
    /// Statuses and their counts, without those that are zero.
    pub by_status: Vec<(u16, u64)>,
    /// How long the answers took.
    pub latency: Distribution,
}

impl RequestStats {
    /// Returns the answers by route, sorted.
    pub fn routes(&self) -> Vec<RouteRequests> {
        let routes = self.0.routes.lock();
        let routes = routes.iter().map(|((listener, route), shards)| {
            let sum = shards.sum();
            RouteRequests {
                listener: *listener,
                route: route.clone(),
                by_status: sum.statuses.read(),
                latency: sum.latency(),
            }
        });
        routes.filter(|route| !route.by_status.is_empty()).collect()
    }

    /// Returns the answers by account, sorted by name: statuses and their counts of public requests that
    /// named the account or used it as the default account. Unknown names are [`UNKNOWN_ACCOUNT`].
    pub fn accounts(&self, broker: &Broker) -> Vec<(String, Vec<(u16, u64)>)> {
        let mut accounts = broker.answers();
        accounts.push((UNKNOWN_ACCOUNT.to_owned(), self.0.unknown.read()));
        accounts.retain(|(_, by_status)| !by_status.is_empty());
        accounts.sort();
        accounts
    }

    /// Returns a new counter for this route, for one worker to keep. `route` is a pattern such as
    /// `/credentials/{account}/{kind}`, never the path of a request. Patterns beyond the maximum are
    /// counted as [`OTHER_ROUTE`].
    fn route(&self, listener: ListenerName, route: &str) -> Arc<RouteCounter> {
        let mut routes = self.0.routes.lock();
        let is_known = routes.contains_key(&(listener, route.to_owned()));
        let route = if is_known || routes.len() < MAX_ROUTES {
            route
        } else {
            OTHER_ROUTE
        };
        let shards = routes.entry((listener, route.to_owned())).or_default();
        shards.fold();
        let counter = Arc::new(RouteCounter::default());
        shards.used.push(counter.clone());
        counter
    }
}

impl Shards {
    /// Adds up the counters that no worker holds any more.
    fn fold(&mut self) {
        let ended = self
            .used
            .extract_if(.., |shard| Arc::strong_count(shard) == 1);
        for shard in ended {
            shard.add_to(&self.before);
        }
    }

    fn sum(&self) -> RouteCounter {
        let sum = RouteCounter::default();
        for shard in self.used.iter().map(Arc::as_ref).chain([&self.before]) {
            shard.add_to(&sum);
        }
        sum
    }
}

/// One worker's counters on one listener. Each route's counter is requested once, then found by the route's
/// pattern.
pub(super) struct WorkerStats {
    broker: Broker,
    stats: RequestStats,
    listener: ListenerName,
    routes: RefCell<HashMap<String, Arc<RouteCounter>>>,
}

impl WorkerStats {
    pub(super) fn new(broker: Broker, stats: RequestStats, listener: ListenerName) -> Self {
        Self {
            broker,
            stats,
            listener,
            routes: RefCell::default(),
        }
    }

    /// Returns this worker's counter of a route.
    pub(super) fn route(&self, pattern: &str) -> Arc<RouteCounter> {
        let mut routes = self.routes.borrow_mut();
        if let Some(route) = routes.get(pattern) {
            return route.clone();
        }
        let route = self.stats.route(self.listener, pattern);
        routes.insert(pattern.to_owned(), route.clone());
        route
    }

    /// Counts an answer of the route with this pattern, begun at this uptime, and returns how long it
    /// took.
    pub(super) fn count(&self, pattern: Option<&str>, status: u16, begun: Duration) -> Duration {
        let took = self.broker.clock().uptime().saturating_sub(begun);
        self.route(pattern.unwrap_or(OTHER_ROUTE))
            .record(status, took);
        took
    }

    /// Counts an answer for the account of this name.
    pub(super) fn count_account(&self, account: &str, status: u16) {
        match self.broker.answers_of(account) {
            Some(answers) => answers.record(status),
            None => self.stats.0.unknown.record(status),
        }
    }
}

/// One worker's counters of one route.
#[derive(Debug, Default)]
pub(super) struct RouteCounter {
    statuses: StatusCounts,
    /// Each bucket counts durations up to its bound and above the previous one; the last counts longer
    /// durations.
    latencies: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl RouteCounter {
    /// Counts one answer. Must be called by one thread only, which makes it cheap: concurrent increments
    /// may be lost.
    pub(super) fn record(&self, status: u16, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.statuses.record_alone(status);
        add_alone(&self.latencies[Distribution::bucket(&BOUNDS, micros)], 1);
        add_alone(&self.micros, micros);
    }

    fn add_to(&self, sum: &Self) {
        self.statuses.add_to(&sum.statuses);
        let pairs = self.latencies.iter().zip(&sum.latencies);
        for (from, to) in pairs.chain([(&self.micros, &sum.micros)]) {
            to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    fn latency(&self) -> Distribution {
        let counts = self.latencies.iter();
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        Distribution::of(&BOUNDS, counts, self.micros.load(Ordering::Relaxed))
    }
}

/// Avoids an atomic read-modify-write instruction: there is no other writer.
fn add_alone(counter: &AtomicU64, n: u64) {
    let count = counter.load(Ordering::Relaxed);
    counter.store(count.wrapping_add(n), Ordering::Relaxed);
}

/// The histogram's bounds in microseconds: a signature takes a few, a refresh some tens of thousands, a
/// call that times out five million.
const BOUNDS: [u64; 14] = [
    25, 50, 100, 250, 500, 1_000, 5_000, 25_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000,
];

/// The route label of requests that matched no route.
pub const OTHER_ROUTE: &str = "other";

/// The account label of requests that named an unknown account. No account can have this name.
pub const UNKNOWN_ACCOUNT: &str = "?";

/// Far more patterns than both listeners have.
const MAX_ROUTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of answers of all routes.
    fn sum(stats: &RequestStats) -> u64 {
        let routes = stats.routes();
        let counts = routes.iter().flat_map(|route| &route.by_status);
        counts.map(|(_, count)| count).sum()
    }

    #[test]
    fn a_histogram_counts_each_duration_in_its_bucket() {
        let route = RouteCounter::default();
        for micros in [0, 25, 26, 1_000, 9_000_000] {
            route.record(200, Duration::from_micros(micros));
        }
        let latency = route.latency();
        let filled: Vec<_> = latency
            .buckets
            .into_iter()
            .filter(|(_, n)| *n > 0)
            .collect();
        let expected = [
            (0.000_025, 2),
            (0.000_05, 1),
            (0.001, 1),
            (f64::INFINITY, 1),
        ];
        assert_eq!(filled, expected);
        assert!((latency.sum - 9.001_051).abs() < 1e-9);
    }

    #[test]
    fn counts_of_a_finished_worker_are_kept() {
        let stats = RequestStats::default();
        for _ in 0..5 {
            stats
                .route(ListenerName::Public, "/a")
                .record(200, Duration::ZERO);
        }
        let used = stats.route(ListenerName::Public, "/a");
        used.record(404, Duration::ZERO);
        assert_eq!(sum(&stats), 6);
        let shards = stats.0.routes.lock();
        let (_, shards) = shards.first_key_value().unwrap();
        assert_eq!(shards.used.len(), 1, "no shard of an ended worker stays");
    }

    #[test]
    fn routes_beyond_the_limit_are_counted_as_other() {
        let stats = RequestStats::default();
        for n in 0..1_000 {
            stats
                .route(ListenerName::Public, &format!("/{n}"))
                .record(200, Duration::ZERO);
        }
        let routes = stats.routes();
        assert_eq!(routes.len(), MAX_ROUTES + 1);
        let other = routes.iter().find(|one| one.route == OTHER_ROUTE).unwrap();
        assert_eq!(other.by_status, [(200, 1_000 - MAX_ROUTES as u64)]);
    }
}
