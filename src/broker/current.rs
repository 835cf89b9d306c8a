//! The current value of each credential: the one answer to what is served, and until when.
//!
//! moka owns the values and ends each with its credential. Each slot has a view of its value, which
//! inserting and evicting keep, so that a read costs one pointer load and two comparisons, whatever the
//! number of accounts.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::Guard;
use moka::Expiry;
use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::accounts::AccountEntry;
use super::slot::{RefreshOutcome, Slot, State};
use super::stats::Outcome;
use super::{Accounts, Broker};
use crate::clock::{Clock, Moment, UnixTime};
use crate::credential::{Credential, CredentialKey, Freshness};
use crate::sign::Signer;

/// A served value with its deadlines.
pub(super) struct Current {
    served_until: Deadline,
    due: Deadline,
    /// Signer with the ticket already hashed; used only for tickets that sign pages.
    pub(super) signer: Signer,
    pub(super) credential: Arc<Credential>,
    /// When it ends, in uptime.
    ends: Duration,
    /// The slot whose view it is.
    slot: Weak<Slot>,
}

/// A time on both clocks. The earlier one counts, so that correcting a wall clock that was ahead when the
/// value arrived does not extend its life.
#[derive(Clone, Copy)]
struct Deadline {
    time: UnixTime,
    uptime: Duration,
}

impl Deadline {
    /// Returns the deadline of a value that ends at `ends` in uptime, for a time before its end.
    fn new(time: UnixTime, credential: &Credential, ends: Duration) -> Self {
        let before_end = credential.expires_at.since(time);
        Self {
            time,
            uptime: ends.saturating_sub(before_end),
        }
    }

    fn is_past(self, at: &Moment) -> bool {
        at.now >= self.time || at.uptime >= self.uptime
    }

    fn left(self, at: &Moment) -> Duration {
        let by_uptime = self.uptime.saturating_sub(at.uptime);
        self.time.since(at.now).min(by_uptime)
    }
}

impl Current {
    /// `confirmed_until`: WeChat has confirmed that there is no newer value before this time, so this one is
    /// served without a margin.
    fn new(
        slot: &Arc<Slot>,
        credential: Arc<Credential>,
        ends: Duration,
        confirmed_until: Option<UnixTime>,
    ) -> Self {
        let confirmed_until = confirmed_until
            .unwrap_or_default()
            .min(credential.expires_at);
        let served_until = credential.served_until().max(confirmed_until);
        Self {
            served_until: Deadline::new(served_until, &credential, ends),
            due: Deadline::new(credential.due_at(slot.jitter_seed), &credential, ends),
            signer: Signer::new(slot.key.app.id.clone(), credential.value.clone()),
            credential,
            ends,
            slot: Arc::downgrade(slot),
        }
    }

    /// Returns [`Credential::freshness`] by whichever clock says that less time is left.
    pub(super) fn freshness(&self, at: &Moment) -> Freshness {
        if self.served_until.is_past(at) {
            Freshness::Expired
        } else if self.due.is_past(at) {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }

    /// Returns until when it is served, in whole seconds.
    pub(super) fn served_until(&self, at: &Moment) -> UnixTime {
        let left = self.served_for(at);
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        UnixTime(at.now.0 + seconds)
    }

    /// Returns how long it is still served.
    pub(super) fn served_for(&self, at: &Moment) -> Duration {
        self.served_until.left(at)
    }
}

/// The current values of all credentials.
pub(super) struct CurrentValues(Cache<CredentialKey, Arc<Current>>);

impl CurrentValues {
    pub(super) fn new(clock: Clock) -> Self {
        let cache = Cache::builder()
            .expire_after(UntilItsEnd(clock))
            .eviction_listener(|_, evicted: Arc<Current>, cause| {
                if cause != RemovalCause::Replaced
                    && let Some(slot) = evicted.slot.upgrade()
                {
                    slot.view.compare_and_swap(&Some(evicted), None);
                }
            })
            .build();
        Self(cache)
    }

    fn insert(&self, slot: &Slot, current: Arc<Current>) {
        self.0.insert(slot.stored_key(), current.clone());
        slot.view.store(Some(current));
    }

    /// Returns the value of a slot that is still served.
    fn get(&self, slot: &Slot, at: &Moment) -> Option<Arc<Current>> {
        let owned = self.0.get(&slot.stored_key());
        owned.filter(|owned| owned.freshness(at) != Freshness::Expired)
    }

    /// Drops the value of a credential: no slot finds it again.
    pub(super) fn forget(&self, key: &CredentialKey) {
        self.0.invalidate(key);
    }
}

impl Broker {
    /// Returns the value that is current at this moment, without incrementing its reference count. Every
    /// reader, metric and page asks this function.
    pub(super) fn current(&self, slot: &Slot, at: &Moment) -> Guard<Option<Arc<Current>>> {
        let view = slot.view.load();
        match &*view {
            Some(current) if current.freshness(at) != Freshness::Expired => view,
            _ => self.find_owned(slot, view, at),
        }
    }

    /// Looks into the cache, because the slot has no valid value. The cache may have one if an app was
    /// removed from the configuration and added again.
    #[cold]
    fn find_owned(
        &self,
        slot: &Slot,
        view: Guard<Option<Arc<Current>>>,
        at: &Moment,
    ) -> Guard<Option<Arc<Current>>> {
        let owned = self.inner.current.get(slot, at);
        if view.is_some() || owned.is_some() {
            // Keeps a newer value that was set meanwhile.
            slot.view.compare_and_swap(&view, owned.clone());
        }
        Guard::from_inner(owned)
    }

    /// Makes the values that the cache still has of accounts that were removed and added again known to their new
    /// slots, as if they had never left.
    pub(super) fn restore_values(&self, before: &Accounts) {
        let (accounts, at) = (self.inner.accounts.load(), self.inner.clock.moment());
        let is_new = |entry: &&Arc<AccountEntry>| {
            let known = before.find(&entry.name);
            !known.is_ok_and(|known| Arc::ptr_eq(known, entry))
        };
        for slot in accounts
            .all()
            .filter(is_new)
            .flat_map(|entry| entry.slots())
        {
            let mut state = slot.lock();
            // A reload makes every entry new, but keeps its slots.
            if state.last.is_none()
                && let Some(owned) = self.inner.current.get(slot, &at)
            {
                state.see(&owned.credential, &self.inner.clock);
                state.seen = Some((at.uptime, owned.ends.saturating_sub(at.uptime)));
                self.publish(slot, &state);
                slot.want();
            }
        }
    }

    /// Returns the credential that is current now.
    pub(super) fn current_credential(&self, slot: &Slot) -> Option<Arc<Credential>> {
        self.current(slot, &self.inner.clock.moment())
            .as_ref()
            .map(|current| current.credential.clone())
    }

    /// Makes the last credential of the slot the current one.
    pub(super) fn publish(&self, slot: &Arc<Slot>, state: &State) {
        let Some(credential) = state.last.clone() else {
            return;
        };
        let clock = &self.inner.clock;
        let by_wall = clock.uptime() + credential.remaining(clock.now());
        let ends = state
            .ends_in_uptime()
            .map_or(by_wall, |ends| ends.min(by_wall));
        let current = Current::new(slot, credential, ends, state.nothing_new_until);
        self.inner.current.insert(slot, Arc::new(current));
    }

    /// Makes this credential the current one, unless a newer one arrived while the store was being written,
    /// for example from a peer node.
    pub(super) fn publish_if_newest(&self, slot: &Arc<Slot>, credential: &Arc<Credential>) {
        let mut state = slot.lock();
        state.see(credential, &self.inner.clock);
        self.publish(slot, &state);
    }

    /// Counts a new value that came without a refresh of this slot, and forgets the slot's failure.
    pub(super) fn note_arrival(
        &self,
        slot: &Slot,
        state: &mut State,
        credential: &Credential,
        outcome: RefreshOutcome,
    ) {
        let (accounts, now) = (self.inner.accounts.load(), self.inner.clock.now());
        if state.failure.take().is_some()
            && let Some(entry) = accounts.of_key(&slot.key.app)
        {
            self.inner.fault_log.recovered(&entry.name);
        }
        let counted = match outcome {
            RefreshOutcome::FromStore => Outcome::FromStore,
            _ => Outcome::Refreshed,
        };
        state.counts.succeeded(counted, credential.issued_at, now);
        let end = Some(credential.expires_at);
        state.history.add(now, outcome, Duration::ZERO, None, end);
    }

    pub(super) fn freshness(&self, slot: &Slot, credential: &Credential) -> Freshness {
        credential.freshness(self.inner.clock.now(), credential.lead(slot.jitter_seed))
    }
}

/// Ends a cache entry at the end of its credential. Reads also check a manual clock ([`Broker::current`]).
struct UntilItsEnd(Clock);

impl Expiry<CredentialKey, Arc<Current>> for UntilItsEnd {
    fn expire_after_create(
        &self,
        _: &CredentialKey,
        current: &Arc<Current>,
        _: Instant,
    ) -> Option<Duration> {
        Some(current.ends.saturating_sub(self.0.uptime()))
    }

    fn expire_after_update(
        &self,
        key: &CredentialKey,
        current: &Arc<Current>,
        updated_at: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, current, updated_at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::Account;
    use crate::broker::ConfigOptions;
    use crate::credential::{Kind, Secret};
    use crate::sign::PageUrl;

    #[tokio::test]
    async fn a_shortened_lifetime_is_not_restored_over_a_newer_value() {
        let clock = Clock::manual(UnixTime(1_767_225_600));
        let broker = Broker::builder()
            .account("main", Account::official("wx1", "s"))
            .clock(clock.clone())
            .build()
            .unwrap();
        let entry = broker.entry("main").unwrap();
        let slot = entry.slot(Kind::AccessToken).unwrap();
        let credential = |value: &str, generation, seconds| {
            let (issued_at, expires_at) =
                (clock.now(), clock.now().plus(Duration::from_secs(seconds)));
            Arc::new(Credential {
                value: Secret::new(value),
                issued_at,
                expires_at,
                generation,
            })
        };
        let served = || {
            broker.current_credential(slot).map(|served| {
                (
                    served.value.clone(),
                    served.expires_at.since(clock.now()).as_secs(),
                )
            })
        };
        broker.publish_if_newest(slot, &credential("old", 1, 7_200));
        broker.publish_if_newest(slot, &credential("old", 1, 240));
        assert_eq!(served(), Some((Secret::new("old"), 240)));
        // A peer node's token arrives while the next cut is being stored.
        broker.publish_if_newest(slot, &credential("new", 2, 7_200));
        broker.publish_if_newest(slot, &credential("old", 1, 120));
        assert_eq!(served(), Some((Secret::new("new"), 7_200)));
        assert_eq!(
            slot.lock().last.as_ref().map(|last| last.generation),
            Some(2)
        );
    }

    #[tokio::test]
    async fn an_evicted_value_is_removed_from_the_view_of_its_slot() {
        let broker = Broker::builder()
            .account("main", Account::official("wx1", "s"))
            .build()
            .unwrap();
        let entry = broker.entry("main").unwrap();
        let slot = entry.slot(Kind::AccessToken).unwrap();
        let now = broker.clock().now();
        let credential = Credential {
            value: Secret::new("value"),
            issued_at: now,
            expires_at: now.plus(Duration::from_secs(7_200)),
            generation: 1,
        };
        broker.publish_if_newest(slot, &Arc::new(credential));
        assert!(slot.view.load().is_some());
        let values = &broker.inner.current.0;
        values.invalidate(&slot.key);
        values.run_pending_tasks();
        assert!(slot.view.load().is_none());
    }

    /// A token may arrive without a reader, with the redemption of a code.
    #[tokio::test]
    async fn a_value_that_a_reader_uses_is_refreshed_from_then_on() {
        let account = Account::official("wx1", "s").js_safe_domain("example.com");
        let broker = Broker::builder()
            .account("main", account.unwrap())
            .build()
            .unwrap();
        let entry = broker.entry("main").unwrap();
        let slot = |kind| entry.slot(kind).unwrap();
        let now = broker.clock().now();
        for kind in Kind::ALL
            .into_iter()
            .filter(|kind| entry.account.has(*kind))
        {
            let credential = Credential {
                value: Secret::new("value"),
                issued_at: now,
                expires_at: now.plus(Duration::from_secs(7_200)),
                generation: 1,
            };
            broker.publish_if_newest(slot(kind), &Arc::new(credential));
        }
        let unwanted = |kind| {
            slot(kind).give_up();
            slot(kind)
        };
        let token = unwanted(Kind::AccessToken);
        broker.credential("main", Kind::AccessToken).await.unwrap();
        assert!(token.is_wanted());
        let page = PageUrl::parse("https://example.com/").unwrap();
        let ticket = unwanted(Kind::JsapiTicket);
        broker.js_config("main", &page).await.unwrap();
        assert!(ticket.is_wanted());
        let ticket = unwanted(Kind::JsapiTicket);
        let options = ConfigOptions::default();
        let text = broker.config_text("main", &page, &options, &broker.clock().moment());
        assert!(text.unwrap().is_some() && ticket.is_wanted());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_thresholds_match_the_rule(
            app in "[a-z0-9]{4}", life in 1u64..8_000, at in 0u64..9_000, ends_millis in 0u64..9_000_000, up_millis in 0u64..9_000_000,
        ) {
            const ISSUED: u64 = 1_700_000_000;
            let slot = Arc::new(Slot::new(Account::official(app.as_str(), "s").key(Kind::JsapiTicket), true));
            let credential = Credential {
                value: Secret::new("t"), issued_at: UnixTime(ISSUED), expires_at: UnixTime(ISSUED + life), generation: 1,
            };
            let now = UnixTime(ISSUED + at);
            let ends = Duration::from_millis(ends_millis);
            let uptime = Duration::from_millis(up_millis);
            // The rule, evaluated at the later of the two times, in whole seconds.
            let behind = credential.remaining(now).saturating_sub(ends.saturating_sub(uptime));
            let rule = credential.freshness(now.plus(behind), credential.lead(slot.jitter_seed));
            let current = Current::new(&slot, Arc::new(credential), ends, None);
            let at = Moment { now, uptime, wall: now };
            prop_assert_eq!(current.freshness(&at), rule);
            prop_assert_eq!(current.served_for(&at).is_zero(), rule == Freshness::Expired);
            prop_assert_eq!(current.served_until(&at) <= now, rule == Freshness::Expired);
        }
    }
}
