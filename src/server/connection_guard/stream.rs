//! The stream of a guarded connection: reports what is read and written, and ends when its time is over.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{NEVER, State, Worker};

/// A stream with deadlines.
pub(in crate::server) struct Guarded<T> {
    pub(super) io: T,
    pub(super) id: u64,
    pub(in crate::server) state: Rc<State>,
    pub(super) worker: Rc<Worker>,
}

impl<T> Guarded<T> {
    /// Called after a TLS handshake: the first request may have arrived with its last bytes, already
    /// buffered, where no read will show it.
    pub(in crate::server) fn expects_request(&self) {
        self.state.note_read();
    }
}

impl ActixStream for Guarded<TcpStream> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.io, context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.io, context)
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        self.worker.connections.borrow_mut().remove(&self.id);
        self.state.release_bytes();
        self.worker.load.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.worker.limit_bytes(self.id);
        self.state.check()?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if polled.is_pending() {
            self.state.wait(context);
        } else if buffer.filled().len() > before {
            self.state.note_read();
        }
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        match polled {
            Poll::Pending => self.state.note_blocked(context),
            Poll::Ready(_) => self.state.note_sent(),
        }
        polled
    }

    /// Called when an answer has left its buffer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_flush(context);
        match polled {
            Poll::Pending => self.state.note_blocked(context),
            Poll::Ready(_) => self.state.stuck_since.set(NEVER),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            self.state.note_blocked(context);
        }
        polled
    }
}
