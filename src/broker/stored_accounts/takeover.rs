//! An account that takes over an app begins without the credentials of the account that had the app: the API
//! key that added it may not know the AppSecret.

use std::sync::Arc;
use std::time::Duration;

use crate::account::Account;
use crate::broker::{AccountEntry, Accounts, Broker};
use crate::clock::UnixTime;
use crate::credential::{Credential, Kind, Secret};
use crate::store::StoreError;

impl Broker {
    /// Makes other nodes, and this one after a restart, fetch the credentials of an app again.
    pub(super) async fn forget_stored(&self, account: &Account) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        for kind in Kind::ALL.into_iter().filter(|kind| account.has(*kind)) {
            let key = account.key(kind);
            let stored = store.load(&key).await?;
            self.end_stored(&key, stored, |known| Some(ended(known, kind, now)))
                .await?;
        }
        Ok(())
    }

    /// Makes this node fetch the credentials of the apps that have another account than `before`. Returns those
    /// that had one.
    pub(super) fn forget_taken_over(
        &self,
        accounts: &Accounts,
        before: &Accounts,
    ) -> Vec<Arc<AccountEntry>> {
        let (clock, now) = (&self.inner.clock, self.inner.clock.now());
        let mut taken_over = Vec::new();
        for (entry, had_account) in accounts.new_owners(before) {
            for slot in entry.slots() {
                let mut state = slot.lock();
                if let Some(last) = state.last.clone().filter(|last| last.expires_at > now) {
                    state.see(&Arc::new(ended(&last, slot.key.kind, now)), clock);
                }
                self.forget(slot);
            }
            if had_account {
                taken_over.push(entry.clone());
            }
        }
        taken_over
    }
}

/// Returns what takes the place of a credential that must not be served any more. A token's value is another
/// one: if WeChat returns the same value again, the dates are those that it reports then. For a repeated ticket
/// WeChat may report a whole life, so a ticket keeps its value and when it was issued.
fn ended(credential: &Credential, kind: Kind, now: UnixTime) -> Credential {
    let before = |time: UnixTime, span: Duration| UnixTime(time.0.saturating_sub(span.as_secs()));
    let expires_at = before(now, LATE_CLOCK);
    let (value, issued_at) = match kind {
        Kind::AccessToken => (Secret::new("ended"), before(expires_at, credential.life())),
        Kind::JsapiTicket | Kind::CardTicket | Kind::AgentTicket => {
            let latest = before(expires_at, Duration::from_secs(1));
            (credential.value.clone(), credential.issued_at.min(latest))
        }
    };
    Credential {
        value,
        issued_at,
        expires_at,
        generation: credential.generation.saturating_add(1),
    }
}

/// An ended value ends this much earlier, so that a node with a slow clock does not serve it.
const LATE_CLOCK: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_that_is_ended_in_its_first_seconds_stays_a_valid_record() {
        let now = UnixTime(1_767_225_600);
        for (kind, age) in Kind::ALL.into_iter().flat_map(|kind| [(kind, 0), (kind, 120)]) {
            let issued_at = UnixTime(now.0 - age);
            let fresh = Credential {
                value: Secret::new("value"),
                issued_at,
                expires_at: issued_at.plus(Duration::from_secs(7_200)),
                generation: 1,
            };
            let ended = ended(&fresh, kind, now);
            assert_eq!(ended.check(), Ok(()), "{kind}, {age} s old");
            assert!(ended.expires_at < now && ended.replaces(&fresh));
        }
    }
}
