//! Durable data that is not a credential: text under a name, changed by compare-and-set.
//!
//! A store knows nothing of the content. To change a document, load it, change its text, and save it
//! with the version that was loaded; if another process was faster, nothing is saved: start again.
//!
//! The name up to its last colon is the *group*: `platform:wx1:authorizer:wx2` is in
//! `platform:wx1:authorizer`. A group can be listed.

use super::ignored::NoRecord;
use super::{Inner, Opened, Operation, Store, StoreError, Unreadable};
use crate::clock::UnixTime;
use crate::credential::Secret;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// How often it was changed. The version of a document that does not exist is 0.
    pub version: u64,
    /// From when on it counts as absent; its store removes it later. `None` keeps it for ever.
    pub expires_at: Option<UnixTime>,
    /// Its text, on one line. May contain secrets; encrypted in the store if there is a key.
    pub text: Secret,
}

impl Document {
    /// Returns a document that is not stored yet, and is kept for ever.
    #[must_use]
    pub fn new(text: impl Into<Secret>) -> Self {
        Self {
            version: 0,
            expires_at: None,
            text: text.into(),
        }
    }

    /// Returns the document that replaces `before`, or is new without it, and is kept for ever.
    pub(crate) fn after(before: Option<&Self>, text: impl Into<Secret>) -> Self {
        Self {
            version: before.map_or(0, |before| before.version),
            ..Self::new(text)
        }
    }

    /// Sets its end.
    pub(crate) fn until(mut self, end: UnixTime) -> Self {
        self.expires_at = Some(end);
        self
    }

    /// Returns what is authenticated beside its text.
    fn authenticated(&self, name: &str) -> String {
        let end = self.expires_at.map_or(0, |end| end.0);
        format!("{name} {} {end}", self.version)
    }

    fn is_over(&self, now: UnixTime) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

impl Store {
    /// Returns the document with this name; `None` if it is absent, damaged or expired.
    /// Writes it again if it is not encrypted with the current key.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now. Unlike a credential, a document cannot be fetched
    /// again: do not continue as if it were absent.
    pub async fn load_document(
        &self,
        name: &str,
        now: UnixTime,
    ) -> Result<Option<Document>, StoreError> {
        self.counted(Operation::Load, async {
            let name = entry_name(name);
            let stored = self.stored_document(&name).await?;
            self.current_document(&name, stored, now).await
        })
        .await
    }

    /// Returns the documents of a group with their names, in the order of their names; without those that
    /// are damaged or have expired. Writes those again that are not encrypted with the current key. `None`
    /// stands for a document of an unknown key or in plain text, so that it hides no others; it is logged once.
    ///
    /// Takes several requests if there are many, so it is not a snapshot: of two documents that change
    /// together, it may have the older one of the first and the newer one of the second.
    ///
    /// # Errors
    /// As [`Store::load_document`], except [`StoreError::OtherKey`].
    pub async fn load_documents(
        &self,
        group: &str,
        now: UnixTime,
    ) -> Result<Vec<(String, Option<Document>)>, StoreError> {
        self.counted(Operation::Load, async {
            let group = entry_name(group);
            let stored = by_store! { &self.inner;
                Memory(memory) => memory.change(|records| records.documents(&group)).await?,
                Shared(shared) => shared.documents(&group).await?,
            };
            let mut documents = Vec::with_capacity(stored.len());
            for (name, stored) in stored {
                let document = match self.current_document(&name, Some(stored), now).await {
                    Err(StoreError::OtherKey { place, key }) => {
                        let why = NoRecord::from(Unreadable::OtherKey(key));
                        self.undecryptable
                            .ok_or_log_once::<Document>(&place, &name, Err(why))
                    }
                    loaded => match loaded? {
                        Some(document) => Some(document),
                        None => continue,
                    },
                };
                let name = name.strip_prefix(ENTRY).unwrap_or(&name).to_owned();
                documents.push((name, document));
            }
            documents.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            Ok(documents)
        })
        .await
    }

    /// Saves a document if the stored one still has its version (0: if no document is stored). Returns the new
    /// version; `None` if it was changed meanwhile: load it again. When this returns a version, a file store
    /// has it on disk. A damaged or expired document counts as absent; its successor has a higher version.
    ///
    /// # Errors
    /// [`StoreError::TooLong`], or another [`StoreError`] if it may not have been saved.
    pub async fn save_document(
        &self,
        name: &str,
        document: &Document,
        now: UnixTime,
    ) -> Result<Option<u64>, StoreError> {
        self.counted(Operation::Save, async {
            let name = entry_name(name);
            if name.len() > LONGEST_NAME || document.text.expose().len() > LONGEST_TEXT {
                return Err(StoreError::TooLong { name });
            }
            let mut replaced = document.version;
            loop {
                let sealed = self.seal_document(&name, document, replaced);
                let Err(stored) = self.put_document(&name, &sealed, now).await? else {
                    return Ok(Some(sealed.version));
                };
                if document.version > 0 {
                    return Ok(None);
                }
                replaced = stored.as_ref().map_or(0, |stored| stored.version);
                if let Some(stored) = stored.filter(|stored| !stored.is_over(now))
                    && self.open_document(&name, &stored)?.is_some()
                {
                    return Ok(None);
                }
            }
        })
        .await
    }

    /// Returns a stored document in plain text; `None` if it counts as absent. Writes it again if it is not
    /// encrypted with the current key.
    async fn current_document(
        &self,
        name: &str,
        mut stored: Option<Document>,
        now: UnixTime,
    ) -> Result<Option<Document>, StoreError> {
        while let Some(sealed) = stored.filter(|stored| !stored.is_over(now)) {
            let Some(opened) = self.open_document(name, &sealed)? else {
                return Ok(None);
            };
            let document = Document {
                text: opened.value,
                ..sealed
            };
            if !opened.is_outdated || self.rewritten.contains(name, &document.text) {
                return Ok(Some(document));
            }
            let sealed = self.seal_document(name, &document, document.version);
            stored = match self.put_document(name, &sealed, now).await? {
                Ok(()) => {
                    self.rewritten.note(name, &document.text);
                    let version = sealed.version;
                    return Ok(Some(Document {
                        version,
                        ..document
                    }));
                }
                Err(changed) => changed,
            };
        }
        Ok(None)
    }

    async fn stored_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        by_store! { &self.inner;
            Memory(memory) => memory.change(|records| records.document(name)).await,
            Shared(shared) => shared.document(name).await,
        }
    }

    /// Saves a sealed document in place of its previous version, or returns the stored one that has another
    /// version.
    async fn put_document(
        &self,
        name: &str,
        sealed: &Document,
        now: UnixTime,
    ) -> Result<Result<(), Option<Document>>, StoreError> {
        let _ = now;
        by_store! { &self.inner;
            Memory(memory) => memory.change(|records| records.save_document(name, sealed)).await,
            Shared(shared) => shared.save_document(name, sealed, now).await,
        }
    }

    /// Returns the document as it is stored, one version after the `replaced` one.
    fn seal_document(&self, name: &str, document: &Document, replaced: u64) -> Document {
        let mut sealed = Document {
            version: replaced.saturating_add(1),
            ..document.clone()
        };
        let authenticated = sealed.authenticated(name);
        sealed.text = self.encryption.seal_value(authenticated, &sealed.text);
        sealed
    }

    /// Returns a stored text in plain text; `None` if it is damaged.
    fn open_document(
        &self,
        name: &str,
        stored: &Document,
    ) -> Result<Option<Opened<Secret>>, StoreError> {
        let authenticated = stored.authenticated(name);
        let opened = self.encryption.open_value(authenticated, &stored.text);
        self.ok_or_log_once(name, opened)
    }
}

fn entry_name(name: &str) -> String {
    format!("{ENTRY}{name}")
}

/// Returns the group of an entry, and the rest of its name.
pub(super) fn group_of(entry: &str) -> (&str, &str) {
    entry.rsplit_once(':').unwrap_or(("", entry))
}

/// What the names of all entries of documents begin with.
const ENTRY: &str = "document:";

/// In bytes, with the prefix. Longer names do not fit into a column of SQL.
const LONGEST_NAME: usize = 190;

/// In bytes. With encryption (a third more) and the head of a record, 8,000 letters of a column of SQL are
/// enough; MySQL would cut what is longer.
const LONGEST_TEXT: usize = 5_500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EncryptionKey, EncryptionKeys};

    const NOW: UnixTime = UnixTime(1_704_067_200);

    fn store() -> Store {
        Store::memory().encrypted(EncryptionKeys {
            current: EncryptionKey::parse(&"a".repeat(64)).ok(),
            ..Default::default()
        })
    }

    #[tokio::test]
    async fn a_text_of_another_name_version_or_end_counts_as_absent_and_is_replaced() {
        for (name, version, end) in [
            ("document:b", 1, None),
            ("document:a", 2, None),
            ("document:a", 1, Some(NOW)),
        ] {
            let store = store();
            let other = Document {
                version,
                expires_at: end,
                ..Document::new("{}")
            };
            let stored = Document {
                version: 1,
                expires_at: None,
                text: store
                    .encryption
                    .seal_value(other.authenticated(name), &other.text),
            };
            let put = store.put_document("document:a", &stored, NOW).await;
            assert_eq!(put, Ok(Ok(())));
            assert_eq!(store.load_document("a", NOW).await, Ok(None));
            let new = Document::new("new");
            let late = Document {
                version: 5,
                ..new.clone()
            };
            assert_eq!(store.save_document("a", &late, NOW).await, Ok(None));
            assert_eq!(store.save_document("a", &new, NOW).await, Ok(Some(2)));
            let second = Document { version: 2, ..new };
            let loaded = store.load_document("a", NOW).await;
            assert_eq!(loaded, Ok(Some(second)));
        }
    }

    /// MySQL would cut what does not fit, and say nothing.
    #[tokio::test]
    async fn the_longest_text_fits_into_its_column_with_a_key_and_a_longer_one_is_refused() {
        let store = store();
        let longest = Document::new("x".repeat(LONGEST_TEXT));
        let sealed = store.seal_document("document:a", &longest, u64::MAX);
        assert!(sealed.text.expose().len() + 150 < 8_000);
        let saved = store.save_document("a", &longest, NOW).await;
        assert_eq!(saved, Ok(Some(1)));
        for (name, length) in [("b".to_owned(), LONGEST_TEXT + 1), ("b".repeat(190), 1)] {
            let document = Document::new("x".repeat(length));
            let saved = store.save_document(&name, &document, NOW).await;
            assert!(matches!(saved, Err(StoreError::TooLong { .. })));
        }
    }
}
