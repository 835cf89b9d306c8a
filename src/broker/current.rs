//! The current value of each credential: what readers get, when it is due for a refresh, and when it is no
//! longer served.
//!
//! moka stores the values and expires them. Each slot also holds a pointer to its value, so that a read
//! costs one pointer load and two comparisons, whatever the number of accounts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::Guard;
use moka::Expiry;

use super::Broker;
use super::slot::{Slot, State};
use crate::clock::{Clock, Moment, UnixTime};
use crate::credential::{Credential, CredentialKey, Freshness, MARGIN};
use crate::sign::Signer;

/// A served value with its deadlines on both clocks. The earlier deadline counts, so that correcting a wall
/// clock that was ahead when the value arrived does not extend its life.
pub(super) struct Current {
    pub(super) credential: Arc<Credential>,
    /// Signer with the ticket already hashed; used only for tickets that sign pages.
    pub(super) signer: Signer,
    /// Its end in uptime, which cannot be changed by setting a clock.
    pub(super) ends: Duration,
    due: (UnixTime, Duration),
    dead: (UnixTime, Duration),
}

impl Current {
    fn new(slot: &Slot, credential: Arc<Credential>, ends: Duration) -> Self {
        let before_end = |by: Duration| {
            let by = Duration::from_secs(by.as_secs());
            (
                UnixTime(credential.expires_at.0.saturating_sub(by.as_secs())),
                ends.saturating_sub(by),
            )
        };
        let due = before_end(credential.lead(slot.spread));
        let dead = before_end(MARGIN.min(credential.life() / 20));
        let signer = Signer::new(slot.key.app.id.clone(), credential.value.clone());
        Self {
            credential,
            signer,
            ends,
            due,
            dead,
        }
    }

    /// Returns [`Credential::freshness`] by whichever clock says that less time is left.
    pub(super) fn freshness(&self, at: &Moment) -> Freshness {
        let is_past = |(now, uptime): (UnixTime, Duration)| at.now >= now || at.uptime >= uptime;
        match () {
            () if is_past(self.dead) => Freshness::Expired,
            () if is_past(self.due) => Freshness::Due,
            () => Freshness::Fresh,
        }
    }
}

impl Broker {
    /// Returns the current credential. This is the hot path.
    pub(super) fn living(&self, slot: &Slot) -> Option<Arc<Credential>> {
        self.living_at(slot, &self.inner.clock.moment())
            .as_ref()
            .map(|living| living.credential.clone())
    }

    /// Returns the value that is current at this moment, without incrementing its reference count.
    pub(super) fn living_at(&self, slot: &Slot, at: &Moment) -> Guard<Option<Arc<Current>>> {
        let shown = slot.shown.load();
        match &*shown {
            Some(living) if living.freshness(at) != Freshness::Expired => shown,
            _ => self.look_into_cache(slot, shown, at),
        }
    }

    /// Looks into the cache, because the slot has no valid value. The cache may have one if an app was
    /// removed from the configuration and added again.
    #[cold]
    fn look_into_cache(
        &self,
        slot: &Slot,
        shown: Guard<Option<Arc<Current>>>,
        at: &Moment,
    ) -> Guard<Option<Arc<Current>>> {
        let cached = self
            .inner
            .living
            .get(&slot.key)
            .filter(|living| living.freshness(at) != Freshness::Expired);
        if shown.is_some() || cached.is_some() {
            // Keeps a newer value that was set meanwhile.
            slot.shown.compare_and_swap(&shown, cached.clone());
        }
        Guard::from_inner(cached)
    }

    /// Makes this credential the current one.
    pub(super) fn show(&self, slot: &Slot, state: &State, credential: Arc<Credential>) {
        let clock = &self.inner.clock;
        let by_wall = clock.uptime() + credential.remaining(clock.now());
        let ends = state
            .ends_in_uptime()
            .map_or(by_wall, |ends| ends.min(by_wall));
        let living = Arc::new(Current::new(slot, credential, ends));
        self.inner.living.insert(slot.key.clone(), living.clone());
        slot.shown.store(Some(living));
    }

    /// Makes this credential the current one, unless a newer one arrived while the store was being written,
    /// for example from a peer node.
    pub(super) fn show_if_newest(&self, slot: &Slot, credential: &Arc<Credential>) {
        let mut state = slot.lock();
        let newest = state.see(credential, &self.inner.clock);
        self.show(slot, &state, newest);
    }

    pub(super) fn freshness(&self, slot: &Slot, credential: &Credential) -> Freshness {
        credential.freshness(self.inner.clock.now(), credential.lead(slot.spread))
    }
}

/// Expires a cache entry at the end of its credential. Reads also check a manual clock
/// ([`Broker::living_at`]).
pub(super) struct UntilItsEnd(pub(super) Clock);

impl Expiry<CredentialKey, Arc<Current>> for UntilItsEnd {
    fn expire_after_create(
        &self,
        _: &CredentialKey,
        living: &Arc<Current>,
        _: Instant,
    ) -> Option<Duration> {
        Some(living.ends.saturating_sub(self.0.uptime()))
    }

    fn expire_after_update(
        &self,
        _: &CredentialKey,
        living: &Arc<Current>,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(living.ends.saturating_sub(self.0.uptime()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::account::Account;
    use crate::credential::{Kind, Secret};

    #[tokio::test]
    async fn a_life_that_was_cut_short_does_not_come_back_over_a_newer_value() {
        let clock = Clock::manual(UnixTime(1_767_225_600));
        let broker = Broker::builder()
            .account("main", Account::official("wx1", "s"))
            .clock(clock.clone())
            .build()
            .unwrap();
        let member = broker.member("main").unwrap();
        let slot = member.slot(Kind::AccessToken).unwrap();
        let living = |value: &str, generation, seconds| {
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
            broker.living(slot).map(|living| {
                (
                    living.value.clone(),
                    living.expires_at.since(clock.now()).as_secs(),
                )
            })
        };
        broker.show_if_newest(slot, &living("old", 1, 7_200));
        broker.show_if_newest(slot, &living("old", 1, 240));
        assert_eq!(served(), Some((Secret::new("old"), 240)));
        // A peer node's token arrives while the next cut is being stored.
        broker.show_if_newest(slot, &living("new", 2, 7_200));
        broker.show_if_newest(slot, &living("old", 1, 120));
        assert_eq!(served(), Some((Secret::new("new"), 7_200)));
        assert_eq!(
            slot.lock().last.as_ref().map(|last| last.generation),
            Some(2)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_thresholds_say_what_the_rule_says(
            app in "[a-z0-9]{4}", life in 1u64..8_000, at in 0u64..9_000, ends_millis in 0u64..9_000_000, up_millis in 0u64..9_000_000,
        ) {
            const ISSUED: u64 = 1_700_000_000;
            let slot = Slot::new(Account::official(app.as_str(), "s").key(Kind::JsapiTicket), true);
            let credential = Credential {
                value: Secret::new("t"), issued_at: UnixTime(ISSUED), expires_at: UnixTime(ISSUED + life), generation: 1,
            };
            let (now, ends) = (UnixTime(ISSUED + at), Duration::from_millis(ends_millis));
            let uptime = Duration::from_millis(up_millis);
            // The rule, evaluated at the later of the two times, in whole seconds.
            let behind = credential.remaining(now).saturating_sub(ends.saturating_sub(uptime));
            let rule = credential.freshness(now.plus(behind), credential.lead(slot.spread));
            let living = Current::new(&slot, Arc::new(credential), ends);
            prop_assert_eq!(living.freshness(&Moment { now, uptime, wall: now }), rule);
        }
    }
}
