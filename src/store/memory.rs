//! The memory store: lasts as long as the process. Also answers the reads of the file store.
//!
//! An expired credential stays until a newer one is saved or a week has passed; the caller checks its life.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::document::group_of;
use super::rules::{KEPT, RefreshClaims, shanghai_day};
use super::{Claim, Document, EncryptionKeys, Saved};
use crate::clock::UnixTime;
use crate::credential::Credential;

/// [`Records`] behind a lock that is held for one operation, never across an await.
#[derive(Default)]
pub(super) struct Memory(Mutex<Records>);

impl Memory {
    /// Locks the records for one operation.
    pub(super) fn records(&self) -> MutexGuard<'_, Records> {
        self.0.lock()
    }
}

/// All entries of a store, by name.
#[derive(Default)]
pub(super) struct Records {
    entries: HashMap<String, Entry>,
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

impl Records {
    /// Returns the entry with this name.
    #[cfg(feature = "file")]
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Sets an entry, replacing any previous one.
    pub(super) fn put(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    #[cfg(feature = "file")]
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    /// Returns the credential with this name.
    pub(super) fn load(&self, name: &str) -> Option<&Credential> {
        match self.entries.get(name) {
            Some(Entry::Credential(credential)) => Some(credential),
            _ => None,
        }
    }

    /// Saves the credential if it is the newer one; `outdated` is replaced in any case, and a living one of an
    /// unknown key in none.
    pub(super) fn save(
        &mut self,
        name: String,
        credential: &Credential,
        outdated: Option<&Credential>,
        keys: &EncryptionKeys,
    ) -> Saved {
        match self.load(&name) {
            Some(stored)
                if stored != credential
                    && Some(stored) != outdated
                    && (!credential.replaces(stored) || keys.protect(stored, credential)) =>
            {
                Saved::Newer(stored.clone())
            }
            _ => {
                self.put(name, Entry::Credential(credential.clone()));
                Saved::Stored
            }
        }
    }

    /// Returns the document with this name.
    pub(super) fn document(&self, name: &str) -> Option<&Document> {
        match self.entries.get(name) {
            Some(Entry::Document(document)) => Some(document),
            _ => None,
        }
    }

    /// Returns the documents of a group, by the names of their entries.
    pub(super) fn documents(&self, group: &str) -> Vec<(String, Document)> {
        let of_group = |(name, entry): (&String, &Entry)| match entry {
            Entry::Document(document) if group_of(name).0 == group => {
                Some((name.clone(), document.clone()))
            }
            _ => None,
        };
        self.entries.iter().filter_map(of_group).collect()
    }

    /// Saves a document in place of its previous version, or returns the stored one.
    pub(super) fn save_document(
        &mut self,
        name: &str,
        document: &Document,
    ) -> Result<(), Option<Document>> {
        let stored = self.document(name);
        if stored.map_or(0, |stored| stored.version) + 1 != document.version {
            return Err(stored.cloned());
        }
        self.put(name.to_owned(), Entry::Document(document.clone()));
        Ok(())
    }

    /// Counts one call under this name. Returns its count and the names of all changed entries, including removed
    /// ones.
    pub(super) fn count_call(&mut self, name: String, now: UnixTime) -> (u64, Vec<String>) {
        let mut touched = self.prune(now);
        let count = self.number(&name).unwrap_or(0).saturating_add(1);
        let day = shanghai_day(now);
        self.put(name.clone(), Entry::Calls { day, count });
        touched.push(name);
        (count, touched)
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
    ) -> Claim {
        let stored = match self.entries.get(&name) {
            Some(Entry::RefreshClaims(claims)) => Some(*claims),
            _ => None,
        };
        let (claim, remember) = RefreshClaims::claim(stored, now, min_gap, daily);
        if let Some(claims) = remember {
            self.put(name, Entry::RefreshClaims(claims));
        }
        claim
    }

    /// Once a day, removes the counts before yesterday, the blocks and documents that have ended, and the
    /// credentials and claimed refreshes that ended a week ago.
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
        let mut left_after = |days| {
            let (_, mut touched) = records.count_call("calls:a".to_owned(), start.plus(DAY * days));
            touched.retain(|name| !name.starts_with("calls:"));
            touched
        };
        assert_eq!(left_after(7), [""; 0]);
        assert_eq!(left_after(8), ["force:a"]);
        assert_eq!(left_after(9), ["credential:a"]);
    }
}
