//! Limits concurrent diagnoses, so that they do not delay the listener's other answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::question::bad_body;
use crate::actix::own_thread;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The diagnoses in progress on a listener. Those with an API key have places of their own, which the clients of
/// its doctor cannot take.
pub(super) struct Queue {
    /// Includes those that wait for a core.
    doctor: Arc<Semaphore>,
    with_key: Arc<Semaphore>,
    pub(super) cores: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            doctor: Arc::new(Semaphore::new(PLACES)),
            with_key: Arc::new(Semaphore::new(PLACES)),
            cores: Arc::new(Semaphore::new(CORES)),
        }
    }

    /// Returns a place of the doctor, or `rate_limited` if all are taken.
    pub(super) fn enter(&self) -> Result<Place, Problem> {
        self.place(&self.doctor)
    }

    /// Returns a place for a request with an API key, or `rate_limited` if all are taken.
    pub(super) fn enter_with_key(&self) -> Result<Place, Problem> {
        self.place(&self.with_key)
    }

    fn place(&self, places: &Arc<Semaphore>) -> Result<Place, Problem> {
        let place = places.clone().try_acquire_owned();
        let place = place.map_err(|_| queue_is_full())?;
        Ok(Place {
            place: Arc::new(place),
            cores: self.cores.clone(),
        })
    }
}

/// The place of one diagnosis.
pub(super) struct Place {
    place: Arc<OwnedSemaphorePermit>,
    cores: Arc<Semaphore>,
}

impl Place {
    /// Waits for a core, and does this work on a thread that serves no requests. The work goes on if the client
    /// leaves, and keeps its place until its end.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let core = self.cores.clone().acquire_owned().await;
        let core = core.map_err(|_| queue_is_full())?;
        let places = (self.place.clone(), core);
        let done = own_thread::start("wechat-doctor", move || {
            let _places = places;
            work()
        });
        let done = done.map_err(|_| no_thread())?;
        done.await.map_err(|_| bad_body())
    }
}

pub(super) fn asked_too_often(wait: Duration) -> Problem {
    refusal(
        "the doctor's rate limit is exceeded",
        Text::new(
            "Retry in a few seconds, or run wx-jssdk diagnose.",
            "请几秒后再试，或使用命令 wx-jssdk diagnose。",
        ),
        wait,
    )
}

fn queue_is_full() -> Problem {
    refusal(
        &format!("{PLACES} diagnoses are already in progress"),
        Text::new(
            "Retry in a few seconds, or run wx-jssdk diagnose.",
            "正在进行的诊断过多，请几秒后再试，或使用命令 wx-jssdk diagnose。",
        ),
        LONGEST_WAIT,
    )
}

fn no_thread() -> Problem {
    refusal(
        "the system refuses a thread for the diagnosis",
        Text::new(
            "Retry later, or run wx-jssdk diagnose. If it lasts, raise the server's limit of threads (TasksMax, --pids-limit, ulimit -u).",
            "服务器无法创建线程，请稍后再试，或使用命令 wx-jssdk diagnose。若一直如此，请调高服务器的线程数上限（TasksMax、--pids-limit、ulimit -u）。",
        ),
        LONGEST_WAIT,
    )
}

fn refusal(detail: &str, hint: Text, wait: Duration) -> Problem {
    let problem = Problem::new(ProblemCode::RateLimited, detail, hint);
    Problem {
        retry_after: Some(wait.max(Duration::from_secs(1))),
        ..problem
    }
}

/// Burst of the doctor's total rate limit, e.g. for a class of students.
pub(super) const AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// On a slow core questions come faster than they are answered, and those that wait are bounded.
pub(super) const PLACES: usize = AT_ONCE.get() as usize;

/// By then a full queue has become shorter.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A search takes a core for some tenths of a second, a second with an API key; the other cores serve pages.
const CORES: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_diagnosis_whose_thread_is_refused_is_refused_and_the_next_one_is_done() {
        let place = Queue::new().enter().unwrap();
        own_thread::REFUSED.set(true);
        let refused = place.run(|| ()).await.unwrap_err();
        own_thread::REFUSED.set(false);
        assert_eq!(refused.code, ProblemCode::RateLimited);
        assert_eq!(refused.retry_after, Some(LONGEST_WAIT));
        assert_eq!(place.run(|| 1).await.unwrap(), 1, "the core is free again");
    }
}
