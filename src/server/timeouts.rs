//! Deadlines and places: no connection is held for ever, and a new one always finds room.
//!
//! actix-http bounds the first request's head and the wait for the next request. It does not bound a later head or a body that
//! comes in drop by drop, nor a client that reads no answer. So each worker looks through its connections once a second and ends
//! those that took too long. When all places are taken, it ends others at once to make room for a new connection. A request costs a
//! few stores: no timer is set and no clock is read.

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

use crate::actix::client_key;

/// Limits of each connection, in seconds, and of their number.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// From the first byte of a request to the last that is still accepted.
    pub(super) request: u32,
    /// From the first byte of a request to the first of its answer: includes what a refresh may take.
    pub(super) answer: u32,
    /// From when an answer could not be sent on to when all of it was sent.
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
    /// Connections that took too long.
    pub(super) timed_out: AtomicU64,
    /// Idle connections that were ended to make room.
    pub(super) evicted_idle: AtomicU64,
    /// Connections with an unfinished request, or an answer that is not read, that were ended to make room.
    pub(super) evicted_unfinished: AtomicU64,
    /// Set when the service ends: each answer is then the last on its connection.
    pub(super) draining: AtomicBool,
    /// For each worker, how often it has looked through its connections: a number that stands still is a worker that hangs.
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
    limits: ConnectionLimits,
    load: Arc<Load>,
    second: Rc<Cell<u32>>,
    next_id: Cell<u64>,
    /// Those that may go on: one that was told to end is no longer here.
    connections: RefCell<HashMap<u64, Rc<State>>>,
}

/// A stream with deadlines.
pub(super) struct Guarded<T> {
    io: T,
    id: u64,
    state: Rc<State>,
    worker: Rc<Worker>,
}

/// The state of a connection, and since which second; `NEVER` where it does not apply.
pub(super) struct State {
    pub(super) peer: Option<SocketAddr>,
    second: Rc<Cell<u32>>,
    request_since: Cell<u32>,
    last_read: Cell<u32>,
    stuck_since: Cell<u32>,
    idle_since: Cell<u32>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Requests that the application is answering: one at most in HTTP/1.1.
    answering: Cell<u32>,
    /// Bytes that may still be read before what was read is worked off.
    allowance: Cell<usize>,
    turn_ended: Cell<bool>,
    /// A read was refused; what ends the reason for that has to wake the connection.
    held: Cell<bool>,
}

impl Worker {
    /// Starts its rounds on this thread's runtime.
    pub(super) fn start(limits: ConnectionLimits, load: Arc<Load>) -> Rc<Self> {
        let rounds = Arc::new(AtomicU64::new(0));
        load.rounds
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(rounds.clone());
        let connections = RefCell::default();
        let worker = Rc::new(Self {
            limits,
            load,
            second: Rc::default(),
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
                worker.end_late();
            }
        });
        worker
    }

    /// Puts a stream under guard, and makes room for it where there is none.
    pub(super) fn guard(self: &Rc<Self>, io: TcpStream) -> Guarded<TcpStream> {
        if self.connections.borrow().len() >= self.limits.places {
            self.make_room();
        }
        let state = Rc::new(State {
            peer: io.peer_addr().ok(),
            second: self.second.clone(),
            request_since: Cell::new(NEVER),
            last_read: Cell::new(NEVER),
            stuck_since: Cell::new(NEVER),
            idle_since: Cell::new(self.second.get()),
            over: Cell::new(false),
            waker: RefCell::default(),
            answering: Cell::new(0),
            allowance: Cell::new(TURN),
            turn_ended: Cell::new(false),
            held: Cell::new(false),
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

    fn end_late(&self) {
        let now = self.second.get();
        let mut connections = self.connections.borrow_mut();
        let late: Vec<_> = connections
            .iter()
            .filter(|(_, state)| state.is_late(now, &self.limits))
            .map(|(id, _)| *id)
            .collect();
        end(&mut connections, &late, &self.load.timed_out);
    }

    /// Ends idle connections, the longest idle first. Where none is idle, the oldest unfinished requests of the address that has
    /// most of them: a proxy sends whole requests and loses nothing by it. A request that is being answered is never ended.
    ///
    /// Several at a time, so that a flood of new connections costs few looks through all.
    fn make_room(&self) {
        let now = self.second.get();
        let at_most = (self.limits.places / 64).max(1);
        let mut connections = self.connections.borrow_mut();
        let mut idle: Vec<_> = connections
            .iter()
            .filter(|(_, state)| state.is_idle(now))
            .map(|(id, state)| (state.idle_since.get(), *id))
            .collect();
        if !idle.is_empty() {
            let idle = oldest(&mut idle, at_most);
            end(&mut connections, &idle, &self.load.evicted_idle);
            return;
        }
        let mut unfinished: HashMap<_, Vec<_>> = HashMap::new();
        for (id, state) in connections.iter() {
            if let Some(since) = state.waits_for_client_since() {
                let address = state.peer.map(|peer| client_key(peer.ip().to_canonical()));
                unfinished.entry(address).or_default().push((since, *id));
            }
        }
        if let Some(most) = unfinished.values_mut().max_by_key(|of_one| of_one.len()) {
            let half = most.len().div_ceil(2);
            let ids = oldest(most, at_most.min(half));
            end(&mut connections, &ids, &self.load.evicted_unfinished);
        }
    }
}

/// The ids of the `count` that are oldest; accepted first among those of one second.
fn oldest(all: &mut [(u32, u64)], count: usize) -> Vec<u64> {
    all.sort_unstable();
    all.iter().take(count).map(|(_, id)| *id).collect()
}

fn end(connections: &mut HashMap<u64, Rc<State>>, ids: &[u64], counter: &AtomicU64) {
    for state in ids.iter().filter_map(|id| connections.remove(id)) {
        state.end();
    }
    counter.fetch_add(ids.len() as u64, Ordering::Relaxed);
}

impl State {
    fn is_late(&self, now: u32, limits: &ConnectionLimits) -> bool {
        let longer = |since: u32, until: u32, limit: u32| {
            since != NEVER && until.saturating_sub(since) > limit
        };
        let request = self.request_since.get();
        longer(request, self.last_read.get(), limits.request)
            || longer(request, now, limits.answer)
            || longer(self.stuck_since.get(), now, limits.send)
            || longer(self.idle_since.get(), now, limits.idle)
    }

    /// Whether it has been idle for a second at least: a client that has just connected may be about to ask.
    fn is_idle(&self, now: u32) -> bool {
        self.idle_since.get() != NEVER
            && self.stuck_since.get() == NEVER
            && now > self.idle_since.get() + 1
    }

    /// Since when its client owes the rest of a request, or takes no answer.
    fn waits_for_client_since(&self) -> Option<u32> {
        let since = [&self.request_since, &self.stuck_since, &self.idle_since];
        (self.answering.get() == 0)
            .then(|| since.into_iter().map(Cell::get).min())
            .flatten()
    }

    fn end(&self) {
        self.over.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// What was read begins a request or goes on with it.
    fn read(&self) {
        self.ask();
        self.last_read.set(self.second.get());
    }

    fn ask(&self) {
        if self.request_since.get() == NEVER {
            self.request_since.set(self.second.get());
            self.idle_since.set(NEVER);
        }
    }

    fn answered(&self) {
        let now = self.second.get();
        if self.answering.get() == 0 {
            self.request_since.set(NEVER);
            self.idle_since.set(now);
        } else {
            self.request_since.set(now);
        }
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
    fn stuck(&self, context: &Context<'_>) {
        if self.stuck_since.get() == NEVER {
            self.stuck_since.set(self.second.get());
        }
        self.wait(context);
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.over.get() {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(())
        }
    }
}

/// When the connection may read on: see [`super::backpressure`].
impl State {
    /// How many bytes may be read now. `None`: none; the connection will be woken when that changes.
    pub(super) fn may_read(&self, context: &Context<'_>) -> Option<usize> {
        let (stuck, answering) = (self.stuck_since.get() != NEVER, self.answering.get() > 0);
        if !stuck {
            if self.turn_ended.replace(false) && !answering {
                self.allowance.set(TURN);
            }
            let allowance = self.allowance.get();
            if allowance > 0 {
                return Some(allowance);
            }
        }
        self.wait(context);
        if stuck || answering {
            self.held.set(true);
        } else {
            // What was read is worked off first, and then more is read.
            context.waker().wake_by_ref();
        }
        None
    }

    pub(super) fn has_read(&self, count: usize) {
        let allowance = self.allowance.get();
        self.allowance.set(allowance.saturating_sub(count));
    }

    /// More was read than is to be worked off at once.
    pub(super) fn has_read_enough(&self) {
        self.allowance.set(0);
    }

    pub(super) fn is_answering(&self) -> bool {
        self.answering.get() > 0
    }

    /// Everything that was read is worked off, or is being answered; all that there was to send was sent.
    pub(super) fn end_turn(&self) {
        self.turn_ended.set(true);
        if self.held.get() && self.answering.get() == 0 {
            self.read_on();
        }
    }

    /// The application has a request.
    pub(super) fn begin_answer(&self) {
        self.answering.set(self.answering.get() + 1);
        self.ask();
    }

    /// The application has answered it.
    pub(super) fn end_answer(&self) {
        self.answering.set(self.answering.get() - 1);
    }

    /// The application has taken what there was of the request's body, and waits for more.
    pub(super) fn wants_body(&self) {
        self.allowance.set(TURN);
        self.read_on();
    }

    fn read_on(&self) {
        if self.held.replace(false) {
            self.wake();
        }
    }
}

impl<T> Guarded<T> {
    pub(super) fn state(&self) -> &Rc<State> {
        &self.state
    }

    /// After a TLS handshake: the first request may have come in with its end, and lies where no read will show it.
    pub(super) fn expects_request(&self) {
        self.state.read();
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
            self.state.read();
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
            Poll::Pending => self.state.stuck(context),
            Poll::Ready(_) => self.state.answered(),
        }
        polled
    }

    /// Called when all of an answer was taken from its buffer.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_flush(context);
        match polled {
            Poll::Pending => self.state.stuck(context),
            Poll::Ready(_) => self.state.stuck_since.set(NEVER),
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.check()?;
        let polled = Pin::new(&mut self.io).poll_shutdown(context);
        if polled.is_pending() {
            self.state.stuck(context);
        }
        polled
    }
}

/// No second: a worker lives 136 years at most.
const NEVER: u32 = u32::MAX;

/// Bytes that are read before what they asked for is worked off. More than most requests have: what has more takes more turns.
const TURN: usize = 2_048;
