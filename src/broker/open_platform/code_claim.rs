//! The right to redeem a code: one request at a time has it, among all nodes. Likewise the right to do what one node
//! does for all.

use std::sync::Arc;
use std::time::Duration;

use super::records::{document_name, refusal_in};
use super::redeem::interrupted;
use super::{Broker, PlatformState};
use crate::broker::AccountEntry;
use crate::credential::Secret;
use crate::error::Error;
use crate::platform::authorizer::code_id;
use crate::store::{Document, StoreError};
use crate::upstream::Upstream;

impl Broker {
    /// Claims what one node does for all, for this long. Returns whether this node may do it now.
    pub(super) async fn claim_for(
        &self,
        platform: &AccountEntry,
        name: &str,
        time: Duration,
    ) -> Result<bool, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        // Nothing but an earlier life of this process could have claimed it.
        if !store.is_shared() {
            return Ok(true);
        }
        let name = document_name(platform, name);
        let claim = Document::new("").until(now.plus(time));
        if store.save_document(&name, &claim, now).await?.is_some() {
            return Ok(true);
        }
        // A claim that lasts longer than any is by a clock that was ahead.
        let claimed = store.load_document(&name, now).await?;
        let longest = now.plus(2 * time);
        let Some(wrong) = claimed.filter(|claimed| claimed.expires_at > Some(longest)) else {
            return Ok(false);
        };
        let claim = Document::after(Some(&wrong), "").until(now.plus(time));
        Ok(store.save_document(&name, &claim, now).await?.is_some())
    }

    /// Redeems a code that came directly. If the push brought it too, and this or another process is redeeming it,
    /// waits for that. Returns the AppID of the account that it was for.
    pub(super) async fn redeem_or_wait(
        &self,
        platform: &Arc<AccountEntry>,
        code: &Secret,
    ) -> Result<String, Error> {
        // Before the claim: without the platform's token the code cannot be sent.
        self.platform_token(platform).await?;
        let id = code_id(code);
        let mut polls_left = WAIT_FOR_CODE.as_millis() / CODE_POLL.as_millis();
        loop {
            if let Some(_sending) = CodeGuard::begin(platform, &id) {
                let claim = self.claim_code(platform, &id).await;
                match claim.map_err(|error| self.records_failed(platform, &error))? {
                    None => return self.redeem_claimed(platform, code, None).await,
                    Some(app_id) if !app_id.is_empty() => {
                        return match refusal_in(&app_id) {
                            Some(errcode) => {
                                Err(self.failed(platform, Upstream::refused_code(errcode)))
                            }
                            None => Ok(app_id),
                        };
                    }
                    Some(_) => {}
                }
            }
            if polls_left == 0 {
                return Err(interrupted(platform));
            }
            polls_left -= 1;
            tokio::time::sleep(CODE_POLL).await;
        }
    }
}

/// The right to do what one request at a time does in this process: to redeem the code in the record of an account, by
/// its AppID, or to send a code, by its id. Ends when it is dropped.
pub(super) struct CodeGuard {
    platform: Arc<PlatformState>,
    id: String,
}

impl CodeGuard {
    /// Returns `None` if another request does it.
    pub(super) fn begin(platform: &AccountEntry, id: &str) -> Option<Self> {
        let platform = platform.open_platform.clone()?;
        let id = id.to_owned();
        let is_free = platform.known.lock().guarded.insert(id.clone());
        is_free.then(|| Self { platform, id })
    }
}

impl Drop for CodeGuard {
    fn drop(&mut self) {
        self.platform.known.lock().guarded.remove(&self.id);
    }
}

/// How long the browser waits for the redemption that the push has started.
const WAIT_FOR_CODE: Duration = Duration::from_secs(10);
const CODE_POLL: Duration = Duration::from_millis(100);
