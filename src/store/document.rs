//! Durable data that is not a credential: text under a name, changed by compare-and-set.
//!
//! A store knows nothing of the content. Whoever changes a document loads it, makes the new text, and saves
//! that with the version that was loaded; if another process was faster, nothing is saved, and it starts again.

use super::{Closed, Inner, Operation, Store, StoreError};
use crate::credential::Secret;

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// How often it was changed. The version of a document that does not exist is 0.
    pub version: u64,
    /// Its text, on one line. May contain secrets; encrypted in the store if there is a key.
    pub text: Secret,
}

impl Store {
    /// Returns the document with this name; `None` if there is none, or if it is damaged. Writes it again if
    /// it is not encrypted with the current key.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now. Unlike a credential, a document cannot be fetched
    /// again: do not continue as if it were absent.
    pub async fn load_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.counted(Operation::Load, async {
            let name = entry_name(name);
            loop {
                let Some(stored) = self.stored_document(&name).await? else {
                    return Ok(None);
                };
                let version = stored.version;
                let Some((text, is_outdated)) = self.open_document(&name, &stored)? else {
                    return Ok(None);
                };
                if !is_outdated {
                    return Ok(Some(Document { version, text }));
                }
                let sealed = self.encryption.seal_text(&name, version + 1, &text);
                if let Ok(version) = self.put_document(name.clone(), sealed, version).await? {
                    return Ok(Some(Document { version, text }));
                }
            }
        })
        .await
    }

    /// Saves a text if the document still has the `expected` version, 0 for a new document. Returns its new
    /// version; `None` if it was changed meanwhile: load it again. When this returns a version, a file store
    /// has it on disk. A damaged document counts as absent.
    ///
    /// # Errors
    /// [`StoreError`] if it may not have been saved.
    pub async fn save_document(
        &self,
        name: &str,
        text: &Secret,
        expected: u64,
    ) -> Result<Option<u64>, StoreError> {
        self.counted(Operation::Save, async {
            let name = entry_name(name);
            let mut replaced = expected;
            loop {
                let sealed = self.encryption.seal_text(&name, replaced + 1, text);
                match self.put_document(name.clone(), sealed, replaced).await? {
                    Ok(version) => return Ok(Some(version)),
                    Err(Some(stored)) if expected == 0 => {
                        if self.open_document(&name, &stored)?.is_some() {
                            return Ok(None);
                        }
                        replaced = stored.version;
                    }
                    Err(None) if expected == 0 => replaced = 0,
                    Err(_) => return Ok(None),
                }
            }
        })
        .await
    }

    async fn stored_document(&self, name: &str) -> Result<Option<Document>, StoreError> {
        by_store! { &self.inner;
            Memory(memory) => Ok(memory.records().document(name).cloned()),
            File(file) => file.document(name).await,
            Shared(_) => Err(self.no_documents()),
        }
    }

    /// Saves a sealed text, or returns the document that has another version than `expected`.
    async fn put_document(
        &self,
        name: String,
        sealed: Secret,
        expected: u64,
    ) -> Result<Result<u64, Option<Document>>, StoreError> {
        let _ = (&name, &sealed, expected);
        by_store! { &self.inner;
            Memory(memory) => Ok(memory.records().save_document(name, sealed, expected)),
            File(file) => file.save_document(name, sealed, expected).await,
            Shared(_) => Err(self.no_documents()),
        }
    }

    /// Returns the text, and whether it is to be written again; `None` if it is damaged.
    fn open_document(
        &self,
        name: &str,
        stored: &Document,
    ) -> Result<Option<(Secret, bool)>, StoreError> {
        let opened = self
            .encryption
            .open_text(name, stored.version, &stored.text);
        match opened {
            Err(Closed::OtherKey(key)) => Err(StoreError::OtherKey {
                place: self.describe(),
                key,
            }),
            Err(Closed::Damaged(why)) => Ok(self.ignored.usable(&self.describe(), name, Err(why))),
            Ok(opened) => Ok(Some(opened)),
        }
    }

    #[cfg(any(feature = "redis", feature = "sql"))]
    fn no_documents(&self) -> StoreError {
        StoreError::Unavailable {
            place: self.describe(),
            problem: "keeps no documents yet".to_owned(),
        }
    }
}

fn entry_name(name: &str) -> String {
    format!("document:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EncryptionKey, EncryptionKeys};

    fn store() -> Store {
        Store::memory().encrypted(EncryptionKeys {
            current: EncryptionKey::parse(&"a".repeat(64)).ok(),
            previous: None,
        })
    }

    /// Puts a text into the store that was sealed under this name and version.
    async fn damage(store: &Store, name: &str, version: u64) {
        let sealed = store.encryption.seal_text(name, version, &"{}".into());
        let put = store.put_document(entry_name("a"), sealed, 0).await;
        assert_eq!(put, Ok(Ok(1)));
    }

    #[tokio::test]
    async fn a_text_of_another_name_or_version_counts_as_absent_and_is_replaced() {
        for (name, version) in [("document:b", 1), ("document:a", 2)] {
            let store = store();
            damage(&store, name, version).await;
            assert_eq!(store.load_document("a").await, Ok(None));
            let text = Secret::new("new");
            assert_eq!(store.save_document("a", &text, 5).await, Ok(None));
            assert_eq!(store.save_document("a", &text, 0).await, Ok(Some(2)));
            let stored = store.load_document("a").await;
            assert_eq!(stored, Ok(Some(Document { version: 2, text })));
        }
    }
}
