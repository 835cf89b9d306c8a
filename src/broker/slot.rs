//! The state of one credential besides its current value: the running refresh, the last failure, and the
//! last value seen.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::current::Current;
use super::history::History;
use super::stats::SlotCounts;
use super::token_index::Buyers;
use crate::clock::{Clock, UnixTime};
use crate::credential::{Credential, CredentialKey, Kind, Secret};
use crate::error::{Class, Error, UpstreamError, Wait, next_probe};

/// Why a credential is refreshed.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// A reader found no valid credential.
    Missing,
    /// The keeper found it close to its end.
    Due,
    /// A client reported that WeChat rejected this value.
    Rejected(Secret),
    /// An operator requested a refresh.
    RefreshNow,
}

/// The result of a refresh, for all callers that wait for it; `None` while it is running.
pub(super) type Outcome = Option<Result<Arc<Credential>, Error>>;

/// One credential of one account.
pub(super) struct Slot {
    pub(super) key: CredentialKey,
    /// Spreads the refreshes of accounts that were started together. The same key always gives the same
    /// number.
    pub(super) spread: u64,
    wanted: AtomicBool,
    /// Whether [`Remembered::pending`] may be set. Lets the keeper, which checks every second, skip the lock.
    may_retry: AtomicBool,
    pub(super) counts: SlotCounts,
    /// The API keys that were given this access token; empty for tickets.
    pub(super) buyers: Buyers,
    /// The view of the current value, which the cache owns.
    pub(super) view: ArcSwapOption<Current>,
    state: Mutex<State>,
}

/// The part of a slot behind its lock. The lock is held for a few instructions and never across an await.
#[derive(Default)]
pub(super) struct State {
    /// The running refresh.
    pub(super) flight: Option<watch::Receiver<Outcome>>,
    /// The last failure; cleared by a success. Boxed, because most slots have none.
    pub(super) failure: Option<Box<Remembered>>,
    /// The last credential seen, valid or not. Distinguishes a new value from a repeated one.
    pub(super) last: Option<Arc<Credential>>,
    /// When, in uptime, this process first saw the value, and how long the value then had to live. Not
    /// affected by changes of the wall clock.
    pub(super) seen: Option<(Duration, Duration)>,
    /// Whether its dates come from a call of this process. Dates from the store may come from a node with a
    /// wrong clock.
    pub(super) dated_here: bool,
    /// Whether its end was moved later because this machine's clock had been set. Such dates are valid on
    /// this machine only and are not shared.
    pub(super) adjusted: bool,
    /// The credential before the last one, and when it was replaced. WeChat accepts an access token for
    /// some minutes after it was replaced.
    pub(super) previous: Option<(Arc<Credential>, UnixTime)>,
    /// When an on-demand refresh was last started.
    pub(super) refreshed_on_demand: Option<UnixTime>,
    /// The value reported in the last `reject`. Once replaced, it no longer counts as a valid token.
    pub(super) rejected: Option<Secret>,
    /// Set when WeChat returned the same value again: the keeper does not call before this time.
    pub(super) nothing_new_until: Option<UnixTime>,
    /// Number of refreshes that brought a value.
    pub(super) refreshes: u64,
    /// Number of token calls whose reply was lost, so that the old token's life was cut short.
    pub(super) lost_replies: u64,
    /// Number of tokens rejected long before their end, which means that another server fetches tokens of
    /// this app.
    pub(super) foreign_refreshes: u64,
    /// Whether the log already says that the last value ended while its refresh failed.
    pub(super) end_is_logged: bool,
    /// The results of the last refreshes.
    pub(super) history: History,
    /// WeCom repeats the same token until it ends, so an earlier call returns no new one.
    pub(super) rotates_at_its_end: bool,
    /// Number of values in a row that had only seconds to live.
    short_lives: u32,
    /// IP addresses that WeChat refused for this account, latest first. Boxed, because most accounts have
    /// none.
    refused_from: Option<Box<Addresses>>,
}

/// IP addresses, each with the time of its last refusal.
#[derive(Default)]
struct Addresses(Vec<(IpAddr, UnixTime)>);

/// A remembered failure, which prevents another try before `until`.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) error: Arc<UpstreamError>,
    /// The credential that failed. A ticket's failure may be its token's.
    pub(super) kind: Kind,
    pub(super) at: UnixTime,
    /// When the first failure in a row happened.
    pub(super) since: UnixTime,
    pub(super) until: UnixTime,
    /// Number of failures in a row.
    pub(super) failures: u32,
    /// The on-demand refresh that failed, kept until it succeeds: a value that looks fresh may be dead.
    pub(super) pending: Option<PendingRetry>,
}

/// An on-demand refresh that failed. The keeper retries it, however fresh the value looks.
#[derive(Clone, Debug)]
pub(super) struct PendingRetry {
    pub(super) reason: Reason,
    /// The earliest time of the retry; the retry also waits for the end of the failure.
    pub(super) from: UnixTime,
}

impl Slot {
    pub(super) fn new(key: CredentialKey, kept: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let state = State {
            rotates_at_its_end: key.kind == Kind::AccessToken && key.app.is_work(),
            ..State::default()
        };
        Self {
            key,
            spread: hasher.finish(),
            wanted: AtomicBool::new(kept),
            may_retry: AtomicBool::new(false),
            counts: SlotCounts::default(),
            buyers: Buyers::default(),
            view: ArcSwapOption::empty(),
            state: Mutex::new(state),
        }
    }

    /// Whether the keeper refreshes this credential: one that an ordinary page needs, or one fetched at
    /// least once.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Makes the keeper refresh this credential from now on.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the keeper must retry a failed on-demand refresh now.
    pub(super) fn must_retry(&self, now: UnixTime) -> bool {
        if !self.may_retry.load(Ordering::Relaxed) {
            return false;
        }
        let state = self.lock();
        let retry_from = state.retry_from();
        self.may_retry
            .store(retry_from.is_some(), Ordering::Relaxed);
        state.flight.is_none() && retry_from.is_some_and(|from| from <= now)
    }

    /// Records a failed refresh that was started for this reason.
    pub(super) fn fail(
        &self,
        state: &mut State,
        error: Arc<UpstreamError>,
        kind: Kind,
        reason: &Reason,
        now: UnixTime,
    ) {
        state.fail(error, kind, reason, now);
        self.may_retry
            .store(state.retry_from().is_some(), Ordering::Relaxed);
    }

    /// See [`State::clock_was_set_back`]. Returns whether the slot was waiting for a spent quota of its
    /// own.
    pub(super) fn clock_was_set_back(&self, now: UnixTime) -> bool {
        let mut state = self.lock();
        state.clock_was_set_back(now);
        let of_its_own = state
            .failure
            .as_ref()
            .filter(|failure| failure.kind == self.key.kind);
        of_its_own.is_some_and(|failure| failure.error.class() == Class::Quota)
    }

    /// Whether it waits for the end of a quota block that the store remembers.
    pub(super) fn is_blocked(&self, now: UnixTime) -> bool {
        let state = self.lock();
        let failure = state
            .cooldown(now)
            .filter(|failure| failure.kind == self.key.kind);
        failure.is_some_and(|failure| failure.error.is_block())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves only plain data behind, which is still consistent.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Reason {
    /// Whether a client or an operator asked for the refresh, so that the rate limit applies.
    pub(super) fn is_on_demand(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::RefreshNow)
    }

    /// Returns the name for the log.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Due => "due",
            Self::Rejected(_) => "rejected",
            Self::RefreshNow => "refresh_now",
        }
    }
}

impl State {
    /// Records a credential and returns the newest one known. A lower generation never replaces a higher
    /// one; of the same generation, the shorter life wins.
    pub(super) fn see(&mut self, seen: &Arc<Credential>, clock: &Clock) -> Arc<Credential> {
        let now = clock.now();
        let newest = match self.last.take() {
            Some(last)
                if (last.generation, seen.expires_at) > (seen.generation, last.expires_at) =>
            {
                last
            }
            Some(last) if last.value == seen.value => seen.clone(),
            last => {
                self.seen = Some((clock.uptime(), seen.remaining(now)));
                self.previous = last.map(|last| (last, now));
                (self.adjusted, self.dated_here, self.end_is_logged) = (false, false, false);
                seen.clone()
            }
        };
        self.last = Some(newest.clone());
        if self.rotates_at_its_end {
            self.nothing_new_until = Some(newest.expires_at);
        }
        newest
    }

    /// Returns when a value of this slot is due for a refresh: ahead of its end, or at its end if WeChat
    /// would only repeat it before.
    pub(super) fn due_at(&self, value: &Credential, spread: u64) -> UnixTime {
        if self.rotates_at_its_end {
            value.expires_at
        } else {
            value.due_at(spread)
        }
    }

    /// Records the life of a new value. A life of seconds may be the rest of a longer one, so the value is
    /// served to its end. After two such values in a row, returns how long to wait before the next call.
    pub(super) fn pause_after(&mut self, value: &Credential) -> Option<Duration> {
        if value.life() >= SHORT_LIFE {
            self.short_lives = 0;
            return None;
        }
        self.nothing_new_until = Some(value.expires_at);
        self.short_lives = self.short_lives.saturating_add(1);
        let doublings = self.short_lives.checked_sub(2)?.min(8);
        Some((SHORT_PAUSE * (1 << doublings)).min(LONG_PAUSE))
    }

    /// Records an IP address that WeChat refused, and returns the other addresses refused within the last
    /// day, latest first.
    pub(super) fn refused_from(&mut self, ip: IpAddr, now: UnixTime) -> Vec<IpAddr> {
        let Addresses(seen) = &mut **self.refused_from.get_or_insert_default();
        seen.retain(|(other, at)| *other != ip && now.since(*at) < REFUSED_FOR);
        let others = seen.iter().map(|(other, _)| *other).collect();
        seen.insert(0, (ip, now));
        seen.truncate(MOST_ADDRESSES);
        others
    }

    /// Returns the IP addresses that WeChat refused within the last day, latest first.
    pub(super) fn addresses(&self, now: UnixTime) -> Vec<IpAddr> {
        let seen = self.refused_from.iter().flat_map(|seen| &seen.0);
        seen.filter(|(_, at)| now.since(*at) < REFUSED_FOR)
            .map(|(ip, _)| *ip)
            .collect()
    }

    /// Forgets the refused addresses: calls leave by another way now.
    pub(super) fn forget_addresses(&mut self) {
        self.refused_from = None;
    }

    /// Returns when the last value ends, in uptime.
    pub(super) fn ends_in_uptime(&self) -> Option<Duration> {
        self.seen.map(|(at, left)| at + left)
    }

    /// Returns when the last value ends, computed from the uptime since this process first saw it.
    pub(super) fn end_by_uptime(&self, clock: &Clock) -> Option<UnixTime> {
        self.ends_in_uptime()
            .map(|ends| clock.now().plus(ends.saturating_sub(clock.uptime())))
    }

    /// Returns the failure that still prevents another try.
    pub(super) fn cooldown(&self, now: UnixTime) -> Option<&Remembered> {
        self.failure
            .as_deref()
            .filter(|failure| now < failure.until)
    }

    /// Whether WeChat has confirmed that there is no newer value than the last one.
    pub(super) fn is_confirmed(&self, now: UnixTime) -> bool {
        self.nothing_new_until.is_some_and(|until| now < until)
            && self.last.as_ref().is_some_and(|last| last.expires_at > now)
    }

    /// Whether a refresh is running or has to wait, so that the keeper has nothing to start.
    pub(super) fn is_busy(&self, now: UnixTime) -> bool {
        self.flight.is_some()
            || self.cooldown(now).is_some()
            || self.nothing_new_until.is_some_and(|until| now < until)
    }

    /// Returns how long the rate limit still refuses another on-demand refresh.
    pub(super) fn rate_limited_for(&self, now: UnixTime) -> Option<Duration> {
        let left = MIN_DEMAND_GAP.saturating_sub(now.since(self.refreshed_on_demand?));
        (!left.is_zero()).then_some(left)
    }

    /// Records a failure of this slot.
    fn fail(&mut self, error: Arc<UpstreamError>, kind: Kind, reason: &Reason, now: UnixTime) {
        let before = self.failure.take();
        let (failures, since) = before
            .as_ref()
            .map_or((0, now), |failure| (failure.failures, failure.since));
        let failures = failures.saturating_add(1);
        let until = retry_at(error.wait(), failures, now);
        let pending =
            PendingRetry::after(reason, until, before.and_then(|failure| failure.pending));
        self.failure = Some(Box::new(Remembered {
            error,
            kind,
            since,
            at: now,
            until,
            failures,
            pending,
        }));
    }

    /// Returns when the keeper may retry a failed on-demand refresh: after its own time, the failure's
    /// cooldown and the rate limit.
    pub(super) fn retry_from(&self) -> Option<UnixTime> {
        let failure = self.failure.as_deref()?;
        let limited = self
            .refreshed_on_demand
            .map_or(UnixTime(0), |at| at.plus(MIN_DEMAND_GAP));
        Some(
            failure
                .pending
                .as_ref()?
                .from
                .max(failure.until)
                .max(limited),
        )
    }

    /// Returns the reason of the failed on-demand refresh, if it can be retried now.
    pub(super) fn retry_reason(&self, now: UnixTime) -> Option<Reason> {
        self.retry_from().filter(|from| *from <= now)?;
        self.failure
            .as_ref()?
            .pending
            .as_ref()
            .map(|pending| pending.reason.clone())
    }

    /// Postpones the pending retry: the rate limit refuses it before this time.
    pub(super) fn postpone_retry(&mut self, from: UnixTime) {
        if let Some(pending) = self
            .failure
            .as_mut()
            .and_then(|failure| failure.pending.as_mut())
        {
            pending.from = pending.from.max(from);
        }
    }

    /// Drops the pending retry, because the value has been replaced already.
    pub(super) fn drop_retry(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.pending = None;
        }
    }

    /// Ends the cooldown, because the cause of the failures has probably been removed. A pending retry
    /// stays pending.
    pub(super) fn end_cooldown(&mut self, now: UnixTime) {
        match self
            .failure
            .as_mut()
            .filter(|failure| failure.pending.is_some())
        {
            Some(failure) => failure.end_by(now),
            None => self.failure = None,
        }
    }

    /// Corrects recorded times after the clock was set back. Waits that end in the future, by the wrong
    /// clock, would last as long as the clock was ahead; one try too early costs less.
    fn clock_was_set_back(&mut self, now: UnixTime) {
        if let Some(failure) = &mut self.failure {
            failure.end_by(now);
            (failure.at, failure.since) = (failure.at.min(now), failure.since.min(now));
        }
        if let Some((_, replaced)) = &mut self.previous {
            *replaced = (*replaced).min(now);
        }
        (self.nothing_new_until, self.refreshed_on_demand) = (None, None);
    }
}

impl PendingRetry {
    /// A reported dead value takes precedence over an operator's request. Neither is dropped when another
    /// refresh fails.
    fn after(reason: &Reason, from: UnixTime, before: Option<Self>) -> Option<Self> {
        match (reason, before) {
            (Reason::Rejected(_), _) | (Reason::RefreshNow, None) => Some(Self {
                reason: reason.clone(),
                from,
            }),
            (_, before) => before,
        }
    }
}

impl Remembered {
    /// Whether an operator may end the wait early: always, except for a ban of this server's IP address.
    pub(super) fn is_overridden_by(&self, reason: &Reason) -> bool {
        matches!(reason, Reason::RefreshNow)
            && (matches!(self.error.wait(), Wait::Backoff | Wait::Slow)
                || self.error.class() == Class::Quota)
    }

    /// Ends all waits at this time at the latest.
    pub(super) fn end_by(&mut self, time: UnixTime) {
        self.until = self.until.min(time);
        if let Some(pending) = &mut self.pending {
            pending.from = pending.from.min(time);
        }
    }

    /// Returns the failure as the error for callers. `served`: whether a valid credential exists meanwhile.
    pub(super) fn as_error(&self, account: &str, served: bool, now: UnixTime) -> Error {
        Error::Upstream {
            account: account.to_owned(),
            kind: self.kind,
            error: self.error.clone(),
            served,
            retry_at: self.until,
            retry_after: self.until.since(now).max(Duration::from_secs(1)),
        }
    }
}

/// Returns when to try again after the `failures`-th failure in a row. The jitter keeps many servers from
/// retrying at the same time.
fn retry_at(wait: Wait, failures: u32, now: UnixTime) -> UnixTime {
    let doubled =
        |first: u64, last: u64| first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    let jittered = |seconds: u64| seconds + rand::random_range(0..=seconds / 2);
    match wait {
        Wait::Backoff => UnixTime(now.0 + jittered(doubled(1, 60))),
        Wait::Slow => UnixTime(now.0 + doubled(60, 300) + rand::random_range(0..=15)),
        Wait::NextMinute => UnixTime((now.0 / 60 + 1) * 60 + rand::random_range(0..=5)),
        Wait::NextDay => next_probe(now).plus(Duration::from_secs(rand::random_range(0..=60))),
        Wait::For(time) => now.plus(time),
        Wait::Until(time) => time,
    }
}

/// At most one on-demand refresh per credential within this time, so that no client can exhaust the quota.
/// WeChat itself answers two forced calls to `stable_token` within 30 s with the same token:
/// <https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>
pub(super) const MIN_DEMAND_GAP: Duration = Duration::from_secs(30);

/// A new value with a shorter life cannot be refreshed ahead of its end.
const SHORT_LIFE: Duration = Duration::from_secs(60);

/// Pause between two calls that return such values, doubled up to [`LONG_PAUSE`]: some 300 calls a day, of
/// WeChat's 2,000.
const SHORT_PAUSE: Duration = Duration::from_secs(30);
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// Allow lists are filled by hand, and a NAT pool has few addresses.
const MOST_ADDRESSES: usize = 8;

/// An address refused longer ago may belong to another network by now.
const REFUSED_FOR: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_day_are_kept_latest_first_and_no_more_than_eight() {
        let mut state = State::default();
        let ip = |last: u8| IpAddr::from([203, 0, 113, last]);
        let at = |seconds: u64| UnixTime(1_767_225_600 + seconds);
        assert!(state.refused_from(ip(1), at(0)).is_empty());
        assert_eq!(state.refused_from(ip(2), at(1)), [ip(1)]);
        assert_eq!(state.refused_from(ip(1), at(2)), [ip(2)], "not itself");
        let v6 = "2001:db8::7".parse().unwrap();
        assert_eq!(state.refused_from(v6, at(3)), [ip(1), ip(2)]);
        assert_eq!(state.refused_from(ip(2), at(86_402)), [v6], "a day later");
        for last in 10..40 {
            state.refused_from(ip(last), at(86_403));
        }
        assert_eq!(state.refused_from(ip(40), at(86_404)).len(), 8);
    }

    #[test]
    fn transient_failures_are_retried_later_and_later_up_to_a_minute_and_a_half() {
        for (failures, least, most) in [
            (1, 1, 1),
            (2, 2, 3),
            (3, 4, 6),
            (6, 32, 48),
            (7, 60, 90),
            (1_000, 60, 90),
        ] {
            for _ in 0..50 {
                let wait = retry_at(Wait::Backoff, failures, UnixTime(1_000)).0 - 1_000;
                assert!(
                    (least..=most).contains(&wait),
                    "failure {failures}: {wait} s"
                );
            }
        }
    }

    #[test]
    fn what_a_person_must_mend_is_tried_once_in_one_to_five_minutes() {
        for (failures, least) in [(1, 60), (2, 120), (3, 240), (4, 300), (400, 300)] {
            let wait = retry_at(Wait::Slow, failures, UnixTime(0)).0;
            assert!(
                (least..=least + 15).contains(&wait),
                "failure {failures}: {wait} s"
            );
        }
    }

    #[test]
    fn quotas_are_waited_out() {
        assert!((120..=125).contains(&retry_at(Wait::NextMinute, 1, UnixTime(60)).0));
        let midnight = UnixTime(1_704_124_800);
        for (before, wait) in [(5_000, 3_600), (3_600, 3_600), (500, 500)] {
            let now = UnixTime(midnight.0 - before);
            let waited = retry_at(Wait::NextDay, 3, now).0 - now.0;
            assert!((wait..=wait + 60).contains(&waited), "{waited}");
        }
        assert_eq!(
            retry_at(Wait::For(Duration::from_secs(3_600)), 9, UnixTime(1)),
            UnixTime(3_601)
        );
    }

    #[test]
    fn servers_that_failed_together_do_not_come_back_together() {
        let times: std::collections::HashSet<_> = (0..200)
            .map(|_| retry_at(Wait::Backoff, 10, UnixTime(0)))
            .collect();
        assert!(times.len() > 10);
    }
}
