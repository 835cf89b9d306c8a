//! Accounts of the store among those of the configuration, which win.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};

use super::{AccountEntry, AccountSource, Accounts};
use crate::account::Account;
use crate::broker::BuildError;

/// Why a stored account is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Conflict {
    /// Another account has its name.
    SameName,
    /// The account with this name is the same app.
    SameApp(String),
}

impl Conflict {
    /// Returns the error for this account.
    pub(in crate::broker) fn error(&self, name: &str, account: &Account) -> BuildError {
        match self {
            Self::SameName => BuildError::SameName(name.to_owned()),
            Self::SameApp(first) => BuildError::SameApp {
                app: account.app_key().to_string(),
                names: [first.clone(), name.to_owned()],
            },
        }
    }
}

impl Accounts {
    /// Returns the accounts with exactly these of the store, which of those are not used, and whether a credential
    /// is now to be stored under another key. An app keeps the slots that it has here or in `before`, except under
    /// another name with another secret: a limited API key may have added the account without knowing the secret.
    /// The default account stays.
    pub(in crate::broker) fn with_stored(
        &self,
        stored: &BTreeMap<String, Arc<Account>>,
        before: &Self,
    ) -> (Self, BTreeMap<String, Conflict>, bool) {
        let mut merged = self.clone();
        let is_stored = |entry: &AccountEntry| entry.source == AccountSource::Api;
        merged.by_name.retain(|_, entry| !is_stored(entry));
        merged.by_app.retain(|_, entry| !is_stored(entry));
        let mut conflicts = BTreeMap::new();
        for (name, account) in stored {
            if let Some(conflict) = merged.conflict_of(name, account) {
                conflicts.insert(name.clone(), conflict);
                continue;
            }
            let is_own = |had: &&Arc<AccountEntry>| {
                had.name == *name || had.account.secret() == account.secret()
            };
            let entry = match before.by_name.get(name) {
                Some(known) if Arc::ptr_eq(&known.account, account) => known.clone(),
                _ => Arc::new(AccountEntry {
                    source: AccountSource::Api,
                    secret_hash: hash_of_secret(account),
                    ..AccountEntry::new(
                        name.clone(),
                        account.clone(),
                        before.by_app.get(&account.app_key()).filter(is_own),
                        &mut merged.templates,
                    )
                }),
            };
            merged.insert(entry);
        }
        let mut has_moved = false;
        for entry in merged.all() {
            for slot in entry.slots() {
                has_moved |= slot.set_secret_hash(entry.secret_hash);
            }
        }
        (merged, conflicts, has_moved)
    }

    /// Returns why an account cannot be added under this name.
    pub(in crate::broker) fn conflict_of(&self, name: &str, account: &Account) -> Option<Conflict> {
        if self.by_name.contains_key(name) {
            return Some(Conflict::SameName);
        }
        let same = self.same_app(account)?;
        Some(Conflict::SameApp(same.name.clone()))
    }

    /// Returns the account that is the same app, by [`Account::app_identity`].
    pub(in crate::broker) fn same_app(&self, account: &Account) -> Option<&Arc<AccountEntry>> {
        let mut key = account.app_key();
        let found = self.by_app.get(&key);
        key.platform = match key.platform {
            "official" => "mini",
            "mini" => "official",
            _ => return found,
        };
        found.or_else(|| self.by_app.get(&key))
    }
}

/// Returns [`CredentialKey::secret_hash`](crate::credential::CredentialKey::secret_hash) of an account's credentials.
pub(in crate::broker) fn hash_of_secret(account: &Account) -> Option<NonZeroU64> {
    let digest = Sha1::new()
        .chain_update(account.app_key().to_string())
        .chain_update([0])
        .chain_update(account.secret().expose())
        .finalize();
    let first = digest.first_chunk().copied().map(u64::from_be_bytes);
    first.and_then(NonZeroU64::new)
}
