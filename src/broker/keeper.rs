//! The keeper: renews what is due while it is still served, so that a reader almost never waits.
//!
//! The step is [`Broker::tend`]; [`Broker::keep_fresh`] is the loop around it. A failure costs a wait, never the loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::refresh::{Boarding, land};
use super::slot::{Outcome, Slot, Why};
use super::{Broker, Member};
use crate::credential::{Credential, Freshness};
use crate::error::Error;

/// How many of its own refreshes the keeper has under way, and the bell that rings when one ends.
#[derive(Default)]
pub(super) struct Pace {
    under_way: Arc<AtomicUsize>,
    ended: Arc<Notify>,
}

impl Broker {
    /// Keeps every account's credentials fresh until it is dropped. Spawn it once per process.
    pub async fn keep_fresh(self) {
        loop {
            for (member, slot, flight) in self.start_due() {
                self.inner.runtime.spawn(self.clone().see_home(member, slot, flight));
            }
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.inner.keeper.ended.notified() => {}
            }
        }
    }

    /// One step of the keeper: starts the refreshes that are due, waits for them, and says how each went. At most 16
    /// at a time, so that ten thousand cold accounts do not call WeChat in the same second.
    pub async fn tend(&self) -> Vec<Result<Arc<Credential>, Error>> {
        let mut outcomes = Vec::new();
        for (member, slot, flight) in self.start_due() {
            outcomes.push(self.clone().see_home(member, slot, flight).await);
        }
        outcomes
    }

    async fn see_home(
        self,
        member: Arc<Member>,
        slot: Arc<Slot>,
        flight: watch::Receiver<Outcome>,
    ) -> Result<Arc<Credential>, Error> {
        let outcome = land(flight, &member, slot.key.kind).await;
        self.inner.keeper.under_way.fetch_sub(1, Ordering::Relaxed);
        self.inner.keeper.ended.notify_one();
        outcome
    }

    /// Starts what is due, as far as the pace allows; parents first, since a ticket waits for its token anyway.
    fn start_due(&self) -> Vec<(Arc<Member>, Arc<Slot>, watch::Receiver<Outcome>)> {
        let mut started = Vec::new();
        for member in self.inner.members.load().all() {
            for slot in member.slots.iter().filter(|slot| slot.is_wanted()) {
                if self.inner.keeper.under_way.load(Ordering::Relaxed) >= AT_ONCE {
                    return started;
                }
                if let Some(flight) = self.start_if_due(member, slot) {
                    self.inner.keeper.under_way.fetch_add(1, Ordering::Relaxed);
                    started.push((member.clone(), slot.clone(), flight));
                }
            }
        }
        started
    }

    fn start_if_due(&self, member: &Arc<Member>, slot: &Arc<Slot>) -> Option<watch::Receiver<Outcome>> {
        let due = match self.inner.living.get(&slot.key) {
            Some(credential) => self.freshness(slot, &credential) != Freshness::Fresh,
            None => true,
        };
        if !due || slot.lock().is_busy(self.inner.clock.now()) {
            return None;
        }
        match self.board(member, slot, Why::Due) {
            Boarding::Flight(flight) => Some(flight),
            Boarding::Living(_) | Boarding::Cooling(_) => None,
        }
    }
}

/// How often the keeper looks. A look at a credential that is not due costs two comparisons.
pub const TICK: Duration = Duration::from_secs(1);

/// Refreshes that the keeper has under way at once: WeChat answers one in some 50 ms, so 10,000 cold accounts take a minute.
const AT_ONCE: usize = 16;
