//! Many concurrent requests, and clients that disconnect.

use std::net::SocketAddr;
use std::thread;

use actix_web::{App, HttpServer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::Sandbox;
use wx_jssdk::{Account, Broker, UpstreamOptions};

use crate::app::*;
use crate::common::wait::{called, until};

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";

/// The scope embedded in another application, without a keeper: every fetch is caused by a request.
struct Embedded {
    address: SocketAddr,
    sandbox: Sandbox,
    _stop: oneshot::Sender<()>,
}

async fn embed(workers: usize) -> Embedded {
    let sandbox = Sandbox::start(Clock::manual(START))
        .await
        .expect("a free port on loopback");
    sandbox.add_app(main_app());
    let (upstream, clock) = (
        UpstreamOptions {
            weixin: sandbox.url().to_owned(),
            ..long_timeout()
        },
        sandbox.clock().clone(),
    );
    let (report, started) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let account = Account::official(APP, SECRET)
                .js_safe_domain("example.com")
                .unwrap();
            let broker = Broker::builder()
                .account("main", account)
                .upstream(upstream)
                .clock(clock)
                .build()
                .unwrap();
            let scope =
                move || App::new().service(wx_jssdk::actix::public_scope("/jssdk", broker.clone()));
            let server = HttpServer::new(scope)
                .workers(workers)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
            let _ = report.send(server.addrs()[0]);
            let server = server.run();
            let handle = server.handle();
            let serving = tokio::spawn(server);
            drop(stopped.await);
            handle.stop(false).await;
            drop(serving.await);
        });
    });
    Embedded {
        address: started.await.expect("the server starts"),
        sandbox,
        _stop: stop,
    }
}

fn long_timeout() -> UpstreamOptions {
    UpstreamOptions {
        timeout: seconds(60),
        ..UpstreamOptions::default()
    }
}

async fn send(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("GET", PAGE, &[])).await.unwrap();
    stream
}

#[tokio::test]
async fn a_thousand_cold_requests_cause_one_token_and_one_ticket_call() {
    let server = embed(2).await;
    let held = server.sandbox.hold(TOKEN_CALL);
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        waiting.push(send(server.address).await);
    }
    called(&server.sandbox, TOKEN_CALL, 1).await;
    held.release();
    let mut nonces = std::collections::HashSet::new();
    for stream in waiting {
        let config = read(stream).await.ok();
        nonces.insert(text(&config, "nonceStr").to_owned());
    }
    assert_eq!(nonces.len(), 1_000);
    assert_eq!(
        (
            server.sandbox.calls(TOKEN_CALL),
            server.sandbox.calls(TICKET_CALL)
        ),
        (1, 1)
    );
    assert_eq!(server.sandbox.calls_total(), 2);
}

#[tokio::test]
async fn a_thousand_cold_requests_and_the_keeper_cause_one_call_of_each_kind() {
    let mut held = None;
    let app = spawn_against(|sandbox| held = Some(sandbox.hold(TOKEN_CALL))).await;
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        waiting.push(send(app.address).await);
    }
    called(&app.sandbox, TOKEN_CALL, 1).await;
    drop(held);
    for stream in waiting {
        read(stream).await.ok();
    }
    assert_eq!(
        (
            app.sandbox.calls(TOKEN_CALL),
            app.sandbox.calls(TICKET_CALL)
        ),
        (1, 1)
    );
    for credential in &app.broker.snapshot(&wx_jssdk::broker::Find::all()).accounts[0].credentials {
        assert_eq!(credential.refreshes, 1, "{credential:?}");
    }
}

#[tokio::test]
async fn a_thousand_requests_share_one_failing_call_and_its_error() {
    let server = embed(2).await;
    let held = server.sandbox.hold(TOKEN_CALL);
    let refused = wx_jssdk::sandbox::FaultKind::Errcode(40125);
    server
        .sandbox
        .fault(wx_jssdk::sandbox::Fault::always(TOKEN_CALL, refused));
    let mut waiting = Vec::new();
    for _ in 0..1_000 {
        waiting.push(send(server.address).await);
    }
    called(&server.sandbox, TOKEN_CALL, 1).await;
    held.release();
    for stream in waiting {
        read(stream)
            .await
            .assert_problem(502, "account_misconfigured");
    }
    assert_eq!(server.sandbox.calls_total(), 1);
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_abort_the_refresh() {
    let server = embed(1).await;
    let held = server.sandbox.hold(TOKEN_CALL);
    let impatient = send(server.address).await;
    called(&server.sandbox, TOKEN_CALL, 1).await;
    impatient.set_zero_linger().unwrap();
    drop(impatient);
    // The only worker has seen the reset by the time it answers this request.
    bad_request(server.address).await;
    held.release();
    // No caller waits any more, but the refresh still runs to its end.
    called(&server.sandbox, TICKET_CALL, 1).await;
    read(send(server.address).await).await.ok();
    assert_eq!(
        (
            server.sandbox.calls(TOKEN_CALL),
            server.sandbox.calls(TICKET_CALL)
        ),
        (1, 1)
    );
}

#[tokio::test]
async fn waiting_clients_are_answered_when_the_first_one_disconnects() {
    let server = embed(1).await;
    let held = server.sandbox.hold(TOKEN_CALL);
    let first = send(server.address).await;
    called(&server.sandbox, TOKEN_CALL, 1).await;
    let second = send(server.address).await;
    first.set_zero_linger().unwrap();
    drop(first);
    bad_request(server.address).await;
    held.release();
    read(second).await.ok();
    assert_eq!(
        (
            server.sandbox.calls(TOKEN_CALL),
            server.sandbox.calls(TICKET_CALL)
        ),
        (1, 1)
    );
}

/// An answer that needs no upstream.
async fn bad_request(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&request("GET", "/jssdk/config", &[]))
        .await
        .unwrap();
    read(stream).await.assert_problem(400, "missing_url");
}

#[tokio::test]
async fn a_request_in_progress_is_answered_before_the_service_ends() {
    let config = format!("[server]\nshutdown_seconds = 60\n{MAIN}");
    let app = spawn(&config, |sandbox| sandbox.add_app(main_app())).await;
    let (address, sandbox) = (app.address, app.sandbox.clone());
    read(send(address).await).await.ok();
    // The ticket has expired, and the refresh is held at the gate.
    let held = sandbox.hold(TOKEN_CALL);
    sandbox.advance(seconds(8_000));
    let under_way = send(address).await;
    bad_request(address).await; // the only worker has read the previous request by now
    let ending = tokio::spawn(app.stop());
    let refuses = async || TcpStream::connect(address).await.is_err();
    until("new connections are refused", refuses).await;
    assert!(!ending.is_finished());
    held.release();
    read(under_way).await.ok();
    ending.await.unwrap();
}
