//! The limits that a store keeps: calls of each day, blocks of endpoints, and forced refreshes.

use std::time::Duration;

use super::memory::Entry;
use super::rules::{block_name, force_name};
use super::{Claim, Inner, Operation, Store, StoreError};
use crate::clock::UnixTime;
use crate::credential::{AppKey, CredentialKey};

impl Store {
    /// Counts one upstream call and returns today's count (Shanghai time), including this call.
    ///
    /// # Errors
    /// [`StoreError`] if the count may not have been saved.
    pub async fn count_call(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        self.counted(Operation::Count, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().count_call(app, endpoint, now).0),
                File(file) => file.count_call(app, endpoint, now).await,
                Shared(shared) => shared.count_call(app, endpoint, now).await,
            }
        })
        .await
    }

    /// Returns today's number of calls (Shanghai time).
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now.
    pub async fn calls(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<u64, StoreError> {
        let calls = self.calls_many(&[(app, endpoint)], now).await?;
        Ok(calls.first().copied().unwrap_or(0))
    }

    /// [`Store::calls`] for many apps and endpoints, in the same order.
    ///
    /// # Errors
    /// As [`Store::calls`].
    pub async fn calls_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<u64>, StoreError> {
        self.counted(Operation::Count, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().calls_many(of, now)),
                File(file) => Ok(file.calls_many(of, now)),
                Shared(shared) => shared.calls_many(of, now).await,
            }
        })
        .await
    }

    /// Records that an endpoint accepts no calls of this app until a time (errcode 45009). Replaces the
    /// previous record; an `until` that is not after `now` lifts the block.
    ///
    /// # Errors
    /// [`StoreError`] if it may not have been saved.
    pub async fn set_block(
        &self,
        app: &AppKey,
        endpoint: &str,
        until: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.counted(Operation::Block, async {
            let _ = now;
            by_store! { &self.inner;
                Memory(memory) => {
                    memory
                        .records()
                        .put(block_name(app, endpoint), Entry::Block(until));
                    Ok(())
                },
                File(file) => file.set_block(app, endpoint, until).await,
                Shared(shared) => shared.set_block(app, endpoint, until, now).await,
            }
        })
        .await
    }

    /// Returns until when an endpoint accepts no calls of this app; `None` if it is not blocked.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read now.
    pub async fn blocked_until(
        &self,
        app: &AppKey,
        endpoint: &str,
        now: UnixTime,
    ) -> Result<Option<UnixTime>, StoreError> {
        let blocks = self.blocked_many(&[(app, endpoint)], now).await?;
        Ok(blocks.into_iter().next().flatten())
    }

    /// [`Store::blocked_until`] for many apps and endpoints, in the same order.
    ///
    /// # Errors
    /// As [`Store::blocked_until`].
    pub async fn blocked_many(
        &self,
        of: &[(&AppKey, &str)],
        now: UnixTime,
    ) -> Result<Vec<Option<UnixTime>>, StoreError> {
        self.counted(Operation::Block, async {
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().blocked_many(of, now)),
                File(file) => Ok(file.blocked_many(of, now)),
                Shared(shared) => shared.blocked_many(of, now).await,
            }
        })
        .await
    }

    /// Asks for a forced refresh, and counts it if granted: at least `min_gap` apart and at most `daily`
    /// per day (Shanghai time), among all nodes that share the store.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached; the refresh may have been counted.
    pub async fn claim_force(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.counted(Operation::Claim, async {
            let name = force_name(key);
            by_store! { &self.inner;
                Memory(memory) => Ok(memory.records().claim_force(name, now, min_gap, daily)),
                File(file) => file.claim_force(name, now, min_gap, daily).await,
                Shared(shared) => shared.claim_force(key, now, min_gap, daily).await,
            }
        })
        .await
    }
}
