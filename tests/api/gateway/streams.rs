//! Large, binary and broken answers.

use super::*;
use crate::common::http::{exchange, post};
use crate::common::process::alone;
use crate::common::wait::{called, until};
use crate::secrets::Log;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

async fn bytes_of(world: &World, query: &str) -> (reqwest::header::HeaderMap, Vec<u8>) {
    let url = world.url(&format!(
        "/wx/main/cgi-bin/media/x?access_token={KEY}&{query}"
    ));
    let answer = client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    (headers, answer.bytes().await.unwrap().to_vec())
}

/// Returns the sandbox's answer without the gateway.
async fn direct(world: &World, query: &str) -> Vec<u8> {
    let url = format!(
        "{}/cgi-bin/media/x?access_token={}&{query}",
        world.sandbox.url(),
        world.current()
    );
    client()
        .get(url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap()
        .to_vec()
}

#[tokio::test]
async fn a_binary_answer_streams_with_its_file_name() {
    let world = World::new().await;
    let (headers, bytes) = bytes_of(&world, "sandbox_bytes=3000000").await;
    assert_eq!(headers["content-type"], "image/jpeg");
    assert_eq!(headers["content-length"], "3000000");
    assert!(
        headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment; filename=")
    );
    assert!(bytes == direct(&world, "sandbox_bytes=3000000").await);
}

#[tokio::test]
async fn an_answer_of_5_megabytes_that_starts_like_json_streams() {
    let world = World::new().await;
    for query in [
        "sandbox_json=5000000",
        "sandbox_json=5000000&sandbox_chunked=1",
        "sandbox_json=65536",
    ] {
        let (_, bytes) = bytes_of(&world, query).await;
        assert!(bytes == direct(&world, query).await, "{query}");
    }
}

#[tokio::test]
async fn a_gzip_answer_is_passed_unchanged() {
    let world = World::new().await;
    let (headers, bytes) = bytes_of(&world, "sandbox_gzip=1&sandbox_json=1000").await;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(bytes.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn an_error_in_place_of_an_image_is_recognised() {
    let world = World::new().await;
    world
        .get(&format!("/wx/main{USERS}?access_token={KEY}"))
        .await;
    world.revoke();
    for content_type in ["image/jpeg", "text/plain"] {
        let (_, bytes) = bytes_of(
            &world,
            &format!("sandbox_bytes=1000&sandbox_type={content_type}"),
        )
        .await;
        assert_eq!(bytes.len(), 1_000, "the dead token was replaced");
        let (headers, bytes) = bytes_of(
            &world,
            &format!("sandbox_errcode=40007&sandbox_type={content_type}"),
        )
        .await;
        assert_eq!(headers["content-type"], content_type);
        let error: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(error["errcode"], 40007);
    }
}

#[tokio::test]
async fn a_head_request_has_no_body() {
    let world = World::new().await;
    let request = Request::new("HEAD", format!("/wx/main{USERS}?access_token={KEY}"));
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(world.received(USERS).method, "HEAD");
}

#[tokio::test]
async fn a_truncated_answer_is_truncated_for_the_caller_too() {
    let world = World::new().await;
    let target = format!(
        "/wx/main/cgi-bin/media/x?access_token={KEY}&sandbox_bytes=100000&sandbox_cut=50000"
    );
    let bytes = exchange(world.service.admin, get(target).close().text()).await;
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).to_lowercase();
    assert!(head.contains("content-length: 100000"), "{head}");
    assert!(bytes.len() < 60_000, "{} bytes", bytes.len());
    let (_, metrics) = http::fetch(&world.url("/metrics")).await;
    let failed =
        r#"wx_jssdk_gateway_calls_total{account="main",path="/cgi-bin/media",outcome="failed"} 1"#;
    assert!(metrics.contains(failed), "{metrics}");
    let short = format!("/wx/main{USERS}?access_token={KEY}&sandbox_json=1000&sandbox_cut=100");
    let answer = world.send(get(short)).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(answer.text.contains("may have processed"), "{answer:?}");
    assert_eq!(world.sandbox.calls(USERS), 1, "it is not repeated");
}

#[tokio::test]
async fn a_caller_that_disconnects_ends_the_call() {
    let world = World::new().await;
    let path = "/cgi-bin/media/upload";
    let head = post(format!("/wx/main{path}?access_token={KEY}"))
        .header("Content-Length", 5_000_000)
        .text();
    let mut stream = TcpStream::connect(world.service.admin).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&[b'x'; 100_000]).await.unwrap();
    called(&world.sandbox, path, 1).await;
    drop(stream);
    let url = world.url("/metrics");
    until("the call has ended", async || {
        let (_, metrics) = http::fetch(&url).await;
        metrics.contains("wx_jssdk_gateway_calls_in_progress 0.0")
    })
    .await;
    let requests = || world.sandbox.last_requests(path);
    until("WeChat has read what was sent", async || {
        requests().len() == 1
    })
    .await;
    assert_eq!(requests()[0].body_sha256, None, "the call ended too");
}

#[tokio::test]
async fn calls_that_end_early_are_logged_with_their_cause() {
    if !alone(calls_that_end_early_are_logged_with_their_cause) {
        return;
    }
    let log = Log::default();
    log.listen();
    let world = World::new().await;
    let line = |words: &str| {
        let log = log.text();
        let line = log.lines().find(|line| line.contains(words));
        line.map(str::to_owned)
    };
    let cut = "sandbox_bytes=100000&sandbox_cut=50000";
    let call = get(format!("/wx/main/cgi-bin/media/x?access_token={KEY}&{cut}"));
    exchange(world.service.admin, call.close().text()).await;
    let cut = line("answer of WeChat ended early").expect("a line");
    let cause = "error reading a body from connection: ";
    assert!(cut.contains(cause), "{cut}");

    // A call without a key, which leaves no line.
    let call = post("/cgi-bin/clear_quota/v2").header("Content-Length", 10);
    let call = call.header("Expect", "100-continue").text();
    let mut caller = TcpStream::connect(world.service.admin).await.unwrap();
    caller.write_all(call.as_bytes()).await.unwrap();
    let mut goes_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    caller.read_exact(&mut goes_on).await.unwrap();
    caller.set_zero_linger().unwrap();
    drop(caller);

    let gate = world.sandbox.hold(USERS);
    let call = get(format!("/wx/main{USERS}?access_token={KEY}"));
    let mut caller = TcpStream::connect(world.service.admin).await.unwrap();
    caller.write_all(call.text().as_bytes()).await.unwrap();
    called(&world.sandbox, USERS, 1).await;
    caller.set_zero_linger().unwrap();
    drop(caller);
    let closed = "connection of the caller closed before the answer";
    until("the call is logged", async || line(closed).is_some()).await;
    assert_eq!(log.text().matches(closed).count(), 1);
    let closed = line(closed).unwrap_or_default();
    assert!(closed.contains(r#"account="main""#), "{closed}");
    assert!(closed.contains(r#"path="/cgi-bin/user""#), "{closed}");
    gate.release();
}

#[tokio::test]
async fn a_shutdown_lets_answers_in_progress_finish() {
    let world = World::new().await;
    let path = "/cgi-bin/media/y";
    let gate = world.sandbox.hold(path);
    let url = world.url(&format!(
        "/wx/main{path}?access_token={KEY}&sandbox_bytes=2000000"
    ));
    let asking = tokio::spawn(async move {
        let answer = client().get(url).send().await.unwrap();
        answer.bytes().await.unwrap().len()
    });
    called(&world.sandbox, path, 1).await;
    let World { service, .. } = world;
    let admin = service.admin;
    let ended = tokio::spawn(service.end());
    let refuses = async || TcpStream::connect(admin).await.is_err();
    until("new connections are refused", refuses).await;
    assert!(!ended.is_finished());
    gate.release();
    assert_eq!(asking.await.unwrap(), 2_000_000);
    ended.await.unwrap();
}

#[tokio::test]
async fn an_answer_that_pauses_is_no_idle_connection() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", upstream.local_addr().unwrap());
    let goes_on = Arc::new(Notify::new());
    tokio::spawn(answer_unusually(upstream, goes_on.clone()));
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    let limits = "[limits]\nrequest_seconds = 7\nkeep_alive_seconds = 1\n";
    let world = World::at(sandbox, &base, "", limits).await;
    let mut caller = TcpStream::connect(world.service.admin).await.unwrap();
    let call = get(format!("/wx/main/cgi-bin/media/x?access_token={KEY}"));
    caller.write_all(call.text().as_bytes()).await.unwrap();
    let mut came = String::new();
    let mut read_to = async |end: &str| {
        while !came.ends_with(end) {
            let mut part = [0; 1_024];
            let count = caller.read(&mut part).await.unwrap();
            assert!(count > 0, "closed after {came}");
            came.push_str(str::from_utf8(&part[..count]).unwrap());
        }
    };
    read_to("first half").await;
    // By the time that this half request is ended, an idle connection has been too.
    let mut slow = TcpStream::connect(world.service.admin).await.unwrap();
    let half = get("/healthz").text() + &get("/healthz").unfinished();
    slow.write_all(half.as_bytes()).await.unwrap();
    let _ = slow.read_to_end(&mut Vec::new()).await;
    goes_on.notify_one();
    read_to("second half").await;
}

/// A WeChat that answers calls of `media` in two halves, the second when it is told to, reads no upload, and declares
/// a length in a 304.
async fn answer_unusually(upstream: TcpListener, goes_on: Arc<Notify>) {
    loop {
        let (mut stream, _) = upstream.accept().await.unwrap();
        let goes_on = goes_on.clone();
        tokio::spawn(async move {
            let mut request = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut request).await {
                let head = |length| {
                    let headers = "Content-Type: application/json\r\nContent-Length";
                    format!("{}{headers}: {length}\r\n\r\n", http::OK)
                };
                if request[..count].starts_with(b"POST /cgi-bin/stable_token") {
                    let token = r#"{"access_token":"8_a-token-of-wechat","expires_in":7200}"#;
                    let answer = head(token.len()) + token;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                } else if request[..count].starts_with(b"GET /cgi-bin/media") {
                    let answer = head(30).replace("json", "octet-stream") + "the first half";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    goes_on.notified().await;
                    stream.write_all(b" the second half").await.unwrap();
                } else if request[..count].starts_with(b"POST /cgi-bin/media") {
                    std::future::pending::<()>().await;
                } else if request[..count].starts_with(b"GET /cgi-bin/menu") {
                    let head =
                        http::status_line(304) + "Not Modified\r\nContent-Length: 50\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.unwrap();
                }
            }
        });
    }
}

/// The gateway in front of [`answer_unusually`].
async fn in_front_of_an_unusual_wechat(more: &str) -> World {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", upstream.local_addr().unwrap());
    tokio::spawn(answer_unusually(upstream, Arc::default()));
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    World::at(sandbox, &base, "", more).await
}

#[tokio::test]
async fn after_a_304_that_declares_a_length_the_connection_goes_on() {
    let world = in_front_of_an_unusual_wechat("").await;
    let call = get(format!("/wx/main/cgi-bin/menu/get?access_token={KEY}"));
    let requests = call.text() + &get("/healthz").close().text();
    let answers = exchange(world.service.admin, requests).await;
    let answers = String::from_utf8(answers).unwrap();
    assert!(answers.starts_with(&http::status_line(304)), "{answers}");
    assert!(answers.contains(http::OK), "{answers}");
}

#[tokio::test]
async fn a_wechat_that_does_not_read_an_upload_is_not_the_callers_fault() {
    let world = in_front_of_an_unusual_wechat("[gateway]\ntimeout_ms = 1000\n").await;
    let call = post(format!("/wx/main/cgi-bin/media/upload?access_token={KEY}"));
    let answer = world.send_text(call.body("x".repeat(20_000_000))).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(answer.text.contains("may have processed"), "{answer:?}");
}

#[tokio::test]
async fn a_caller_of_http_1_0_gets_an_answer_without_chunks() {
    let world = World::new().await;
    let query = "sandbox_json=100000&sandbox_chunked=1";
    let target = format!("/wx/main/cgi-bin/media/x?access_token={KEY}&{query}");
    let request = get(target).header("Connection", "keep-alive").text();
    let request = request.replace("HTTP/1.1", "HTTP/1.0");
    let answer = Answer::parse(&exchange(world.service.admin, request).await);
    assert_eq!(answer.header("transfer-encoding"), None);
    assert!(answer.text.as_bytes() == direct(&world, query).await);
}

#[tokio::test]
async fn the_answer_to_an_offered_upgrade_says_that_the_connection_closes() {
    let world = World::new().await;
    let users = format!("/wx/main{USERS}?access_token={KEY}");
    let h2c = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),
    ];
    for request in [
        post(&users).headers(&h2c).body("{}"),
        get("/healthz").headers(&h2c).text(),
        get(&users)
            .header("Connection", "keep-alive, Upgrade")
            .header("Upgrade", "websocket")
            .text(),
        get(&users).header("Upgrade", "WebSocket").text(),
    ] {
        let answer = world.send_text(request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_call_that_offers_websocket_keeps_its_body() {
    let world = World::new().await;
    let path = "/cgi-bin/message/x";
    let offer = post(format!("/wx/main{path}?access_token={KEY}")).header("Upgrade", "websocket");
    for (sent, more) in [(0, ""), (10, ""), (100_000, ""), (10, "more")] {
        let body = "x".repeat(sent);
        let answer = world.send_text(offer.clone().body(body) + more).await;
        assert_eq!(errcode(&answer), 0, "{answer:?}");
        assert_eq!(world.received(path).body_bytes, sent as u64);
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_other_requests() {
    let world = World::with("[limits]\nrequest_seconds = 1\n").await;
    let path = "/cgi-bin/media/upload";
    let head = post(format!("/wx/main{path}?access_token={KEY}"))
        .header("Content-Length", 10)
        .close()
        .text();
    let mut stream = TcpStream::connect(world.service.admin).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // Three seconds; other requests have one.
    let mut every = tokio::time::interval(Duration::from_millis(330));
    for _ in 0..10 {
        every.tick().await;
        stream.write_all(b"x").await.unwrap();
    }
    assert_eq!(errcode(&http::read(stream).await), 0);
    assert_eq!(world.received(path).body_bytes, 10);
}
