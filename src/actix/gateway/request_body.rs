//! Request bodies: small ones are kept, so that a call can be repeated; all others stream. None may contain
//! an API key.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{Stream as _, StreamExt as _};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::dropin::reply::Refusal;
use super::outgoing_request::{OVERLAP, contains_key, key_found};
use super::{GatewayOptions, Incoming};
use crate::actix::WechatPath;
use crate::error::codes::wire_errors;

/// A request body.
pub(super) enum Body {
    /// Complete: it can be sent twice.
    Whole(Bytes),
    /// A body that is sent while it arrives.
    Streaming(Box<Streaming>),
}

/// The rest of a body, its beginning, and its length if the client declared it.
pub(super) struct Streaming {
    first: Bytes,
    rest: Payload,
    length: Option<u64>,
    limit: u64,
    scan: Scan,
    progress: Progress,
    /// What was kept of it before it began to stream, until it is complete.
    reserved: Option<OwnedSemaphorePermit>,
}

/// Why a streaming body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body ended before its end")]
pub(super) enum Cut {
    /// It contains an API key.
    HasKey,
    /// It is longer than the limit.
    TooLarge,
    /// The client ended the connection, or sent no valid body.
    Client,
    /// The client did not send all of it in time.
    Late,
}

/// How far a streaming body was sent.
#[derive(Clone, Default)]
pub(super) struct Progress(Rc<Cell<State>>);

#[derive(Clone, Copy, Default)]
pub(super) struct State {
    pub(super) bytes: u64,
    pub(super) is_complete: bool,
    /// Whether the client's next bytes are awaited, not WeChat.
    pub(super) awaits_client: bool,
    pub(super) cut: Option<Cut>,
}

impl Progress {
    pub(super) fn state(&self) -> State {
        self.0.get()
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.get();
        change(&mut state);
        self.0.set(state);
    }
}

impl Cut {
    pub(super) fn refusal(self, options: &GatewayOptions) -> Refusal {
        match self {
            Self::HasKey => key_found(),
            Self::TooLarge => too_large(options),
            Self::Client => super::unavailable(
                StatusCode::BAD_REQUEST,
                "system error: the request body ended before its end".into(),
            ),
            Self::Late => super::unavailable(
                StatusCode::BAD_REQUEST,
                format!(
                    "system error: the request body did not arrive within {} s, see gateway.timeout_ms",
                    options.timeout.as_secs_f32()
                ),
            ),
        }
    }
}

/// Reads the body of a call that carries the AppSecret in JSON; `None` for all other calls.
pub(super) async fn read_with_secret(
    incoming: &Incoming<'_>,
    path: WechatPath<'_>,
    body: &mut Payload,
) -> Result<Option<Bytes>, Refusal> {
    if !path.has_secret_in_body() || incoming.request.method() != "POST" {
        return Ok(None);
    }
    let mut read = BytesMut::new();
    while let Some(chunk) = body.next().await {
        read.extend_from_slice(&chunk.map_err(|_| client_left())?);
        if read.len() > SECRET_BODY_LIMIT {
            return Err(Refusal::because(
                wire_errors::BAD_BODY,
                format_args!("the body has more than {SECRET_BODY_LIMIT} bytes"),
            ));
        }
    }
    Ok(Some(read.freeze()))
}

/// Reads a body: as a whole up to `replay_limit` bytes and while the budget lasts. Also returns the reservation of a
/// whole body; a streaming body holds its own.
pub(super) async fn read(
    incoming: &Incoming<'_>,
    mut rest: Payload,
    options: &GatewayOptions,
    budget: &Arc<Semaphore>,
) -> Result<(Body, Option<OwnedSemaphorePermit>), Refusal> {
    let length = incoming.headers().get("content-length");
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > options.body_limit) {
        return Err(too_large(options));
    }
    let mut first = BytesMut::new();
    let mut reserved: Option<OwnedSemaphorePermit> = None;
    let mut is_kept = length.is_none_or(|length| length <= options.replay_limit as u64);
    while is_kept {
        let Some(chunk) = rest.next().await else {
            let whole = first.freeze();
            return match contains_key(&whole) {
                true => Err(key_found()),
                false => Ok((Body::Whole(whole), reserved)),
            };
        };
        let chunk = chunk.map_err(|_| client_left())?;
        first.extend_from_slice(&chunk);
        let bytes = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        is_kept = first.len() <= options.replay_limit;
        match budget.clone().try_acquire_many_owned(bytes) {
            Ok(permit) => match &mut reserved {
                Some(reserved) => reserved.merge(permit),
                None => reserved = Some(permit),
            },
            Err(_) => is_kept = false,
        }
    }
    let streaming = Streaming {
        first: first.freeze(),
        rest,
        length,
        limit: options.body_limit,
        scan: Scan::default(),
        progress: Progress::default(),
        reserved,
    };
    Ok((Body::Streaming(Box::new(streaming)), None))
}

impl Streaming {
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let chunk = if self.first.is_empty() {
            let next = Pin::new(&mut self.rest).poll_next(context);
            self.progress
                .update(|state| state.awaits_client = next.is_pending());
            match ready!(next) {
                Some(Ok(chunk)) => chunk,
                Some(Err(_)) => return self.cut(Cut::Client),
                None => {
                    self.complete();
                    return Poll::Ready(None);
                }
            }
        } else {
            std::mem::take(&mut self.first)
        };
        self.progress
            .update(|state| state.bytes += chunk.len() as u64);
        let sent = self.progress.state().bytes;
        if sent > self.limit {
            return self.cut(Cut::TooLarge);
        }
        if self.scan.finds_key(&chunk) {
            return self.cut(Cut::HasKey);
        }
        // The HTTP client does not ask for the end of a body whose length is declared.
        if self.length == Some(sent) {
            self.complete();
        }
        Poll::Ready(Some(Ok(chunk)))
    }

    fn complete(&mut self) {
        self.reserved = None;
        self.progress.update(|state| state.is_complete = true);
    }

    fn cut(&self, cut: Cut) -> Poll<Option<Result<Bytes, Cut>>> {
        self.progress.update(|state| state.cut = Some(cut));
        Poll::Ready(Some(Err(cut)))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let chunk = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => None,
            Self::Whole(bytes) => Some(Ok(std::mem::take(bytes))),
            Self::Streaming(streaming) => ready!(streaming.poll_chunk(context)),
        };
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let length = match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Streaming(streaming) => streaming.length,
        };
        length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Searches a stream for a key, also across chunks.
#[derive(Default)]
struct Scan {
    tail: Vec<u8>,
}

impl Scan {
    fn finds_key(&mut self, chunk: &[u8]) -> bool {
        let head = &chunk[..chunk.len().min(OVERLAP)];
        self.tail.extend_from_slice(head);
        let found = contains_key(&self.tail) || contains_key(chunk);
        let kept = if chunk.len() >= OVERLAP {
            chunk[chunk.len() - OVERLAP..].to_vec()
        } else {
            self.tail[self.tail.len().saturating_sub(OVERLAP)..].to_vec()
        };
        self.tail = kept;
        found
    }
}

fn too_large(options: &GatewayOptions) -> Refusal {
    let limit = options.body_limit;
    Refusal::because(
        wire_errors::TOO_LARGE,
        format_args!("the body has more than {limit} bytes, see gateway.body_limit"),
    )
}

fn client_left() -> Refusal {
    super::unavailable(
        StatusCode::BAD_REQUEST,
        "system error: the request body ended before its end; nothing was sent to WeChat".into(),
    )
}

/// The bytes of the bodies of all calls in progress that are kept for a repetition. Beyond it, bodies stream.
pub(super) const MOST_KEPT: usize = 16 * 1024 * 1024;

/// Such a body has a hundred bytes.
const SECRET_BODY_LIMIT: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_across_chunks_of_any_size() {
        let key = crate::actix::new_key();
        let body = format!("{}{key}{}", "a=".repeat(100), "&b".repeat(100));
        for size in 1..=body.len() {
            let mut scan = Scan::default();
            let found = body
                .as_bytes()
                .chunks(size)
                .any(|chunk| scan.finds_key(chunk));
            assert!(found, "in chunks of {size}");
            let mut scan = Scan::default();
            let innocent = body.replace(&key, &"wxk_ ".repeat(20));
            let chunks = innocent.as_bytes().chunks(size);
            assert!(!chunks.into_iter().any(|chunk| scan.finds_key(chunk)));
        }
    }
}
