//! The store's own counters: operations and errors.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Store, StoreError};

/// Operations and errors, by [`Operation::ALL`].
#[derive(Default)]
pub(super) struct Operations([[AtomicU64; 2]; Operation::ALL.len()]);

#[derive(Clone, Copy)]
pub(super) enum Operation {
    Load,
    Save,
    Lease,
    Release,
    Count,
    Block,
    Claim,
    /// Also [`Store::ping`], which takes its place for a store that is not shared.
    Announce,
}

impl Operation {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Load, "load"),
        (Self::Save, "save"),
        (Self::Lease, "lease"),
        (Self::Release, "release"),
        (Self::Count, "count"),
        (Self::Block, "block"),
        (Self::Claim, "claim"),
        (Self::Announce, "announce"),
    ];
}

impl Store {
    /// Returns each operation with its number of calls and errors.
    #[must_use]
    pub fn operations(&self) -> Vec<(&'static str, u64, u64)> {
        let counts = self.operations.0.iter();
        let counts = counts.map(|counts| counts.each_ref().map(|count| count.load(Relaxed)));
        Operation::ALL
            .into_iter()
            .zip(counts)
            .map(|((_, name), [asked, failed])| (name, asked, failed))
            .collect()
    }

    pub(super) async fn counted<T>(
        &self,
        operation: Operation,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = answer.await;
        let [asked, failed] = &self.operations.0[operation as usize];
        asked.fetch_add(1, Relaxed);
        failed.fetch_add(u64::from(answer.is_err()), Relaxed);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_operation_is_counted_under_its_name_and_each_error_beside_it() {
        let store = Store::memory();
        assert_eq!(store.load_many(&[]).await, Ok(Vec::new()));
        let error = StoreError::Address {
            problem: "…".into(),
        };
        for (operation, _) in Operation::ALL {
            let failed = async { Err::<(), _>(error.clone()) };
            assert_eq!(store.counted(operation, failed).await, Err(error.clone()));
        }
        let counts = store.operations();
        assert_eq!(counts[0], ("load", 2, 1));
        assert!(
            counts[1..]
                .iter()
                .all(|(_, asked, failed)| (*asked, *failed) == (1, 1))
        );
    }
}
