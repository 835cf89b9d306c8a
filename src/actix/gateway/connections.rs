//! One worker's connections to WeChat: kept for the next call by the same way to the same host. They stay on
//! the worker's thread, so that a call wakes no other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{Method, Request, Uri};

use super::request_body::{Body, Progress};
use crate::account::{Account, Egress};
use crate::clock::Clock;
use crate::upstream::gateway_connector::{AbsoluteForm, Opened, Stream};
use crate::upstream::{BoxError, Broken, Upstream};

/// The connections of one worker, by the way on which calls leave and the base URL.
pub(crate) struct Connections {
    pools: RefCell<HashMap<(Egress, String), Rc<Pool>>>,
    clock: Clock,
}

/// The connections to one host that no call uses.
struct Pool {
    idle: RefCell<Vec<Connection>>,
    clock: Clock,
}

struct Connection {
    sender: SendRequest<Body>,
    absolute_form: Option<AbsoluteForm>,
    /// The end of its last call, in uptime.
    idle_since: Duration,
}

/// A connection in use by one call.
pub(super) struct Lent {
    connection: Connection,
    pool: Rc<Pool>,
    /// Whether it was kept from an earlier call, so that WeChat may have closed it meanwhile.
    pub(super) is_reused: bool,
    /// Of a streaming body. A connection on which it is not complete cannot be used again.
    pub(super) progress: Option<Progress>,
}

impl Connections {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            pools: RefCell::default(),
            clock,
        }
    }

    /// Returns an idle connection, or opens one.
    ///
    /// # Errors
    /// [`Broken`]: nothing was sent.
    pub(super) async fn get(
        &self,
        upstream: &Upstream,
        account: &Account,
        base: &str,
        connect_timeout: Duration,
    ) -> Result<Lent, Broken> {
        let pool = self.pool(upstream.egress_of(account), base);
        let (connection, is_reused) = match pool.take() {
            Some(idle) => (idle, true),
            None => {
                let opened = upstream.connect(account, base, connect_timeout).await?;
                (Connection::begin(opened).await?, false)
            }
        };
        Ok(Lent {
            connection,
            pool,
            is_reused,
            progress: None,
        })
    }

    fn pool(&self, egress: &Egress, base: &str) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        let pool = pools.entry((egress.clone(), base.to_owned()));
        let new = || {
            Rc::new(Pool {
                idle: RefCell::default(),
                clock: self.clock.clone(),
            })
        };
        pool.or_insert_with(new).clone()
    }
}

impl Connection {
    async fn begin(opened: Opened) -> Result<Self, Broken> {
        let (sender, driver) = Builder::new()
            .max_buf_size(BUFFERED)
            .handshake(ReadAfterWriteError {
                stream: opened.stream,
                is_broken: false,
            })
            .await
            .map_err(|error| Broken::new(error, true))?;
        // Its errors reach the call.
        rt::spawn(driver);
        Ok(Self {
            sender,
            absolute_form: opened.absolute_form,
            idle_since: Duration::ZERO,
        })
    }
}

/// A stream on which a failed write is no error but waits: WeChat may have answered a call before it closed the
/// connection, and the answer can still be read. Without one, reading ends the connection.
struct ReadAfterWriteError {
    stream: Box<dyn Stream>,
    is_broken: bool,
}

impl ReadAfterWriteError {
    fn poll_unless_broken<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut dyn Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.is_broken {
            return Poll::Pending;
        }
        match poll(Pin::new(&mut *self.stream)) {
            Poll::Ready(Err(_)) => {
                self.is_broken = true;
                Poll::Pending
            }
            polled => polled,
        }
    }
}

impl Read for ReadAfterWriteError {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for ReadAfterWriteError {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_unless_broken(|stream| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_unless_broken(|stream| stream.poll_write_vectored(context, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_unless_broken(|stream| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Pool {
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        self.drop_stale(&mut idle);
        // On one that is not ready, the last request is still being sent.
        let at = idle.iter().rposition(|it| it.sender.is_ready())?;
        Some(idle.swap_remove(at))
    }

    fn give_back(&self, mut connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        self.drop_stale(&mut idle);
        if idle.len() < MOST_IDLE {
            connection.idle_since = self.clock.uptime();
            idle.push(connection);
        }
    }

    /// Drops what WeChat has closed, or will soon.
    fn drop_stale(&self, idle: &mut Vec<Connection>) {
        let now = self.clock.uptime();
        idle.retain(|it| {
            !it.sender.is_closed() && now.saturating_sub(it.idle_since) < LONGEST_IDLE
        });
    }
}

impl Lent {
    /// Builds the request for this connection: with the whole URL if a proxy forwards it.
    pub(super) fn request(
        &self,
        base: &str,
        path_and_query: &str,
        method: Method,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Request<Body>, BoxError> {
        let (_, below) = base.split_once("://").unwrap_or_default();
        let (host, prefix) = match below.find('/') {
            Some(at) => below.split_at(at),
            None => (below, ""),
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let absolute_form = self.connection.absolute_form.as_ref();
        let target = absolute_form.map_or(prefix, |_| base);
        *request.uri_mut() = Uri::try_from(format!("{target}{path_and_query}"))?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::try_from(host)?);
        if let Some(authorization) = absolute_form.and_then(|it| it.authorization.clone()) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    pub(super) fn sender(&mut self) -> &mut SendRequest<Body> {
        &mut self.connection.sender
    }

    /// Keeps the connection for the next call. The answer must have been read to its end.
    pub(super) fn give_back(self) {
        let is_sent = self
            .progress
            .is_none_or(|progress| progress.state().is_complete);
        if is_sent {
            self.pool.give_back(self.connection);
        }
    }
}

/// Shorter than servers keep idle connections: on one that is just being closed, a call's outcome would be
/// unknown.
const LONGEST_IDLE: Duration = Duration::from_secs(10);

/// Idle connections per host and worker.
const MOST_IDLE: usize = 128;

/// Bytes that a connection reads or writes ahead. A body that WeChat takes slowly holds as many; a thousand such calls
/// of one key fit into 64 MiB.
const BUFFERED: usize = 32 * 1024;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use actix_web::web::Bytes;

    use super::*;

    /// A connection that is closed with an answer on it, which is noticed when the request is written.
    #[derive(Default)]
    struct ClosedWithAnswer {
        answer: &'static [u8],
        is_noticed: bool,
        reader: Option<Waker>,
    }

    impl Read for ClosedWithAnswer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            mut buffer: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if !self.is_noticed {
                self.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
            buffer.put_slice(std::mem::take(&mut self.answer));
            Poll::Ready(Ok(()))
        }
    }

    impl Write for ClosedWithAnswer {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.is_noticed = true;
            self.reader.take().inspect(Waker::wake_by_ref);
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Sends a call on such a connection; returns the status of the answer.
    async fn status(answer: &'static [u8]) -> Option<u16> {
        let closed = ClosedWithAnswer {
            answer,
            ..ClosedWithAnswer::default()
        };
        let opened = Opened {
            stream: Box::new(closed),
            absolute_form: None,
        };
        let mut connection = Connection::begin(opened).await.ok()?;
        let body = Body::Whole(Bytes::from_static(b"a body"));
        let answered = connection.sender.send_request(Request::new(body)).await;
        answered.ok().map(|answer| answer.status().as_u16())
    }

    #[test]
    fn an_answer_before_the_end_of_the_body_is_read_after_the_connection_broke() {
        let early = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n";
        rt::System::new().block_on(async {
            assert_eq!(status(early).await, Some(413));
            assert_eq!(status(b"").await, None, "closed without an answer");
        });
    }
}
