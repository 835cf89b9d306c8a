//! Request counters: by route and status with latency, and by account.
//!
//! Plain atomics, looked up once and incremented without a lock. Each worker holds a counter per route of
//! its own, so that no two workers write to one cache line; an account holds its own counter. The exporter
//! formats them. A client cannot create labels: routes are patterns, statuses come from a fixed list, and
//! unknown account names share one label.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Broker;

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Plane {
    /// The public listener, which pages call.
    Public,
    /// The admin listener, which clients call.
    Private,
}

impl Plane {
    /// Returns `public` or `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "admin",
        }
    }
}

/// All request counters of this process.
#[derive(Default)]
pub struct Tally {
    routes: Mutex<BTreeMap<(Plane, String), Shards>>,
    /// Requests that named an unknown account.
    unknown: Arc<AccountTally>,
}

/// The counters of one route: those in use, and the sum of those that their workers have dropped.
#[derive(Default)]
struct Shards {
    used: Vec<Arc<RouteTally>>,
    before: RouteTally,
}

impl Tally {
    /// Returns a new counter for this route, for one worker to keep. `route` is a pattern such as
    /// `/credentials/{account}/{kind}`, never the path of a request. Patterns beyond the maximum are
    /// counted as [`OTHER_ROUTE`].
    #[must_use]
    pub fn route(&self, plane: Plane, route: &str) -> Arc<RouteTally> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = routes.contains_key(&(plane, route.to_owned()));
        let route = if is_known || routes.len() < MAX_ROUTES {
            route
        } else {
            OTHER_ROUTE
        };
        let shards = routes.entry((plane, route.to_owned())).or_default();
        shards.fold();
        let tally = Arc::new(RouteTally::default());
        shards.used.push(tally.clone());
        tally
    }
}

impl Shards {
    /// Adds up the counters that no worker holds any more.
    fn fold(&mut self) {
        let (used, ended): (Vec<_>, Vec<_>) = self
            .used
            .drain(..)
            .partition(|shard| Arc::strong_count(shard) > 1);
        ended.iter().for_each(|shard| shard.add_to(&self.before));
        self.used = used;
    }

    fn sum(&self) -> RouteTally {
        let sum = RouteTally::default();
        self.used
            .iter()
            .map(Arc::as_ref)
            .chain([&self.before])
            .for_each(|shard| shard.add_to(&sum));
        sum
    }
}

/// One worker's counters of one route.
#[derive(Debug)]
pub struct RouteTally {
    by_status: [AtomicU64; STATUSES.len()],
    /// Each bucket counts durations up to its bound and above the previous one; the last counts longer
    /// durations.
    by_latency: [AtomicU64; LATENCIES.len() + 1],
    micros: AtomicU64,
}

impl Default for RouteTally {
    fn default() -> Self {
        Self {
            by_status: zeros(),
            by_latency: zeros(),
            micros: AtomicU64::default(),
        }
    }
}

impl RouteTally {
    /// Counts one answer. Must be called by one thread only, which makes it cheap: concurrent increments
    /// may be lost.
    pub fn record(&self, status: u16, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = LATENCIES
            .iter()
            .position(|bound| micros <= *bound)
            .unwrap_or(LATENCIES.len());
        for (counter, n) in [
            (&self.by_status[INDEX[usize::from(status) % INDEX.len()]], 1),
            (&self.by_latency[bucket], 1),
        ] {
            add_alone(counter, n);
        }
        add_alone(&self.micros, micros);
    }

    fn add_to(&self, sum: &Self) {
        let pairs = self
            .by_status
            .iter()
            .zip(&sum.by_status)
            .chain(self.by_latency.iter().zip(&sum.by_latency));
        pairs
            .chain([(&self.micros, &sum.micros)])
            .for_each(|(from, to)| add(to, from.load(Ordering::Relaxed)));
    }

    fn latency(&self) -> Latency {
        let mut count = 0;
        let mut cumulative = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let buckets = LATENCIES
            .iter()
            .zip(&self.by_latency)
            .map(|(bound, n)| (seconds(*bound), cumulative(n)))
            .collect();
        let count = cumulative(&self.by_latency[LATENCIES.len()]);
        Latency {
            buckets,
            sum: seconds(self.micros.load(Ordering::Relaxed)),
            count,
        }
    }
}

/// The answers that pages got for one account.
#[derive(Debug)]
pub struct AccountTally([AtomicU64; STATUSES.len()]);

impl Default for AccountTally {
    fn default() -> Self {
        Self(zeros())
    }
}

impl AccountTally {
    /// Counts one answer.
    pub fn record(&self, status: u16) {
        add(&self.0[INDEX[usize::from(status) % INDEX.len()]], 1);
    }
}

/// All counters at one moment, without those that are zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// By route, sorted.
    pub routes: Vec<RouteRequests>,
    /// By account, sorted by name: public requests that named it or used it as the default account.
    pub accounts: Vec<AccountRequests>,
}

/// The answers of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRequests {
    /// The listener.
    pub plane: Plane,
    /// Its pattern, or [`OTHER_ROUTE`].
    pub route: String,
    /// Statuses and their counts.
    pub by_status: Vec<(u16, u64)>,
    /// The latencies.
    pub latency: Latency,
}

/// The answers for one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRequests {
    /// Its name, or [`UNKNOWN_ACCOUNT`].
    pub account: String,
    /// Statuses and their counts.
    pub by_status: Vec<(u16, u64)>,
}

/// A histogram in the form that Prometheus uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Upper bounds in seconds with cumulative counts; the count of `+Inf` is [`Latency::count`].
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all values in seconds.
    pub sum: f64,
    /// Number of values.
    pub count: u64,
}

impl Broker {
    /// Returns the request counters for incrementing. Each worker gets its route's counter once.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.inner.tally
    }

    /// Returns the counter of this account for incrementing; an empty name selects the default account. All
    /// unknown names share one counter.
    #[must_use]
    pub fn account_tally(&self, account: &str) -> Arc<AccountTally> {
        self.member(account).map_or_else(
            |_| self.inner.tally.unknown.clone(),
            |member| member.tally.clone(),
        )
    }

    /// Returns the name of the account that this name selects; an empty name selects the default account.
    /// `None` if there is no such account.
    #[must_use]
    pub fn name_of(&self, account: &str) -> Option<String> {
        self.member(account).ok().map(|member| member.name.clone())
    }

    /// Returns the current request counts.
    #[must_use]
    pub fn requests(&self) -> Requests {
        let routes = self
            .inner
            .tally
            .routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let routes = routes.iter().map(|((plane, route), shards)| {
            let sum = shards.sum();
            RouteRequests {
                plane: *plane,
                route: route.clone(),
                by_status: counted(&sum.by_status),
                latency: sum.latency(),
            }
        });
        let members = self.inner.members.load();
        let accounts = members
            .all()
            .map(|member| (member.name.as_str(), &*member.tally));
        let accounts = accounts.chain([(UNKNOWN_ACCOUNT, &*self.inner.tally.unknown)]);
        let accounts = accounts.map(|(name, tally)| AccountRequests {
            account: name.to_owned(),
            by_status: counted(&tally.0),
        });
        let mut accounts: Vec<_> = accounts
            .filter(|account| !account.by_status.is_empty())
            .collect();
        accounts.sort_by(|a, b| a.account.cmp(&b.account));
        Requests {
            routes: routes.filter(|route| route.latency.count > 0).collect(),
            accounts,
        }
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

/// Avoids an atomic read-modify-write instruction: there is no other writer.
fn add_alone(counter: &AtomicU64, n: u64) {
    counter.store(
        counter.load(Ordering::Relaxed).wrapping_add(n),
        Ordering::Relaxed,
    );
}

fn counted(counters: &[AtomicU64; STATUSES.len()]) -> Vec<(u16, u64)> {
    let counts = STATUSES
        .iter()
        .zip(counters)
        .map(|(status, counter)| (*status, counter.load(Ordering::Relaxed)));
    counts.filter(|(_, n)| *n > 0).collect()
}

#[allow(clippy::cast_precision_loss)] // 285 years of microseconds fit
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Returns the index at which a status is counted: its own, or the first of its class.
const fn index_of(status: u16) -> usize {
    let mut i = 0;
    let mut first_of_class = STATUSES.len() - 1;
    while i < STATUSES.len() {
        if STATUSES[i] == status {
            return i;
        }
        if STATUSES[i] / 100 == status / 100 && first_of_class == STATUSES.len() - 1 {
            first_of_class = i;
        }
        i += 1;
    }
    first_of_class
}

/// [`index_of`] for every status.
const INDEX: [usize; 1_000] = {
    let (mut index, mut status) = ([0; 1_000], 0u16);
    while status < 1_000 {
        index[status as usize] = index_of(status);
        status += 1;
    }
    index
};

/// The statuses counted separately. Any other status is counted as the first of its class.
pub const STATUSES: [u16; 23] = [
    200, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 408, 413, 414, 415, 416, 421, 429,
    431, 500, 502, 503,
];

/// The histogram's bounds in microseconds: a signature takes a few, a refresh some tens of thousands, a
/// call that times out five million.
pub const LATENCIES: [u64; 14] = [
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

    #[test]
    fn a_status_is_counted_at_itself_or_with_its_class() {
        for status in STATUSES {
            assert_eq!(STATUSES[INDEX[usize::from(status)]], status);
        }
        for (status, counted) in [
            (201, 200),
            (399, 301),
            (418, 400),
            (507, 500),
            (100, 503),
            (0, 503),
            (999, 503),
        ] {
            assert_eq!(STATUSES[index_of(status)], counted, "{status}");
        }
    }

    #[test]
    fn a_histogram_is_cumulative_and_its_bounds_belong_to_it() {
        let route = RouteTally::default();
        for micros in [0, 25, 26, 1_000, 9_000_000] {
            route.record(200, Duration::from_micros(micros));
        }
        let latency = route.latency();
        let at = |bound: f64| {
            latency
                .buckets
                .iter()
                .find(|(upper, _)| *upper == bound)
                .unwrap()
                .1
        };
        assert_eq!(
            (
                at(0.000_025),
                at(0.000_05),
                at(0.001),
                at(5.0),
                latency.count
            ),
            (2, 3, 4, 4, 5)
        );
        assert!((latency.sum - 9.001_051).abs() < 1e-9);
    }

    #[test]
    fn what_a_worker_counted_that_has_ended_is_not_lost() {
        let tally = Tally::default();
        let sum = |tally: &Tally| {
            let routes = tally.routes.lock().unwrap();
            routes
                .values()
                .map(|shards| shards.sum().latency().count)
                .sum::<u64>()
        };
        for _ in 0..5 {
            tally.route(Plane::Public, "/a").record(200, Duration::ZERO);
        }
        let living = tally.route(Plane::Public, "/a");
        living.record(404, Duration::ZERO);
        assert_eq!(sum(&tally), 6);
        assert_eq!(
            tally
                .routes
                .lock()
                .unwrap()
                .values()
                .next()
                .unwrap()
                .used
                .len(),
            1,
            "no shard of an ended worker stays"
        );
    }

    #[test]
    fn routes_beyond_reason_are_one() {
        let tally = Tally::default();
        for n in 0..1_000 {
            tally
                .route(Plane::Public, &format!("/{n}"))
                .record(200, Duration::ZERO);
        }
        let routes = tally.routes.lock().unwrap();
        assert_eq!(routes.len(), MAX_ROUTES + 1);
        assert_eq!(
            routes[&(Plane::Public, OTHER_ROUTE.to_owned())]
                .sum()
                .latency()
                .count,
            1_000 - MAX_ROUTES as u64
        );
    }
}
