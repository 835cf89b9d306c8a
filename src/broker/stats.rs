//! Counters for monitoring: plain numbers, updated as events happen and read together in a snapshot.
//!
//! Independent of any monitoring system; `server::metrics` does the formatting. Contains no secrets.
//! Reading a credential does not touch these counters.

mod status_counts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
pub(crate) use status_counts::StatusCounts;

use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{Class, UpstreamError, codes};

/// Counters that do not belong to one credential, at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Durations of refreshes that called WeChat, by kind and by success.
    pub durations: Vec<(Kind, bool, Distribution)>,
    /// Failed calls, by kind, class and [`errcode_label`].
    pub failed_calls: BTreeMap<(Kind, &'static str, String), u64>,
    /// Time spent waiting for a peer node's refresh.
    pub lease_waits: Distribution,
    /// Store operations: name, number of operations, number of errors.
    pub store: Vec<(&'static str, u64, u64)>,
    /// Time since the keeper last checked for due credentials; `None` before its first step.
    pub keeper_idle: Option<Duration>,
    /// How often this machine's clock was changed (or the machine slept) by more than 30 s.
    pub clock_jumps: u64,
    /// Number of hosts of `api.weixin.qq.com` to which nothing could be sent last time, while others are used.
    pub unreachable_hosts: usize,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// WeChat returned a value.
    Refreshed,
    /// The store had a value, from a peer node or from this process before its restart.
    FromStore,
    /// A ticket could not be fetched because its access token was not available.
    NoToken,
    /// An on-demand refresh was refused by the rate limit.
    RateLimited,
    /// WeChat gave no usable answer, or the call was not made.
    Failed(Class),
}

/// Number of outcomes.
pub const OUTCOMES: usize = 8;

impl Outcome {
    const ALL: [Self; OUTCOMES] = [
        Self::Refreshed,
        Self::FromStore,
        Self::NoToken,
        Self::RateLimited,
        Self::Failed(Class::Transient),
        Self::Failed(Class::StaleToken),
        Self::Failed(Class::Quota),
        Self::Failed(Class::Setup),
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::FromStore => "from_store",
            Self::NoToken => "no_token",
            Self::RateLimited => "rate_limited",
            Self::Failed(class) => class.as_str(),
        }
    }
}

/// Counters of one credential. Kept small, for thirty thousand credentials.
#[derive(Default)]
pub(super) struct SlotCounts {
    outcomes: [u32; OUTCOMES],
    /// Number of ticket calls that were refused because of their token.
    pub(super) stale_refusals: u32,
    /// Calls to its endpoint, and the midnight until which they count as today's.
    calls: Option<(u32, UnixTime)>,
    /// The time of the last success.
    pub(super) last_success: Option<UnixTime>,
}

impl SlotCounts {
    pub(super) fn count(&mut self, outcome: Outcome) {
        let at = Outcome::ALL
            .iter()
            .position(|known| *known == outcome)
            .expect("all outcomes are in it");
        self.outcomes[at] += 1;
    }

    /// Counts a success, and keeps the time of the latest, unless it is of a clock that was ahead.
    pub(super) fn succeeded(&mut self, outcome: Outcome, at: UnixTime, now: UnixTime) {
        self.count(outcome);
        let known = self.last_success.filter(|known| *known <= now);
        self.last_success = known.max(Some(at));
    }

    /// Returns the number of values that came from WeChat or from the store.
    pub(super) fn refreshes(&self) -> u64 {
        let [refreshed, from_store, ..] = self.outcomes;
        u64::from(refreshed) + u64::from(from_store)
    }

    /// Records the number of calls counted today.
    pub(super) fn called(&mut self, count: u64, now: UnixTime) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.calls = Some((count, now.next_shanghai_midnight()));
    }

    /// Returns today's calls; `None` if they have not been read yet.
    pub(super) fn calls_today(&self, now: UnixTime) -> Option<u64> {
        let (count, until) = self.calls?;
        Some(if now < until { count.into() } else { 0 })
    }

    pub(super) fn outcomes(&self) -> [(&'static str, u64); OUTCOMES] {
        std::array::from_fn(|at| (Outcome::ALL[at].as_str(), self.outcomes[at].into()))
    }
}

/// Counters that do not belong to one credential.
#[derive(Default)]
pub(super) struct Counters {
    /// By [`Kind::ALL`]: failed refreshes, then successful ones.
    durations: [[Histogram; 2]; Kind::ALL.len()],
    pub(super) lease_waits: Histogram,
    failed_calls: Mutex<BTreeMap<(Kind, &'static str, String), u64>>,
    /// When, in uptime, the keeper last checked for due credentials.
    keeper_step: Mutex<Option<Duration>>,
}

impl Counters {
    pub(super) fn refreshed(&self, kind: Kind, is_success: bool, took: Duration) {
        self.durations[kind as usize][usize::from(is_success)].observe(took);
    }

    /// The number of labels is bounded by the table of errcodes; other codes share one label.
    pub(super) fn call_failed(&self, kind: Kind, error: &UpstreamError) {
        let key = (kind, error.class().as_str(), errcode_label(error));
        *self.failed_calls.lock().entry(key).or_default() += 1;
    }

    pub(super) fn keeper_looked(&self, uptime: Duration) {
        *self.keeper_step.lock() = Some(uptime);
    }

    /// Returns the counters of this module.
    pub(super) fn read(&self, uptime: Duration) -> Stats {
        let looked_at = *self.keeper_step.lock();
        Stats {
            durations: self.durations(),
            failed_calls: self.failed_calls.lock().clone(),
            lease_waits: self.lease_waits.read(),
            keeper_idle: looked_at.map(|at| uptime.saturating_sub(at)),
            ..Stats::default()
        }
    }

    fn durations(&self) -> Vec<(Kind, bool, Distribution)> {
        let of = |(kind, histograms): (&Kind, &[Histogram; 2])| {
            [false, true].map(|ok| (*kind, ok, histograms[usize::from(ok)].read()))
        };
        Kind::ALL.iter().zip(&self.durations).flat_map(of).collect()
    }
}

/// A histogram of durations.
#[derive(Default)]
pub(super) struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// The content of a `Histogram` at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// Upper bounds in seconds, the last one infinite, each with the number of values between the previous
    /// bound and this one.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all values in seconds.
    pub sum: f64,
}

impl Histogram {
    pub(super) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[Distribution::bucket(&BOUNDS, micros)].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    fn read(&self) -> Distribution {
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        Distribution::of(&BOUNDS, counts, self.micros.load(Relaxed))
    }
}

impl Distribution {
    /// Creates it from upper bounds in microseconds, the count of each bucket (the last one has no bound), and the
    /// sum in microseconds.
    #[allow(clippy::cast_precision_loss)] // 285 years of microseconds fit
    pub(crate) fn of(bounds: &[u64], counts: impl IntoIterator<Item = u64>, micros: u64) -> Self {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let bounds = bounds.iter().map(|bound| seconds(*bound));
        Self {
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
            sum: seconds(micros),
        }
    }

    /// Returns the index of the bucket that counts a duration.
    pub(crate) fn bucket(bounds: &[u64], micros: u64) -> usize {
        let first = bounds.iter().position(|bound| micros <= *bound);
        first.unwrap_or(bounds.len())
    }
}

/// Returns WeChat's errcode if the table knows it, which bounds the number of labels; `other` for unknown
/// codes, `none` if WeChat sent no code.
pub fn errcode_label(error: &UpstreamError) -> String {
    match error.errcode() {
        None => "none".to_owned(),
        Some(code)
            if codes::all()
                .any(|(system, _, known, _)| system == error.system && known == code) =>
        {
            code.to_string()
        }
        Some(_) => "other".to_owned(),
    }
}

/// The histograms' bounds in microseconds. WeChat answers within 0.05 to 0.2 s. A call ends after
/// `upstream.timeout_ms` (5 s by default), and a refresh may need several.
const BOUNDS: [u64; 10] = [
    50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000,
    60_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{CallAuth, Failure, System};

    fn refused(errcode: i64) -> UpstreamError {
        let failure = Failure::Refused {
            errcode,
            errmsg: "…".into(),
            blocked_until: None,
            few_calls: None,
        };
        UpstreamError {
            endpoint: "/x",
            system: System::Weixin,
            auth: CallAuth::WithSecret,
            failure,
            also_seen: Vec::new(),
        }
    }

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for millis in [50, 51, 60_000, 60_001] {
            histogram.observe(Duration::from_millis(millis));
        }
        let read = histogram.read();
        let filled: Vec<_> = read
            .buckets
            .iter()
            .filter(|(_, count)| *count > 0)
            .copied()
            .collect();
        assert_eq!(filled, [(0.05, 1), (0.1, 1), (60.0, 1), (f64::INFINITY, 1)]);
        assert!((read.sum - 120.102).abs() < 1e-9, "{read:?}");
    }

    #[test]
    fn every_outcome_is_counted_under_its_own_name() {
        let mut counts = SlotCounts::default();
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            for _ in 0..=at {
                counts.count(outcome);
            }
        }
        let expected = [
            "refreshed",
            "from_store",
            "no_token",
            "rate_limited",
            "transient",
            "stale_token",
            "quota",
            "setup",
        ];
        assert_eq!(
            counts.outcomes(),
            std::array::from_fn(|at| (expected[at], at as u64 + 1))
        );
    }

    #[test]
    fn unknown_errcodes_share_one_label() {
        assert_eq!(
            errcode_label(&refused(codes::all().next().unwrap().2)),
            codes::all().next().unwrap().2.to_string()
        );
        assert_eq!(
            [refused(987_654), refused(987_655)].map(|error| errcode_label(&error)),
            ["other", "other"]
        );
        let lost = UpstreamError {
            failure: Failure::ReplyLost("…".into()),
            ..refused(0)
        };
        assert_eq!(errcode_label(&lost), "none");
    }

    #[test]
    fn the_call_count_is_unknown_then_todays_then_zero_after_midnight() {
        let mut counts = SlotCounts::default();
        let now = UnixTime(1_767_225_600);
        assert_eq!(counts.calls_today(now), None);
        counts.called(7, now);
        assert_eq!(counts.calls_today(now), Some(7));
        assert_eq!(counts.calls_today(now.next_shanghai_midnight()), Some(0));
    }

    #[test]
    fn the_last_success_of_a_clock_that_was_ahead_is_replaced() {
        let mut counts = SlotCounts::default();
        let now = UnixTime(1_767_225_600);
        counts.succeeded(Outcome::Refreshed, now, now);
        counts.succeeded(Outcome::FromStore, UnixTime(now.0 - 100), now);
        assert_eq!(counts.last_success, Some(now), "an older value");
        let ahead = UnixTime(now.0 + 86_400);
        counts.succeeded(Outcome::Refreshed, ahead, ahead);
        let later = UnixTime(now.0 + 60);
        counts.succeeded(Outcome::Refreshed, later, later);
        assert_eq!(counts.last_success, Some(later));
    }

    #[test]
    fn a_keeper_that_never_ran_has_no_age() {
        let counters = Counters::default();
        let uptime = Duration::from_secs(5);
        assert_eq!(counters.read(uptime).keeper_idle, None);
        counters.keeper_looked(Duration::ZERO);
        assert_eq!(counters.read(uptime).keeper_idle, Some(uptime));
    }
}
