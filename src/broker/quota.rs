//! How many calls the day has seen, looked up now and then for those who watch the quota: with a shared store, peers call too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Broker;
use super::slot::Slot;
use crate::upstream::endpoint;

/// When to look again, in seconds of uptime.
#[derive(Default)]
pub(super) struct QuotaLedger {
    next: AtomicU64,
}

impl Broker {
    /// Takes note of today's counts, once a minute. A store that errs leaves them as they were.
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

/// Every process of a cluster asks; a quota is used up in hours, not in seconds.
const EVERY: Duration = Duration::from_secs(60);

/// How many counts one question to the store is about.
const PAGE: usize = 500;
