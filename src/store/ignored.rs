//! Stored entries that cannot be used. They count as absent; each is logged once.

use std::collections::HashSet;

use parking_lot::Mutex;

/// Why an entry is invalid. Contains no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoRecord(pub(super) String);

impl NoRecord {
    /// The text is not in the format that this program writes.
    #[cfg_attr(not(any(feature = "file", feature = "shared-store")), allow(dead_code))]
    pub(super) fn torn() -> Self {
        Self("not as this program writes it".to_owned())
    }
}

/// Names of invalid entries that have been logged.
#[derive(Default)]
pub(super) struct Ignored(Mutex<HashSet<String>>);

impl Ignored {
    /// Returns `None` for an invalid entry, and logs it once without the value. `place` is the store.
    pub(super) fn ok_or_log_once<T>(
        &self,
        place: &str,
        name: &str,
        read: Result<T, NoRecord>,
    ) -> Option<T> {
        let mut told = self.0.lock();
        match read {
            Ok(read) => {
                told.remove(name);
                Some(read)
            }
            Err(NoRecord(why)) => {
                if told.len() < MOST_TOLD && told.insert(name.to_owned()) {
                    tracing::warn!(store = %place, name, reason = why, "stored entry ignored");
                }
                None
            }
        }
    }
}

/// Maximum number of invalid entries that are logged individually.
const MOST_TOLD: usize = 1_000;
