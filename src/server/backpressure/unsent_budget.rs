//! Limits how much memory the answers hold that are made for one request each.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use tokio::time::{Sleep, sleep};
use tracing::warn;

use super::piece;
use crate::clock::Clock;
use crate::endpoint::{LogThrottle, Problem};
use crate::error::{ProblemCode, Text};

/// Limits the total size of unsent answers that are generated per request. Beyond it, new ones are refused; then those
/// that have been sent for longer than [`LONGEST`] are broken off. Files need no limit: all connections share them.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct UnsentBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    bytes: AtomicUsize,
    /// Answers refused so far.
    refused: AtomicUsize,
    clock: Clock,
    log: LogThrottle,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            clock: Clock::system(),
            log: LogThrottle::default(),
        }
    }
}

impl UnsentBudget {
    fn is_full(&self) -> bool {
        self.0.bytes.load(Ordering::Relaxed) >= MOST_UNSENT
    }

    fn refused(&self) -> usize {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Returns a 429 while [`MOST_UNSENT`] bytes of answers are unsent.
    pub(in crate::server) fn refusal(&self) -> Option<HttpResponse> {
        self.is_full().then(|| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            let problem = Problem::new(
                ProblemCode::RateLimited,
                "too many large answers of this listener wait for their clients",
                Text::new(
                    "Read each answer to its end before the next request. Retry after the time in Retry-After.",
                    "请读完每个响应再发下一个请求，并在 Retry-After 指定的时间后重试。",
                ),
            );
            Problem {
                retry_after: Some(Duration::from_secs(1)),
                ..problem
            }
            .into_response()
        })
    }

    /// Returns the answer, counted until it is sent, or [`UnsentBudget::refusal`].
    pub(in crate::server) fn limit(&self, answer: HttpResponse) -> HttpResponse {
        if let Some(refusal) = self.refusal() {
            return refusal;
        }
        answer.map_body(|_, body| match body.try_into_bytes() {
            Ok(rest) if !rest.is_empty() => {
                let size = rest.len();
                self.0.bytes.fetch_add(size, Ordering::Relaxed);
                BoxBody::new(Unsent {
                    rest,
                    size,
                    refused_before: self.refused(),
                    budget: self.clone(),
                    deadline: Box::pin(sleep(LONGEST)),
                })
            }
            Ok(_) => BoxBody::new(()),
            Err(body) => body,
        })
    }
}

/// An answer that counts against the budget.
struct Unsent {
    rest: Bytes,
    size: usize,
    /// Answers refused before it began.
    refused_before: usize,
    budget: UnsentBudget,
    deadline: Pin<Box<Sleep>>,
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.budget.0.bytes.fetch_sub(self.size, Ordering::Relaxed);
    }
}

impl MessageBody for Unsent {
    type Error = &'static str;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.size as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        // Its own bytes may fill the budget, so others must have been refused as well.
        let is_in_the_way = self.budget.is_full() && self.budget.refused() != self.refused_before;
        if is_in_the_way && self.deadline.as_mut().poll(context).is_ready() {
            let Budget { clock, log, .. } = &*self.budget.0;
            if log.may_log(clock.uptime()) {
                warn!("large answer broken off: it was read slowly and others were refused");
            }
            return Poll::Ready(Some(Err("other answers need its place")));
        }
        Poll::Ready(Some(Ok(piece(&mut self.rest))))
    }
}

/// A scrape of ten thousand accounts is 11 MiB; another one may begin while less than this is unsent.
const MOST_UNSENT: usize = 8 * 1_024 * 1_024;

/// How long an answer that is read slowly keeps its place.
const LONGEST: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::PIECE;
    use super::*;

    /// An answer of this size that began with this time left.
    async fn begun(budget: &UnsentBudget, size: usize, left: Duration) -> Unsent {
        budget.0.bytes.fetch_add(size, Ordering::Relaxed);
        let mut deadline = Box::pin(sleep(left));
        if left.is_zero() {
            deadline.as_mut().await;
        }
        Unsent {
            rest: vec![0; size].into(),
            size,
            refused_before: budget.refused(),
            budget: budget.clone(),
            deadline,
        }
    }

    async fn is_sent(answer: &mut Unsent) -> bool {
        let next = poll_fn(|context| Pin::new(&mut *answer).poll_next(context)).await;
        next.is_some_and(|piece| piece.is_ok_and(|piece| piece.len() == PIECE))
    }

    #[tokio::test]
    async fn a_slowly_read_answer_is_broken_off_only_when_another_was_refused() {
        let budget = UnsentBudget::default();
        let mut slow = begun(&budget, MOST_UNSENT, Duration::ZERO).await;
        assert!(is_sent(&mut slow).await, "no other answer needs its place");
        assert!(budget.refusal().is_some());
        assert!(!is_sent(&mut slow).await);
        let mut earlier = begun(&budget, MOST_UNSENT, Duration::ZERO).await;
        assert!(is_sent(&mut earlier).await, "the refusal was before it");
        let mut new = begun(&budget, MOST_UNSENT, LONGEST).await;
        assert!(budget.refusal().is_some());
        assert!(is_sent(&mut new).await, "it has its time");
        assert!(!is_sent(&mut earlier).await);
    }

    #[tokio::test]
    async fn a_slowly_read_answer_goes_on_when_there_is_room_again() {
        let budget = UnsentBudget::default();
        let large = begun(&budget, MOST_UNSENT - PIECE, LONGEST).await;
        let mut slow = begun(&budget, PIECE, Duration::ZERO).await;
        assert!(budget.refusal().is_some());
        drop(large);
        assert!(is_sent(&mut slow).await);
        assert!(budget.refusal().is_none());
    }
}
