use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::task::{Poll, Wake};

use actix_web::rt::System;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::server::backpressure::Paced;

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    request: 1,
    answer: 1,
    send: 1,
    idle: 1,
    places: 10,
    at_most: 12,
    request_bytes: 1_024,
};

async fn guarded() -> (Rc<Worker>, Guarded<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let client = client.await.unwrap();
    let (io, _) = listener.accept().await.unwrap();
    let worker = Worker::start(LIMITS, Arc::default());
    let guarded = worker.guard(io);
    (worker, guarded, client)
}

/// Accepts a connection from each of these addresses in 127.0.0.0/24.
async fn accepted_from(addresses: &[u8]) -> (Vec<TcpStream>, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut accepted, mut clients) = (Vec::new(), Vec::new());
    for last in addresses {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, *last], 0).into()).unwrap();
        let client = socket.connect(listener.local_addr().unwrap());
        clients.push(client.await.unwrap());
        accepted.push(listener.accept().await.unwrap().0);
    }
    (accepted, clients)
}

#[test]
fn an_idle_connection_reads_its_end_and_is_woken_if_it_goes_on() {
    System::new().block_on(async {
        let (worker, guarded, _client) = guarded().await;
        let state = guarded.state.clone();
        let mut paced = Paced::new(guarded, state);
        worker.second.set(2);
        worker.close_idle();
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = woken.clone().into();
        let mut bytes = [0; 16];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut paced).poll_read(&mut Context::from_waker(&waker), &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(()))));
        assert!(buffer.filled().is_empty());
        worker.second.set(1 + CLOSING + 1);
        worker.end_late();
        assert!(woken.0.load(Ordering::Relaxed), "it is ended");
    });
}

#[test]
fn a_request_that_arrives_with_the_end_of_a_slow_handshake_is_read() {
    System::new().block_on(async {
        let (worker, guarded, _client) = guarded().await;
        worker.second.set(2);
        worker.close_idle();
        assert!(guarded.state.is_closing());
        guarded.expects_request();
        assert!(!guarded.state.is_closing());
    });
}

#[test]
fn bytes_of_a_request_count_until_it_is_answered_and_while_its_body_is_awaited() {
    System::new().block_on(async {
        let (worker, unfinished, _client) = guarded().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut connections, mut clients) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await);
            connections.push(worker.guard(listener.accept().await.unwrap().0));
        }
        let (waiting, reading) = (&connections[0], &connections[1]);
        let is_open = |of: &Guarded<TcpStream>| of.state.check().is_ok();
        waiting.state.has_read(2_000);
        waiting.state.begin_answer(false);
        unfinished.state.has_read(100);
        reading.state.has_read(1_000);
        worker.limit_bytes(reading.id);
        assert!(!is_open(&unfinished) && is_open(waiting) && is_open(reading));
        waiting.state.wants_body();
        worker.limit_bytes(reading.id);
        assert!(!is_open(waiting) && is_open(reading));
        assert_eq!(worker.held_bytes.get(), 1_000);
    });
}

#[test]
fn a_connection_with_a_dropped_body_ends_after_the_body_or_when_draining() {
    System::new().block_on(async {
        let (worker, guarded, _client) = guarded().await;
        let state = &guarded.state;
        state.has_read(100);
        state.begin_answer(false);
        state.expects_body(20, false);
        state.has_read(10);
        assert!(state.leaves_body());
        state.end_answer();
        assert!(!state.is_closing());
        state.has_read(9);
        assert_eq!(worker.held_bytes.get(), 0, "dropped bytes are not held");
        worker.close_idle();
        assert!(!state.is_closing());
        worker.load.draining.store(true, Ordering::Relaxed);
        worker.close_idle();
        assert!(state.is_closing());
        state.closing.set(false);
        state.has_read(1);
        assert!(state.is_closing());
    });
}

#[test]
fn the_end_of_a_shutdown_closes_all_connections_but_those_in_use() {
    System::new().block_on(async {
        let (worker, idle, _client) = guarded().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut clients = Vec::new();
        let mut others = Vec::new();
        for _ in 0..3 {
            clients.push(
                TcpStream::connect(listener.local_addr().unwrap())
                    .await
                    .unwrap(),
            );
            others.push(worker.guard(listener.accept().await.unwrap().0));
        }
        let [unfinished, answering, stuck] = &others[..] else {
            unreachable!("three were made");
        };
        unfinished.state.note_read();
        answering.state.begin_answer(false);
        stuck.state.stuck_since.set(0);
        let closing = |of: &Guarded<TcpStream>| of.state.is_closing();
        worker.close_idle();
        assert!(
            ![&idle, unfinished, answering, stuck]
                .into_iter()
                .any(closing)
        );
        worker.load.ending.send_replace(true);
        while !closing(&idle) {
            tokio::task::yield_now().await;
        }
        assert!(closing(unfinished) && !closing(answering) && !closing(stuck));
        stuck.state.stuck_since.set(NEVER);
        worker.close_idle();
        assert!(closing(stuck));
    });
}

#[test]
fn a_connection_whose_body_was_read_goes_on_when_draining() {
    System::new().block_on(async {
        let (worker, guarded, _client) = guarded().await;
        let state = &guarded.state;
        state.begin_answer(false);
        // A part of the body was read together with the head.
        state.expects_body(20, false);
        state.has_read(10);
        state.has_whole_body();
        assert!(!state.leaves_body());
        state.end_answer();
        worker.load.draining.store(true, Ordering::Relaxed);
        worker.close_idle();
        assert!(!state.is_closing());
    });
}

#[test]
fn an_address_with_more_unfinished_requests_than_the_reserve_loses_the_oldest() {
    System::new().block_on(async {
        let (accepted, _clients) = accepted_from(&[1; 5]).await;
        let limits = ConnectionLimits {
            places: 4,
            at_most: 6,
            ..LIMITS
        };
        // From here on nothing waits, so the worker's second stands still.
        let worker = Worker::start(limits, Arc::default());
        let mut accepted = accepted.into_iter().map(|io| worker.guard(io));
        let in_progress = accepted.next().unwrap();
        in_progress.state.begin_answer(false);
        let unfinished: Vec<_> = accepted.by_ref().take(3).collect();
        for connection in &unfinished {
            connection.state.note_read();
        }
        let new = accepted.next().unwrap();
        let is_open = |of: &Guarded<TcpStream>| of.state.check().is_ok();
        assert!(is_open(&in_progress) && is_open(&new));
        let open: Vec<_> = unfinished.iter().map(is_open).collect();
        assert_eq!(open, [false, true, true]);
    });
}

#[test]
fn new_connections_evict_each_other_only_when_the_reserve_is_used_up() {
    System::new().block_on(async {
        let (accepted, _clients) = accepted_from(&[1; 6]).await;
        let limits = ConnectionLimits {
            places: 2,
            at_most: 5,
            ..LIMITS
        };
        // From here on nothing waits, so the worker's second stands still.
        let worker = Worker::start(limits, Arc::default());
        let mut accepted = accepted.into_iter().map(|io| worker.guard(io));
        let is_open = |of: &Guarded<TcpStream>| of.state.check().is_ok();
        let in_progress: Vec<_> = accepted.by_ref().take(2).collect();
        for connection in &in_progress {
            connection.state.begin_answer(false);
        }
        let silent = accepted.next().unwrap();
        let begun = accepted.next().unwrap();
        begun.state.note_read();
        assert!(is_open(&silent) && is_open(&begun));
        let last = accepted.next().unwrap();
        assert!(!is_open(&silent) && is_open(&begun) && is_open(&last));
        drop(last);
        worker.second.set(2);
        let later = accepted.next().unwrap();
        assert!(!is_open(&begun) && is_open(&later), "it had its time");
        assert!(in_progress.iter().all(is_open));
    });
}

#[test]
fn an_address_that_crowds_out_others_is_evicted_before_their_idle_connections() {
    System::new().block_on(async {
        let (accepted, _clients) = accepted_from(&[2, 2, 1, 1, 1, 1, 3, 3]).await;
        let limits = ConnectionLimits {
            places: 6,
            at_most: 8,
            ..LIMITS
        };
        // From here on nothing waits, so the worker's second stands still.
        let worker = Worker::start(limits, Arc::default());
        let mut accepted = accepted.into_iter().map(|io| worker.guard(io));
        let is_open = |of: &Guarded<TcpStream>| of.state.check().is_ok();
        let idle: Vec<_> = accepted.by_ref().take(2).collect();
        worker.second.set(2);
        let crowd: Vec<_> = accepted.by_ref().take(4).collect();
        crowd[0].state.begin_answer(false);
        let _new = accepted.next().unwrap();
        assert!(idle.iter().all(is_open));
        let open: Vec<_> = crowd.iter().map(is_open).collect();
        assert_eq!(open, [true, false, true, true]);
        for connection in &crowd[2..] {
            connection.state.begin_answer(false);
        }
        let _newer = accepted.next().unwrap();
        assert!(!is_open(&idle[0]), "no other one may be evicted");
        assert!(crowd[2..].iter().all(is_open));
    });
}
