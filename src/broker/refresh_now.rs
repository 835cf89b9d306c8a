//! "Refresh now": for an operator who has removed the cause of a failure and does not want to wait for the
//! next try.
//!
//! It makes an ordinary call and forces nothing: a valid stable token is returned unchanged. The rate
//! limits are those of [`Broker::reject`]. A remembered spent quota does not prevent the call, since the
//! quota can be cleared in the console; a call that succeeds lifts the block for all nodes that share the
//! store. A one-hour ban of this server's IP address is not cut short.

use std::sync::Arc;

use super::refresh::Flight;
use super::slot::{Reason, Remembered};
use super::{AccountEntry, Broker};
use crate::credential::{Credential, Kind};
use crate::error::{Class, Error, Wait};
use crate::upstream::endpoint;

/// The result of a refresh that an operator requested.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The current credential.
    pub credential: Arc<Credential>,
    /// Whether its value differs from the previous one.
    pub is_new: bool,
}

impl Broker {
    /// Refreshes a credential now, even if the last failure, including a spent quota, still prevents an
    /// automatic try. For an operator who has removed its cause. A ticket whose token is dead refreshes the
    /// token first.
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

    /// Lifts the block of a quota that is no longer spent. The waiting credentials are tried at once, here
    /// and on the nodes that share the store.
    pub(super) async fn lift_block(&self, member: &AccountEntry, kind: Kind) {
        let (_, called) = endpoint(&member.account, kind);
        let (app, now) = (member.account.app_key(), self.inner.clock.now());
        if let Err(error) = self.inner.store.set_block(&app, called, now, now).await {
            let what = "exhausted quota could not be cleared in the store";
            self.complain(&member.name, &error, what);
        }
        self.wake_blocked(member, called);
    }

    /// Ends the waits of this account's credentials for the quota of one endpoint, including those of
    /// dependent credentials.
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

    /// Ends the waits of credentials that failed because of this parent. The keeper tries them in its next
    /// step.
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
    /// Returns the reason for the parent's refresh: an operator's request for a ticket also covers its
    /// token.
    pub(super) fn why_the_parent(&self) -> Reason {
        if matches!(self.why, Reason::Asked) {
            Reason::Asked
        } else {
            Reason::Missing
        }
    }
}

impl Remembered {
    /// Whether an operator may end the wait early: always, except for a ban of this server's IP address.
    pub(super) fn may_be_cut_short(&self) -> bool {
        matches!(self.error.wait(), Wait::Backoff | Wait::Slow)
            || self.error.class() == Class::Quota
    }
}
