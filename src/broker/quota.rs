//! Today's call counts, read from the store periodically for monitoring. With a shared store, peer nodes
//! make calls too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Broker;
use super::slot::Slot;
use crate::upstream::endpoint;

/// The time of the next read, in seconds of uptime.
#[derive(Default)]
pub(super) struct QuotaLedger {
    next: AtomicU64,
}

impl Broker {
    /// Reads today's counts once a minute. After a store error the old counts stay.
    pub(super) async fn look_into_ledger(&self) {
        let (uptime, next) = (
            self.inner.clock.uptime().as_secs(),
            &self.inner.keeper.ledger.next,
        );
        if uptime < next.load(Relaxed) {
            return;
        }
        next.store(uptime + EVERY.as_secs(), Relaxed);
        let now = self.inner.clock.now();
        for page in self.entries().chunks(PAGE) {
            let of: Vec<_> = page
                .iter()
                .map(|(slot, endpoint)| (&slot.key.app, *endpoint))
                .collect();
            let Ok(counts) = self.inner.store.calls_many(&of, now).await else {
                return;
            };
            page.iter()
                .zip(counts)
                .for_each(|((slot, _), count)| slot.counts.called(count, now));
        }
    }

    fn entries(&self) -> Vec<(Arc<Slot>, &'static str)> {
        let members = self.inner.members.load();
        let slots = members
            .all()
            .flat_map(|member| member.slots.iter().map(move |slot| (member, slot)));
        let wanted = slots.filter(|(_, slot)| slot.is_wanted());
        wanted
            .map(|(member, slot)| (slot.clone(), endpoint(&member.account, slot.key.kind).1))
            .collect()
    }
}

/// Every node of a cluster reads the counts, and a quota is used up over hours, not seconds.
const EVERY: Duration = Duration::from_secs(60);

/// Number of counts per store request.
const PAGE: usize = 500;
