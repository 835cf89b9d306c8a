//! The connection limit: which connections are evicted, how soon, and which clients are still served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use wx_jssdk::Clock;
use wx_jssdk::actix::KeyHash;

use crate::common::wait::{called, until};
use crate::limits::world::*;

/// A client with its own address: all of 127.0.0.0/8 is this machine.
async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

/// A client whose first request was answered: the next one has the listener's time limit, not that of a first head.
async fn served_from(last: u8, to: SocketAddr) -> TcpStream {
    let mut stream = connect_from(last, to).await;
    let request = http::get("/healthz").text();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !http::is_whole(&answer) {
        let read = timeout(BOUND, stream.read_buf(&mut answer)).await;
        assert!(read.expect("an answer").unwrap() > 0);
    }
    stream
}

/// Half of a head.
fn half_head() -> String {
    http::get("/healthz").unfinished()
}

/// A request whose body never comes.
fn without_its_body(path: &str) -> String {
    let request = http::post(path).bearer(KEY);
    request.header("Content-Length", 10).text()
}

/// Keeps `count` of these unfinished requests open from one address and reopens each that is closed. An empty one is a
/// silent connection.
fn half_requests(count: usize, from: u8, to: SocketAddr, halves: &[String]) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for half in halves.iter().cycle().take(count) {
        let half = half.clone();
        clients.spawn(async move {
            let mut again = interval(Duration::from_millis(500));
            again.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                again.tick().await;
                let mut stream = connect_from(from, to).await;
                if stream.write_all(half.as_bytes()).await.is_ok() {
                    let _ = stream.read(&mut [0; 64]).await;
                }
            }
        });
    }
    clients
}

/// Requests of an honest client while the listener is full: each has to evict a connection first.
const PROBES: usize = 15;

async fn assert_answered_despite_half_requests(
    world: &World,
    to: SocketAddr,
    count: usize,
    halves: &[String],
) {
    let _clients = half_requests(count, 1, to, halves);
    let evicted = async || world.guard_stats.counts().evicted_unfinished > 0;
    until("a half request is evicted", evicted).await;
    let (clock, mut slowest) = (Clock::system(), Duration::ZERO);
    for _ in 0..PROBES {
        let begun = clock.uptime();
        let mut stream = connect_from(2, to).await;
        let whole = http::get("/healthz").text();
        stream.write_all(whole.as_bytes()).await.unwrap();
        let mut answer = [0; 1_024];
        let read = timeout(BOUND, stream.read(&mut answer)).await;
        let count = read.expect("an answer").unwrap();
        assert!(answer[..count].starts_with(http::OK.as_bytes()));
        slowest = slowest.max(clock.uptime() - begun);
    }
    let counted = world.guard_stats.counts();
    println!("{count} half requests: slowest of {PROBES} {slowest:?}; {counted:?}");
    let soon = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 1 });
    assert!(slowest < soon, "{slowest:?}");
    assert!(counted.evicted_unfinished > 0 && counted.timed_out == 0);
}

#[tokio::test]
async fn another_address_is_answered_despite_900_half_requests_on_400_places() {
    let _ = rlimit::increase_nofile_limit(8_192);
    let world = World::new("max_connections = 400\nrequest_seconds = 3600", "").await;
    assert_answered_despite_half_requests(&world, world.public, 900, &[half_head()]).await;
}

#[tokio::test]
async fn another_address_is_answered_despite_half_requests_on_all_admin_places() {
    let _ = rlimit::increase_nofile_limit(16_384);
    let world = World::new("request_seconds = 3600", "").await;
    assert_answered_despite_half_requests(&world, world.admin, 2_300, &[half_head()]).await;
}

#[tokio::test]
async fn another_address_is_answered_despite_900_requests_without_their_bodies() {
    let _ = rlimit::increase_nofile_limit(8_192);
    let world = World::new(
        &format!("max_connections = 400\nrequest_seconds = 3600\n{PLATFORM}"),
        "",
    )
    .await;
    let halves = [without_its_body("/platforms/agency/events")];
    assert_answered_despite_half_requests(&world, world.public, 900, &halves).await;
}

#[tokio::test]
async fn another_address_is_answered_despite_missing_bodies_on_all_admin_places() {
    let _ = rlimit::increase_nofile_limit(16_384);
    let world = World::new("request_seconds = 3600", "").await;
    let paths = [
        "/cgi-bin/stable_token",
        "/credentials/main/access_token/reject",
        "/cgi-bin/clear_quota/v2",
    ];
    let halves = paths.map(without_its_body);
    assert_answered_despite_half_requests(&world, world.admin, 2_300, &halves).await;
}

#[tokio::test]
async fn half_requests_of_one_address_evict_none_of_another() {
    let world = World::new("max_connections = 40\nrequest_seconds = 3600", "").await;
    let mut slow = served_from(2, world.public).await;
    let whole = http::get("/healthz").text();
    let (begin, rest) = whole.split_at(whole.len() - 2);
    slow.write_all(begin.as_bytes()).await.unwrap();
    let _clients = half_requests(60, 1, world.public, &[half_head()]);
    let evicted = async || world.guard_stats.counts().evicted_unfinished >= 200;
    until("200 half requests are evicted", evicted).await;
    slow.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let count = slow.read(&mut answer).await.unwrap();
    assert!(answer[..count].starts_with(http::OK.as_bytes()));
}

#[tokio::test]
async fn silent_connections_of_one_address_close_no_idle_one_of_another() {
    let world = World::new("max_connections = 40\nkeep_alive_seconds = 3600", "").await;
    let mut idle = served_from(2, world.public).await;
    let _clients = half_requests(60, 1, world.public, &[String::new()]);
    // By then the other one has been idle for longer than any of them.
    let evicted = async || {
        let counted = world.guard_stats.counts();
        counted.evicted_idle + counted.evicted_unfinished >= 300
    };
    until("300 silent connections are evicted", evicted).await;
    let request = http::get("/healthz").text();
    idle.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 1_024];
    let count = timeout(BOUND, idle.read(&mut answer)).await.unwrap();
    assert!(answer[..count.unwrap()].starts_with(http::OK.as_bytes()));
}

/// Sends 600 of these unfinished requests of 60 KB from one address, beside one of another address that began before.
async fn assert_bytes_are_limited(world: &World, path: &str, to: SocketAddr, large: &str) {
    let mut honest = connect_from(2, to).await;
    let head = http::post(path).bearer(KEY).header("Content-Length", 2);
    let begin = head.close().text();
    honest.write_all((begin + "{").as_bytes()).await.unwrap();
    let before = world.guard_stats.counts();
    let is_open = async || world.guard_stats.counts().open_connections > 0;
    until("the connection is open", is_open).await;
    let mut clients = Vec::new();
    for _ in 0..600 {
        let mut client = connect_from(1, to).await;
        let sent = timeout(BOUND, client.write_all(large.as_bytes())).await;
        sent.expect("it is read").unwrap();
        clients.push(client);
    }
    let evicted = || world.guard_stats.counts().evicted_unfinished - before.evicted_unfinished;
    until("50 are evicted", async || evicted() >= 50).await;
    honest.write_all(b"}").await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(BOUND, honest.read_to_end(&mut answer)).await;
    read.expect("an answer").unwrap();
    assert!(answer.starts_with(http::status_line(400).as_bytes()));
    assert!(evicted() < 300, "{}", evicted());
}

#[tokio::test]
async fn the_bytes_of_one_address_are_limited_and_others_keep_theirs() {
    let _ = rlimit::increase_nofile_limit(8_192);
    let world = World::new(&format!("request_seconds = 3600\n{PLATFORM}"), "").await;
    let events = "/platforms/agency/events";
    let large = "x".repeat(60_000);
    let half_body = http::post(events).header("Content-Length", 65_000).text() + &large;
    assert_bytes_are_limited(&world, events, world.public, &half_body).await;
    let half_head = http::get("/healthz").header("X-Large", &large).unfinished();
    assert_bytes_are_limited(&world, events, world.public, &half_head).await;
}

#[tokio::test]
async fn the_bytes_of_one_address_are_limited_on_the_admin_listener_too() {
    let _ = rlimit::increase_nofile_limit(8_192);
    let world = World::new("request_seconds = 3600", "").await;
    let half_head = http::get("/healthz").header("X-Large", "x".repeat(60_000));
    let reject = "/credentials/main/access_token/reject";
    assert_bytes_are_limited(&world, reject, world.admin, &half_head.unfinished()).await;
}

#[tokio::test]
async fn a_request_in_progress_is_not_evicted() {
    let world = World::new("max_connections = 20\nrequest_seconds = 3600", "").await;
    let gate = world.sandbox.hold("/cgi-bin/ticket/getticket");
    let mut waiting = connect_from(1, world.public).await;
    let request = http::get(PAGE).text();
    waiting.write_all(request.as_bytes()).await.unwrap();
    called(&world.sandbox, "/cgi-bin/ticket/getticket", 1).await;
    let _clients = half_requests(40, 1, world.public, &[half_head()]);
    let evicted = async || world.guard_stats.counts().evicted_unfinished >= 40;
    until("40 half requests are evicted", evicted).await;
    gate.release();
    let mut answer = [0; 1_024];
    let count = timeout(BOUND, waiting.read(&mut answer)).await.unwrap();
    assert!(answer[..count.unwrap()].starts_with(http::OK.as_bytes()));
}

#[tokio::test]
async fn large_requests_that_wait_for_wechat_evict_no_unfinished_one() {
    let _ = rlimit::increase_nofile_limit(8_192);
    let key = format!(
        "[[server.api_keys]]\nname = \"caller\"\nsha256 = \"{}\"\ncalls = [\"/\"]",
        KeyHash::of("wxk_caller")
    );
    let world = World::new(&format!("request_seconds = 3600\n{key}"), "").await;
    let path = "/cgi-bin/menu/get";
    let gate = world.sandbox.hold(path);
    let call = http::get(format!("/wx/main{path}?access_token=wxk_caller"));
    let call = call.header("X-Large", "x".repeat(60_000)).text();
    let mut unfinished = served_from(2, world.admin).await;
    let whole = http::get("/healthz").close().text();
    let (begin, rest) = whole.split_at(whole.len() - 2);
    unfinished.write_all(begin.as_bytes()).await.unwrap();
    let mut waiting = Vec::new();
    // The heads of 600 such calls are more than the listener holds of unfinished requests.
    for calls in 1..=600 {
        let mut stream = connect_from(1, world.admin).await;
        stream.write_all(call.as_bytes()).await.unwrap();
        called(&world.sandbox, path, calls).await;
        waiting.push(stream);
    }
    assert_eq!(
        ask(world.admin, "GET", "/healthz", &[], "").await.status,
        200
    );
    unfinished.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(BOUND, unfinished.read_to_end(&mut answer)).await;
    read.expect("an answer").unwrap();
    assert!(answer.starts_with(http::OK.as_bytes()));
    assert_eq!(world.guard_stats.counts().evicted_unfinished, 0);
    gate.release();
    for mut stream in waiting {
        let mut answer = [0; 1_024];
        let read = timeout(BOUND, stream.read(&mut answer)).await;
        let count = read.expect("an answer").unwrap();
        assert!(answer[..count].starts_with(http::OK.as_bytes()));
    }
}

#[tokio::test]
async fn silent_connections_are_evicted_at_once() {
    let world = World::new("max_connections = 20\nkeep_alive_seconds = 3600", "").await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(connect_from(1, world.public).await);
    }
    assert_eq!(ask(world.public, "GET", PAGE, &[], "").await.status, 200);
    assert!(world.guard_stats.counts().open_connections <= 20);
}
