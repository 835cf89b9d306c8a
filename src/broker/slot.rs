//! What is known of one credential beside its living value: the refresh under way, the last failure, the last value ever seen.

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

/// Why a credential is to be renewed.
#[derive(Clone, Debug)]
pub(super) enum Reason {
    /// A reader found none living.
    Missing,
    /// The keeper found it near its end.
    Due,
    /// WeChat refused this value, so somebody said.
    Rejected(Secret),
    /// A person wants it renewed now.
    Asked,
}

/// How a refresh ended, for everybody who waits for it; `None` while it is under way.
pub(super) type Outcome = Option<Result<Arc<Credential>, Error>>;

/// One credential of one account.
pub(super) struct Slot {
    pub(super) key: CredentialKey,
    /// Spreads the renewals of accounts that were started together: always the same number for the same key.
    pub(super) spread: u64,
    wanted: AtomicBool,
    /// Whether to look for [`Remembered::owed`] at all: the keeper comes by every second, and takes no lock for nothing.
    may_owe: AtomicBool,
    pub(super) counts: SlotCounts,
    /// Who bought it, where it is an access token.
    pub(super) buyers: Buyers,
    /// What readers get, while it lives: set with the cache's entry.
    pub(super) shown: ArcSwapOption<Current>,
    state: Mutex<State>,
}

/// Behind the slot's lock, which is held for a few instructions and never across an await.
#[derive(Default)]
pub(super) struct State {
    /// The refresh under way.
    pub(super) flight: Option<watch::Receiver<Outcome>>,
    /// The last failure, until a success.
    /// Boxed: most slots have none.
    pub(super) failure: Option<Box<Remembered>>,
    /// The last credential ever seen, living or not: what tells a new value from the same one again.
    pub(super) last: Option<Arc<Credential>>,
    /// When, in uptime, its value was first seen by this process, and how long it then had to live: what a wall clock that is set
    /// ahead or back does not change.
    pub(super) seen: Option<(Duration, Duration)>,
    /// Its dates come from a call of this process, and not from the store, whose writer may have had a clock that was wrong.
    pub(super) dated_here: bool,
    /// The last one's end was moved later because this machine's clock had been set: true here, and nowhere else, so it is not shared.
    pub(super) adjusted: bool,
    /// The credential before the last: WeChat takes an access token for some minutes after it was replaced.
    pub(super) previous: Option<(Arc<Credential>, UnixTime)>,
    /// When somebody's `reject` last caused a renewal.
    pub(super) renewed_on_demand: Option<UnixTime>,
    /// The value that was then said to be refused: once replaced, it is not taken for a living one any more.
    pub(super) refused: Option<Secret>,
    /// WeChat last gave the same value again: the keeper waits until then before it asks once more.
    pub(super) nothing_new_until: Option<UnixTime>,
    /// Refreshes that brought a value.
    pub(super) refreshes: u64,
    /// Token calls whose answer was lost, so that the old token's life was cut.
    pub(super) lost_replies: u64,
    /// Tokens refused long before their end: somebody else fetches tokens too.
    pub(super) foreign_refreshes: u64,
    /// That the last value has ended while its renewal failed is in the log already.
    pub(super) end_is_told: bool,
    /// What became of the last refreshes.
    pub(super) history: History,
    /// WeCom gives the same token until its end, and only then a new one: asked earlier, it only repeats it.
    pub(super) rotates_at_its_end: bool,
    /// How many values in a row had only seconds to live.
    short_lives: u32,
    /// Addresses that WeChat saw this account called from and refused, latest first; boxed, since most accounts have none.
    refused_from: Option<Box<Addresses>>,
}

/// Addresses and when each was last refused.
#[derive(Default)]
struct Addresses(Vec<(IpAddr, UnixTime)>);

/// A failure, remembered so that nobody runs into it again before `until`.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) error: Arc<UpstreamError>,
    /// Which credential failed: a ticket's failure may be its token's.
    pub(super) kind: Kind,
    pub(super) at: UnixTime,
    /// When the first of them in a row was.
    pub(super) since: UnixTime,
    pub(super) until: UnixTime,
    /// How many in a row.
    pub(super) failures: u32,
    /// What somebody asked for and did not get, until it succeeds: a value that looks fresh may be dead.
    pub(super) owed: Option<PendingRetry>,
}

/// A renewal on demand that failed: the keeper makes it, however fresh the value looks.
#[derive(Clone, Debug)]
pub(super) struct PendingRetry {
    pub(super) why: Reason,
    /// Not before; nor before the failure's own end.
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
            may_owe: AtomicBool::new(false),
            counts: SlotCounts::default(),
            buyers: Buyers::default(),
            shown: ArcSwapOption::empty(),
            state: Mutex::new(state),
        }
    }

    /// Whether the keeper keeps it alive: what an ordinary page needs, and whatever came once.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// From now on the keeper keeps it alive.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether the keeper has to make up for a renewal on demand that failed.
    pub(super) fn owes(&self, now: UnixTime) -> bool {
        if !self.may_owe.load(Ordering::Relaxed) {
            return false;
        }
        let state = self.lock();
        let owed_from = state.owed_from();
        self.may_owe.store(owed_from.is_some(), Ordering::Relaxed);
        state.flight.is_none() && owed_from.is_some_and(|from| from <= now)
    }

    /// Enters a failure of a refresh that was made for this reason.
    pub(super) fn fail(
        &self,
        state: &mut State,
        error: Arc<UpstreamError>,
        kind: Kind,
        why: &Reason,
        now: UnixTime,
    ) {
        state.fail(error, kind, why, now);
        self.may_owe
            .store(state.owed_from().is_some(), Ordering::Relaxed);
    }

    /// See [`State::clock_was_set_back`]. Answers whether a spent quota of its own was among what it waited for.
    pub(super) fn clock_was_set_back(&self, now: UnixTime) -> bool {
        let mut state = self.lock();
        state.clock_was_set_back(now);
        let of_its_own = state
            .failure
            .as_ref()
            .filter(|failure| failure.kind == self.key.kind);
        of_its_own.is_some_and(|failure| failure.error.class() == Class::Quota)
    }

    /// Whether it waits for the end of a block that the store remembers.
    pub(super) fn is_blocked(&self, now: UnixTime) -> bool {
        let state = self.lock();
        let failure = state
            .cooldown(now)
            .filter(|failure| failure.kind == self.key.kind);
        failure.is_some_and(|failure| failure.error.is_block())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves plain data behind, which is still right.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Reason {
    /// For the log.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Due => "due",
            Self::Rejected(_) => "rejected",
            Self::Asked => "asked",
        }
    }
}

impl State {
    /// Takes note of a credential and answers the newest known: a lower generation never replaces a higher one, and of the same
    /// generation the shorter life counts.
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
                (self.adjusted, self.dated_here, self.end_is_told) = (false, false, false);
                seen.clone()
            }
        };
        self.last = Some(newest.clone());
        if self.rotates_at_its_end {
            self.nothing_new_until = Some(newest.expires_at);
        }
        newest
    }

    /// When a value of this slot is to be renewed: ahead of its end, if WeChat then gives a new one.
    pub(super) fn due_at(&self, value: &Credential, spread: u64) -> UnixTime {
        if self.rotates_at_its_end {
            value.expires_at
        } else {
            value.due_at(spread)
        }
    }

    /// Takes note of the life that WeChat gave a new value. One of seconds may be what is left of a longer one, and is served to its
    /// end; after two in a row, answers how long to wait before the next call.
    pub(super) fn space_after(&mut self, value: &Credential) -> Option<Duration> {
        if value.life() >= SHORT_LIFE {
            self.short_lives = 0;
            return None;
        }
        self.nothing_new_until = Some(value.expires_at);
        self.short_lives = self.short_lives.saturating_add(1);
        let doublings = self.short_lives.checked_sub(2)?.min(8);
        Some((SHORT_PAUSE * (1 << doublings)).min(LONG_PAUSE))
    }

    /// Takes note of an address that WeChat refused, and answers the others of the last day, latest first.
    pub(super) fn refused_from(&mut self, ip: IpAddr, now: UnixTime) -> Vec<IpAddr> {
        let Addresses(seen) = &mut **self.refused_from.get_or_insert_default();
        seen.retain(|(other, at)| *other != ip && now.since(*at) < REFUSED_FOR);
        let others = seen.iter().map(|(other, _)| *other).collect();
        seen.insert(0, (ip, now));
        seen.truncate(MOST_ADDRESSES);
        others
    }

    /// When the last value ends, in uptime.
    pub(super) fn ends_in_uptime(&self) -> Option<Duration> {
        self.seen.map(|(at, left)| at + left)
    }

    /// When the last value ends, by the time that this process has been running since it first saw it.
    pub(super) fn end_by_uptime(&self, clock: &Clock) -> Option<UnixTime> {
        self.ends_in_uptime()
            .map(|ends| clock.now().plus(ends.saturating_sub(clock.uptime())))
    }

    /// The failure that still forbids another try.
    pub(super) fn cooldown(&self, now: UnixTime) -> Option<&Remembered> {
        self.failure
            .as_deref()
            .filter(|failure| now < failure.until)
    }

    /// The last value, while it is known from WeChat itself that there is no newer one: good to its very end, margin or not.
    pub(super) fn confirmed(&self, now: UnixTime) -> Option<Arc<Credential>> {
        let until = self.nothing_new_until?;
        self.last
            .clone()
            .filter(|last| now < until && !last.remaining(now).is_zero())
    }

    /// Whether a refresh is under way or has to wait: nothing for the keeper to do.
    pub(super) fn is_busy(&self, now: UnixTime) -> bool {
        self.flight.is_some()
            || self.cooldown(now).is_some()
            || self.nothing_new_until.is_some_and(|until| now < until)
    }

    /// How long until another renewal on demand is allowed.
    pub(super) fn ration(&self, now: UnixTime) -> Option<Duration> {
        let left = MIN_DEMAND_GAP.saturating_sub(now.since(self.renewed_on_demand?));
        (!left.is_zero()).then_some(left)
    }

    /// Remembers a failure of this slot.
    fn fail(&mut self, error: Arc<UpstreamError>, kind: Kind, why: &Reason, now: UnixTime) {
        let before = self.failure.take();
        let (failures, since) = before
            .as_ref()
            .map_or((0, now), |failure| (failure.failures, failure.since));
        let failures = failures.saturating_add(1);
        let until = retry_at(error.wait(), failures, now);
        let owed = PendingRetry::after(why, until, before.and_then(|failure| failure.owed));
        self.failure = Some(Box::new(Remembered {
            error,
            kind,
            since,
            at: now,
            until,
            failures,
            owed,
        }));
    }

    /// When the keeper makes up for a renewal on demand that failed: when nothing forbids it any more, the ration included.
    pub(super) fn owed_from(&self) -> Option<UnixTime> {
        let failure = self.failure.as_deref()?;
        let rationed = self
            .renewed_on_demand
            .map_or(UnixTime(0), |at| at.plus(MIN_DEMAND_GAP));
        Some(failure.owed.as_ref()?.from.max(failure.until).max(rationed))
    }

    /// Why the keeper renews it now, where something is owed.
    pub(super) fn owed(&self, now: UnixTime) -> Option<Reason> {
        self.owed_from().filter(|from| *from <= now)?;
        self.failure
            .as_ref()?
            .owed
            .as_ref()
            .map(|owed| owed.why.clone())
    }

    /// A ration forbade what is owed: not before this time.
    pub(super) fn put_off(&mut self, from: UnixTime) {
        if let Some(owed) = self
            .failure
            .as_mut()
            .and_then(|failure| failure.owed.as_mut())
        {
            owed.from = owed.from.max(from);
        }
    }

    /// Nothing is owed: another value is there already.
    pub(super) fn settle(&mut self) {
        if let Some(failure) = &mut self.failure {
            failure.owed = None;
        }
    }

    /// The cause of its failures was mended, as far as one can know: it is tried again at once. What is owed stays owed.
    pub(super) fn begin_anew(&mut self, now: UnixTime) {
        match self
            .failure
            .as_mut()
            .filter(|failure| failure.owed.is_some())
        {
            Some(failure) => failure.end_by(now),
            None => self.failure = None,
        }
    }

    /// The clock was ahead and was set right: what was counted from a time that is yet to come would last as long as that error.
    /// Trying once too early costs less.
    fn clock_was_set_back(&mut self, now: UnixTime) {
        if let Some(failure) = &mut self.failure {
            failure.end_by(now);
            (failure.at, failure.since) = (failure.at.min(now), failure.since.min(now));
        }
        if let Some((_, replaced)) = &mut self.previous {
            *replaced = (*replaced).min(now);
        }
        (self.nothing_new_until, self.renewed_on_demand) = (None, None);
    }
}

impl PendingRetry {
    /// Somebody's report of a dead value says more than a wish for a new one; neither is forgotten over a failure of another try.
    fn after(why: &Reason, from: UnixTime, before: Option<Self>) -> Option<Self> {
        match (why, before) {
            (Reason::Rejected(_), _) | (Reason::Asked, None) => Some(Self {
                why: why.clone(),
                from,
            }),
            (_, before) => before,
        }
    }
}

impl Remembered {
    /// Forbids nothing from then on.
    pub(super) fn end_by(&mut self, time: UnixTime) {
        self.until = self.until.min(time);
        if let Some(owed) = &mut self.owed {
            owed.from = owed.from.min(time);
        }
    }

    /// As what a caller gets instead of a credential; `served`: whether there is a living one meanwhile.
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

/// When to try again after the `failures`-th failure in a row, with jitter so that many servers do not come back together.
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

/// At most one renewal on demand per credential in this time, so that no caller can burn the quota. Two forced calls to
/// `stable_token` within 30 s are answered with the same token anyway.
pub(super) const MIN_DEMAND_GAP: Duration = Duration::from_secs(30);

/// A new value that lives for less is too short to be renewed ahead of its end.
const SHORT_LIFE: Duration = Duration::from_secs(60);

/// Between two calls that brought such values, doubled up to [`LONG_PAUSE`]: some 300 calls a day, of WeChat's 2,000.
const SHORT_PAUSE: Duration = Duration::from_secs(30);
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// An allow-list is filled by hand; a NAT pool has a few addresses.
const MOST_ADDRESSES: usize = 8;

/// An address that was refused longer ago may be that of another network.
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
