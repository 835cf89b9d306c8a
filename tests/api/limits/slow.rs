//! Clients that send or read as slowly as possible, on real sockets, while other clients must be served.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsConnector;

use crate::common::tls::certificate_in;
use crate::common::wait::{called, until};
use crate::limits::world::*;

const SHORT: &str = "request_seconds = 2\nkeep_alive_seconds = 3\nmax_connections = 400";

/// Sends `first`, then the byte `then` repeatedly until the other side closes. Returns the received bytes.
fn drip(to: SocketAddr, first: &str, then: u8) -> JoinHandle<String> {
    let first = first.to_owned();
    tokio::spawn(async move {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        let (mut drops, mut came, mut buffer) =
            (interval(Duration::from_millis(100)), Vec::new(), [0; 4_096]);
        loop {
            tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(count @ 1..) => came.extend_from_slice(&buffer[..count]),
                    _ => return String::from_utf8(came).unwrap(),
                },
                _ = drops.tick() => if stream.write_all(&[then]).await.is_err() {
                    return String::from_utf8(came).unwrap();
                },
            }
        }
    })
}

async fn ended(dripping: JoinHandle<String>) -> String {
    timeout(BOUND, dripping)
        .await
        .expect("the service closes the connection")
        .unwrap()
}

/// A request that keeps the connection open.
fn kept() -> String {
    http::get("/healthz").text()
}

/// The beginning of a request whose head is then sent byte by byte.
fn half() -> String {
    http::get("/healthz").unfinished()
}

#[tokio::test]
async fn a_first_request_head_sent_byte_by_byte_is_timed_out() {
    let world = World::new(SHORT, "").await;
    let answer = ended(drip(world.public, &half(), b'a')).await;
    assert!(answer.starts_with(&http::status_line(408)), "{answer}");
}

#[tokio::test]
async fn a_later_request_head_sent_byte_by_byte_is_timed_out() {
    let world = World::new(SHORT, "").await;
    let dripping = drip(world.public, &(kept() + &half()), b'a');
    // The same if the first answer arrives before the second head begins.
    let mut stream = TcpStream::connect(world.public).await.unwrap();
    stream.write_all(kept().as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
    stream.write_all(half().as_bytes()).await.unwrap();
    let mut drops = interval(Duration::from_millis(100));
    let hung_up = async {
        while stream.write_all(b"a").await.is_ok() {
            drops.tick().await;
        }
    };
    timeout(BOUND, hung_up)
        .await
        .expect("the service closes the connection");
    let answer = ended(dripping).await;
    assert_eq!(answer.matches(http::OK).count(), 1, "{answer}");
    assert_eq!(world.guard_stats.counts().timed_out, 2);
}

#[tokio::test]
async fn a_body_sent_byte_by_byte_is_timed_out() {
    let world = World::new(SHORT, "").await;
    let reject = http::post(format_args!("{TOKEN}/reject")).bearer(KEY);
    let (length, chunked) = (("Content-Length", "8000"), ("Transfer-Encoding", "chunked"));
    let head = |header| reject.clone().headers(&[header]).text();
    let whole = drip(world.admin, &(head(length) + "{\"value\":\""), b'a');
    // In chunks, each of which is started and not finished.
    let chunked = drip(world.admin, &(head(chunked) + "1f40\r\n"), b'a');
    for answer in [ended(whole).await, ended(chunked).await] {
        assert!(!answer.contains(" 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_timed_out() {
    let (_home, client, tls) = certificate();
    let world = World::new(&format!("{SHORT}{PLATFORM}"), &tls).await;
    let without_body = |path| http::post(path).header("Content-Length", 10).text();
    let push = without_body("/platforms/agency/events");
    let public = world.public;
    let pushing = tokio::spawn(async move { with_the_handshake(public, client, &push).await });
    let mut waiting = Vec::new();
    for path in ["/cgi-bin/stable_token", "/cgi-bin/clear_quota/v2"] {
        let mut stream = TcpStream::connect(world.admin).await.unwrap();
        stream
            .write_all(without_body(path).as_bytes())
            .await
            .unwrap();
        waiting.push(stream);
    }
    for mut stream in waiting {
        let mut came = Vec::new();
        // Some systems report the end as a reset.
        let _ = timeout(BOUND, stream.read_to_end(&mut came))
            .await
            .expect("the service closes the connection");
        assert_eq!(came, b"");
    }
    let (answer, _) = timeout(BOUND, pushing)
        .await
        .expect("the service closes the connection")
        .unwrap();
    assert_eq!(answer, "");
    assert_eq!(world.guard_stats.counts().timed_out, 3);
}

#[tokio::test]
async fn a_request_that_is_not_admitted_is_answered_before_its_body() {
    let world = World::new("", "").await;
    let (public, admin) = (world.public, world.admin);
    for (to, path, status) in [
        (public, "/platforms/x/events", 404),
        (public, "/platforms/x/messages/wx0123456789abcdef", 404),
        (admin, "/jssdk/diagnose", 401),
        (admin, "/credentials/main/access_token/reject", 401),
    ] {
        let head = http::post(path).header("Content-Length", 60_000).text();
        assert_eq!(http::send(to, head).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_sends_a_refused_body_slowly_gets_the_answer() {
    let world = World::new("", "").await;
    let reject = http::post(format_args!("{TOKEN}/reject"));
    let head = reject.header("Content-Length", 60_000).text();
    let mut stream = TcpStream::connect(world.admin).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut pieces = interval(Duration::from_millis(300));
    for _ in 0..12 {
        pieces.tick().await;
        stream.write_all(&[b'x'; 5_000]).await.unwrap();
    }
    http::read(stream).await.assert_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_connection_with_a_refused_body_ends_once_the_body_was_read() {
    let world = World::new("request_seconds = 3600\nkeep_alive_seconds = 3600", "").await;
    for body in ["x".to_owned(), "\r\n\r\n".repeat(20_000)] {
        let reject = http::post(format_args!("{TOKEN}/reject")).body(&body);
        // It is read to the end of the connection.
        let answer = http::exchange(world.admin, reject).await;
        http::Answer::parse(&answer).assert_problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn half_a_later_head_followed_by_silence_is_timed_out() {
    let world = World::new(SHORT, "").await;
    let mut both = TcpStream::connect(world.public).await.unwrap();
    both.write_all((kept() + &half()[..15]).as_bytes())
        .await
        .unwrap();
    // The same if the first answer arrives before the second head begins.
    let mut stream = TcpStream::connect(world.public).await.unwrap();
    stream.write_all(kept().as_bytes()).await.unwrap();
    assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
    stream.write_all(&half().as_bytes()[..15]).await.unwrap();
    timeout(BOUND, stream.read(&mut [0; 1_024]))
        .await
        .expect("the service closes the connection")
        .unwrap_or_default();
    let mut came = Vec::new();
    timeout(BOUND, both.read_to_end(&mut came))
        .await
        .expect("the service closes the connection")
        .unwrap();
    assert!(came.starts_with(http::OK.as_bytes()));
}

/// A connection with a minimal receive buffer.
fn connect_small(to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&to.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}

/// Requests far more than the socket buffers hold, and reads nothing, until the connection ends.
async fn read_nothing(world: &World, mut stream: impl AsyncWrite + Unpin) {
    let ask = http::get("/jssdk/wx-jssdk.js").text().repeat(64);
    let asking = async { while stream.write_all(ask.as_bytes()).await.is_ok() {} };
    timeout(BOUND, asking)
        .await
        .expect("the service closes the connection");
    assert_eq!(world.guard_stats.counts().timed_out, 1);
}

#[tokio::test]
async fn a_client_that_never_reads_its_answer_is_timed_out() {
    let world = World::new(SHORT, "").await;
    read_nothing(&world, connect_small(world.public)).await;
}

#[tokio::test]
async fn over_tls_a_client_that_never_reads_its_answer_is_timed_out() {
    let (_home, client, tls) = certificate();
    let world = World::new(SHORT, &tls).await;
    let stream = connect_small(world.public);
    let name = "localhost".try_into().unwrap();
    let stream = TlsConnector::from(client).connect(name, stream).await;
    read_nothing(&world, stream.unwrap()).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_not_counted_as_timed_out() {
    let world = World::new(SHORT, "").await;
    let mut idle = Vec::new();
    for first in [String::new(), kept()] {
        let mut stream = TcpStream::connect(world.public).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    for mut stream in idle {
        timeout(BOUND, stream.read_to_end(&mut Vec::new()))
            .await
            .expect("the service closes the connection")
            .unwrap();
    }
    assert_eq!(world.guard_stats.counts().timed_out, 0);
}

#[tokio::test]
async fn an_idle_connection_over_tls_is_closed_with_a_closing_record() {
    let (_home, client, tls) = certificate();
    let world = World::new(SHORT, &tls).await;
    let request = kept();
    let exchange = with_the_handshake(world.public, client, &request);
    let (answer, closed) = timeout(BOUND, exchange)
        .await
        .expect("the service closes the connection");
    assert!(answer.starts_with(http::OK), "{answer:?}");
    assert!(
        closed,
        "without it, the client could not distinguish the end from a truncation"
    );
    assert_eq!(world.guard_stats.counts().timed_out, 0);
}

#[tokio::test]
async fn three_hundred_slow_clients_do_not_block_other_clients() {
    let limits = format!("request_seconds = 3600\nmax_connections = 400{PLATFORM}");
    let world = World::new(&limits, "").await;
    assert_eq!(
        ask(world.public, "GET", PAGE, &[], "").await.status,
        200,
        "the ticket is there"
    );
    let push = http::post("/platforms/agency/events").header("Content-Length", 9_999);
    for n in 0..300 {
        let first = match n % 3 {
            0 => half(),
            1 => kept() + &half(),
            _ => push.clone().text(),
        };
        drip(world.public, &first, b'a');
    }
    // A first head has ten seconds; the other two hundred stay.
    let open = || world.guard_stats.counts().open_connections;
    until("the slow clients are connected", async || open() >= 200).await;
    for _ in 0..100 {
        assert_eq!(ask(world.public, "GET", PAGE, &[], "").await.status, 200);
    }
    assert!(open() >= 200, "they still are");
}

#[tokio::test]
async fn at_the_connection_limit_idle_connections_are_evicted() {
    let world = World::new("max_connections = 20\nkeep_alive_seconds = 3600", "").await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(world.public).await.unwrap();
        stream.write_all(kept().as_bytes()).await.unwrap();
        idle.push(stream);
    }
    let open = || world.guard_stats.counts().open_connections;
    until("the connections are open", async || open() >= 18).await;
    // A new client evicts an idle connection.
    for _ in 0..5 {
        assert_eq!(ask(world.public, "GET", PAGE, &[], "").await.status, 200);
    }
}

#[tokio::test]
async fn one_connection_does_not_take_up_a_small_connection_limit() {
    let world = World::new("request_seconds = 2\nmax_connections = 10", "").await;
    let mut alone = TcpStream::connect(world.public).await.unwrap();
    for _ in 0..2 {
        alone.write_all(kept().as_bytes()).await.unwrap();
        assert!(alone.read(&mut [0; 1_024]).await.unwrap() > 0, "still open");
        // Waits longer than the minimum idle time: another connection is timed out meanwhile.
        ended(drip(world.public, &(kept() + &half()), b'a')).await;
    }
    assert_eq!(world.guard_stats.counts().evicted_idle, 0);
}

#[tokio::test]
async fn a_client_waiting_for_wechat_is_not_timed_out() {
    let world = World::new("request_seconds = 1\nkeep_alive_seconds = 1", "").await;
    let gate = world.sandbox.hold("/cgi-bin/ticket/getticket");
    let public = world.public;
    let waiting = tokio::spawn(async move { ask(public, "GET", PAGE, &[], "").await.status });
    called(&world.sandbox, "/cgi-bin/ticket/getticket", 1).await;
    // Waits longer than a slow client may take: another connection, opened later, is timed out meanwhile.
    ended(drip(world.public, &(kept() + &half()), b'a')).await;
    gate.release();
    assert_eq!(timeout(BOUND, waiting).await.unwrap().unwrap(), 200);
}

#[tokio::test]
async fn a_request_sent_with_the_end_of_its_handshake_is_not_timed_out() {
    let (_home, client, tls) = certificate();
    let world = World::new("request_seconds = 7\nkeep_alive_seconds = 1", &tls).await;
    let gate = world.sandbox.hold("/cgi-bin/ticket/getticket");
    let request = http::get(PAGE).close().text();
    let public = world.public;
    let waiting = tokio::spawn(async move { with_the_handshake(public, client, &request).await.0 });
    called(&world.sandbox, "/cgi-bin/ticket/getticket", 1).await;
    // Waits longer than an idle connection stays open: it is closed after one second here and cut off after six.
    ended(drip(world.admin, &(kept() + &half()), b'a')).await;
    gate.release();
    let answer = timeout(BOUND, waiting).await.unwrap().unwrap();
    assert!(answer.starts_with(http::OK), "{answer:?}");
}

/// A certificate in its directory. Returns a client that trusts it, and the configuration line that names its files.
fn certificate() -> (tempfile::TempDir, Arc<ClientConfig>, String) {
    let home = tempfile::tempdir().unwrap();
    let (client, files) = certificate_in(home.path());
    (home, client, format!("tls = {files}"))
}

/// Sends the last message of the handshake and the request in one write, as fast clients do.
/// Returns the received answer, and whether the connection ended with TLS's close_notify.
async fn with_the_handshake(
    to: SocketAddr,
    client: Arc<ClientConfig>,
    request: &str,
) -> (String, bool) {
    let mut tls = rustls::ClientConnection::new(client, "localhost".try_into().unwrap()).unwrap();
    tls.writer().write_all(request.as_bytes()).unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    let (mut came, mut buffer, mut closed) = (Vec::new(), [0; 4_096], false);
    loop {
        let mut piece = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut piece).unwrap();
        }
        stream.write_all(&piece).await.unwrap();
        let Ok(count @ 1..) = stream.read(&mut buffer).await else {
            break;
        };
        let mut read = &buffer[..count];
        while !read.is_empty() {
            tls.read_tls(&mut read).unwrap();
            closed = tls.process_new_packets().unwrap().peer_has_closed();
        }
        let _ = tls.reader().read_to_end(&mut came);
    }
    (String::from_utf8(came).unwrap(), closed)
}

#[tokio::test]
async fn an_oversized_request_is_refused_and_affects_no_other_client() {
    let world = World::new("", "").await;
    let large = "x".repeat(100_000);
    let key = [("Authorization", "Bearer wxk_right")];
    ask(
        world.admin,
        "POST",
        &format!("{TOKEN}/reject"),
        &key,
        &large,
    )
    .await
    .assert_problem(413, "body_too_large");
    ask(world.admin, "POST", "/jssdk/diagnose", &key, &large)
        .await
        .assert_problem(413, "body_too_large");
    assert_eq!(
        ask(world.admin, "POST", "/cgi-bin/stable_token", &[], &large)
            .await
            .json()["errcode"],
        47001
    );
    ask(world.public, "POST", "/jssdk/config", &[], &large)
        .await
        .assert_problem(405, "method_not_allowed");
    // A URL of 20 KB is refused by the service; one of 70 KB, or 200 KB of headers, by the HTTP parser.
    ask(
        world.public,
        "GET",
        &format!("{PAGE}{}", &large[..20_000]),
        &[],
        "",
    )
    .await
    .assert_problem(400, "bad_url");
    assert_eq!(
        ask(
            world.public,
            "GET",
            &format!("{PAGE}{}", &large[..70_000]),
            &[],
            ""
        )
        .await
        .status,
        400
    );
    let header = format!("{large}{large}");
    assert_eq!(
        ask(world.public, "GET", PAGE, &[("X-Large", &header)], "")
            .await
            .status,
        431
    );
    assert_eq!(ask(world.public, "GET", PAGE, &[], "").await.status, 200);
}
