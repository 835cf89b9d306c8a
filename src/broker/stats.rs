//! Counters and gauges for monitoring: plain numbers, updated as events happen and read together with
//! [`Broker::figures`].
//!
//! Independent of any monitoring system; `server::metrics` does the formatting. Contains no secrets.
//! Reading a credential does not touch these counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::instrumented::Operations;
use super::slot::{Remembered, Slot};
use super::{AccountEntry, Broker};
use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::error::{Class, Error, UpstreamError, codes};
use crate::upstream::endpoint;

/// All statistics of the broker at one moment.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The accounts, sorted by name.
    pub accounts: Vec<AccountStats>,
    /// Durations of refreshes that called WeChat, by kind and by success.
    pub durations: Vec<(Kind, bool, Distribution)>,
    /// Failed calls, by kind, class and [`errcode_label`].
    pub failed_calls: Vec<((Kind, &'static str, String), u64)>,
    /// Time spent waiting for a peer node's refresh.
    pub lease_waits: Distribution,
    /// Store operations: name, number of operations, number of errors.
    pub store: Vec<(&'static str, u64, u64)>,
    /// Time since the keeper last checked for due credentials; `None` before its first step.
    pub keeper_idle: Option<Duration>,
    /// See [`Broker::clock_jumps`].
    pub clock_jumps: u64,
}

/// Statistics of one account.
#[derive(Clone, Debug)]
pub struct AccountStats {
    /// Its name.
    pub account: String,
    /// Its credentials: those that an ordinary page needs, and those fetched at least once.
    pub credentials: Vec<CredentialStats>,
    /// Calls today (Shanghai time) by endpoint, by all nodes that share the store, as last read.
    pub calls_today: Vec<(&'static str, u64)>,
}

/// Statistics of one credential.
#[derive(Clone, Debug)]
pub struct CredentialStats {
    /// Its kind.
    pub kind: Kind,
    /// How long it will still be served; zero if there is none.
    pub served_for: Duration,
    /// Time of the last success: when WeChat returned a value, or when a value found in the store was
    /// issued.
    pub last_success: Option<UnixTime>,
    /// How long its refresh has been due. Zero while WeChat confirms that there is no newer value.
    pub overdue: Duration,
    /// The current failure.
    pub failing: Option<Failing>,
    /// Refresh outcomes and their counts.
    pub outcomes: [(&'static str, u64); OUTCOMES],
    /// Number of tokens that were rejected long before their end.
    pub foreign_refreshes: u64,
    /// Number of token calls whose reply was lost.
    pub lost_replies: u64,
    /// Number of ticket calls that were refused because of their token.
    pub stale_refusals: u64,
}

/// A failure that no success has followed yet.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Time since the first failure in a row.
    pub since: Duration,
    /// Time until the next try.
    pub retry_in: Duration,
    /// `transient`, `stale_token`, `quota` or `setup`.
    pub class: &'static str,
    /// [`errcode_label`].
    pub errcode: String,
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
    Rationed,
    /// WeChat returned no value.
    Failed(Class),
}

/// Number of outcomes.
pub const OUTCOMES: usize = 8;

impl Outcome {
    const ALL: [Self; OUTCOMES] = [
        Self::Refreshed,
        Self::FromStore,
        Self::NoToken,
        Self::Rationed,
        Self::Failed(Class::Transient),
        Self::Failed(Class::StaleToken),
        Self::Failed(Class::Quota),
        Self::Failed(Class::Setup),
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Refreshed => "refreshed",
            Self::FromStore => "from_store",
            Self::NoToken => "no_token",
            Self::Rationed => "rate_limited",
            Self::Failed(class) => class.as_str(),
        }
    }
}

/// Counters of one credential. Kept small, for thirty thousand credentials.
#[derive(Default)]
pub(super) struct SlotCounts {
    outcomes: [AtomicU32; OUTCOMES],
    stale_refusals: AtomicU32,
    /// Calls to its endpoint, and the midnight until which they count as today's.
    calls: AtomicU32,
    calls_until: AtomicU64,
    /// In seconds; 0 means never.
    last_success: AtomicU64,
}

impl SlotCounts {
    pub(super) fn count(&self, outcome: Outcome) {
        let at = Outcome::ALL
            .iter()
            .position(|known| *known == outcome)
            .expect("all outcomes are in it");
        self.outcomes[at].fetch_add(1, Relaxed);
    }

    pub(super) fn succeeded(&self, outcome: Outcome, at: UnixTime) {
        self.count(outcome);
        self.last_success.fetch_max(at.0, Relaxed);
    }

    pub(super) fn token_was_refused(&self) {
        self.stale_refusals.fetch_add(1, Relaxed);
    }

    /// Records the number of calls counted today.
    pub(super) fn called(&self, count: u64, now: UnixTime) {
        self.calls
            .store(u32::try_from(count).unwrap_or(u32::MAX), Relaxed);
        self.calls_until
            .store(now.next_shanghai_midnight().0, Relaxed);
    }

    /// Returns today's calls; `None` if they have not been read yet.
    pub(super) fn calls_today(&self, now: UnixTime) -> Option<u64> {
        match self.calls_until.load(Relaxed) {
            0 => None,
            until if now.0 < until => Some(self.calls.load(Relaxed).into()),
            _ => Some(0),
        }
    }

    fn outcomes(&self) -> [(&'static str, u64); OUTCOMES] {
        std::array::from_fn(|at| {
            (
                Outcome::ALL[at].as_str(),
                self.outcomes[at].load(Relaxed).into(),
            )
        })
    }
}

/// Counters that do not belong to one credential.
#[derive(Default)]
pub(super) struct Counts {
    /// By [`Kind::ALL`]: failed refreshes, then successful ones.
    durations: [[Spread; 2]; Kind::ALL.len()],
    pub(super) lease_waits: Spread,
    failed_calls: Mutex<BTreeMap<(Kind, &'static str, String), u64>>,
    /// In milliseconds of uptime, plus one; 0 means never.
    keeper_step: AtomicU64,
}

impl Counts {
    pub(super) fn refreshed(&self, kind: Kind, well: bool, took: Duration) {
        let at = Kind::ALL
            .iter()
            .position(|known| *known == kind)
            .expect("all kinds are in it");
        self.durations[at][usize::from(well)].observe(took);
    }

    /// The number of labels is bounded by the table of errcodes; other codes share one label.
    pub(super) fn call_failed(&self, kind: Kind, error: &UpstreamError) {
        let key = (kind, error.class().as_str(), errcode_label(error));
        *self
            .failed_calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default() += 1;
    }

    pub(super) fn keeper_looked(&self, uptime: Duration) {
        self.keeper_step.store(millis(uptime) + 1, Relaxed);
    }

    fn keeper_idle(&self, uptime: Duration) -> Option<Duration> {
        let at = self.keeper_step.load(Relaxed).checked_sub(1)?;
        Some(Duration::from_millis(millis(uptime).saturating_sub(at)))
    }

    fn durations(&self) -> Vec<(Kind, bool, Distribution)> {
        let of = |(kind, spreads): (&Kind, &[Spread; 2])| {
            [false, true].map(|well| (*kind, well, spreads[usize::from(well)].read()))
        };
        Kind::ALL.iter().zip(&self.durations).flat_map(of).collect()
    }
}

/// A histogram of durations.
#[derive(Default)]
pub(super) struct Spread {
    counts: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// The content of a `Spread` at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Upper bounds in seconds, the last one infinite, each with the number of values between the previous
    /// bound and this one.
    pub buckets: Vec<(f64, u64)>,
    /// Sum of all values in seconds.
    pub sum: f64,
}

impl Spread {
    pub(super) fn observe(&self, took: Duration) {
        let at = BUCKETS
            .iter()
            .position(|bound| took.as_secs_f64() <= *bound)
            .unwrap_or(BUCKETS.len());
        self.counts[at].fetch_add(1, Relaxed);
        self.micros
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    fn read(&self) -> Distribution {
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        let buckets = bounds
            .zip(&self.counts)
            .map(|(bound, count)| (bound, count.load(Relaxed)))
            .collect();
        Distribution {
            buckets,
            sum: Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64(),
        }
    }
}

impl Broker {
    /// Returns all statistics. Calls neither the store nor WeChat; costs a few microseconds per account.
    #[must_use]
    pub fn figures(&self) -> Stats {
        let (inner, counts) = (&self.inner, &self.inner.counts);
        let mut accounts: Vec<_> = inner
            .members
            .load()
            .all()
            .map(|member| self.figures_of(member))
            .collect();
        accounts.sort_by(|a, b| a.account.cmp(&b.account));
        let failed = counts
            .failed_calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Stats {
            accounts,
            durations: counts.durations(),
            failed_calls: failed.into_iter().collect(),
            lease_waits: counts.lease_waits.read(),
            store: Operations::read(inner.store.operations()),
            keeper_idle: counts.keeper_idle(inner.clock.uptime()),
            clock_jumps: self.clock_jumps(),
        }
    }

    fn figures_of(&self, member: &AccountEntry) -> AccountStats {
        let wanted = || member.slots.iter().filter(|slot| slot.is_wanted());
        let mut calls: Vec<(&'static str, u64)> = Vec::new();
        for slot in wanted() {
            let (_, endpoint) = endpoint(&member.account, slot.key.kind);
            let Some(count) = slot.counts.calls_today(self.inner.clock.now()) else {
                continue;
            };
            // Two tickets may come from the same endpoint. The greater count was read later.
            match calls.iter_mut().find(|(known, _)| *known == endpoint) {
                Some((_, known)) => *known = count.max(*known),
                None => calls.push((endpoint, count)),
            }
        }
        AccountStats {
            account: member.name.clone(),
            credentials: wanted().map(|slot| self.figures_of_slot(slot)).collect(),
            calls_today: calls,
        }
    }

    fn figures_of_slot(&self, slot: &Slot) -> CredentialStats {
        let now = self.inner.clock.now();
        let served_for = self.served_for(slot);
        let state = slot.lock();
        CredentialStats {
            kind: slot.key.kind,
            served_for,
            last_success: Some(slot.counts.last_success.load(Relaxed))
                .filter(|at| *at > 0)
                .map(UnixTime),
            overdue: overdue(&state, slot.spread, now),
            failing: state
                .failure
                .as_ref()
                .map(|failure| Failing::of(failure, now)),
            outcomes: slot.counts.outcomes(),
            foreign_refreshes: state.foreign_refreshes,
            lost_replies: state.lost_replies,
            stale_refusals: slot.counts.stale_refusals.load(Relaxed).into(),
        }
    }

    /// Returns how long the credential will still be served.
    pub(super) fn served_for(&self, slot: &Slot) -> Duration {
        let at = self.inner.clock.moment();
        self.current(slot, &at)
            .as_ref()
            .map_or(Duration::ZERO, |current| current.served_for(&at))
    }
}

/// Returns how long the refresh has been due, or, if there was never a value, the time since the first
/// failure.
fn overdue(state: &super::slot::State, spread: u64, now: UnixTime) -> Duration {
    if state.is_confirmed(now) {
        return Duration::ZERO;
    }
    match (&state.last, &state.failure) {
        (Some(last), _) => now.since(state.due_at(last, spread)),
        (None, Some(failure)) => now.since(failure.since),
        (None, None) => Duration::ZERO,
    }
}

impl Failing {
    fn of(failure: &Remembered, now: UnixTime) -> Self {
        Self {
            since: now.since(failure.since),
            retry_in: failure.until.since(now),
            class: failure.error.class().as_str(),
            errcode: errcode_label(&failure.error),
        }
    }
}

/// Returns the outcome that an error counts as; `None` for an error of another module.
pub(super) fn outcome_of(error: &Error) -> Option<Outcome> {
    match error {
        Error::Rationed { .. } => Some(Outcome::Rationed),
        Error::Upstream { error, .. } => Some(Outcome::Failed(error.class())),
        _ => None,
    }
}

/// Returns WeChat's errcode if the table knows it, which bounds the number of labels; `other` for unknown
/// codes, `none` if WeChat sent no code.
#[must_use]
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

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

/// In seconds. WeChat answers within 0.05 to 0.2 s. A call ends after `upstream.timeout_ms` (5 s by
/// default), and a ticket may need three calls.
const BUCKETS: [f64; 10] = [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Failure, Paid, System};

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
            paid: Paid::WithSecret,
            failure,
            also_seen: Vec::new(),
        }
    }

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let spread = Spread::default();
        for millis in [50, 51, 60_000, 60_001] {
            spread.observe(Duration::from_millis(millis));
        }
        let read = spread.read();
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
        let counts = SlotCounts::default();
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| counts.count(outcome));
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
    fn codes_that_no_table_knows_share_one_label() {
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
    fn the_count_of_calls_is_unknown_then_todays_then_none_after_midnight() {
        let (counts, now) = (SlotCounts::default(), UnixTime(1_767_225_600));
        assert_eq!(counts.calls_today(now), None);
        counts.called(7, now);
        assert_eq!(counts.calls_today(now), Some(7));
        assert_eq!(counts.calls_today(now.next_shanghai_midnight()), Some(0));
    }

    #[test]
    fn a_keeper_that_never_looked_has_no_age() {
        let counts = Counts::default();
        assert_eq!(counts.keeper_idle(Duration::from_secs(5)), None);
        counts.keeper_looked(Duration::ZERO);
        assert_eq!(
            counts.keeper_idle(Duration::from_secs(5)),
            Some(Duration::from_secs(5))
        );
    }
}
