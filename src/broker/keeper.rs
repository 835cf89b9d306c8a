//! The keeper: refreshes credentials while they are still served, so that a reader almost never waits.
//!
//! [`Broker::tend`] is one step; [`Broker::keep_fresh`] is the loop. A failure causes a delay and never
//! ends the loop.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::quota::QuotaLedger;
use super::refresh::{Decision, land};
use super::slot::{Outcome, Reason, Slot};
use super::sync::Sync;
use super::{AccountEntry, Broker};
use crate::clock::Moment;
use crate::credential::{Credential, Freshness};
use crate::error::Error;

/// The state of the keeper: permits for its own refreshes, the signal that one ended, and what it knows of
/// the clock.
pub(super) struct Pace {
    free: Arc<Semaphore>,
    ended: Notify,
    pub(super) clock_jumps: AtomicU64,
    /// By how much the wall clock was ahead of the uptime at the last step, in seconds.
    pub(super) wall_ahead: Mutex<Option<u64>>,
    /// By how much the clock for lifetimes is ahead of the wall clock, in seconds, since the wall clock was
    /// set back.
    pub(super) wall_behind: AtomicU64,
    pub(super) sync: Sync,
    pub(super) ledger: QuotaLedger,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(AT_ONCE)),
            ended: Notify::default(),
            clock_jumps: AtomicU64::default(),
            wall_ahead: Mutex::default(),
            wall_behind: AtomicU64::default(),
            sync: Sync::default(),
            ledger: QuotaLedger::default(),
        }
    }
}

impl Broker {
    /// Keeps every account's credentials fresh until the future is dropped. Spawn it once per process.
    pub async fn keep_fresh(self) {
        self.look_around().await;
        // A separate loop, so that a slow store does not delay refreshes.
        let looking = async {
            loop {
                tokio::time::sleep(TICK).await;
                self.look_around().await;
            }
        };
        tokio::join!(self.keep_renewing(), looking);
    }

    async fn keep_renewing(&self) {
        loop {
            // One scan serves many refreshes, so ten thousand cold accounts are not scanned ten thousand
            // times.
            for (member, slot) in self.due() {
                let free = self
                    .inner
                    .keeper
                    .free
                    .clone()
                    .acquire_owned()
                    .await
                    .expect("it is never closed");
                self.inner.counts.keeper_looked(self.inner.clock.uptime());
                if let Some(flight) = self.start_if_due(&member, &slot) {
                    self.inner
                        .runtime
                        .spawn(self.clone().see_home(member, slot, flight, free));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.inner.keeper.ended.notified() => {}
            }
        }
    }

    /// Runs one step of the keeper: checks the clock and, if it is time, the store; starts the due
    /// refreshes, waits for them, and returns their results. At most 16 refreshes run at a time, so that
    /// ten thousand cold accounts do not all call WeChat in the same second.
    pub async fn tend(&self) -> Vec<Result<Arc<Credential>, Error>> {
        self.look_around().await;
        let mut started = Vec::new();
        for (member, slot) in self.due() {
            let Ok(free) = self.inner.keeper.free.clone().try_acquire_owned() else {
                break;
            };
            if let Some(flight) = self.start_if_due(&member, &slot) {
                started.push(self.clone().see_home(member, slot, flight, free));
            }
        }
        let mut outcomes = Vec::new();
        for refresh in started {
            outcomes.push(refresh.await);
        }
        outcomes
    }

    async fn look_around(&self) {
        self.sum_up();
        self.notice_clock().await;
        self.catch_up().await;
        self.look_into_ledger().await;
        self.meet_peers().await;
    }

    async fn see_home(
        self,
        member: Arc<AccountEntry>,
        slot: Arc<Slot>,
        flight: watch::Receiver<Outcome>,
        free: OwnedSemaphorePermit,
    ) -> Result<Arc<Credential>, Error> {
        let outcome = land(flight, &member, slot.key.kind).await;
        drop(free);
        self.inner.keeper.ended.notify_one();
        outcome
    }

    /// Returns the due slots, parents first, since a ticket needs its token anyway. Reads the clock once
    /// and compares two numbers per slot; takes a slot's lock only if these say that it may be due.
    fn due(&self) -> Vec<(Arc<AccountEntry>, Arc<Slot>)> {
        let (members, at) = (self.inner.members.load(), self.inner.clock.moment());
        self.inner.counts.keeper_looked(at.uptime);
        let slots = members
            .all()
            .flat_map(|member| member.slots.iter().map(move |slot| (member, slot)));
        let due = slots.filter(|(member, slot)| slot.is_wanted() && self.is_due(member, slot, &at));
        due.map(|(member, slot)| (member.clone(), slot.clone()))
            .collect()
    }

    fn is_due(&self, member: &AccountEntry, slot: &Slot, at: &Moment) -> bool {
        let freshness = match &*self.current(slot, at) {
            Some(current) => current.freshness(at),
            None => Freshness::Expired,
        };
        if freshness == Freshness::Fresh {
            return slot.owes(at.now);
        }
        let mut state = slot.lock();
        if freshness == Freshness::Expired {
            self.tell_end(&member.name, slot, &mut state, at.now);
        }
        !state.is_busy(at.now)
    }

    fn start_if_due(
        &self,
        member: &Arc<AccountEntry>,
        slot: &Arc<Slot>,
    ) -> Option<watch::Receiver<Outcome>> {
        let at = self.inner.clock.moment();
        if !self.is_due(member, slot, &at) {
            return None;
        }
        let owed = slot.lock().owed(at.now);
        let ordinary = || {
            if self.current_credential(slot).is_some() {
                Reason::Due
            } else {
                Reason::Missing
            }
        };
        match self.board(member, slot, owed.unwrap_or_else(ordinary)) {
            Decision::Flight(flight) => Some(flight),
            Decision::Current(_) => {
                slot.lock().settle();
                None
            }
            Decision::Cooling(_) => None,
        }
    }
}

/// How often the keeper checks. Checking a credential that is not due costs two comparisons.
pub const TICK: Duration = Duration::from_secs(1);

/// Maximum number of concurrent keeper refreshes. WeChat answers one in some 50 ms, so 10,000 cold accounts
/// take a minute.
const AT_ONCE: usize = 16;
