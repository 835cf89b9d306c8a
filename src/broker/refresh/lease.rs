//! The lease of a refresh: the right to call WeChat among the nodes that share a store.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use super::{Failed, Flight};
use crate::credential::Credential;
use crate::store::Lease;

/// Whether this node may call now.
pub(super) enum Turn {
    /// It may; without a lease if the store failed or the wait was too long.
    Granted(Option<Lease>),
    /// Another node has stored a new value.
    Found(Arc<Credential>),
}

impl Flight {
    /// Obtains the right to call: at once if the store is not shared, otherwise possibly after a peer
    /// node's refresh.
    pub(super) async fn lease(&self) -> Result<Turn, Failed> {
        let mut waiting_since = None;
        let turn = self.wait_for_turn(&mut waiting_since).await;
        if let Some(since) = waiting_since {
            let waited = self.broker.inner.clock.uptime().saturating_sub(since);
            self.broker.inner.counters.lease_waits.observe(waited);
        }
        turn
    }

    async fn wait_for_turn(&self, waiting_since: &mut Option<Duration>) -> Result<Turn, Failed> {
        let store = &self.broker.inner.store;
        // Long enough for two leases: one whose owner died, and the refresh of the node that got the lease
        // next.
        let mut polls_left = 2 * self.lease_time().as_millis() / LEASE_POLL.as_millis();
        loop {
            match store.lease(&self.slot.key, self.lease_time()).await {
                // The value may have been stored between the first load and the lease.
                Ok(Some(lease)) => match self.load().await {
                    None => return Ok(Turn::Granted(Some(lease))),
                    Some(found) => {
                        let _ = store.release(lease).await; // on error it expires by itself
                        return Ok(Turn::Found(found));
                    }
                },
                Ok(None) if polls_left == 0 => return Ok(Turn::Granted(None)),
                Ok(None) => {
                    polls_left -= 1;
                    waiting_since.get_or_insert_with(|| self.broker.inner.clock.uptime());
                    tokio::time::sleep(LEASE_POLL).await;
                    if let Some(found) = self.load().await {
                        return Ok(Turn::Found(found));
                    }
                }
                Err(error) => return self.without_store(&error),
            }
        }
    }

    /// Returns a little more than the calls under the lease can take: two, the second of which forces a token or
    /// repeats the call, and two more for each token that the call needs and WeChat may refuse.
    fn lease_time(&self) -> Duration {
        let needs = u32::from(self.slot.key.kind.parent().is_some())
            + u32::from(self.entry.account.component_app_id().is_some());
        let calls = 2 + 2 * needs;
        let timeout = self.broker.inner.upstream.timeout();
        timeout
            .saturating_mul(calls)
            .saturating_add(Duration::from_secs(1))
    }

    pub(super) async fn release(&self, lease: Option<Lease>) {
        let Some(lease) = lease else { return };
        if let Err(error) = self.broker.inner.store.release(lease).await {
            debug!(%error, "lease could not be released: it expires by itself");
        }
    }
}

/// Poll interval while a peer node refreshes.
const LEASE_POLL: Duration = Duration::from_millis(100);
