//! Which API keys were given which token, and the account of each token that was given to one.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

use super::token_for_key::{ASKED_AGAIN, Check};
use crate::broker::Broker;
use crate::credential::{AppKey, Credential, KeyId, Secret};

/// The API keys that were last given one account's tokens. Local to this process; each node remembers its
/// own.
#[derive(Default)]
pub(in crate::broker) struct Recipients {
    recipients: Mutex<VecDeque<Recipient>>,
    /// The last check of the token because a client asked for it again.
    pub(super) checked: tokio::sync::Mutex<Option<Check>>,
}

/// The API keys that were given a token.
#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the web layer hands out tokens
#[derive(Default)]
pub(crate) struct Holders {
    pub(crate) keys: Vec<KeyId>,
    /// Whether no other key can have it: peer nodes, and this process before a restart, may have given it to
    /// more.
    pub(crate) are_all: bool,
}

/// A token that was given to an API key, and the IP address that presented the key.
struct Recipient {
    /// Hash of the token, so that its value is not stored twice.
    token: u64,
    key: KeyId,
    from: Option<IpAddr>,
    /// Whether WeChat issued the token to this process, so that it was given to no key before.
    is_fetched_here: bool,
    /// When, in uptime, it was given last.
    at: Duration,
}

/// The accounts of the tokens that this process has given to API keys, also of those that are no longer
/// valid: a client that keeps its token too long can still be recognised. Holds hashes only.
pub(in crate::broker) struct HandedTokens {
    accounts: Cache<u64, AppKey>,
    hasher: RandomState,
}

impl Default for HandedTokens {
    fn default() -> Self {
        Self {
            accounts: Cache::builder()
                .max_capacity(MOST_HANDED)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(HANDED_LIFE)
                .build(),
            hasher: RandomState::new(),
        }
    }
}

impl HandedTokens {
    /// Returns a hash that only this process can compute.
    pub(super) fn fingerprint(&self, token: &str) -> u64 {
        self.hasher.hash_one(token)
    }
}

impl Recipients {
    fn note(&self, recipient: Recipient) {
        let mut recipients = self.recipients.lock();
        let known = recipients.iter_mut().find(|known| {
            (known.token, known.key, known.from) == (recipient.token, recipient.key, recipient.from)
        });
        if let Some(known) = known {
            known.at = recipient.at;
            return;
        }
        if recipients.len() == MOST_RECIPIENTS {
            recipients.pop_front();
        }
        recipients.push_back(recipient);
    }

    /// Returns the keys that were given the token at this IP address; if there are none, all that were given
    /// it.
    fn of(&self, token: u64, from: Option<IpAddr>) -> Holders {
        let mut recipients = self.recipients.lock();
        // A token in use is the last to be dropped.
        let recipients = recipients.make_contiguous();
        recipients.sort_by_key(|recipient| recipient.token == token);
        let given = &recipients[recipients.partition_point(|recipient| recipient.token != token)..];
        let is_known_there = given.iter().any(|recipient| recipient.from == from);
        Holders {
            keys: given
                .iter()
                .filter(|recipient| !is_known_there || recipient.from == from)
                .map(|recipient| recipient.key)
                .collect(),
            are_all: !given.is_empty() && given.iter().all(|recipient| recipient.is_fetched_here),
        }
    }

    /// Returns whether the key was given this token within the last minute.
    pub(super) fn has_just_been_given(&self, token: u64, key: KeyId, now: Duration) -> bool {
        let recipients = self.recipients.lock();
        recipients.iter().any(|recipient| {
            recipient.token == token
                && recipient.key == key
                && now.saturating_sub(recipient.at) < ASKED_AGAIN
        })
    }
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // only the web layer hands out tokens
impl Broker {
    /// Records that this API key was given an access token of the account.
    pub(crate) fn note_recipient(
        &self,
        account: &str,
        token: &Secret,
        key: KeyId,
        from: Option<IpAddr>,
    ) {
        let accounts = self.inner.accounts.load();
        if let Ok(entry) = accounts.find(account) {
            let slot = entry.token_slot();
            let handed = &self.inner.handed;
            let fingerprint = handed.fingerprint(token.expose());
            let state = slot.lock();
            // WeChat may repeat a token that an earlier process had, with the time that is left.
            let is_new = |last: &Credential| {
                last.value == *token && last.expires_at.since(last.issued_at) >= WHOLE_LIFE
            };
            let is_fetched_here = state.dated_here && state.last.as_deref().is_some_and(is_new);
            drop(state);
            handed.accounts.insert(fingerprint, slot.key.app.clone());
            slot.details.recipients.note(Recipient {
                token: fingerprint,
                key,
                from,
                is_fetched_here,
                at: self.inner.clock.uptime(),
            });
        }
    }

    /// Returns the name of the account of a token that this process has given to a client, though it may no
    /// longer be valid.
    pub(crate) fn account_of_handed_token(&self, token: &str) -> Option<String> {
        let handed = &self.inner.handed;
        let app = handed.accounts.get(&handed.fingerprint(token))?;
        let accounts = self.inner.accounts.load();
        accounts.of_key(&app).map(|entry| entry.name.clone())
    }

    /// Returns the API keys that were given this token of the account, at this IP address or else at any.
    pub(crate) fn holders_of(&self, account: &str, token: &str, from: Option<IpAddr>) -> Holders {
        let accounts = self.inner.accounts.load();
        let Ok(entry) = accounts.find(account) else {
            return Holders::default();
        };
        let fingerprint = self.inner.handed.fingerprint(token);
        let recipients = &entry.token_slot().details.recipients;
        let mut holders = recipients.of(fingerprint, from);
        holders.are_all &= !self.has_peer_nodes();
        holders
    }

    /// Whether peer nodes may have handed out tokens that this process does not know of.
    pub(crate) fn has_peer_nodes(&self) -> bool {
        self.inner.store.is_shared()
    }
}

/// Per account: API keys times the IP addresses of their clients.
const MOST_RECIPIENTS: usize = 256;

/// How long a token lives that WeChat has just made.
const WHOLE_LIFE: Duration = Duration::from_secs(7_200);

/// Tokens whose account is remembered: some 2 MiB.
const MOST_HANDED: u64 = 20_000;

/// A token lives for two hours, and a client that ignores `expires_in` keeps it for two hours more.
const HANDED_LIFE: Duration = Duration::from_secs(4 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_keyed_by_address_and_the_longest_unused_is_dropped() {
        let recipients = Recipients::default();
        let from = |n: u8| Some(IpAddr::from([10, 0, 0, n]));
        let [crm, shop, other, crowd] = [1, 2, 3, 4].map(|byte| [byte; 32]);
        let recipient = |token, key: KeyId, n| Recipient {
            token,
            key,
            at: Duration::ZERO,
            is_fetched_here: true,
            from: from(n),
        };
        for _ in 0..3 {
            recipients.note(recipient(1, crm, 1));
        }
        recipients.note(recipient(1, shop, 2));
        recipients.note(recipient(2, other, 1));
        let keys = |token, n| recipients.of(token, from(n)).keys;
        assert_eq!(keys(1, 1), [crm]);
        assert_eq!(keys(1, 2), [shop]);
        assert_eq!(keys(1, 3), [crm, shop]);
        assert_eq!(keys(3, 1), Vec::<KeyId>::new());
        for token in 0..MOST_RECIPIENTS as u64 - 2 {
            assert_eq!(keys(1, 1), [crm], "in use");
            recipients.note(recipient(10 + token, crowd, 1));
        }
        assert_eq!(keys(2, 1), Vec::<KeyId>::new());
        for token in 0..MOST_RECIPIENTS as u64 {
            recipients.note(recipient(1_000 + token, crowd, 1));
        }
        assert_eq!(keys(1, 1), Vec::<KeyId>::new());
        assert_eq!(recipients.recipients.lock().len(), MOST_RECIPIENTS);
    }

    #[test]
    fn a_new_token_is_remembered_when_the_most_are() {
        let handed = HandedTokens::default();
        let app = || crate::account::Account::official("wx1", "secret").app_key();
        for token in 0..MOST_HANDED {
            handed.accounts.insert(token, app());
        }
        handed.accounts.run_pending_tasks();
        let newest = handed.fingerprint("newest");
        handed.accounts.insert(newest, app());
        handed.accounts.run_pending_tasks();
        assert_eq!(handed.accounts.get(&newest), Some(app()));
    }
}
