//! Calls through a proxy or to a fallback host.

use wx_jssdk::sandbox::{Fault, FaultKind, Proxy, ProxyRule};

use super::*;
use crate::common::http::{is_whole, post};
use crate::common::process::{again, passes};
use crate::common::tls::TlsCertificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn sandbox() -> Sandbox {
    Sandbox::start(Clock::manual(START)).await.unwrap()
}

async fn by_proxy(sandbox: Sandbox, proxy: &Proxy, password: &str) -> World {
    let lines = format!(
        "proxy = \"{}\"\nproxy_user = \"u\"\nproxy_password = \"{password}\"",
        proxy.url()
    );
    World::on(sandbox, &lines, "").await
}

fn users() -> String {
    format!("/wx/main{USERS}?access_token={KEY}")
}

/// Asserts that a call was not sent, and that the proxy is named as the cause.
#[track_caller]
fn assert_proxys(answer: &Answer) {
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(
        answer.text.contains("nothing was sent: proxy 127.0.0.1:"),
        "{answer:?}"
    );
    assert!(!answer.text.contains("geheim"), "{answer:?}");
}

#[tokio::test]
async fn calls_have_the_proxys_address_and_its_failures_are_attributed_to_it() {
    let sandbox = sandbox().await;
    let credentials = Some(("u", "geheim"));
    for proxy in [
        sandbox.http_proxy(credentials).await.unwrap(),
        sandbox.socks5_proxy(credentials).await.unwrap(),
    ] {
        let world = by_proxy(sandbox.clone(), &proxy, "geheim").await;
        let before = proxy.connections();
        assert_eq!(errcode(&world.send(get(users())).await), 0);
        assert!(proxy.connections() > before);
        let received = world.received(USERS);
        assert!(
            !format!("{received:?}")
                .to_lowercase()
                .contains("proxy-authorization")
        );
        let calls = sandbox.calls(USERS);
        // Idle connections of the gateway stay open; new ones are refused.
        sandbox.host().set_reachable(false).await.unwrap();
        sandbox.host().set_reachable(true).await.unwrap();
        if proxy.url().starts_with("socks5") {
            proxy.set_rule(ProxyRule::Deny);
            assert_proxys(&world.send(get(users())).await);
        }
        proxy.stop();
        // A connection that the proxy kept is closed at the first use.
        let mut answer = world.send(get(users())).await;
        if answer.status == 504 {
            answer = world.send(get(users())).await;
        }
        assert_proxys(&answer);
        assert_eq!(sandbox.calls(USERS), calls);
    }
}

#[tokio::test]
async fn uploads_that_are_too_large_to_repeat_share_a_connection() {
    let sandbox = sandbox().await;
    let proxy = sandbox.socks5_proxy(None).await.unwrap();
    let lines = format!("proxy = \"{}\"", proxy.url());
    let world = World::on(sandbox, &lines, "[gateway]\nreplay_limit = 1000\n").await;
    let before = proxy.connections();
    let path = "/cgi-bin/media/upload";
    let upload = post(format!("/wx/main{path}?access_token={KEY}")).body("x".repeat(100_000));
    // All on one connection, so that one worker makes the calls.
    let mut caller = TcpStream::connect(world.service.admin).await.unwrap();
    for _ in 0..5 {
        caller.write_all(upload.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            assert!(caller.read_buf(&mut answer).await.unwrap() > 0);
        }
        assert_eq!(errcode(&Answer::parse(&answer)), 0);
    }
    assert_eq!(world.sandbox.calls(path), 5);
    let opened = proxy.connections() - before;
    assert!(opened <= 2, "{opened} connections");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_password_is_named() {
    let sandbox = sandbox().await;
    let credentials = Some(("u", "geheim"));
    for proxy in [
        sandbox.http_proxy(credentials).await.unwrap(),
        sandbox.socks5_proxy(credentials).await.unwrap(),
    ] {
        let world = by_proxy(sandbox.clone(), &proxy, "geheim-0815").await;
        // A login needs no token: the gateway itself meets the proxy.
        let login = format!(
            "/wx/mini/sns/jscode2session?appid={MINI}&secret={KEY}&js_code=x&grant_type=authorization_code"
        );
        assert_proxys(&world.send(get(&login)).await);
    }
    assert_eq!(sandbox.calls("/sns/jscode2session"), 0);
}

#[tokio::test]
async fn the_fallback_host_is_called_after_a_failed_connection_not_a_lost_answer() {
    let sandbox = sandbox().await;
    let second = sandbox.second_host().await.unwrap();
    let lines = format!("fallback = [\"{}\"]", second.url());
    let world = World::on(sandbox.clone(), &lines, "").await;
    let call = || async { world.send_text(post(users()).close().body("{}")).await };
    assert_eq!(errcode(&call().await), 0);
    assert_eq!(second.calls(), 0);
    for kind in [FaultKind::LostReply, FaultKind::CutBody] {
        sandbox.fault(Fault::once(USERS, kind));
        let answer = call().await;
        assert!(answer.status == 504 || answer.status == 200, "{answer:?}");
        assert_eq!(second.calls(), 0, "it may have been carried out");
    }
    sandbox.clear_faults();
    sandbox.host().set_reachable(false).await.unwrap();
    assert_eq!(errcode(&call().await), 0);
    assert_eq!(second.calls(), 1);
    // Larger than the replay buffer: nothing of it was read yet.
    let large = "x".repeat(2 * 1024 * 1024);
    let answer = world.send_text(post(users()).close().body(&large)).await;
    assert_eq!(errcode(&answer), 0);
    assert_eq!(second.calls(), 2);
    sandbox.host().set_reachable(true).await.unwrap();
    assert_eq!(errcode(&call().await), 0);
    assert_eq!(second.calls(), 2, "back to the first host");
}

#[test]
fn calls_are_encrypted_directly_and_through_every_kind_of_proxy() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("certificate.pem");
    std::fs::write(&file, TlsCertificate::new().pem()).unwrap();
    // In its own process, because the environment names the trusted certificates.
    passes(again(calls_to_wechat_by_tls).env("SSL_CERT_FILE", &file));
}

#[tokio::test]
#[ignore = "run with certificates in its environment by the test above"]
async fn calls_to_wechat_by_tls() {
    let certificate = std::env::var_os("SSL_CERT_FILE").unwrap();
    let certificate = TlsCertificate::read(certificate.as_ref());
    let sandbox = sandbox().await;
    let base = format!("https://{}", certificate.in_front_of(sandbox.addr()));
    let credentials = Some(("u", "geheim"));
    let http = sandbox.http_proxy(credentials).await.unwrap();
    let socks = sandbox.socks5_proxy(credentials).await.unwrap();
    let https = certificate.in_front_of(http.addr());
    let ways = [
        None,
        Some(http.url()),
        Some(format!("https://{https}")),
        Some(socks.url()),
        Some(socks.url().replace("socks5:", "socks5h:")),
    ];
    for way in ways {
        let connections = http.connections() + socks.connections();
        let lines = match &way {
            None => String::new(),
            Some(proxy) => {
                format!("proxy = \"{proxy}\"\nproxy_user = \"u\"\nproxy_password = \"geheim\"")
            }
        };
        let world = World::at(sandbox.clone(), &base, &lines, "").await;
        for _ in 0..2 {
            assert_eq!(errcode(&world.send(get(users())).await), 0, "{way:?}");
        }
        let received = world.received(USERS);
        let host = base.strip_prefix("https://");
        assert_eq!(received.header("host"), host, "{way:?}");
        assert_eq!(received.header("proxy-authorization"), None, "{way:?}");
        let more = http.connections() + socks.connections() - connections;
        assert_eq!(more > 0, way.is_some(), "{way:?}");
    }
}
