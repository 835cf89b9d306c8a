//! The handle: start and stop, counts, gates, and actions of WeChat itself.

use std::net::TcpListener;
use std::time::Duration;

use futures_util::FutureExt as _;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Mode, Revoke, Sandbox};

use crate::common::wait::called;
use crate::support::*;

#[tokio::test]
async fn the_sandbox_listens_on_loopback_at_its_reported_address() {
    let sandbox = sandbox().await;
    assert!(sandbox.addr().ip().is_loopback() && sandbox.addr().port() != 0);
    assert_eq!(sandbox.url(), format!("http://{}", sandbox.addr()));
    assert_eq!(sandbox.clock().now(), START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_serves_in_a_multi_threaded_runtime_too() {
    assert_eq!(classic(&sandbox().await).await["expires_in"], 7_200);
}

#[tokio::test]
async fn many_sandboxes_live_side_by_side_and_share_nothing() {
    let (a, b) = (sandbox().await, sandbox().await);
    let token = token_of(&classic(&a).await);
    assert_eq!((a.calls_total(), b.calls_total()), (1, 0));
    assert_eq!(try_token(&b, &token).await, 40001);
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = Sandbox::bind(Clock::manual(START), taken.local_addr().unwrap())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn a_stopped_sandbox_serves_no_client_and_keeps_its_counts() {
    let sandbox = sandbox().await;
    let token = token_of(&classic(&sandbox).await);
    sandbox.stop().await;
    sandbox.stop().await;
    assert!(
        client()
            .get(sandbox.url())
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
    assert!(sandbox.accepts_token(APP, &token) && sandbox.calls("/cgi-bin/token") == 1);
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_sandbox() {
    let sandbox = sandbox().await;
    let (other, addr) = (sandbox.clone(), sandbox.addr());
    drop(sandbox);
    assert_eq!(
        classic(&other).await["expires_in"],
        7_200,
        "one handle is left"
    );
    drop(other);
    assert!(std::net::TcpStream::connect(addr).is_err());
    TcpListener::bind(addr).expect("the port is free again");
}

#[tokio::test]
async fn calls_are_counted_by_endpoint_and_the_count_can_be_reset() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    ticket(&sandbox, &token, "jsapi").await;
    ticket(&sandbox, "dead", "jsapi").await;
    let counts = [
        "/cgi-bin/stable_token",
        "/cgi-bin/ticket/getticket",
        "/cgi-bin/token",
    ]
    .map(|path| sandbox.calls(path));
    assert_eq!((counts, sandbox.calls_total()), ([1, 2, 0], 3));
    sandbox.reset_calls();
    assert_eq!(sandbox.calls_total(), 0);
    assert!(sandbox.accepts_token(APP, &token), "only the counts");
}

#[tokio::test]
#[should_panic(expected = "unknown endpoint \"/cgi/token\"")]
async fn counting_the_calls_of_a_misspelt_endpoint_panics() {
    let _ = sandbox().await.calls("/cgi/token");
}

#[tokio::test]
async fn a_gate_holds_calls_that_are_counted_but_not_carried_out() {
    let sandbox = sandbox().await;
    let gate = sandbox.hold("/cgi-bin/token");
    let call = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { classic(&sandbox).await }
    });
    called(&sandbox, "/cgi-bin/token", 1).await;
    assert_eq!(sandbox.token(APP, Mode::Classic), None);
    assert_eq!(
        stable(&sandbox).await["expires_in"],
        7_200,
        "other endpoints are not held"
    );
    assert!(!call.is_finished());
    gate.release();
    assert_eq!(
        Some(token_of(&call.await.unwrap())),
        sandbox.token(APP, Mode::Classic)
    );
    assert_eq!(
        classic(&sandbox).await["expires_in"],
        7_200,
        "and it stays open"
    );
}

#[tokio::test]
async fn two_gates_on_one_endpoint_must_both_be_released() {
    let sandbox = sandbox().await;
    let (first, second) = (
        sandbox.hold("/cgi-bin/token"),
        sandbox.hold("/cgi-bin/token"),
    );
    let call = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { classic(&sandbox).await }
    });
    called(&sandbox, "/cgi-bin/token", 1).await;
    first.release();
    stable(&sandbox).await;
    assert_eq!(sandbox.token(APP, Mode::Classic), None);
    drop(second);
    assert_eq!(call.await.unwrap()["expires_in"], 7_200);
}

#[tokio::test]
async fn a_disconnect_at_a_gate_is_counted_and_not_carried_out() {
    let sandbox = sandbox().await;
    let gate = sandbox.hold("/cgi-bin/token");
    let call = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { classic(&sandbox).await }
    });
    called(&sandbox, "/cgi-bin/token", 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    // The same worker serves this call, so it has seen the disconnect by then.
    stable(&sandbox).await;
    gate.release();
    let token = token_of(&classic(&sandbox).await);
    assert_eq!(sandbox.calls("/cgi-bin/token"), 2);
    assert!(
        sandbox.state().apps[0].tokens.classic.previous.is_none()
            && sandbox.accepts_token(APP, &token)
    );
}

#[tokio::test]
async fn waiting_for_calls_that_were_made_already_does_not_wait() {
    let sandbox = sandbox().await;
    classic(&sandbox).await;
    for made in [0, 1] {
        let wait = sandbox.wait_for_calls("/cgi-bin/token", made);
        assert_eq!(wait.now_or_never(), Some(()), "{made}");
    }
}

#[tokio::test]
async fn a_thousand_calls_at_once_are_all_answered_and_counted() {
    let (sandbox, client) = (sandbox().await, client());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let request = client
            .post(format!("{}/cgi-bin/stable_token", sandbox.url()))
            .body(stable_body(false));
        calls.spawn(async move { request.send().await.unwrap().text().await.unwrap() });
    }
    let answers = calls.join_all().await;
    assert!(
        answers.iter().all(|answer| answer == &answers[0]),
        "one stable token"
    );
    assert_eq!(sandbox.calls_total(), 1_000);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_the_next_call_gives_a_new_one() {
    let sandbox = sandbox().await;
    let (one, other) = (
        token_of(&stable(&sandbox).await),
        token_of(&classic(&sandbox).await),
    );
    sandbox.revoke(APP, Revoke::StableToken);
    assert_eq!(
        (
            try_token(&sandbox, &one).await,
            try_token(&sandbox, &other).await
        ),
        (40001, 0)
    );
    sandbox.revoke(APP, Revoke::Token);
    assert_eq!(try_token(&sandbox, &other).await, 40001);
    assert_ne!(token_of(&stable(&sandbox).await), one);
}

#[tokio::test]
async fn a_revoked_ticket_signs_nothing_any_more_and_the_next_call_gives_a_new_one() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let page = text(&ticket(&sandbox, &token, "jsapi").await, "ticket").to_owned();
    let card = text(&ticket(&sandbox, &token, "wx_card").await, "ticket").to_owned();
    sandbox.revoke(APP, Revoke::JsapiTicket);
    assert!(
        !sandbox.accepts_ticket(APP, "jsapi", &page)
            && sandbox.accepts_ticket(APP, "wx_card", &card)
    );
    assert_ne!(
        ticket(&sandbox, &token, "jsapi").await["ticket"],
        page.as_str()
    );
    sandbox.revoke(APP, Revoke::Ticket);
    assert!(!sandbox.accepts_ticket(APP, "wx_card", &card));
}

#[tokio::test]
async fn another_server_with_the_same_secret_retires_the_classic_token() {
    let sandbox = sandbox().await;
    let ours = token_of(&classic(&sandbox).await);
    let theirs = sandbox.foreign_refresh(APP, Mode::Classic);
    assert_eq!(
        (
            try_token(&sandbox, &ours).await,
            try_token(&sandbox, &theirs).await
        ),
        (0, 0)
    );
    sandbox.foreign_refresh(APP, Mode::Classic);
    assert_eq!(try_token(&sandbox, &ours).await, 40001);
    assert_eq!(
        sandbox.calls("/cgi-bin/token"),
        1,
        "it is not counted as a call of this server"
    );
}

#[tokio::test]
async fn another_server_that_forces_retires_the_stable_token() {
    let sandbox = sandbox().await;
    let ours = token_of(&stable(&sandbox).await);
    let theirs = sandbox.foreign_refresh(APP, Mode::Stable);
    assert_eq!(token_of(&stable(&sandbox).await), theirs);
    sandbox.advance(seconds(300));
    assert_eq!(try_token(&sandbox, &ours).await, 40001);
}

#[tokio::test]
#[should_panic(expected = "the sandbox has no app \"wxnobody\"")]
async fn revoking_from_an_unknown_app_panics() {
    sandbox().await.revoke("wxnobody", Revoke::Token);
}

#[tokio::test]
async fn asking_for_the_tokens_or_tickets_of_an_unknown_app_panics() {
    let sandbox = sandbox().await;
    let questions: [&dyn Fn(); 4] = [
        &|| drop(sandbox.token("wxnobody", Mode::Stable)),
        &|| drop(sandbox.ticket("wxnobody", "jsapi")),
        &|| assert!(!sandbox.accepts_token("wxnobody", "x")),
        &|| assert!(!sandbox.accepts_ticket("wxnobody", "jsapi", "x")),
    ];
    for (at, question) in questions.into_iter().enumerate() {
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(question));
        assert!(asked.is_err(), "question {at}");
    }
}

#[tokio::test]
async fn an_app_added_again_gets_the_new_settings_and_keeps_its_tokens() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    sandbox.add_app(App::official(APP, "another").safe_domain("example.org"));
    assert!(sandbox.accepts_token(APP, &token));
    assert_eq!(stable(&sandbox).await["errcode"], 40125);
    let state = sandbox.state();
    assert_eq!(
        (state.apps.len(), state.apps[0].safe_domains.as_slice()),
        (1, ["example.org".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn after_a_reset_the_apps_are_there_and_nothing_else() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    ticket(&sandbox, &token, "jsapi").await;
    sandbox.fault(wx_jssdk::sandbox::Fault::always(
        "/cgi-bin/token",
        wx_jssdk::sandbox::FaultKind::Hang,
    ));
    sandbox.reset();
    assert_eq!(
        (sandbox.calls_total(), sandbox.ticket(APP, "jsapi")),
        (0, None)
    );
    assert_eq!(try_token(&sandbox, &token).await, 40001);
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn the_sandbox_moves_the_clock_it_was_given() {
    let clock = Clock::manual(UnixTime(1_000));
    let sandbox = Sandbox::start(clock.clone()).await.unwrap();
    assert!(sandbox.advance(Duration::from_secs(60)));
    assert_eq!(clock.now(), UnixTime(1_060));
    assert!(
        !Sandbox::start(Clock::system())
            .await
            .unwrap()
            .advance(Duration::from_secs(60))
    );
}

#[tokio::test]
async fn answers_may_come_with_another_content_type() {
    let sandbox = sandbox().await;
    sandbox.set_content_type("text/plain");
    let answer = client()
        .get(format!("{}{}", sandbox.url(), token_path()))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain");
}
