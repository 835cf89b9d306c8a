//! A connection that cannot be held for ever, whatever its other end does or leaves undone.
//!
//! actix-http bounds the first request's head and the wait for the next request. It does not bound a later head or a body that
//! comes in drop by drop, nor a client that reads no answer. So each worker looks through its connections once a second and hangs up
//! on those that overstay; when almost all places are taken, on the idle ones. On the way of a request this costs a few stores: no
//! timer is set and no clock is read.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is bounded, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// From the first byte of a request to the last that is still taken.
    pub(super) request: u32,
    /// From the first byte of a request to the first of its answer: what a refresh may take is in it.
    pub(super) answer: u32,
    /// From when an answer could not be sent on to when all of it was taken.
    pub(super) send: u32,
    /// With no request under way.
    pub(super) idle: u32,
    /// Connections of one worker.
    pub(super) places: usize,
}

/// What all workers of a listener count together.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Connections that are open now.
    pub(super) open: AtomicUsize,
    /// Connections that overstayed.
    pub(super) overstayed: AtomicU64,
    /// Idle connections that made room.
    pub(super) made_room: AtomicU64,
    /// Set when the service ends: each answer is then the last on its connection.
    pub(super) draining: AtomicBool,
    /// For each worker, how often it has looked through its connections: a number that stands still is a worker that does.
    rounds: std::sync::Mutex<Vec<Arc<AtomicU64>>>,
}

impl Load {
    /// How often each worker has looked.
    pub(super) fn rounds(&self) -> Vec<u64> {
        let rounds = self
            .rounds
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        rounds
            .iter()
            .map(|rounds| rounds.load(Ordering::Relaxed))
            .collect()
    }
}

/// The connections of one worker, and its seconds.
pub(super) struct Worker {
    bounds: Bounds,
    load: Arc<Load>,
    second: Cell<u32>,
    next_id: Cell<u64>,
    connections: RefCell<HashMap<u64, Rc<State>>>,
}

/// A stream with the bounds.
pub(super) struct Guarded<T> {
    io: T,
    id: u64,
    state: Rc<State>,
    worker: Rc<Worker>,
}

/// What a connection is at, and since which second; `NEVER` where it is not.
struct State {
    request_since: Cell<u32>,
    last_read: Cell<u32>,
    stuck_since: Cell<u32>,
    idle_since: Cell<u32>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Worker {
    /// Starts its rounds on this thread's runtime.
    pub(super) fn start(bounds: Bounds, load: Arc<Load>) -> Rc<Self> {
        let rounds = Arc::new(AtomicU64::new(0));
        load.rounds
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(rounds.clone());
        let connections = RefCell::default();
        let worker = Rc::new(Self {
            bounds,
            load,
            second: Cell::new(0),
            next_id: Cell::new(0),
            connections,
        });
        let looking = Rc::downgrade(&worker);
        actix_web::rt::spawn(async move {
            let mut every_second = tokio::time::interval(Duration::from_secs(1));
            loop {
                every_second.tick().await;
                let Some(worker) = looking.upgrade() else {
                    return;
                };
                worker.second.set(worker.second.get() + 1);
                rounds.fetch_add(1, Ordering::Relaxed);
                worker.look();
            }
        });
        worker
    }

    /// Puts a stream under guard.
    pub(super) fn guard<T>(self: &Rc<Self>, io: T) -> Guarded<T> {
        let state = Rc::new(State {
            request_since: Cell::new(NEVER),
            last_read: Cell::new(NEVER),
            stuck_since: Cell::new(NEVER),
            idle_since: Cell::new(self.second.get()),
            over: Cell::new(false),
            waker: RefCell::default(),
        });
        let id = self.next_id.replace(self.next_id.get() + 1);
        self.connections.borrow_mut().insert(id, state.clone());
        self.load.open.fetch_add(1, Ordering::Relaxed);
        Guarded {
            io,
            id,
            state,
            worker: self.clone(),
        }
    }

    fn look(&self) {
        let now = self.second.get();
        let connections = self.connections.borrow();
        let overstayed = connections
            .values()
            .filter(|state| state.overstays(now, &self.bounds));
        let overstayed = overstayed.filter(|state| state.end()).count();
        self.load
            .overstayed
            .fetch_add(overstayed as u64, Ordering::Relaxed);
        let places = self.bounds.places;
        if connections.len() * 10 < places * 9 {
            return;
        }
        let mut idle: Vec<_> = connections
            .values()
            .filter(|state| state.is_idle(now))
            .collect();
        idle.sort_by_key(|state| state.idle_since.get());
        let made_room = idle
            .into_iter()
            .take(places.div_ceil(5))
            .filter(|state| state.end())
            .count();
        self.load
            .made_room
            .fetch_add(made_room as u64, Ordering::Relaxed);
        if made_room > 0 {
            tracing::debug!(
                made_room,
                "almost all places are taken: hung up on idle connections"
            );
        }
    }
}

impl State {
    fn overstays(&self, now: u32, bounds: &Bounds) -> bool {
        let longer = |since: u32, until: u32, bound: u32| {
            since != NEVER && until.saturating_sub(since) > bound
        };
        let request = self.request_since.get();
        longer(request, self.last_read.get(), bounds.request)
            || longer(request, now, bounds.answer)
            || longer(self.stuck_since.get(), now, bounds.send)
            || longer(self.idle_since.get(), now, bounds.idle)
    }

    /// For a second at least: whoever was just accepted may be about to ask.
    fn is_idle(&self, now: u32) -> bool {
        self.idle_since.get() != NEVER
            && self.stuck_since.get() == NEVER
            && now > self.idle_since.get() + 1
    }

    /// False where that was done already.
    fn end(&self) -> bool {
        let first = !self.over.replace(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
        first
    }

    /// What was read begins a request or goes on with it.
    fn read(&self, now: u32) {
        if self.request_since.get() == NEVER {
            self.request_since.set(now);
            self.idle_since.set(NEVER);
        }
        self.last_read.set(now);
    }

    fn answered(&self, now: u32) {
        self.request_since.set(NEVER);
        self.idle_since.set(now);
    }

    fn wait(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }

    /// A write, a flush or an end that the other side does not let happen.
    fn stuck(&self, now: u32, context: &Context<'_>) {
        if self.stuck_since.get() == NEVER {
            self.stuck_since.set(now);
        }
        self.wait(context);
    }

    fn check(&self) -> io::Result<()> {
        if self.over.get() {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(())
        }
    }
}

impl<T> Guarded<T> {
    fn now(&self) -> u32 {
        self.worker.second.get()
    }
}

impl Guarded<TcpStream> {
    /// After a TLS handshake: the first request may have come in with its end, and lies where no read will show it.
    pub(super) fn expects_request(&self) {
        self.state.read(self.now());
    }

    /// The other end's address.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.io.peer_addr().ok()
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
        self.worker.load.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.state.check()?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        if polled.is_pending() {
            self.state.wait(context);
        } else if buffer.filled().len() > before {
            self.state.read(self.now());
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
            Poll::Pending => self.state.stuck(self.now(), context),
            Poll::Ready(_) => self.state.answered(self.now()),
        }
        polled
    }

    /// Called when all of an answer was taken from its buffer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_flush(context);
        match polled {
            Poll::Pending => self.state.stuck(self.now(), context),
            Poll::Ready(_) => self.state.stuck_since.set(NEVER),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            self.state.stuck(self.now(), context);
        }
        polled
    }
}

/// No second: a worker lives 136 years at most.
const NEVER: u32 = u32::MAX;
