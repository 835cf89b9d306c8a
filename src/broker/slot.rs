//! The state of one credential: a view of its current value, the last values seen, the running refresh, and
//! its counters. `retry` has the last failure and the wait after it, `refused_addresses` the IP addresses that
//! WeChat refused, `history` the results of the last refreshes, `hours` its last 24 hours.

mod history;
mod hours;
mod refused_addresses;
mod retry;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use self::history::History;
pub use self::history::{Refresh, RefreshOutcome};
pub use self::hours::{HOURS, HourState};
pub(super) use self::refused_addresses::MOST_ADDRESSES;
use self::refused_addresses::RefusedAddresses;
pub use self::retry::LastError;
use super::current::Current;
use super::stats::SlotCounts;
use super::token_index::Recipients;
use crate::clock::{Clock, UnixTime};
use crate::credential::{Credential, CredentialKey, Kind, Secret};
use crate::error::{Class, Error, UpstreamError};

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
pub(super) type FlightResult = Option<Result<Arc<Credential>, Error>>;

/// One credential of one account.
pub(super) struct Slot {
    pub(super) key: CredentialKey,
    /// Chooses the lead of its refreshes, so that accounts that were started together differ. The same key always
    /// gives the same number.
    pub(super) jitter_seed: u64,
    wanted: AtomicBool,
    /// Whether it was used since the keeper last asked.
    used: AtomicBool,
    /// Whether [`LastError::pending`] may be set. Lets the keeper, which checks every second, skip the lock.
    may_retry: AtomicBool,
    /// The view of the current value, which the cache owns.
    pub(super) view: ArcSwapOption<Current>,
    pub(super) details: Box<Details>,
}

/// The part of a slot that reading its value does not need. In its own allocation, so that what signatures read
/// of ten thousand accounts takes few pages of memory.
pub(super) struct Details {
    /// The API keys that were given this access token; empty for tickets.
    pub(super) recipients: Recipients,
    /// [`CredentialKey::secret_hash`] of the account that has this slot now, which its key lacks; 0 without one.
    secret_hash: AtomicU64,
    state: Mutex<State>,
}

/// The part of a slot behind its lock. The lock is held for a few instructions and never across an await.
#[derive(Default)]
pub(super) struct State {
    /// The running refresh, and why it was started.
    pub(super) flight: Option<(Reason, watch::Receiver<FlightResult>)>,
    /// The last failure; cleared by a success. Boxed, because most slots have none.
    pub(super) failure: Option<Box<LastError>>,
    /// The last credential seen, valid or not. Distinguishes a new value from a repeated one.
    pub(super) last: Option<Arc<Credential>>,
    /// When, in uptime, this process first saw the value, and how long the value then had to live. Not
    /// affected by changes of the wall clock.
    pub(super) seen: Option<(Duration, Duration)>,
    /// Whether it and its dates come from a call of this process. Dates from the store may come from a node with
    /// a wrong clock.
    pub(super) dated_here: bool,
    /// Whether its end was moved later because this machine's clock had been set. Such dates are valid on
    /// this machine only and are not shared.
    pub(super) adjusted: bool,
    /// The credential before the last one, and when it was replaced. WeChat accepts an access token for
    /// some minutes after it was replaced.
    pub(super) previous: Option<(Arc<Credential>, UnixTime)>,
    /// When it was last used, in uptime, as far as the keeper noticed.
    pub(super) last_used: Duration,
    /// From when on the rate limit allows an on-demand refresh, as far as is known without asking the store.
    pub(super) on_demand_from: Option<UnixTime>,
    /// Whether a refresh on request was claimed, and no call of it reached WeChat. The next one needs no claim.
    pub(super) has_unused_claim: bool,
    /// The value reported in the last `reject`. Once replaced, it no longer counts as a valid token.
    pub(super) rejected: Option<Secret>,
    /// The keeper does not call before this time: WeChat has just repeated the value, the value lives for seconds
    /// only, or WeCom repeats it until it ends.
    pub(super) nothing_new_until: Option<UnixTime>,
    /// Number of token calls whose reply was lost, so that the old token's life was cut short.
    pub(super) lost_replies: u64,
    /// Number of tokens rejected long before their end, which means that another server fetches tokens of
    /// this app.
    pub(super) foreign_refreshes: u64,
    /// Whether the log already says that the last value ended while its refresh failed.
    pub(super) end_is_logged: bool,
    /// What became of its refreshes.
    pub(super) counts: SlotCounts,
    /// The results of the last refreshes.
    pub(super) history: History,
    /// WeCom repeats the same token until it ends, so an earlier call returns no new one.
    pub(super) rotates_at_its_end: bool,
    /// Number of answers that repeated the value in its last second or after its end.
    repeats_at_its_end: u32,
    /// Number of values in a row that had only seconds to live.
    short_lives: u32,
    /// IP addresses that WeChat refused for this account, latest first. Boxed, because most accounts have
    /// none.
    refused: Option<Box<RefusedAddresses>>,
}

impl Slot {
    pub(super) fn new(key: CredentialKey, kept: bool) -> Self {
        let mut hasher = DefaultHasher::new();
        let app = &key.app;
        (app.platform, &app.id, app.agent_id, key.kind).hash(&mut hasher);
        if let Some(component) = &app.component {
            component.hash(&mut hasher);
        }
        let state = State {
            rotates_at_its_end: key.kind == Kind::AccessToken && key.app.is_work(),
            ..State::default()
        };
        Self {
            key,
            jitter_seed: hasher.finish(),
            wanted: AtomicBool::new(kept),
            used: AtomicBool::new(false),
            may_retry: AtomicBool::new(false),
            view: ArcSwapOption::empty(),
            details: Box::new(Details {
                recipients: Recipients::default(),
                secret_hash: AtomicU64::new(0),
                state: Mutex::new(state),
            }),
        }
    }

    /// Returns the key under which the credential is cached and stored.
    pub(super) fn stored_key(&self) -> CredentialKey {
        CredentialKey {
            secret_hash: NonZeroU64::new(self.details.secret_hash.load(Ordering::Relaxed)),
            ..self.key.clone()
        }
    }

    /// Notes under which key the account that has this slot now stores its credential. Returns whether it has a
    /// credential that is stored under another one.
    pub(super) fn set_secret_hash(&self, secret_hash: Option<NonZeroU64>) -> bool {
        let new = secret_hash.map_or(0, NonZeroU64::get);
        let had = self.details.secret_hash.swap(new, Ordering::Relaxed);
        had != new && self.view.load().is_some()
    }

    /// Whether the keeper refreshes this credential: one that an ordinary page needs, or one that was fetched or
    /// read at least once.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Makes the keeper refresh this credential from now on.
    pub(super) fn want(&self) {
        // Readers call this: as in `note_use`, mostly a read.
        if !self.is_wanted() {
            self.wanted.store(true, Ordering::Relaxed);
        }
    }

    /// Records that a reader used the value.
    pub(super) fn note_use(&self) {
        // Mostly true already: reading does not take the cache line from the other threads.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Returns when a reader last used the value, in uptime, as far as the keeper noticed.
    pub(super) fn last_use(&self, uptime: Duration) -> Duration {
        let mut state = self.lock();
        if self.used.swap(false, Ordering::Relaxed) {
            state.last_used = uptime;
        }
        state.last_used
    }

    /// Stops the refreshes until the next use.
    pub(super) fn give_up(&self) {
        self.wanted.store(false, Ordering::Relaxed);
        self.lock().failure = None;
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

    /// Records a failed refresh that was started for this reason, and returns the record.
    pub(super) fn fail<'a>(
        &self,
        state: &'a mut State,
        error: Arc<UpstreamError>,
        kind: Kind,
        reason: &Reason,
        now: UnixTime,
    ) -> &'a mut LastError {
        let failure = state.fail(error, kind, reason, now);
        let may_retry = failure.pending.is_some();
        self.may_retry.store(may_retry, Ordering::Relaxed);
        failure
    }

    /// Corrects recorded times after the clock was set back. Waits that end in the future, by the wrong
    /// clock, would last as long as the clock was ahead; one try too early costs less. Returns whether the
    /// slot was waiting for a spent quota of its own.
    pub(super) fn clock_was_set_back(&self, now: UnixTime) -> bool {
        let mut state = self.lock();
        (state.nothing_new_until, state.on_demand_from) = (None, None);
        if let Some((_, replaced)) = &mut state.previous {
            *replaced = (*replaced).min(now);
        }
        let Some(failure) = &mut state.failure else {
            return false;
        };
        failure.end_by(now);
        (failure.at, failure.since) = (failure.at.min(now), failure.since.min(now));
        failure.kind == self.key.kind && failure.error.class() == Class::Quota
    }

    /// Whether it waits for the end of a quota block that the store remembers.
    pub(super) fn is_blocked(&self, now: UnixTime) -> bool {
        let state = self.lock();
        let failure = state.cooldown(now);
        failure.is_some_and(|failure| failure.kind == self.key.kind && failure.error.is_block())
    }

    /// Ends the wait after the last failure if the failure is one of these.
    pub(super) fn end_wait_if(&self, now: UnixTime, is_over: impl FnOnce(&LastError) -> bool) {
        let mut state = self.lock();
        if let Some(failure) = state.failure.as_mut().filter(|failure| is_over(failure)) {
            failure.end_by(now);
        }
    }

    /// A panic while the lock is held leaves only plain data behind, which is still consistent.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.details.state.lock()
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
            Some(last) if last.replaces(seen) => last,
            Some(last) if last.value == seen.value => seen.clone(),
            last => {
                self.seen = Some((clock.uptime(), seen.remaining(now)));
                self.previous = last.map(|last| (last, now));
                (self.adjusted, self.dated_here, self.end_is_logged) = (false, false, false);
                self.repeats_at_its_end = 0;
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
    pub(super) fn due_at(&self, value: &Credential, jitter_seed: u64) -> UnixTime {
        if self.rotates_at_its_end {
            value.expires_at
        } else {
            value.due_at(jitter_seed)
        }
    }

    /// Counts an answer that repeats the value at its end. Returns whether the value is still served: one that
    /// rotates at its end may be repeated for a second or two.
    pub(super) fn may_repeat_at_its_end(&mut self) -> bool {
        if !self.rotates_at_its_end {
            return false;
        }
        self.repeats_at_its_end = self.repeats_at_its_end.saturating_add(1);
        self.repeats_at_its_end <= MOST_REPEATS_AT_ITS_END
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

    /// Returns when the last value ends, in uptime.
    pub(super) fn ends_in_uptime(&self) -> Option<Duration> {
        self.seen.map(|(at, left)| at + left)
    }

    /// Returns when the last value ends, computed from the uptime since this process first saw it.
    pub(super) fn end_by_uptime(&self, clock: &Clock) -> Option<UnixTime> {
        self.ends_in_uptime()
            .map(|ends| clock.now().plus(ends.saturating_sub(clock.uptime())))
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
        let left = self.on_demand_from?.since(now);
        (!left.is_zero()).then_some(left)
    }
}

/// At most one on-demand refresh per credential within this time, so that no client can exhaust the quota.
/// WeChat itself answers two forced calls to `stable_token` within 30 s with the same token:
/// <https://developers.weixin.qq.com/minigame/dev/api-backend/open-api/access-token/auth.getStableAccessToken.html>
pub(super) const MIN_DEMAND_GAP: Duration = Duration::from_secs(30);

/// One for the whole seconds of the dates here, one for the time that a call takes.
const MOST_REPEATS_AT_ITS_END: u32 = 2;

/// A new value with a shorter life cannot be refreshed ahead of its end.
const SHORT_LIFE: Duration = Duration::from_secs(60);

/// Pause between two calls that return such values, doubled up to [`LONG_PAUSE`]: some 300 calls a day, of
/// WeChat's 2,000.
const SHORT_PAUSE: Duration = Duration::from_secs(30);
const LONG_PAUSE: Duration = Duration::from_secs(300);
