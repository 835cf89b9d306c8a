//! Bounds the work of diagnoses, so that no client of theirs delays the listener's other answers.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::question::bad_body;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The diagnoses in progress on a listener: those of its doctor, and those with an API key.
pub(super) struct Queue {
    /// Those that wait for a core included.
    places: Arc<Semaphore>,
    pub(super) cores: Arc<Semaphore>,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(PLACES)),
            cores: Arc::new(Semaphore::new(CORES)),
        }
    }

    /// Returns a place, or `rate_limited` if all are taken.
    pub(super) fn enter(&self) -> Result<Place, Problem> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| asked_too_often(LONGEST_WAIT))?;
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
        let core = core.map_err(|_| asked_too_often(Duration::ZERO))?;
        let places = (self.place.clone(), core);
        let done = web::block(move || {
            let _places = places;
            work()
        });
        done.await.map_err(|_| bad_body())
    }
}

pub(super) fn asked_too_often(wait: Duration) -> Problem {
    let problem = Problem::new(
        ProblemCode::RateLimited,
        "the doctor's rate limit is exceeded",
        Text::new(
            "Retry in a few seconds, or run wx-jssdk diagnose.",
            "请几秒后再试，或使用命令 wx-jssdk diagnose。",
        ),
    );
    Problem {
        retry_after: Some(wait.max(Duration::from_secs(1))),
        ..problem
    }
}

/// The doctor's questions of all clients that may come at the same time, for example of a class of students
/// that starts together.
pub(super) const AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// On a slow core questions come faster than they are answered, and those that wait are bounded.
pub(super) const PLACES: usize = AT_ONCE.get() as usize;

/// By then a full queue has become shorter.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A search takes a core for some tenths of a second, a second with an API key; the other cores serve pages.
const CORES: usize = 1;
