//! Memory use with a thousand clients that send requests endlessly and read no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tokio_rustls::TlsConnector;
use wx_jssdk::Clock;

use crate::common::http;
use crate::common::program::{Running, command};
use crate::common::tls::certificate_in;
use crate::common::wait::called;
use crate::limits::world::{BOUND, PAGE, World};

const CONNECTIONS: usize = 1_000;
const MIB: u64 = 1 << 20;

/// Upper limit for one answer; it takes a second in a release build, but other tests share the processors. Less than
/// `limits.request_seconds`, after which the floods end by themselves.
const SOON: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 1 });

/// A service in its own process, so that its memory can be measured.
struct Process {
    running: Running,
    public: SocketAddr,
    admin: SocketAddr,
    /// A client that trusts its certificate, if it has one.
    tls: Option<Arc<ClientConfig>>,
    _home: TempDir,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Process {
    async fn start(tls: bool) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (client, lines) = match tls {
            true => {
                let (client, files) = certificate_in(home.path());
                (Some(client), format!("tls = {files}\nadmin_tls = {files}"))
            }
            false => (None, String::new()),
        };
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 2\nshutdown_seconds = 0\n{lines}
            [limits]\nrequests_per_second = 0\nmax_connections = 5000\n[store]\nkind = \"memory\"
            [upstream]\nweixin = \"http://127.0.0.1:1\"\nqyapi = \"http://127.0.0.1:1\"
            [log]\nlevel = \"off\"
            [accounts.main]\napp_id = \"wx0123456789abcdef\"\nsecret = \"0c79e1fa963cd80cc0be99b20a18faeb\"\njs_safe_domains = [\"example.com\"]\n"
        );
        std::fs::write(home.path().join("wx-jssdk.toml"), text).unwrap();
        let mut running = Running::start(command(home.path(), &["serve"]));
        let mut addresses = Vec::new();
        for name in ["public", "admin"] {
            let url = running.line(name).await;
            addresses.push(url.split_once("://").unwrap().1.parse().unwrap());
        }
        Self {
            running,
            public: addresses[0],
            admin: addresses[1],
            tls: client,
            _home: home,
        }
    }

    fn resident(&self) -> u64 {
        self.running.resident()
    }

    /// A connection with a minimal receive buffer.
    async fn connect_small(&self, to: SocketAddr) -> Box<dyn Stream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.set_send_buffer_size(16_384).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&to.into()); // under way
        let stream = TcpStream::from_std(socket.into()).unwrap();
        stream.writable().await.unwrap();
        self.wrap_in_tls(stream).await
    }

    /// With TLS where the process has a certificate.
    async fn wrap_in_tls(&self, stream: TcpStream) -> Box<dyn Stream> {
        let Some(client) = &self.tls else {
            return Box::new(stream);
        };
        let connector = TlsConnector::from(client.clone());
        let name = "localhost".try_into().unwrap();
        Box::new(connector.connect(name, stream).await.unwrap())
    }

    /// Requests `path` on a new connection. Returns the answer and how long it took.
    async fn ask(&self, to: SocketAddr, path: &str, clock: &Clock) -> (http::Answer, Duration) {
        let begun = clock.uptime();
        let request = http::get(path).close().text();
        let stream = TcpStream::connect(to).await.unwrap();
        let stream = self.wrap_in_tls(stream).await;
        let answer = http::exchange_over(stream, request).await;
        (http::Answer::parse(&answer), clock.uptime() - begun)
    }

    /// The same of a successful request.
    async fn answered(&self, to: SocketAddr, path: &str, clock: &Clock) -> Duration {
        let (answer, took) = self.ask(to, path, clock).await;
        assert_eq!(answer.status, 200, "{path}");
        took
    }
}

/// Requests `path` repeatedly on a thousand connections until no more bytes are accepted. Returns the peak memory.
async fn flood(process: &Process, to: SocketAddr, path: &str) -> u64 {
    let clock = Clock::system();
    let written = Arc::new(AtomicU64::new(0));
    let mut floods = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut stream = process.connect_small(to).await;
        let requests = http::get(path).text().repeat(64);
        let written = written.clone();
        floods.spawn(async move {
            while let Ok(count) = stream.write(requests.as_bytes()).await {
                written.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
    }
    // These are made for each request, and refused while too many answers are unread.
    let is_bounded = ["/metrics", "/docs"].contains(&path);
    let probe = if is_bounded { "/healthz" } else { path };
    let (mut peak, mut slowest, mut last, mut still) = (0, Duration::ZERO, 0, 0);
    let mut looks = interval(Duration::from_millis(50));
    while still < 10 {
        looks.tick().await;
        peak = peak.max(process.resident());
        slowest = slowest.max(process.answered(to, probe, &clock).await);
        let now = written.load(Ordering::Relaxed);
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    println!(
        "{path}: {} MiB at most; the slowest answer beside it took {slowest:?}; {} MiB were sent",
        peak / MIB,
        last / MIB
    );
    assert!(slowest < SOON, "{path} answered too late: {slowest:?}");
    assert!(last >= 64 * MIB, "{path}: {} MiB were sent", last / MIB);
    if path == "/docs" {
        let (refused, _) = process.ask(to, path, &clock).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.retry_after() > 0, "{refused:?}");
    }
    peak
}

/// Runs the floods one after another. Returns the process and its memory before the first.
async fn floods(tls: bool, paths: &[(bool, &str)]) -> (Process, u64) {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let process = Process::start(tls).await;
    let address = |admin| if admin { process.admin } else { process.public };
    let clock = Clock::system();
    for (admin, path) in paths {
        for _ in 0..100 {
            process.answered(address(*admin), path, &clock).await;
        }
    }
    let at_rest = process.resident();
    for (admin, path) in paths {
        let peak = flood(&process, address(*admin), path).await;
        let grown = peak.saturating_sub(at_rest);
        println!("grown by {} MiB, from {}", grown / MIB, at_rest / MIB);
        assert!(grown <= 64 * MIB, "{path}");
    }
    (process, at_rest)
}

/// The allocator gives memory back some ten seconds later.
async fn assert_memory_is_released(process: &Process, at_rest: u64) {
    let mut looks = interval(Duration::from_millis(200));
    let released = async {
        while process.resident() * 10 > at_rest * 12 {
            looks.tick().await;
        }
    };
    let rest = timeout(Duration::from_secs(60), released).await;
    let left = process.resident() / MIB;
    assert!(rest.is_ok(), "{left} MiB are left of {}", at_rest / MIB);
}

#[tokio::test]
async fn a_thousand_clients_that_never_read_take_at_most_64_mib() {
    let paths = [
        (false, "/jssdk/wx-jssdk.js"),
        (false, "/healthz"),
        (true, "/openapi.json"),
        (false, "/jssdk/wx-jssdk.js"),
    ];
    let (process, at_rest) = floods(false, &paths).await;
    assert_memory_is_released(&process, at_rest).await;
}

#[tokio::test]
async fn a_thousand_scrapes_or_pages_that_are_not_read_take_at_most_64_mib() {
    floods(false, &[(true, "/metrics"), (true, "/docs")]).await;
}

#[tokio::test]
async fn over_tls_a_thousand_clients_that_never_read_are_bounded_too() {
    let paths = [(false, "/jssdk/wx-jssdk.js"), (true, "/openapi.json")];
    let (process, at_rest) = floods(true, &paths).await;
    assert_memory_is_released(&process, at_rest).await;
}

/// A whole request with a header of this many bytes.
fn with_large_header(bytes: usize) -> String {
    let header = "x".repeat(bytes);
    http::get("/healthz").header("X-Large", header).text()
}

#[tokio::test]
async fn three_hundred_idle_clients_keep_no_buffers_of_their_large_heads() {
    rlimit::increase_nofile_limit(8_192).unwrap();
    let process = Process::start(false).await;
    let clock = Clock::system();
    for _ in 0..100 {
        process.answered(process.public, "/healthz", &clock).await;
    }
    let mut idle = Vec::new();
    for bytes in [12_000, 100_000] {
        let (at_rest, request) = (process.resident(), with_large_header(bytes));
        for _ in 0..300 {
            let mut stream = TcpStream::connect(process.public).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = [0; 1_024];
            let count = stream.read(&mut answer).await.unwrap();
            assert!(answer[..count].starts_with(http::OK.as_bytes()));
            idle.push(stream);
        }
        let grown = process.resident().saturating_sub(at_rest);
        println!("heads of {bytes} bytes: {} KiB each", grown / 300 / 1_024);
        assert!(grown <= 300 * 40 * 1_024, "{} MiB", grown / MIB);
    }
}

#[tokio::test]
async fn only_a_large_head_closes_its_connection() {
    let world = World::new("", "").await;
    let mut stream = TcpStream::connect(world.public).await.unwrap();
    let mut came = vec![0; 1_024];
    for (bytes, is_kept) in [(8_000, true), (12_000, true), (100, true), (100_000, false)] {
        let request = with_large_header(bytes);
        stream.write_all(request.as_bytes()).await.unwrap();
        let count = timeout(BOUND, stream.read(&mut came)).await.unwrap();
        let answer = http::Answer::parse(&came[..count.unwrap()]);
        assert_eq!(answer.status, 200);
        let closes = answer.header("connection") == Some("close");
        assert_eq!(closes, !is_kept, "{bytes}: {answer:?}");
    }
    let count = timeout(BOUND, stream.read(&mut came)).await.unwrap();
    assert_eq!(count.unwrap(), 0, "the connection is closed");
}

/// Sends all of `requests` at once and reads the answers to the end of the connection.
async fn ask_in_one(to: SocketAddr, requests: &str) -> String {
    String::from_utf8(http::exchange(to, requests).await).unwrap()
}

#[tokio::test]
async fn pipelined_requests_are_all_answered_in_order() {
    let world = World::new("requests_per_second = 0", "").await;
    for (count, path) in [(10, PAGE), (10, "/jssdk/wx-jssdk.js"), (1_000, "/healthz")] {
        let mut requests = http::get(path).text().repeat(count - 1);
        requests += &http::get("/last").close().text();
        let answers = ask_in_one(world.public, &requests).await;
        assert_eq!(answers.matches(http::OK).count(), count - 1, "{path}");
        let last = (
            answers.rfind(http::OK),
            answers.rfind(&http::status_line(404)),
        );
        assert!(last.0 < last.1, "{path}");
    }
}

#[tokio::test]
async fn requests_pipelined_behind_one_that_waits_are_answered_after_it() {
    let world = World::new("", "").await;
    let gate = world.sandbox.hold("/cgi-bin/ticket/getticket");
    let mut requests = http::get(PAGE).text();
    requests += &http::get("/healthz").text().repeat(500);
    requests += &http::get("/healthz").close().text();
    let public = world.public;
    let asking = tokio::spawn(async move { ask_in_one(public, &requests).await });
    called(&world.sandbox, "/cgi-bin/ticket/getticket", 1).await;
    gate.release();
    let answers = timeout(BOUND, asking).await.unwrap().unwrap();
    assert_eq!(answers.matches(http::OK).count(), 502);
}

#[tokio::test]
async fn bodies_are_read_whole_and_requests_behind_them_are_answered() {
    let world = World::new("", "").await;
    let head = http::post("/jssdk/diagnose")
        .bearer("wxk_right")
        .header("Content-Type", "application/json");
    let get = http::get("/healthz").close().text();
    for length in [3_000, 16_000] {
        let body = format!("{{\"url\":\"https://example.com/{}\"}}", "x".repeat(length));
        let bytes = body.chars().map(String::from);
        let chunks = head.clone().chunks(bytes) + &get;
        let whole = head.clone().body(body) + &get;
        for requests in [whole, chunks] {
            let answers = ask_in_one(world.admin, &requests).await;
            assert_eq!(answers.matches(http::OK).count(), 1, "{answers}");
            assert!(answers.ends_with("{\"status\":\"ok\"}"), "{answers}");
            assert!(answers.starts_with(&http::status_line(400)), "{answers}");
            assert!(
                answers.contains("does not contain the values needed"),
                "{answers}"
            );
        }
    }
}

#[tokio::test]
async fn an_unwanted_body_is_refused_early_and_the_answer_arrives() {
    let world = World::new("", "").await;
    let head = http::post("/jssdk/config");
    let body = "x".repeat(1_000_000);
    let whole = head.clone().body(&body);
    let chunks = head.chunks([&body]) + &http::get("/healthz").close().text();
    for requests in [whole, chunks] {
        let answers = ask_in_one(world.public, &requests).await;
        assert!(answers.starts_with(&http::status_line(405)), "{answers}");
    }
}
