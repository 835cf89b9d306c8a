//! "Refresh now": an operator has removed the cause of a failure and does not want to wait for the next try.
//!
//! It asks WeChat in the ordinary way and forces nothing: a stable token that is well comes back as it is. The rations are those
//! of [`Broker::reject`]. A remembered spent quota is no reason not to call, since the console can clear it: a call that succeeds
//! ends the block, for all who share the store. An hour's ban of this server's address is not cut short.

use std::sync::Arc;

use super::refresh::Flight;
use super::slot::{Reason, Remembered};
use super::{AccountEntry, Broker};
use crate::credential::{Credential, Kind};
use crate::error::{Class, Error, Wait};
use crate::upstream::endpoint;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The credential there is now.
    pub credential: Arc<Credential>,
    /// Whether its value is another than before.
    pub is_new: bool,
}

impl Broker {
    /// Renews a credential now, also while the last failure, a spent quota among them, still forbids another try by itself: for an
    /// operator who has removed its cause. A ticket whose token is dead renews the token first.
    ///
    /// # Errors
    /// As [`Broker::reject`].
    pub async fn renew(&self, account: &str, kind: Kind) -> Result<Renewed, Error> {
        let member = self.member(account)?;
        let slot = member.slot(kind)?;
        let before = slot.lock().last.clone();
        let credential = self.refresh(&member, slot, Reason::Asked).await?;
        let is_new = before.is_none_or(|before| before.value != credential.value);
        self.wake_children(&member, kind);
        Ok(Renewed { credential, is_new })
    }

    /// The quota of this call is not spent any more: what waits for it, here and in the processes that share the store, is tried at once.
    pub(super) async fn lift_block(&self, member: &AccountEntry, kind: Kind) {
        let (_, called) = endpoint(&member.account, kind);
        let (app, now) = (member.account.app_key(), self.inner.clock.now());
        if let Err(error) = self.inner.store.set_block(&app, called, now, now).await {
            let what = "a spent quota could not be taken out of the ledger";
            self.complain(&member.name, &error, what);
        }
        self.wake_blocked(member, called);
    }

    /// Ends the waits of this account's credentials for the quota of one endpoint, and of what waits for those.
    pub(super) fn wake_blocked(&self, member: &AccountEntry, called: &str) {
        let now = self.inner.clock.now();
        for slot in &member.slots {
            let mut state = slot.lock();
            if let Some(failure) = state.failure.as_mut().filter(|failure| {
                failure.error.class() == Class::Quota && failure.error.endpoint == called
            }) {
                failure.end_by(now);
            }
        }
    }

    /// What failed because of its parent need not wait any longer: the keeper tries again with its next step.
    fn wake_children(&self, member: &AccountEntry, parent: Kind) {
        let now = self.inner.clock.now();
        for slot in member
            .slots
            .iter()
            .filter(|slot| slot.key.kind.parent() == Some(parent))
        {
            if let Some(failure) = slot
                .lock()
                .failure
                .as_mut()
                .filter(|failure| failure.kind == parent)
            {
                failure.end_by(now);
            }
        }
    }
}

impl Flight {
    /// Why the parent is wanted: who asks for a ticket now asks for its token now.
    pub(super) fn why_the_parent(&self) -> Reason {
        if matches!(self.why, Reason::Asked) {
            Reason::Asked
        } else {
            Reason::Missing
        }
    }
}

impl Remembered {
    /// Whether an operator may end the wait after it: all but a ban of this server's address.
    pub(super) fn may_be_cut_short(&self) -> bool {
        matches!(self.error.wait(), Wait::Backoff | Wait::Slow)
            || self.error.class() == Class::Quota
    }
}
