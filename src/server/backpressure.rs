//! Backpressure: limits how much memory one connection can make the process hold.
//!
//! actix-http reads up to 128 KiB before it decodes, decodes all requests in it before it answers the
//! first, and reads on while its client does not read the answer: small pipelined requests would take
//! megabytes per connection. So a connection reads nothing while an answer is stuck, otherwise one
//! request at a time, and 2 KiB while the application is answering, in addition to the body that the
//! application consumes. Answers are sent in pieces, each copied when the previous one has been sent.

mod unsent_budget;

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::{ConnectionType, Extensions, Payload, Request, Response};
use actix_service::{Service, ServiceFactory, apply_fn_factory};
use actix_web::body::{BodySize, MessageBody};
use actix_web::error::PayloadError;
use actix_web::http::Version;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::rt::net::{ActixStream, Ready};
use actix_web::web::Bytes;
use futures_util::Stream;
use memchr::memchr_iter;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

pub(super) use self::unsent_budget::UnsentBudget;
use super::connection_guard::State;

/// A stream that is read as fast as its requests are answered. Applied outside TLS, since one record
/// holds many requests.
pub(super) struct Paced<T> {
    /// Its limit is set for each read.
    io: Take<T>,
    state: Rc<State>,
    /// Bytes read beyond the end of a request's head.
    rest: Bytes,
}

impl<T: AsyncRead> Paced<T> {
    pub(super) fn new(io: T, state: Rc<State>) -> Self {
        Self {
            io: io.take(0),
            state,
            rest: Bytes::new(),
        }
    }

    /// Attaches the connection's state to each of its requests.
    pub(super) fn on_connect(&self, extensions: &mut Extensions) {
        extensions.insert(self.state.clone());
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.state.check()?;
        if self.state.is_closing() {
            // An answer may still be under way, and reads are what usually wakes it at its end.
            self.state.wait(context);
            return Poll::Ready(Ok(()));
        }
        let Some(budget) = self.state.may_read(context) else {
            return Poll::Pending;
        };
        let before = buffer.filled().len();
        let room = budget.min(buffer.remaining());
        if self.rest.is_empty() {
            self.io.set_limit(room as u64);
            ready!(Pin::new(&mut self.io).poll_read(context, buffer))?;
        } else {
            let count = room.min(self.rest.len());
            buffer.put_slice(&self.rest.split_to(count));
        }
        let read = &buffer.filled()[before..];
        let count = first_request(read, self.state.is_answering());
        self.state.has_read(count);
        if count < read.len() {
            let behind = [&read[count..], &self.rest].concat();
            self.rest = behind.into();
            buffer.set_filled(before + count);
            self.state.has_read_enough();
        }
        Poll::Ready(Ok(()))
    }
}

/// Returns how many of the bytes belong to the first request, judged by the empty line at the end of its
/// head. While the application has a request the bytes may be its body, and a few requests more do no
/// harm.
fn first_request(bytes: &[u8], body: bool) -> usize {
    let at_least = if body { 256 } else { 16 };
    memchr_iter(b'\n', bytes)
        .find_map(|at| {
            let end = match bytes[at + 1..] {
                [b'\n', ..] => at + 2,
                [b'\r', b'\n', ..] => at + 3,
                _ => return None,
            };
            (end >= at_least).then_some(end)
        })
        .unwrap_or(bytes.len())
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.io.get_mut()).poll_write(context, bytes)
    }

    /// actix-http flushes at the end of each turn.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(self.io.get_mut()).poll_flush(context))?;
        self.state.end_turn();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(context)
    }
}

impl<T: ActixStream> ActixStream for Paced<T> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.get_ref().poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.get_ref().poll_write_ready(context)
    }
}

/// Reports the application's progress to each connection, and sends answers in pieces. `may_upload` selects
/// the requests whose bodies may take long. A plain function
/// of requests and answers, since a middleware would cost each request an allocation.
pub(super) fn paced<F, B>(
    app: F,
    may_upload: fn(&Request) -> bool,
    each: impl Fn(&mut Response<Pieces<B>>) + Clone + 'static,
) -> impl ServiceFactory<
    Request,
    Config = F::Config,
    Response = Response<Pieces<B>>,
    Error = F::Error,
    InitError = F::InitError,
>
where
    F: ServiceFactory<Request, Response = Response<B>>,
    B: MessageBody,
{
    apply_fn_factory(app, move |mut request: Request, app: &F::Service| {
        let state = request.conn_data::<Rc<State>>();
        let state = state.expect("each connection has its state").clone();
        state.begin_answer(may_upload(&request));
        meter(&mut request, &state);
        let head = request.head();
        // actix-http would answer an offered upgrade with `Connection: upgrade`, and close.
        let offers_upgrade = head.connection_type() == ConnectionType::Upgrade;
        let knows_chunks = head.version >= Version::HTTP_11;
        let (answer, each) = (app.call(request), each.clone());
        let answering = Answering(state);
        async move {
            let mut answer = answer.await?;
            let state = &answering.0;
            let mut closes = offers_upgrade || state.has_large_head() || state.leaves_body();
            if !knows_chunks && answer.body().size() == BodySize::Stream {
                answer.head_mut().no_chunking(true);
                closes = true;
            }
            let mut answer = answer.map_body(|_, body| Pieces::new(body, answering));
            if closes {
                answer.head_mut().set_connection_type(ConnectionType::Close);
            }
            each(&mut answer);
            Ok(answer)
        }
    })
}

/// Lets the connection read on when the application waits for more of the body, and tells its guard.
fn meter(request: &mut Request, state: &Rc<State>) {
    if matches!(request.payload(), Payload::None) {
        return;
    }
    let body = request.take_payload();
    let headers = &request.head().headers;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.trim().parse().ok());
    let upgrade = headers.get(UPGRADE);
    // actix-http takes everything up to the connection's end for the body of a WebSocket handshake.
    let is_endless = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && !headers.contains_key(TRANSFER_ENCODING);
    state.expects_body(length.unwrap_or(0), is_endless);
    let left = match length {
        None if is_endless => return,
        Some(length) if is_endless => length,
        _ => u64::MAX,
    };
    let body = Metered {
        body,
        left,
        state: state.clone(),
    };
    *request.payload() = Payload::Stream {
        payload: Box::pin(body),
    };
}

struct Metered {
    body: Payload,
    /// Bytes after which it ends, even if `body` does not.
    left: u64,
    state: Rc<State>,
}

impl Stream for Metered {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next = match self.left {
            0 => Poll::Ready(None),
            _ => Pin::new(&mut self.body).poll_next(context),
        };
        match &mut next {
            Poll::Pending => self.state.wants_body(),
            Poll::Ready(None) => self.state.has_whole_body(),
            Poll::Ready(Some(chunk)) => {
                if let Ok(chunk) = chunk {
                    chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                    self.left -= chunk.len() as u64;
                }
                self.state.has_body();
            }
        }
        next
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.state.has_body();
    }
}

/// A request in progress: until its answer's body has been taken whole, or dropped.
struct Answering(Rc<State>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.end_answer();
    }
}

/// A body that is sent in small pieces.
pub(super) struct Pieces<B> {
    body: B,
    rest: Bytes,
    _answering: Answering,
}

impl<B> Pieces<B> {
    fn new(body: B, answering: Answering) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            _answering: answering,
        }
    }
}

impl<B: MessageBody + Unpin> MessageBody for Pieces<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) if bytes.len() > PIECE => self.rest = bytes,
                next => return Poll::Ready(next),
            }
        }
        Poll::Ready(Some(Ok(piece(&mut self.rest))))
    }
}

/// Takes the next piece of an answer.
fn piece(rest: &mut Bytes) -> Bytes {
    rest.split_to(rest.len().min(PIECE))
}

/// Bytes of answers that are buffered before they are sent.
pub(super) const WRITE_BUFFER: usize = 8 * 1_024;

/// Keeps a full buffer below 16 KiB.
const PIECE: usize = 4 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelined_requests_are_separated_by_empty_lines() {
        let first = |text: &str, body| first_request(text.as_bytes(), body);
        let one = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(first(one, false), one.len());
        assert_eq!(first(&one.repeat(3), false), one.len());
        assert_eq!(first(&one.repeat(20), true), one.len() * 10);
        assert_eq!(first("GET / HTTP/1.1\n\nGET /", false), 16);
        assert_eq!(first("GET / HTTP/1.1\nA: b\n\r\nGET /", false), 22);
        assert_eq!(first(&"\n".repeat(100), false), 16);
        for unfinished in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n\r"] {
            assert_eq!(first(unfinished, false), unfinished.len());
        }
    }
}
