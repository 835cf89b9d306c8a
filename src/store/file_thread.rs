//! A thread for blocking work on files, so that a disk that hangs blocks nothing else.
//!
//! tokio's blocking threads do not fit: idle ones end, and tokio panics if it cannot start another one.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::StoreError;

/// A thread that runs one piece of work at a time, in order. It ends when this value is dropped.
pub(super) struct FileThread {
    queue: mpsc::Sender<Work>,
    /// Number of the last work in the queue.
    last: AtomicU64,
    /// Number of the last work that has ended.
    ended: Arc<AtomicU64>,
    /// Number of the last work that a caller has waited for in vain.
    given_up: AtomicU64,
}

type Work = Box<dyn FnOnce() + Send>;

impl FileThread {
    /// Starts the thread for the store at `place`.
    pub(super) fn start(place: &str) -> Result<Self, StoreError> {
        let builder = thread::Builder::new().name("wechat-store".to_owned());
        Self::start_as(builder).map_err(|error| StoreError::NoThread {
            place: place.to_owned(),
            problem: error.to_string(),
        })
    }

    fn start_as(builder: thread::Builder) -> io::Result<Self> {
        let (queue, waiting) = mpsc::channel::<Work>();
        let ended = Arc::<AtomicU64>::default();
        let count = Arc::clone(&ended);
        builder.spawn(move || {
            for work in waiting {
                // The panic hook reports it, and the caller gets no result.
                let _ = panic::catch_unwind(AssertUnwindSafe(work));
                count.fetch_add(1, Relaxed);
            }
        })?;
        Ok(Self {
            queue,
            last: AtomicU64::new(0),
            ended,
            given_up: AtomicU64::new(0),
        })
    }

    /// Returns the result of the work, or `None` after `limit`; at once if another caller has waited in vain.
    /// Work that has begun continues without its caller.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if self.is_hanging() {
            return None;
        }
        let (caller, result) = oneshot::channel();
        let number = self.send(move || {
            if !caller.is_closed() {
                let _ = caller.send(work());
            }
        });
        let result = tokio::time::timeout(limit, result).await;
        if result.is_err() {
            self.given_up.fetch_max(number, Relaxed);
        }
        result.ok()?.ok()
    }

    /// Like [`FileThread::run`], but blocks the caller's thread.
    #[cfg(feature = "file")]
    pub(super) fn run_blocking(&self, limit: Duration, work: impl FnOnce() + Send + 'static) {
        if self.is_hanging() {
            return;
        }
        let (caller, result) = mpsc::channel();
        self.send(move || {
            work();
            let _ = caller.send(());
        });
        let _ = result.recv_timeout(limit);
    }

    /// Whether work still runs, or waits, that a caller has waited for in vain.
    fn is_hanging(&self) -> bool {
        self.ended.load(Relaxed) < self.given_up.load(Relaxed)
    }

    /// Occupies the thread until the sender is dropped.
    #[cfg(test)]
    pub(super) fn hang(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel();
        let (begin, began) = mpsc::channel();
        self.send(move || {
            let _ = begin.send(());
            let _ = released.recv();
        });
        began.recv().unwrap();
        release
    }

    /// Queues work and returns its number.
    fn send(&self, work: impl FnOnce() + Send + 'static) -> u64 {
        // The thread lives as long as this value.
        let _ = self.queue.send(Box::new(work));
        self.last.fetch_add(1, Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_hangs_delays_later_callers_no_more() {
        let thread = FileThread::start("a store").unwrap();
        let release = thread.hang();
        let limit = Duration::from_millis(20);
        assert_eq!(thread.run(limit, || ()).await, None);
        let work = thread.run(limit, || panic!("it ran beside the other work"));
        tokio::select! {
            biased;
            done = work => assert_eq!(done, None::<()>),
            () = std::future::ready(()) => panic!("the caller waited"),
        }
        drop(release);
        while thread.run(limit, || ()).await.is_none() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_panic_in_work_does_not_end_the_thread() {
        let thread = FileThread::start("a store").unwrap();
        let limit = Duration::from_secs(20);
        let work = thread.run::<()>(limit, || panic::resume_unwind(Box::new(())));
        assert_eq!(work.await, None);
        assert_eq!(thread.run(limit, || 1).await, Some(1));
    }

    #[test]
    fn a_thread_that_cannot_be_started_is_an_error() {
        let builder = thread::Builder::new().stack_size(isize::MAX as usize);
        assert!(FileThread::start_as(builder).is_err());
    }
}
