//! A shared store that has lost its documents, such as a Redis without persistence, or whose replica lacks the last
//! ones, gets the accounts back from memory. A document with an id, whose version grows with every change, tells a
//! loss from a removal by another node.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{debug, warn};

use super::{Version, document_name, is_present, record};
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
    /// Counts a change of the accounts in a shared store. If the store had lost documents before, the next look
    /// restores them.
    pub(super) async fn count_change(&self) {
        if !self.inner.store.is_shared() {
            return;
        }
        // Before the store is read: a change by this process meanwhile is no loss.
        let expected = self.known_accounts().mark.clone();
        let (before, mark) = match self.next_mark().await {
            Ok(marks) => marks,
            Err(error) => {
                self.known_accounts().is_uncounted = true;
                return debug!(%error, "change of stored accounts not counted yet");
            }
        };
        let mark = Some(mark);
        let mut known = self.known_accounts();
        known.is_uncounted = false;
        if expected.is_some_and(|expected| !expected.is_in(&before)) {
            // The mark stays, so that the next look knows of which store the versions are.
            known.has_lost = true;
        } else if known.mark.as_ref().is_none_or(|known| known.is_in(&mark)) {
            known.mark = mark;
        }
    }

    /// Gives the store its next mark, and an id if it has none. Returns the mark before, and the new one.
    async fn next_mark(&self) -> Result<(Option<Mark>, Mark), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        loop {
            let before = self.stored_mark().await?;
            let id = match &before {
                Some(before) => before.id.clone(),
                None => Secret::new(format!("{:016x}", rand::random::<u64>())),
            };
            let next = Document {
                version: before.as_ref().map_or(0, |before| before.changes),
                ..Document::new(id.clone())
            };
            if let Some(changes) = store.save_document(MARK, &next, now).await? {
                return Ok((before, Mark { id, changes }));
            }
        }
    }

    async fn stored_mark(&self) -> Result<Option<Mark>, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let stored = store.load_document(MARK, now).await?;
        Ok(stored.map(|stored| Mark {
            id: stored.text,
            changes: stored.version,
        }))
    }

    /// Stores the known accounts again if the store has lost them, or their last changes. Returns whether it had.
    pub(super) async fn restore_lost_accounts(&self) -> Result<bool, StoreError> {
        if !self.inner.store.is_shared() {
            return Ok(false);
        }
        // Before the store is read: a change by this process meanwhile is no loss.
        let before = self.known_accounts().mark.clone();
        let stored = match self.stored_mark().await {
            // Written by a node with another key, so the store has not lost it.
            Err(StoreError::OtherKey { .. }) => return Ok(false),
            stored => stored?,
        };
        let (lost, versions, removed) = {
            let mut known = self.known_accounts();
            let is_lost = match &before {
                Some(before) => !before.is_in(&stored),
                // The mark of the first change was never written, or the store has lost it.
                None => stored.is_none() && !known.accounts.is_empty(),
            };
            if !known.has_lost && !is_lost {
                if known.mark == before {
                    known.mark = stored;
                }
                return Ok(false);
            }
            let has_same_id = |before: &Mark| stored.is_some_and(|stored| stored.id == before.id);
            // The versions of another store say nothing about this one.
            let (versions, removed) = match before.as_ref().is_some_and(has_same_id) {
                true => (known.versions.clone(), known.removed.clone()),
                false => Default::default(),
            };
            (known.accounts.clone(), versions, removed)
        };
        self.remove_again(removed).await?;
        let restored = self.restore(lost, &versions).await?;
        let (_, mark) = self.next_mark().await?;
        {
            let mut known = self.known_accounts();
            (known.mark, known.has_lost) = (Some(mark), false);
            known.is_uncounted = false;
        }
        if restored > 0 {
            warn!(
                restored,
                "stored accounts written again from memory: the store had lost them"
            );
        }
        Ok(true)
    }

    /// Removes accounts that came back with an older copy of the store. One that was changed there since stays only
    /// if its version is not lower: an earlier text and a later change of it cannot be told apart.
    async fn remove_again(&self, removed: BTreeMap<String, Version>) -> Result<(), StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        for (name, known) in removed {
            let document = document_name(&name);
            let stored = match store.load_document(&document, now).await {
                Err(StoreError::OtherKey { .. }) => continue,
                stored => stored?,
            };
            let Some(stored) = stored.filter(is_present) else {
                continue;
            };
            let is_older = stored.version < known.number
                || Version::new(stored.version, &stored.text) == known;
            let end = Document::after(Some(&stored), "").until(now);
            if is_older && store.save_document(&document, &end, now).await?.is_some() {
                warn!(
                    account = name,
                    "stored account removed again: the store had gone back to an earlier state"
                );
            }
        }
        Ok(())
    }

    /// Stores the accounts that are missing, or have an older version than the known one. Returns how many.
    async fn restore(
        &self,
        lost: BTreeMap<String, Arc<Account>>,
        versions: &BTreeMap<String, Version>,
    ) -> Result<usize, StoreError> {
        let (store, now) = (&self.inner.store, self.inner.clock.now());
        let mut restored = 0;
        for (name, account) in lost {
            let document = document_name(&name);
            let stored = match store.load_document(&document, now).await {
                Err(StoreError::OtherKey { .. }) => continue,
                stored => stored?,
            };
            let version = stored.as_ref().map_or(0, |stored| stored.version);
            let known = versions.get(&name).map_or(0, |known| known.number);
            let is_kept = self.known_accounts().accounts.contains_key(&name);
            // Another node may have been faster. One that another node has removed since the last look comes back:
            // the store that would tell has lost it.
            if is_kept && (version == 0 || version < known) {
                let again = Document::after(stored.as_ref(), record::write(&account));
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
