//! Reads and writes sealed credentials.

use tokio::runtime::Handle;

use super::ignored::NoRecord;
use super::rules::credential_name;
use super::{
    Credential, CredentialKey, Inner, Opened, Operation, Saved, Store, StoreError, Unreadable,
    at_most,
};

impl Store {
    /// Checks, when a service starts, for problems that only an operator can solve: reads these
    /// credentials, and writes the outdated ones again. A store that cannot be reached passes; it may come back.
    /// Returns whether the store has one of them, so that the keys are known to be right.
    ///
    /// # Errors
    /// A [`StoreError`] that [needs the operator](StoreError::needs_operator).
    pub async fn check(&self, keys: &[&CredentialKey]) -> Result<bool, StoreError> {
        for _ in 0..START_TRIES {
            match self.open_all(keys).await {
                Err(StoreError::Slow { .. }) => {}
                Err(error) if error.needs_operator() => return Err(error),
                Err(_) => break,
                Ok(found) => {
                    // Those that stay are written at the next opportunity.
                    let _ = self.load_many(keys).await;
                    return Ok(!found.is_empty());
                }
            }
        }
        Ok(false)
    }

    /// Returns those of these credentials that are stored. Fails at the first one of an unknown key.
    pub(super) async fn open_all(
        &self,
        keys: &[&CredentialKey],
    ) -> Result<Vec<Credential>, StoreError> {
        self.counted(Operation::Load, async {
            let names: Vec<_> = keys.iter().map(|key| credential_name(key)).collect();
            let mut found = Vec::new();
            for (name, stored) in names.iter().zip(self.stored_many(&names).await?) {
                if let Some(stored) = stored {
                    found.extend(self.open(name, stored)?.map(|opened| opened.value));
                }
            }
            Ok(found)
        })
        .await
    }

    /// Whether new values are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encryption.current.is_some()
    }

    /// Whether values of another key, or in plain text, are read and encrypted again.
    pub(crate) fn is_changing_keys(&self) -> bool {
        let keys = &self.encryption;
        keys.previous.is_some() || keys.accept_unencrypted
    }

    /// Saves a sealed credential, if it is the newer one or the stored one is `outdated`. A stored one of an
    /// unknown key counts as newer while it lives.
    pub(super) async fn put(
        &self,
        name: String,
        sealed: &Credential,
        outdated: Option<&Credential>,
    ) -> Result<Saved, StoreError> {
        let keys = &self.encryption;
        by_store! { &self.inner;
            Memory(memory) => {
                memory.change(|records| records.save(name, sealed, outdated, keys)).await
            },
            Shared(shared) => shared.save(&name, sealed, outdated, keys).await,
        }
    }

    /// Returns a stored credential in plain text; `None` if it is damaged.
    pub(super) fn open(
        &self,
        name: &str,
        stored: Credential,
    ) -> Result<Option<Opened<Credential>>, StoreError> {
        self.ok_or_log_once(name, self.encryption.open(name, stored))
    }

    /// Returns an opened value; `None` if it is damaged.
    pub(super) fn ok_or_log_once<T>(
        &self,
        name: &str,
        opened: Result<T, Unreadable>,
    ) -> Result<Option<T>, StoreError> {
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(Unreadable::Damaged(why)) => {
                Ok(self
                    .undecryptable
                    .ok_or_log_once(self.describe(), name, Err(why)))
            }
            Err(Unreadable::OtherKey(key)) => Err(StoreError::OtherKey {
                place: self.describe().to_owned(),
                key,
            }),
        }
    }

    /// Returns stored credentials in plain text, and writes the outdated ones again, once in some minutes. One that
    /// cannot be written now stays, and is written at the next opportunity. One of an unknown key counts as
    /// absent and is logged once, so that it does not hide the others.
    pub(super) async fn open_many(
        &self,
        names: Vec<String>,
        stored: Vec<Option<Credential>>,
    ) -> Vec<Option<Credential>> {
        let mut outdated = Vec::new();
        let mut credentials = Vec::with_capacity(names.len());
        for (name, stored) in names.into_iter().zip(stored) {
            let opened = stored.as_ref().and_then(|stored| {
                let opened = self.encryption.open(&name, stored.clone());
                let readable = opened.map_err(NoRecord::from);
                self.undecryptable
                    .ok_or_log_once(self.describe(), &name, readable)
            });
            if let Some(opened) = opened.as_ref().filter(|opened| opened.is_outdated)
                && !self.rewritten.contains(&name, &opened.value.value)
            {
                let (store, credential) = (self.clone(), opened.value.clone());
                outdated.push(async move {
                    let sealed = store.encryption.seal(&name, &credential);
                    let put = store.put(name.clone(), &sealed, stored.as_ref()).await;
                    if put.is_ok() {
                        store.rewritten.note(&name, &credential.value);
                    }
                });
            }
            credentials.push(opened.map(|opened| opened.value));
        }
        at_most(WRITES_AT_ONCE, &Handle::current(), outdated).await;
        credentials
    }
}

/// How often a slow store is asked at the start.
pub(crate) const START_TRIES: usize = 8;

/// Few enough for a server to answer in time.
const WRITES_AT_ONCE: usize = 64;
