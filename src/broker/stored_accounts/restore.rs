//! A shared store that has lost its documents, such as a Redis without persistence, gets the accounts back from
//! memory. An id in the store tells a loss from a removal by another node.

use tracing::warn;

use super::{document_name, record};
use crate::broker::Broker;
use crate::credential::Secret;
use crate::store::{Document, StoreError};

impl Broker {
    /// Returns the id of the store; gives it one if it has none.
    pub(super) async fn mark_store(&self) -> Result<Secret, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        loop {
            if let Some(stored) = store.load_document(ID, now).await? {
                let mut known = self.inner.stored_accounts.known.lock();
                known.store_id.get_or_insert(stored.text.clone());
                return Ok(stored.text);
            }
            let id = Document::new(format!("{:016x}", rand::random::<u64>()));
            store.save_document(ID, &id, now).await?;
        }
    }

    /// Stores the known accounts again if the store has lost them.
    pub(super) async fn restore_lost_accounts(&self) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let stored = store.load_document(ID, now).await?;
        let stored = stored.map(|stored| stored.text);
        let lost = {
            let mut known = self.inner.stored_accounts.known.lock();
            if known.store_id.is_none() || known.store_id == stored {
                known.store_id = stored;
                return Ok(());
            }
            known.accounts.clone()
        };
        let mut restored = 0;
        for (name, account) in lost {
            let document = Document::new(record::write(&account));
            // Another node may have been faster.
            let saved = store
                .save_document(&document_name(&name), &document, now)
                .await?;
            restored += usize::from(saved.is_some());
            self.restore_claim(&name, &account).await?;
        }
        let id = self.mark_store().await?;
        self.inner.stored_accounts.known.lock().store_id = Some(id);
        if restored > 0 {
            warn!(
                restored,
                "stored accounts written again from memory: the store had lost them"
            );
        }
        Ok(())
    }
}

/// The document with the id. It is not in the group of the accounts.
const ID: &str = "accounts";
