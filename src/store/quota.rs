//! What a store keeps of WeChat's quotas: the calls of each day, blocked endpoints, and the refreshes on request, which
//! have their own limit.

use std::time::Duration;

use super::rules::{block_name, calls_name, claims_name, shanghai_day};
use super::{Claim, Inner, Operation, Store, StoreError};
use crate::clock::UnixTime;
use crate::credential::{AppKey, CredentialKey};

/// What numbers of a store are.
#[derive(Clone, Copy)]
pub(super) enum Numbers {
    /// The calls of a day.
    Calls,
    /// The ends of blocks.
    Blocks,
}

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
            let name = calls_name(app, endpoint, shanghai_day(now));
            by_store! { &self.inner;
                Memory(memory) => memory.change(|records| records.count_call(name, now)).await,
                Shared(shared) => shared.count_call(&name, now).await,
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
            let day = shanghai_day(now);
            let name = |(app, endpoint): &(&AppKey, &str)| calls_name(app, endpoint, day);
            let names: Vec<_> = of.iter().map(name).collect();
            let counts = self.numbers(Numbers::Calls, &names).await?;
            Ok(counts.into_iter().map(|count| count.unwrap_or(0)).collect())
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
            let name = block_name(app, endpoint);
            by_store! { &self.inner;
                Memory(memory) => memory.change(|records| records.set_block(name, until)).await,
                Shared(shared) => shared.set_block(&name, until, now).await,
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
            let name = |(app, endpoint): &(&AppKey, &str)| block_name(app, endpoint);
            let names: Vec<_> = of.iter().map(name).collect();
            let blocks = self.numbers(Numbers::Blocks, &names).await?;
            let until = |until: Option<u64>| until.map(UnixTime).filter(|until| *until > now);
            Ok(blocks.into_iter().map(until).collect())
        })
        .await
    }

    /// Returns the numbers with these names, in the same order.
    async fn numbers(&self, of: Numbers, names: &[String]) -> Result<Vec<Option<u64>>, StoreError> {
        let _ = of;
        by_store! { &self.inner;
            Memory(memory) => Ok(memory.records.lock().numbers(names)),
            Shared(shared) => shared.numbers(of, names).await,
        }
    }

    /// Claims a refresh on request, and counts it if granted: at least `min_gap` apart and at most `daily`
    /// per day (Shanghai time), among all nodes that share the store.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be reached; the refresh may have been counted.
    pub async fn claim_refresh(
        &self,
        key: &CredentialKey,
        now: UnixTime,
        min_gap: Duration,
        daily: Option<u32>,
    ) -> Result<Claim, StoreError> {
        self.counted(Operation::Claim, async {
            let name = claims_name(key);
            by_store! { &self.inner;
                Memory(memory) => {
                    memory.change(|records| records.claim_refresh(name, now, min_gap, daily)).await
                },
                Shared(shared) => shared.claim_refresh(&name, now, min_gap, daily).await,
            }
        })
        .await
    }
}
