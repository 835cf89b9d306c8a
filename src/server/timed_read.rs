//! Reads files for a limited time: a disk or network file system may hang.

use std::fmt::Display;
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use crate::actix::own_thread;
use crate::error::Text;

/// Reads the same files again and again, with one thread at most.
#[derive(Debug)]
pub(crate) struct TimedRead<T> {
    limit: Duration,
    /// A read that has taken longer than the limit.
    hanging: Mutex<Option<oneshot::Receiver<T>>>,
}

impl<T> Default for TimedRead<T> {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            hanging: Mutex::default(),
        }
    }
}

impl<T: Send + 'static> TimedRead<T> {
    /// Returns what `read` returns.
    ///
    /// # Errors
    /// Says that it takes too long, or at once that the previous one has not ended or that the system refuses a
    /// thread.
    pub(crate) async fn run(&self, read: impl FnOnce() -> T + Send + 'static) -> Result<T, Text> {
        let failed = |error: &dyn Display| Text::owned(error.to_string(), error.to_string());
        let mut hanging = self.hanging.lock().await;
        if let Some(read) = &mut *hanging
            && matches!(read.try_recv(), Err(TryRecvError::Empty))
        {
            return Err(NOT_ENDED);
        }
        *hanging = None;
        let reading = own_thread::start("wechat-files", read);
        let mut reading = reading.map_err(|error| failed(&error))?;
        match timeout(self.limit, &mut reading).await {
            Ok(read) => read.map_err(|error| failed(&error)),
            Err(_) => {
                *hanging = Some(reading);
                let limit = self.limit.as_secs();
                Err(Text::owned(
                    format!(
                        "reading takes longer than {limit} s: check whether a disk or network file system hangs"
                    ),
                    format!("读取超过 {limit} 秒：请检查磁盘或网络文件系统是否无响应"),
                ))
            }
        }
    }
}

const NOT_ENDED: Text = Text::new(
    "the previous read has not ended: check whether a disk or network file system hangs",
    "上一次读取仍未结束：请检查磁盘或网络文件系统是否无响应",
);

/// `wx-jssdk reload` waits 30 s for its answer.
const LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_read_that_hangs_is_given_up_and_no_other_begins_before_it_ends() {
        let files = TimedRead {
            limit: Duration::from_millis(20),
            ..TimedRead::default()
        };
        let (release, released) = std::sync::mpsc::channel::<()>();
        let hanging = files.run(move || released.recv().is_ok());
        let error = hanging.await.unwrap_err();
        assert!(error.en.contains("takes longer than"), "{error}");
        assert_eq!(files.run(|| true).await, Err(NOT_ENDED));
        drop(release);
        while files.run(|| true).await != Ok(true) {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_read_whose_thread_is_refused_is_an_error_and_the_next_one_is_done() {
        let files = TimedRead::default();
        own_thread::REFUSED.set(true);
        assert!(files.run(|| true).await.is_err());
        own_thread::REFUSED.set(false);
        assert_eq!(files.run(|| true).await, Ok(true));
    }
}
