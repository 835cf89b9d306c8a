//! The store as the broker uses it: counts operations and errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::UnixTime;
use crate::credential::{AppKey, Credential, CredentialKey};
use crate::store::{Claim, Lease, Node, Peer, Saved, Store, StoreError};

/// A store with counters. Each method is the method of [`Store`] with the same name.
#[derive(Clone)]
pub(super) struct Instrumented {
    store: Store,
    operations: Arc<Operations>,
}

/// Operations and errors, by [`Operation::ALL`].
#[derive(Default)]
pub(super) struct Operations([[AtomicU64; 2]; Operation::ALL.len()]);

#[derive(Clone, Copy)]
enum Operation {
    Load,
    Save,
    Lease,
    Release,
    Count,
    Block,
    Claim,
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

impl Operations {
    /// Returns each operation with its number of calls and errors.
    pub(super) fn read(&self) -> Vec<(&'static str, u64, u64)> {
        let counts = self
            .0
            .iter()
            .map(|counts| counts.each_ref().map(|count| count.load(Relaxed)));
        Operation::ALL
            .into_iter()
            .zip(counts)
            .map(|((_, name), [asked, failed])| (name, asked, failed))
            .collect()
    }
}

impl Instrumented {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            operations: Arc::default(),
        }
    }

    pub(super) fn operations(&self) -> &Operations {
        &self.operations
    }

    pub(super) fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    pub(super) async fn load(&self, key: &CredentialKey) -> Result<Option<Credential>, StoreError> {
        self.noted(Operation::Load, self.store.load(key).await)
    }

    pub(super) async fn load_many(
        &self,
        keys: &[&CredentialKey],
    ) -> Result<Vec<Option<Credential>>, StoreError> {
        self.noted(Operation::Load, self.store.load_many(keys).await)
    }

    pub(super) async fn save(
        &self,
        key: &CredentialKey,
        credential: &Credential,
    ) -> Result<Saved, StoreError> {
        self.noted(Operation::Save, self.store.save(key, credential).await)
    }

    pub(super) async fn lease(
        &self,
        key: &CredentialKey,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.noted(Operation::Lease, self.store.lease(key, ttl).await)
    }

    pub(super) async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        self.noted(Operation::Release, self.store.release(lease).await)
    }

    pub(super) async fn count_call(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        self.noted(
            Operation::Count,
            self.store.count_call(app, endpoint, now).await,
        )
    }

    pub(super) async fn calls_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<u64>, StoreError> {
        self.noted(Operation::Count, self.store.calls_many(of, now).await)
    }

    pub(super) async fn set_block(
        &self,
        app: &AppKey,
        endpoint: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.noted(
            Operation::Block,
            self.store.set_block(app, endpoint, until, now).await,
        )
    }

    pub(super) async fn blocked_until(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        self.noted(
            Operation::Block,
            self.store.blocked_until(app, endpoint, now).await,
        )
    }

    pub(super) async fn claim_force(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.noted(
            Operation::Claim,
            self.store.claim_force(key, now, min_gap, daily).await,
        )
    }

    pub(super) fn kind(&self) -> &'static str {
        self.store.kind()
    }

    pub(super) fn describe(&self) -> String {
        self.store.describe()
    }

    pub(super) async fn announce(
        &self,
        node: &Node,
        now: UnixTime,
    ) -> Result<Vec<Peer>, StoreError> {
        self.noted(Operation::Announce, self.store.announce(node, now).await)
    }

    /// Counted as an announcement: for a store that is not shared, it takes the place of one.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.noted(Operation::Announce, self.store.ping().await)
    }

    fn noted<T>(
        &self,
        operation: Operation,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
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
    async fn each_question_is_counted_under_its_operation_and_each_error_beside_it() {
        let watched = Instrumented::new(Store::memory());
        assert_eq!(watched.load_many(&[]).await, Ok(Vec::new()));
        let error = StoreError::Address {
            problem: "…".into(),
        };
        for operation in Operation::ALL {
            assert_eq!(
                watched.noted::<()>(operation.0, Err(error.clone())),
                Err(error.clone())
            );
        }
        let counts = watched.operations().read();
        assert_eq!(counts[0], ("load", 2, 1));
        assert_eq!(
            counts
                .iter()
                .map(|count| (count.1, count.2))
                .skip(1)
                .collect::<Vec<_>>(),
            [(1, 1); 7]
        );
    }
}
