//! A shared store that has lost its documents, such as a Redis without persistence, or whose replica lacks the last
//! ones, gets the accounts back from memory. A document with an id, whose version grows with every change, tells a
//! loss from a removal by another node.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::warn;

use super::{document_name, record};
use crate::account::Account;
use crate::broker::Broker;
use crate::credential::Secret;
use crate::store::{Document, StoreError};

/// The state of a store's accounts: the same id with a greater number is a later one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Mark {
    id: Secret,
    changes: u64,
}

impl Broker {
    /// Counts a change of the accounts in the store, which gets an id if it has none.
    pub(super) async fn count_change(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        loop {
            let stored = store.load_document(MARK, now).await?;
            let (version, id) = match stored {
                Some(stored) => (stored.version, stored.text),
                None => (0, Secret::new(format!("{:016x}", rand::random::<u64>()))),
            };
            let next = Document {
                version,
                ..Document::new(id.clone())
            };
            if let Some(changes) = store.save_document(MARK, &next, now).await? {
                self.inner.stored_accounts.known.lock().mark = Some(Mark { id, changes });
                return Ok(());
            }
        }
    }

    /// Stores the known accounts again if the store has lost them, or their last changes.
    pub(super) async fn restore_lost_accounts(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let stored = store.load_document(MARK, now).await?;
        let stored = stored.map(|stored| Mark {
            id: stored.text,
            changes: stored.version,
        });
        let (lost, versions) = {
            let mut known = self.inner.stored_accounts.known.lock();
            if known.mark.as_ref().is_none_or(|known| known.is_in(&stored)) {
                known.mark = stored;
                return Ok(());
            }
            let has_same_id = |known: &Mark| stored.is_some_and(|stored| stored.id == known.id);
            // The versions of another store say nothing about this one.
            let versions = match known.mark.as_ref().is_some_and(has_same_id) {
                true => known.versions.clone(),
                false => BTreeMap::new(),
            };
            (known.accounts.clone(), versions)
        };
        let restored = self.restore(lost, &versions).await?;
        self.count_change().await?;
        if restored > 0 {
            warn!(
                restored,
                "stored accounts written again from memory: the store had lost them"
            );
        }
        Ok(())
    }

    /// Stores the accounts that are missing, or have an older version than the known one. Returns how many.
    async fn restore(
        &self,
        lost: BTreeMap<String, Arc<Account>>,
        versions: &BTreeMap<String, u64>,
    ) -> Result<usize, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let mut restored = 0;
        for (name, account) in lost {
            let document = document_name(&name);
            let stored = store.load_document(&document, now).await?;
            let version = stored.map_or(0, |stored| stored.version);
            let known = versions.get(&name).copied().unwrap_or_default();
            // Another node may have been faster.
            if version == 0 || version < known {
                let again = Document {
                    version,
                    ..Document::new(record::write(&account))
                };
                let saved = store.save_document(&document, &again, now).await?;
                restored += usize::from(saved.is_some());
            }
            self.restore_claim(&name, &account).await?;
        }
        Ok(restored)
    }
}

impl Mark {
    /// Whether the store has this state, or a later one.
    fn is_in(&self, stored: &Option<Self>) -> bool {
        let stored = stored.as_ref().filter(|stored| stored.id == self.id);
        stored.is_some_and(|stored| stored.changes >= self.changes)
    }
}

/// The document with the id. It is not in the group of the accounts.
const MARK: &str = "accounts";
