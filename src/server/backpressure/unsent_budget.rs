//! Limits how much memory the answers hold that are made for one request each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep};
use tracing::warn;

use super::piece;
use crate::clock::Clock;
use crate::endpoint::{LogThrottle, Problem, key_of};
use crate::error::{ProblemCode, Text};

/// Limits the total size of unsent answers that are generated per request, and each address's share of it. Beyond
/// them, new ones are refused; then those that have been sent for longer than [`LONGEST`] are broken off. Files
/// need no limit: all connections share them.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct UnsentBudget(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    bytes: AtomicUsize,
    /// The bytes by the key of the client's address.
    shares: Mutex<HashMap<Option<u64>, usize>>,
    /// Answers refused so far.
    refused: AtomicUsize,
    clock: Clock,
    log: LogThrottle,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            shares: Mutex::default(),
            refused: AtomicUsize::new(0),
            clock: Clock::system(),
            log: LogThrottle::default(),
        }
    }
}

impl UnsentBudget {
    /// Returns whether the unsent answers, or those of this address, take all their room.
    fn is_full(&self, address: Option<u64>) -> bool {
        let share = self.0.shares.lock().get(&address).copied();
        share.is_some_and(|share| share >= SHARE)
            || self.0.bytes.load(Ordering::Relaxed) >= MOST_UNSENT
    }

    fn refused(&self) -> usize {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Returns a 429 while [`MOST_UNSENT`] bytes of answers are unsent, or [`SHARE`] of this client's address.
    pub(in crate::server) fn refusal(&self, request: &HttpRequest) -> Option<HttpResponse> {
        self.refusal_of(address_of(request))
    }

    fn refusal_of(&self, address: Option<u64>) -> Option<HttpResponse> {
        self.is_full(address).then(|| {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            let problem = Problem::new(
                ProblemCode::RateLimited,
                "too many large answers of this listener or address wait for their clients",
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
    pub(in crate::server) fn limit(
        &self,
        request: &HttpRequest,
        answer: HttpResponse,
    ) -> HttpResponse {
        let address = address_of(request);
        if let Some(refusal) = self.refusal_of(address) {
            return refusal;
        }
        answer.map_body(|_, body| match body.try_into_bytes() {
            Ok(rest) if !rest.is_empty() => {
                BoxBody::new(self.count(address, rest, Box::pin(sleep(LONGEST))))
            }
            Ok(_) => BoxBody::new(()),
            Err(body) => body,
        })
    }

    fn count(&self, address: Option<u64>, rest: Bytes, deadline: Pin<Box<Sleep>>) -> Unsent {
        let size = rest.len();
        self.0.bytes.fetch_add(size, Ordering::Relaxed);
        *self.0.shares.lock().entry(address).or_default() += size;
        Unsent {
            rest,
            size,
            counted: size,
            address,
            refused_before: self.refused(),
            budget: self.clone(),
            deadline,
        }
    }
}

/// Returns the key of the address that reads the answer: behind a proxy, the proxy's.
fn address_of(request: &HttpRequest) -> Option<u64> {
    let peer = request.peer_addr();
    peer.map(|peer| key_of(peer.ip().to_canonical()))
}

/// An answer that counts against the budget.
struct Unsent {
    rest: Bytes,
    size: usize,
    /// Bytes that count against the budget.
    counted: usize,
    address: Option<u64>,
    /// Answers refused before it began.
    refused_before: usize,
    budget: UnsentBudget,
    deadline: Pin<Box<Sleep>>,
}

impl Unsent {
    /// Called with its last piece, so that a client that has read it to the end may request the next one.
    fn release(&mut self) {
        let counted = mem::take(&mut self.counted);
        let Budget { bytes, shares, .. } = &*self.budget.0;
        bytes.fetch_sub(counted, Ordering::Relaxed);
        if let Entry::Occupied(mut share) = shares.lock().entry(self.address) {
            *share.get_mut() -= counted;
            if *share.get() == 0 {
                share.remove();
            }
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.release();
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
        let is_in_the_way =
            self.budget.refused() != self.refused_before && self.budget.is_full(self.address);
        if is_in_the_way && self.deadline.as_mut().poll(context).is_ready() {
            let Budget { clock, log, .. } = &*self.budget.0;
            if log.may_log(clock.uptime()) {
                warn!("large answer broken off: it was read slowly and others were refused");
            }
            return Poll::Ready(Some(Err("other answers need its place")));
        }
        let next = piece(&mut self.rest);
        if self.rest.is_empty() {
            self.release();
        }
        Poll::Ready(Some(Ok(next)))
    }
}

/// A scrape of ten thousand accounts is 11 MiB; another one may begin while less than this is unsent.
const MOST_UNSENT: usize = 8 * 1_024 * 1_024;

/// The share of one address: beside it, answers of others still fit.
const SHARE: usize = MOST_UNSENT / 4;

/// How long an answer that is read slowly keeps its place.
const LONGEST: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::PIECE;
    use super::*;

    const ONE: Option<u64> = Some(1);
    const OTHER: Option<u64> = Some(2);

    /// An answer to [`ONE`] of this size that began with this time left.
    async fn begun(budget: &UnsentBudget, size: usize, left: Duration) -> Unsent {
        let mut deadline = Box::pin(sleep(left));
        if left.is_zero() {
            deadline.as_mut().await;
        }
        budget.count(ONE, vec![0; size].into(), deadline)
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
        assert!(budget.refusal_of(OTHER).is_some());
        assert!(!is_sent(&mut slow).await);
        let mut earlier = begun(&budget, MOST_UNSENT, Duration::ZERO).await;
        assert!(is_sent(&mut earlier).await, "the refusal was before it");
        let mut new = begun(&budget, MOST_UNSENT, LONGEST).await;
        assert!(budget.refusal_of(OTHER).is_some());
        assert!(is_sent(&mut new).await, "it has its time");
        assert!(!is_sent(&mut earlier).await);
    }

    #[tokio::test]
    async fn a_slowly_read_answer_goes_on_when_there_is_room_again() {
        let budget = UnsentBudget::default();
        let large = begun(&budget, MOST_UNSENT - PIECE, LONGEST).await;
        let mut slow = begun(&budget, PIECE, Duration::ZERO).await;
        assert!(budget.refusal_of(OTHER).is_some());
        drop(large);
        assert!(is_sent(&mut slow).await);
        assert!(budget.refusal_of(OTHER).is_none());
        assert!(budget.0.shares.lock().is_empty(), "it was the last piece");
    }

    #[tokio::test]
    async fn an_address_that_reads_slowly_is_refused_and_others_are_not() {
        let budget = UnsentBudget::default();
        let mut slow = begun(&budget, SHARE, Duration::ZERO).await;
        assert!(budget.refusal_of(OTHER).is_none());
        assert!(is_sent(&mut slow).await);
        let expired = Box::pin(sleep(Duration::ZERO));
        let mut small = budget.count(OTHER, vec![0; PIECE].into(), expired);
        assert!(budget.refusal_of(ONE).is_some());
        assert!(!is_sent(&mut slow).await, "its address needs its place");
        assert!(is_sent(&mut small).await, "it is not in the way");
        drop((slow, small));
        assert!(budget.refusal_of(ONE).is_none());
        assert!(budget.0.shares.lock().is_empty());
    }
}
