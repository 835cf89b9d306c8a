//! Reads and writes sealed credentials.

use tokio::runtime::Handle;

use super::{Closed, Credential, CredentialKey, Inner, Opened, Saved, Store, StoreError, at_most};

impl Store {
    /// Checks, when a service starts, for problems that only an operator can solve: reads these
    /// credentials. A store that cannot be reached passes; it may come back.
    ///
    /// # Errors
    /// A [`StoreError`] that [needs the operator](StoreError::needs_operator).
    pub async fn check(&self, keys: &[&CredentialKey]) -> Result<(), StoreError> {
        for _ in 0..PATIENCE {
            match self.load_many(keys).await {
                Err(StoreError::Slow { .. }) => {}
                Err(error) if error.needs_operator() => return Err(error),
                _ => break,
            }
        }
        Ok(())
    }

    /// Whether new values are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption.current.is_some()
    }

    /// Saves a sealed credential, if it is the newer one or the stored one is `outdated`.
    pub(super) async fn put(
        &self,
        name: String,
        sealed: &Credential,
        outdated: Option<&Credential>,
    ) -> Result<Saved, StoreError> {
        by_store! { &self.inner;
            Memory(memory) => Ok(memory.records().save(name, sealed, outdated)),
            File(file) => file.save(name, sealed, outdated).await,
            Shared(shared) => shared.save(&name, sealed, outdated).await,
        }
    }

    /// Returns a stored credential in plain text; `None` if it is damaged.
    pub(super) fn open(
        &self,
        name: &str,
        stored: Credential,
    ) -> Result<Option<Opened<Credential>>, StoreError> {
        self.usable(name, self.encryption.open(name, stored))
    }

    /// Returns an opened value; `None` if it is damaged.
    pub(super) fn usable<T>(
        &self,
        name: &str,
        opened: Result<T, Closed>,
    ) -> Result<Option<T>, StoreError> {
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(Closed::Damaged(why)) => Ok(self.ignored.usable(&self.describe(), name, Err(why))),
            Err(Closed::OtherKey(key)) => Err(StoreError::OtherKey {
                place: self.describe(),
                key,
            }),
        }
    }

    /// Returns stored credentials in plain text, and writes the outdated ones again. One that cannot be
    /// written now stays, and is written at the next opportunity.
    pub(super) async fn open_many(
        &self,
        names: Vec<String>,
        stored: Vec<Option<Credential>>,
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        let (mut outdated, mut credentials) = (Vec::new(), Vec::with_capacity(names.len()));
        for (name, stored) in names.into_iter().zip(stored) {
            let opened = match &stored {
                Some(stored) => self.open(&name, stored.clone())?,
                None => None,
            };
            if let Some(opened) = opened.as_ref().filter(|opened| opened.is_outdated) {
                let (store, sealed) = (self.clone(), self.encryption.seal(&name, &opened.value));
                outdated.push(async move { store.put(name, &sealed, stored.as_ref()).await });
            }
            credentials.push(opened.map(|opened| opened.value));
        }
        at_most(WRITES_AT_ONCE, &Handle::current(), outdated).await;
        Ok(credentials)
    }
}

/// How often a slow store is asked at the start.
const PATIENCE: usize = 8;

/// Few enough for a server to answer in time.
const WRITES_AT_ONCE: usize = 64;
