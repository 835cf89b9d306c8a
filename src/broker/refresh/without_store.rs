//! A refresh while the shared store cannot be reached, so that no lease coordinates the nodes.

use std::time::Duration;

use super::lease::Turn;
use super::{Failed, Flight};
use crate::broker::slot::Reason;
use crate::clock::UnixTime;
use crate::store::StoreError;

impl Flight {
    /// Decides what to do when the store fails. An error counts as an empty store. But while a value is
    /// served, no node has to refresh without the store: most outages are short, every uncoordinated refresh
    /// is an unnecessary call, and a classic call retires the tokens of the peer nodes. So the refresh
    /// waits until near the end.
    pub(super) fn without_store(&self, error: &StoreError) -> Result<Turn, Failed> {
        let alone = if self.is_classic_token() {
            CLASSIC_ALONE
        } else {
            ALONE
        };
        let now = self.broker.inner.clock.now();
        let current = self.broker.current_credential(&self.slot);
        match current.filter(|current| current.remaining(now) > alone) {
            Some(current) if !matches!(self.reason, Reason::Rejected(_)) => {
                let latest = current.expires_at.0.saturating_sub(alone.as_secs());
                let error = self.store_unreachable(error);
                Err(Failed::Store(error, UnixTime(latest)))
            }
            _ => {
                self.log_store_error(error, "refreshing without the store");
                Ok(Turn::Granted(None))
            }
        }
    }
}

/// Without a store for coordination, a credential is refreshed only this close to its end: later than the
/// lead, so that an outage of a minute or two costs no call, and early enough for a few failures.
const ALONE: Duration = Duration::from_secs(120);

/// Later still for a classic token, because its refresh retires the tokens of the peer nodes.
const CLASSIC_ALONE: Duration = Duration::from_secs(60);
