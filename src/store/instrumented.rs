//! The store's own counters: operations and errors. And its circuit breaker.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{Store, StoreError};

/// Operations and errors, by [`NAMES`].
#[derive(Default)]
pub(super) struct Operations([[AtomicU64; 2]; NAMES.len()]);

/// Limits the waiting for a shared store that hangs: after some timeouts in a row, one operation at a time waits
/// for it, and the others fail at once. Any answer ends that.
#[derive(Default)]
pub(super) struct Breaker {
    /// The number of timeouts in a row, and the last one.
    timeouts: Mutex<(u32, Option<StoreError>)>,
    probe: tokio::sync::Mutex<()>,
}

impl Breaker {
    async fn run<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let open = {
            let (count, last) = &*self.timeouts.lock();
            last.clone().filter(|_| *count >= TIMEOUTS_UNTIL_OPEN)
        };
        let _probe = match open {
            Some(last) => Some(self.probe.try_lock().map_err(|_| last)?),
            None => None,
        };
        let answer = answer.await;
        let mut timeouts = self.timeouts.lock();
        match &answer {
            Err(slow @ StoreError::Slow { .. }) => {
                *timeouts = (timeouts.0.saturating_add(1), Some(slow.clone()));
            }
            // Refused here: the store was not asked.
            Err(StoreError::TooLong { .. }) => {}
            _ => *timeouts = (0, None),
        }
        drop(timeouts);
        answer
    }
}

/// In the order of [`NAMES`].
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

/// The operations' names in metrics.
const NAMES: [&str; 8] = [
    "load", "save", "lease", "release", "count", "block", "claim", "announce",
];

impl Store {
    /// Returns each operation with its number of calls and errors.
    pub fn operations(&self) -> Vec<(&'static str, u64, u64)> {
        let counts = self.operations.0.iter();
        let counts = counts.map(|counts| counts.each_ref().map(|count| count.load(Relaxed)));
        let named = NAMES.into_iter().zip(counts);
        named
            .map(|(name, [asked, failed])| (name, asked, failed))
            .collect()
    }

    pub(super) async fn counted<T>(
        &self,
        operation: Operation,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = match self.is_shared() {
            true => self.breaker.run(answer).await,
            false => answer.await,
        };
        let [asked, failed] = &self.operations.0[operation as usize];
        asked.fetch_add(1, Relaxed);
        failed.fetch_add(u64::from(answer.is_err()), Relaxed);
        answer
    }
}

/// Number of timeouts in a row before operations stop waiting together.
const TIMEOUTS_UNTIL_OPEN: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Text;
    use std::future::{pending, ready};
    use std::time::Duration;

    #[tokio::test]
    async fn one_operation_at_a_time_waits_for_a_store_that_hangs() {
        let breaker = Breaker::default();
        let slow: Result<(), _> = Err(StoreError::Slow {
            place: "redis".into(),
            within: Duration::from_millis(250),
        });
        for _ in 0..TIMEOUTS_UNTIL_OPEN {
            assert_eq!(breaker.run(ready(slow.clone())).await, slow);
        }
        tokio::select! {
            biased;
            _ = breaker.run(pending::<Result<(), _>>()) => panic!("the probe ended without an answer"),
            refused = breaker.run(async { panic!("the store was asked") }) => assert_eq!(refused, slow),
        }
        // A probe whose caller left lets the next one through.
        assert_eq!(breaker.run(ready(Ok(1))).await, Ok(1));
        tokio::select! {
            biased;
            _ = breaker.run(pending::<Result<(), _>>()) => panic!("the operation ended without an answer"),
            done = breaker.run(ready(Ok(2))) => assert_eq!(done, Ok(2)),
        }
    }

    #[tokio::test]
    async fn each_operation_is_counted_under_its_name_and_each_error_beside_it() {
        let store = Store::memory();
        assert_eq!(store.load_many(&[]).await, Ok(Vec::new()));
        let error = StoreError::Address {
            problem: Text::new("…", "…"),
        };
        for (operation, name, count) in [
            (Operation::Load, "load", 2),
            (Operation::Save, "save", 1),
            (Operation::Lease, "lease", 1),
            (Operation::Release, "release", 1),
            (Operation::Count, "count", 1),
            (Operation::Block, "block", 1),
            (Operation::Claim, "claim", 1),
            (Operation::Announce, "announce", 1),
        ] {
            let failed = async { Err::<(), _>(error.clone()) };
            assert_eq!(store.counted(operation, failed).await, Err(error.clone()));
            assert!(store.operations().contains(&(name, count, 1)), "{name}");
        }
    }
}
