//! Limits per API key, and of bodies.

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::common::http::post;
use crate::common::wait::called;

#[tokio::test]
async fn a_keys_calls_in_progress_are_limited_and_other_keys_unaffected() {
    let world = World::with("[gateway]\ncalls_at_once = 1\n").await;
    let token = world.token(KEY).await;
    let gate = world.sandbox.hold("/cgi-bin/menu/get");
    let url = world.url(&format!("/cgi-bin/menu/get?access_token={token}"));
    let held = tokio::spawn(async move { http::fetch(&url).await });
    called(&world.sandbox, "/cgi-bin/menu/get", 1).await;
    let second = world
        .send(get(format!("/wx/main{USERS}?access_token={KEY}")))
        .await;
    assert_eq!(second.status, 429, "{second:?}");
    assert_eq!(second.json()["errcode"], -1);
    assert!(second.text.contains("calls_at_once") && second.retry_after() > 0);
    let other = world
        .send(get(format!("/wx/main{USERS}?access_token={CRM_KEY}")))
        .await;
    assert_eq!(errcode(&other), 0);
    gate.release();
    assert_eq!(held.await.unwrap().0, 200);
    let again = world
        .send(get(format!("/wx/main{USERS}?access_token={KEY}")))
        .await;
    assert_eq!(errcode(&again), 0);
}

#[tokio::test]
async fn a_keys_calls_per_second_are_limited() {
    let world = World::with("[gateway]\ncalls_per_second = 2\n").await;
    let target = format!("/wx/main{USERS}?access_token={KEY}");
    for _ in 0..2 {
        assert_eq!(errcode(&world.send(get(&target)).await), 0);
    }
    let third = world.send(get(&target)).await;
    assert_eq!((third.status, third.retry_after()), (429, 1), "{third:?}");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(errcode(&world.send(get(&target)).await), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_declared_or_chunked() {
    let world = World::with("[gateway]\nbody_limit = 100000\nreplay_limit = 1000\n").await;
    let target = format!("/wx/main/cgi-bin/message/x?access_token={KEY}");
    let large = "x".repeat(100_001);
    refused(
        &world.send_text(post(&target).close().body(&large)).await,
        45001,
        "gateway.body_limit",
    );
    assert_eq!(world.passed_on().await, 0);
    let chunks = post(&target)
        .close()
        .chunks([&large[..50_000], &large[..50_000], "x"]);
    refused(&world.send_text(chunks).await, 45001, "gateway.body_limit");
    for received in world.sandbox.last_requests("/cgi-bin/message/x") {
        assert_eq!(received.body_sha256, None, "no whole body arrived");
    }
    let fits = post(&target).close().body(&large[..100_000]);
    assert_eq!(errcode(&world.send_text(fits).await), 0);
    assert_eq!(world.received("/cgi-bin/message/x").body_bytes, 100_000);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_the_callers_fault() {
    let world =
        World::with("[gateway]\ntimeout_ms = 1000\nreplay_limit = 1000\ncalls_at_once = 1\n").await;
    let target = format!("/wx/main/cgi-bin/message/x?access_token={KEY}");
    let login = "/cgi-bin/clear_quota/v2".to_owned();
    // One that would be kept for a repetition, one that is passed on as it arrives, and one with the caller's key.
    for (target, length) in [(&target, 10), (&target, 5_000), (&login, 10)] {
        let half = post(target).header("Content-Length", length).text() + "{";
        let answer = world.send_text(half).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.json()["errcode"], -1);
        assert!(answer.text.contains("gateway.timeout_ms"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_body_that_leaves_no_time_to_connect_is_the_callers_fault() {
    // It accepts connections and is silent during the TLS handshake.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", silent.local_addr().unwrap());
    let sandbox = Sandbox::start(Clock::manual(START)).await.unwrap();
    let world = World::at(
        sandbox,
        &base,
        "timeout_ms = 1000",
        "[gateway]\ntimeout_ms = 6000\nconnect_timeout_ms = 5000\n",
    )
    .await;
    let login = post(format!(
        "/sns/oauth2/access_token?appid={APP}&secret={KEY}&code=x"
    ));
    let head = login.header("Content-Length", 10).close().text();
    let mut stream = TcpStream::connect(world.service.admin).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // The whole body takes three seconds, after which three are left.
    let mut every = tokio::time::interval(Duration::from_millis(330));
    for _ in 0..10 {
        every.tick().await;
        stream.write_all(b"x").await.unwrap();
    }
    let answer = http::read(stream).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text.contains("gateway.timeout_ms"), "{answer:?}");
}
