//! Documents: a row each. The version is compared in the statement; the record has it too.

use super::error::Failure;
use super::{SqlStore, Text, number};
use crate::clock::UnixTime;
use crate::store::document::group_of;
use crate::store::ignored::NoRecord;
use crate::store::record::{read_document, write_document, writer};
use crate::store::{Document, StoreError};

impl SqlStore {
    pub(in crate::store) async fn document(
        &self,
        name: &str,
    ) -> Result<Option<Document>, StoreError> {
        let stored = self.bounded(self.document_row(name)).await?;
        Ok(stored.and_then(|row| self.readable(name, &row)))
    }

    /// Uses a query for each page of documents.
    pub(in crate::store) async fn documents(
        &self,
        group: &str,
    ) -> Result<Vec<(String, Document)>, StoreError> {
        // LIKE would ignore the case in SQLite, and take `_` of a name for any letter.
        let begin = format!("{group}:");
        let select = format!(
            "SELECT name, version, record FROM {{}}documents \
             WHERE SUBSTR(name, 1, {}) = ? AND name > ? ORDER BY name LIMIT {PAGE}",
            begin.chars().count()
        );
        let mut documents = Vec::new();
        let mut after = String::new();
        loop {
            let values = [Text(&begin), Text(&after)];
            let page: Vec<(String, i64, String)> =
                self.bounded(self.rows(&select, &values)).await?;
            let is_last = page.len() < PAGE;
            for (name, version, record) in page {
                after.clone_from(&name);
                if group_of(&name).0 == group
                    && let Some(document) = self.readable(&name, &(version, record))
                {
                    documents.push((name, document));
                }
            }
            if is_last {
                return Ok(documents);
            }
        }
    }

    /// Saves a document in place of its previous version, or returns the stored one. A record that cannot be
    /// read counts as absent.
    pub(in crate::store) async fn save_document(
        &self,
        name: &str,
        document: &Document,
        _now: UnixTime,
    ) -> Result<Result<(), Option<Document>>, StoreError> {
        let record = write_document(name, document, &writer());
        let previous = document.version.saturating_sub(1);
        let end = number(document.expires_at.map_or(u64::MAX, |end| end.0));
        let set = "UPDATE {}documents SET version = ?, expires_at = ?, record = ? WHERE name = ?";
        let of_version = format!("{set} AND version = ?");
        let of_record = format!("{set} AND record = ?");
        let insert = "INTO {}documents (version, expires_at, record, name) VALUES (?, ?, ?, ?)";
        let row = [number(document.version), end, Text(&record), Text(name)];
        let [version, end, new, named] = row;
        self.bounded(async {
            let saved = match previous {
                0 => self.inserted(insert, &row).await?,
                _ => {
                    let values = [version, end, new, named, number(previous)];
                    self.changed(&of_version, &values).await?
                }
            };
            if saved {
                return Ok(Ok(()));
            }
            loop {
                let Some(stored) = self.document_row(name).await? else {
                    return Ok(Err(None));
                };
                // The answer of the statement was lost, and it was repeated.
                if stored.1 == record {
                    return Ok(Ok(()));
                }
                let document = self.readable(name, &stored);
                if document.is_some() || previous > 0 {
                    return Ok(Err(document));
                }
                let values = [version, end, new, named, Text(&stored.1)];
                if self.changed(&of_record, &values).await? {
                    return Ok(Ok(()));
                }
            }
        })
        .await
    }

    async fn document_row(&self, name: &str) -> Result<Option<StoredRow>, Failure> {
        let select = "SELECT version, record FROM {}documents WHERE name = ?";
        let mut rows = self.rows(select, &[Text(name)]).await?;
        Ok(rows.pop())
    }

    /// Returns the document; `None` if its record is damaged, or of another version than the row.
    fn readable(&self, name: &str, (version, record): &StoredRow) -> Option<Document> {
        let read = read_document(name, record).and_then(|document| {
            match i64::try_from(document.version) == Ok(*version) {
                true => Ok(document),
                false => Err(NoRecord::torn()),
            }
        });
        self.ok_or_log_once(name, read)
    }
}

/// Version and record.
type StoredRow = (i64, String);

/// Number of documents that are read at once.
const PAGE: usize = 500;
