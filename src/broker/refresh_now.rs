//! "Refresh now": a person has mended something and does not want to wait for the next try.
//!
//! It asks WeChat in the ordinary way and forces nothing: a stable token that is well comes back as it is. The rations are those
//! of [`Broker::reject`], and a wait that WeChat itself demands (a spent quota, an hour's ban) is not cut short.

use std::sync::Arc;

use super::refresh::Flight;
use super::slot::{Reason, Remembered};
use super::{AccountEntry, Broker};
use crate::credential::{Credential, Kind};
use crate::error::{Error, Wait};

/// What came of it.
#[derive(Clone, Debug)]
pub struct Renewed {
    /// The credential there is now.
    pub credential: Arc<Credential>,
    /// Whether its value is another than before.
    pub is_new: bool,
}

impl Broker {
    /// Renews a credential now, also while the last failure still forbids another try by itself: for a person who has mended its
    /// cause. A ticket whose token is dead renews the token first.
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
    /// Whether the wait after it is this program's own caution, and not WeChat's word.
    pub(super) fn may_be_cut_short(&self) -> bool {
        matches!(self.error.wait(), Wait::Backoff | Wait::Slow)
    }
}
