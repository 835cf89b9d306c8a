//! The store of one process: in memory, and in a file too if it has one.
//!
//! An expired credential stays until a newer one is saved or a week has passed; the caller checks its life.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::document::group_of;
#[cfg(feature = "file")]
use super::file::FileStore;
use super::rules::{KEPT, RefreshClaims, shanghai_day};
use super::{Claim, Document, EncryptionKeys, Saved, StoreError};
use crate::clock::UnixTime;
use crate::credential::Credential;

/// The store of one process.
#[derive(Default)]
pub(super) struct MemoryStore {
    /// The lock is held for one operation, never across an await.
    pub(super) records: Arc<Mutex<Records>>,
    /// Where changes become durable; without it, they are at once.
    #[cfg(feature = "file")]
    pub(super) file: Option<FileStore>,
}

/// All entries of a store, by name, and which of them are durable.
#[derive(Default)]
pub(super) struct Records {
    pub(super) entries: HashMap<String, Entry>,
    /// Credentials that are not durable yet, and therefore not visible to readers.
    pending: HashMap<String, Credential>,
    /// Names to write, each with the number of the change.
    pub(super) dirty: HashMap<String, u64>,
    /// Number of the last change.
    changed: u64,
    /// Number of the last durable change.
    pub(super) durable: u64,
    /// The last day on which old entries were removed.
    pruned: u64,
}

/// An entry.
#[derive(Clone)]
pub(super) enum Entry {
    Credential(Credential),
    Calls { day: u64, count: u64 },
    Block(UnixTime),
    RefreshClaims(RefreshClaims),
    Document(Document),
}

/// Names with the entries to write; `None` removes.
pub(super) type Batch = Vec<(String, Option<Entry>)>;

impl MemoryStore {
    /// Does work on the records. Returns its result when the change that it names is durable.
    pub(super) async fn change<T>(
        &self,
        work: impl FnOnce(&mut Records) -> (T, u64),
    ) -> Result<T, StoreError> {
        let (done, change) = work(&mut self.records.lock());
        #[cfg(feature = "file")]
        if let Some(file) = &self.file {
            return file.durable(change).await.map(|()| done);
        }
        let mut records = self.records.lock();
        if records.durable < change {
            let (last, batch) = records.batch();
            records.written(last, batch);
        }
        Ok(done)
    }
}

/// Each change returns its result and the number of the change to wait for.
impl Records {
    /// Sets an entry, replacing any previous one.
    fn put(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    /// Marks names as dirty and returns the number of this change.
    pub(super) fn touch(&mut self, names: impl IntoIterator<Item = String>) -> u64 {
        self.changed += 1;
        self.dirty
            .extend(names.into_iter().map(|name| (name, self.changed)));
        self.changed
    }

    /// Returns the last change of an entry that is not durable, 0 if there is no such change.
    fn change_of(&self, name: &str) -> u64 {
        self.dirty.get(name).copied().unwrap_or(0)
    }

    /// Returns all changes that are not durable, and the number of the last one.
    pub(super) fn batch(&self) -> (u64, Batch) {
        let entry = |name: &String| match self.pending.get(name) {
            Some(credential) => Some(Entry::Credential(credential.clone())),
            None => self.entries.get(name).cloned(),
        };
        let names = self.dirty.keys();
        let batch = names.map(|name| (name.clone(), entry(name))).collect();
        (self.changed, batch)
    }

    /// Marks a batch as durable, and makes its credentials visible to readers.
    pub(super) fn written(&mut self, change: u64, batch: Batch) {
        self.dirty.retain(|_, changed| *changed > change);
        self.durable = self.durable.max(change);
        for (name, entry) in batch {
            if let Some(Entry::Credential(credential)) = entry {
                if self.pending.get(&name) == Some(&credential) {
                    self.pending.remove(&name);
                }
                self.put(name, Entry::Credential(credential));
            }
        }
    }

    /// Returns the credential with this name.
    pub(super) fn load(&self, name: &str) -> Option<&Credential> {
        match self.entries.get(name) {
            Some(Entry::Credential(credential)) => Some(credential),
            _ => None,
        }
    }

    /// Saves the credential if it is newer than the newest one, whether that is durable or pending; `outdated` is
    /// replaced in any case, and a living one of an unknown key in none.
    pub(super) fn save(
        &mut self,
        name: String,
        credential: &Credential,
        outdated: Option<&Credential>,
        keys: &EncryptionKeys,
    ) -> (Saved, u64) {
        let pending = self.pending.get(&name);
        // Another caller's commit may write a pending credential, but it is not durable before that, so
        // wait for it too.
        let wait = pending.map_or(0, |_| self.changed);
        match pending.or_else(|| self.load(&name)) {
            Some(newest) if newest == credential => (Saved::Stored, wait),
            Some(newest)
                if Some(newest) != outdated
                    && (!credential.replaces(newest) || keys.protect(newest, credential)) =>
            {
                (Saved::Newer(newest.clone()), wait)
            }
            _ => {
                self.pending.insert(name.clone(), credential.clone());
                (Saved::Stored, self.touch([name]))
            }
        }
    }

    /// Returns the document with this name.
    pub(super) fn document(&self, name: &str) -> (Option<Document>, u64) {
        let document = match self.entries.get(name) {
            Some(Entry::Document(document)) => Some(document.clone()),
            _ => None,
        };
        (document, self.change_of(name))
    }

    /// Returns the documents of a group, by the names of their entries.
    pub(super) fn documents(&self, group: &str) -> (Vec<(String, Document)>, u64) {
        let of_group = |(name, entry): (&String, &Entry)| match entry {
            Entry::Document(document) if group_of(name).0 == group => {
                Some((name.clone(), document.clone()))
            }
            _ => None,
        };
        let documents: Vec<_> = self.entries.iter().filter_map(of_group).collect();
        let changes = documents.iter().map(|(name, _)| self.change_of(name));
        let change = changes.max().unwrap_or(0);
        (documents, change)
    }

    /// Saves a document in place of its previous version, or returns the stored one.
    pub(super) fn save_document(
        &mut self,
        name: &str,
        document: &Document,
    ) -> (Result<(), Option<Document>>, u64) {
        let (stored, change) = self.document(name);
        if stored.as_ref().map_or(0, |stored| stored.version) + 1 != document.version {
            return (Err(stored), change);
        }
        self.put(name.to_owned(), Entry::Document(document.clone()));
        (Ok(()), self.touch([name.to_owned()]))
    }

    /// Counts one call under this name.
    pub(super) fn count_call(&mut self, name: String, now: UnixTime) -> (u64, u64) {
        let mut touched = self.prune(now);
        let count = self.number(&name).unwrap_or(0).saturating_add(1);
        let day = shanghai_day(now);
        self.put(name.clone(), Entry::Calls { day, count });
        touched.push(name);
        (count, self.touch(touched))
    }

    pub(super) fn set_block(&mut self, name: String, until: UnixTime) -> ((), u64) {
        self.put(name.clone(), Entry::Block(until));
        ((), self.touch([name]))
    }

    /// Returns the numbers with these names.
    pub(super) fn numbers(&self, names: &[String]) -> Vec<Option<u64>> {
        names.iter().map(|name| self.number(name)).collect()
    }

    fn number(&self, name: &str) -> Option<u64> {
        match self.entries.get(name)? {
            Entry::Calls { count, .. } => Some(*count),
            Entry::Block(until) => Some(until.0),
            _ => None,
        }
    }

    /// Decides on a refresh and records it if granted.
    pub(super) fn claim_refresh(
        &mut self,
        name: String,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> (Claim, u64) {
        let stored = match self.entries.get(&name) {
            Some(Entry::RefreshClaims(claims)) => Some(*claims),
            _ => None,
        };
        let (claim, remember) = RefreshClaims::claim(stored, now, min_gap, daily);
        let change = remember.map_or(0, |claims| {
            self.put(name.clone(), Entry::RefreshClaims(claims));
            self.touch([name])
        });
        (claim, change)
    }

    /// Once a day, removes the counts before yesterday, the blocks and documents that have ended, and the
    /// credentials and claimed refreshes that ended a week ago. Returns their names.
    fn prune(&mut self, now: UnixTime) -> Vec<String> {
        let today = shanghai_day(now);
        if today <= self.pruned {
            return Vec::new();
        }
        self.pruned = today;
        let over = |entry: &mut Entry| match entry {
            Entry::Calls { day, .. } => *day + 1 < today,
            Entry::Block(until) => *until <= now,
            Entry::Document(document) => document.expires_at.is_some_and(|end| end <= now),
            Entry::Credential(credential) => credential.expires_at.plus(KEPT) < now,
            Entry::RefreshClaims(claims) => claims.last.plus(KEPT) < now,
        };
        self.entries
            .extract_if(|_, entry| over(entry))
            .map(|(name, _)| name)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Secret;

    #[test]
    fn credentials_and_claimed_refreshes_are_removed_a_week_after_their_end() {
        const DAY: Duration = Duration::from_secs(86_400);
        let start = UnixTime(1_704_067_200);
        let mut records = Records::default();
        let _ = records.claim_refresh("force:a".to_owned(), start, DAY, None);
        let credential = Credential {
            value: Secret::new("value"),
            issued_at: start,
            expires_at: start.plus(DAY),
            generation: 1,
        };
        let keys = EncryptionKeys::default();
        records.save("credential:a".to_owned(), &credential, None, &keys);
        let (change, batch) = records.batch();
        records.written(change, batch);
        let mut left_after = |days| {
            records.count_call("calls:a".to_owned(), start.plus(DAY * days));
            let names = ["credential:a", "force:a"].into_iter();
            Vec::from_iter(names.filter(|name| records.entries.contains_key(*name)))
        };
        assert_eq!(left_after(7), ["credential:a", "force:a"]);
        assert_eq!(left_after(8), ["credential:a"]);
        assert_eq!(left_after(9), [""; 0]);
    }
}
