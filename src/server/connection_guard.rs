//! Connection deadlines and eviction: no connection is held forever, and a new one always finds a place.
//!
//! actix-http bounds the first request's head and, with a timer per request, the wait for the next one. It
//! does not bound a later head or a body that arrives drop by drop, nor a client that does not read its
//! answer. So each worker checks its connections once a second, closes the idle ones, and ends those that
//! took too long. When all places are taken, or requests hold more bytes than they may together, it evicts
//! connections at once to make room. A request costs a few stores: no timer is set and no clock is read.

mod load;
mod read_budget;
mod stream;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use tokio::time::MissedTickBehavior;

pub(super) use self::load::Load;
pub(super) use self::stream::Guarded;
use crate::endpoint::key_of;

/// Limits of each connection, in seconds, and of the number of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionLimits {
    /// From the first byte of a request to its last byte.
    pub(super) request: u32,
    /// From the first byte of a request to the first of its answer; includes the time of a refresh.
    pub(super) answer: u32,
    /// From a blocked write until the client has taken what was written.
    pub(super) send: u32,
    /// Without a request in progress, until the connection is closed. One that is still open
    /// [`CLOSING`] later is ended.
    pub(super) idle: u32,
    /// Connections of one worker beyond which a new one evicts others.
    pub(super) places: usize,
    /// Connections of one worker beyond which it accepts no more.
    pub(super) at_most: usize,
    /// Bytes of the unfinished requests of one worker.
    pub(super) request_bytes: usize,
}

/// The connections of one worker, and its second counter.
pub(super) struct Worker {
    limits: ConnectionLimits,
    load: Arc<Load>,
    second: Rc<Cell<u32>>,
    /// Bytes that the unfinished requests hold.
    held_bytes: Rc<Cell<usize>>,
    next_id: Cell<u64>,
    /// The connections that may continue; one that was told to end is removed.
    connections: RefCell<HashMap<u64, Rc<State>>>,
}

/// The state of a connection, with the second at which each phase began; `NEVER` if it does not apply.
#[derive(Default)]
pub(super) struct State {
    pub(super) peer: Option<SocketAddr>,
    second: Rc<Cell<u32>>,
    request_since: Cell<u32>,
    last_read: Cell<u32>,
    stuck_since: Cell<u32>,
    idle_since: Cell<u32>,
    /// No request is read any more, so that actix-http closes the connection.
    closing: Cell<bool>,
    over: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Requests that the application is answering, to the end of the answer's body: one at most in HTTP/1.1.
    answering: Cell<u32>,
    /// Whether an answer ended since everything was last sent.
    has_answered: Cell<bool>,
    /// Whether the request in progress is one whose body may take long.
    may_upload: Cell<bool>,
    /// Bytes of the declared body of the request in progress that were not read.
    body_left: Cell<u64>,
    /// Whether the request was answered before its body was read: what is read then is dropped.
    leaves_body: Cell<bool>,
    /// Whether the application waits for more of the body of the request in progress.
    awaits_body: Cell<bool>,
    /// Bytes that may still be read before the bytes already read are processed.
    read_budget: Cell<usize>,
    turn_ended: Cell<bool>,
    /// Bytes read of the request in progress, without a body that is passed on as it arrives. Count as held while
    /// the client owes the rest.
    request_bytes: Cell<usize>,
    /// The worker's.
    held_bytes: Rc<Cell<usize>>,
    /// Whether the head of the request in progress is larger than [`LARGE_HEAD`].
    has_large_head: Cell<bool>,
    /// A read was refused; once its reason ends, the connection has to be woken.
    held: Cell<bool>,
}

impl Worker {
    /// Starts the periodic check on this thread's runtime.
    pub(super) fn start(limits: ConnectionLimits, load: Arc<Load>) -> Rc<Self> {
        let rounds = load.add_worker();
        let mut ending = load.ending.subscribe();
        let connections = RefCell::default();
        let worker = Rc::new(Self {
            limits,
            load,
            second: Rc::default(),
            held_bytes: Rc::default(),
            next_id: Cell::new(0),
            connections,
        });
        let looking = Rc::downgrade(&worker);
        actix_web::rt::spawn(async move {
            let mut every_second = tokio::time::interval(Duration::from_secs(1));
            // A process that was stopped for a minute must not count it as its clients' time at once.
            every_second.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_second = tokio::select! {
                    _ = every_second.tick() => true,
                    Ok(()) = ending.changed() => false,
                };
                let Some(worker) = looking.upgrade() else {
                    return;
                };
                if is_second {
                    worker.second.set(worker.second.get() + 1);
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                worker.close_idle();
                worker.end_late();
            }
        });
        worker
    }

    /// Puts a stream under guard, and makes room for it if all places are taken.
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
            read_budget: Cell::new(TURN),
            held_bytes: self.held_bytes.clone(),
            ..State::default()
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

    fn close_idle(&self) {
        let now = self.second.get();
        let is_draining = self.load.draining.load(Ordering::Relaxed);
        let is_ending = *self.load.ending.borrow();
        for state in self.connections.borrow().values() {
            if state.is_idle_for(now, self.limits.idle)
                || is_draining && state.drops_body()
                || is_ending && state.is_unused()
            {
                state.closing.set(true);
                state.wake();
            }
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

    /// Ends connections of the addresses that crowd out others: those that have more than the reserve holds, and
    /// more than half as many as the address with most. If they have none to end, of all addresses. A request that
    /// was received completely and is being answered is never ended. Ends several at a time, so that a flood of new
    /// connections causes few scans.
    fn make_room(&self) {
        let mut connections = self.connections.borrow_mut();
        let mut sizes: HashMap<_, usize> = HashMap::new();
        for state in connections.values() {
            *sizes.entry(state.address()).or_default() += 1;
        }
        let most = sizes.values().copied().max().unwrap_or_default();
        let reserve = self.limits.at_most - self.limits.places;
        let share = reserve.max(most / 2);
        let crowds = |state: &State| sizes[&state.address()] > share;
        let (mut ids, mut counter) = self.evictable(&connections, crowds);
        if ids.is_empty() {
            (ids, counter) = self.evictable(&connections, |_| true);
        }
        end(&mut connections, &ids, counter);
    }

    /// Returns the longest idle connections of those that `may_end`, and their counter. If none is idle, the
    /// oldest unfinished requests of the address that has most of them: a proxy sends whole requests and loses
    /// nothing. One that may be on its way is returned only if its address has more than the reserve holds, or
    /// for the last place.
    fn evictable(
        &self,
        connections: &HashMap<u64, Rc<State>>,
        may_end: impl Fn(&State) -> bool,
    ) -> (Vec<u64>, &AtomicU64) {
        let now = self.second.get();
        let count = (self.limits.places / 64).max(1);
        let (mut idle, mut unfinished) = (Vec::new(), HashMap::<_, Vec<_>>::new());
        for (id, state) in connections.iter().filter(|(_, state)| may_end(state)) {
            // A client that has just connected may be about to send a request.
            if state.is_idle_for(now, 1) {
                idle.push((state.idle_since.get(), *id));
            } else if let Some(since) = state.waits_for_client_since() {
                let of_one = unfinished.entry(state.address()).or_default();
                of_one.push((since, *id));
            }
        }
        if !idle.is_empty() {
            return (oldest(&mut idle, count), &self.load.evicted_idle);
        }
        let most = unfinished.into_values().max_by_key(Vec::len);
        let mut most = most.unwrap_or_default();
        let half = most.len().div_ceil(2);
        let is_last = connections.len() + 1 >= self.limits.at_most;
        let reserve = self.limits.at_most - self.limits.places;
        if !is_last && most.len() <= reserve {
            most.retain(|(since, _)| now.saturating_sub(*since) > 1);
        }
        let ids = oldest(&mut most, count.min(half));
        (ids, &self.load.evicted_unfinished)
    }

    /// Limits the bytes of unfinished requests: beyond the limit, ends some of them until an eighth of it is free.
    /// Spares the connection that is `reading`: its request may be complete and not yet decoded.
    fn limit_bytes(&self, reading: u64) {
        if self.held_bytes.get() > self.limits.request_bytes {
            self.free_bytes(self.limits.request_bytes / 8, reading);
        }
    }

    /// Ends the oldest unfinished requests of the address that holds most bytes, then those of the next one.
    #[cold]
    fn free_bytes(&self, wanted: usize, reading: u64) {
        let mut connections = self.connections.borrow_mut();
        let mut addresses: HashMap<_, (usize, Vec<_>)> = HashMap::new();
        for (id, state) in connections.iter() {
            let bytes = state.owed_bytes();
            if let Some(since) = state.waits_for_client_since()
                && bytes > 0
                && *id != reading
            {
                let (sum, requests) = addresses.entry(state.address()).or_default();
                *sum += bytes;
                requests.push((since, *id, bytes));
            }
        }
        let mut addresses: Vec<_> = addresses.into_values().collect();
        addresses.sort_unstable_by_key(|(sum, _)| Reverse(*sum));
        let mut oldest = addresses.into_iter().flat_map(|(_, mut requests)| {
            requests.sort_unstable();
            requests
        });
        let (mut freed, mut ids) = (0, Vec::new());
        while freed < wanted
            && let Some((_, id, bytes)) = oldest.next()
        {
            freed += bytes;
            ids.push(id);
        }
        end(&mut connections, &ids, &self.load.evicted_unfinished);
    }
}

/// Returns the ids of the `count` oldest connections; within one second, the first accepted come first.
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
        let receive = match self.may_upload.get() {
            true => limits.answer,
            false => limits.request,
        };
        let received = match self.owes_request() {
            true => now,
            false => self.last_read.get(),
        };
        longer(request, received, receive)
            || longer(request, now, limits.answer)
            || longer(self.stuck_since.get(), now, limits.send)
            || longer(
                self.idle_since.get(),
                now,
                limits.idle.saturating_add(CLOSING),
            )
    }

    /// Returns whether the connection has had no request for longer than `limit` seconds.
    fn is_idle_for(&self, now: u32, limit: u32) -> bool {
        self.idle_since.get() != NEVER
            && self.stuck_since.get() == NEVER
            && now.saturating_sub(self.idle_since.get()) > limit
    }

    /// Returns whether no request is being answered and no answer is being sent.
    fn is_unused(&self) -> bool {
        self.answering.get() == 0 && self.stuck_since.get() == NEVER
    }

    /// Returns since when the client has owed the rest of a request, or has not read its answer.
    fn waits_for_client_since(&self) -> Option<u32> {
        let since = [&self.request_since, &self.stuck_since, &self.idle_since];
        (self.owes_request() || self.stuck_since.get() != NEVER)
            .then(|| since.into_iter().map(Cell::get).min())
            .flatten()
    }

    /// Returns whether the rest of a request is the client's to send.
    fn owes_request(&self) -> bool {
        self.answering.get() == 0 || self.awaits_body.get()
    }

    /// Returns the key of the client's address: connections with the same one share its limits.
    fn address(&self) -> Option<u64> {
        self.peer.map(|peer| key_of(peer.ip().to_canonical()))
    }

    fn end(&self) {
        self.over.set(true);
        self.release_bytes();
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Records that bytes were read, which begin or continue a request.
    fn note_read(&self) {
        self.begin_request();
        self.last_read.set(self.second.get());
    }

    /// Records that a request has begun, if none had.
    fn begin_request(&self) {
        if self.request_since.get() == NEVER {
            self.request_since.set(self.second.get());
            self.idle_since.set(NEVER);
            self.closing.set(false);
        }
    }

    /// Records that output was sent.
    fn note_sent(&self) {
        let now = self.second.get();
        if self.answering.get() == 0 {
            self.request_since.set(NEVER);
            self.idle_since.set(now);
        } else {
            self.request_since.set(now);
        }
    }

    pub(super) fn wait(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
    }

    /// Records a write, flush or shutdown that the peer blocks.
    fn note_blocked(&self, context: &Context<'_>) {
        if self.stuck_since.get() == NEVER {
            self.stuck_since.set(self.second.get());
        }
        self.wait(context);
    }

    /// Returns whether reads shall report the end of the stream.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    pub(super) fn check(&self) -> io::Result<()> {
        if self.over.get() {
            Err(ErrorKind::TimedOut.into())
        } else {
            Ok(())
        }
    }
}

/// Sentinel for a time that is not set. A worker's seconds reach it after 136 years.
const NEVER: u32 = u32::MAX;

/// Seconds for the orderly close of an idle connection: over TLS, the client has to take one more record.
const CLOSING: u32 = 5;

/// Bytes that are read before they are processed. Most requests are shorter; longer ones take several
/// turns.
const TURN: usize = 2_048;

#[cfg(test)]
mod tests;
