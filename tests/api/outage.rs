//! WeChat is down: valid values are served to their last second, and expired ones never.

use wx_jssdk::sandbox::{Fault, FaultKind};

use crate::app::*;

const PAGE: &str = "https://example.com/?a=1";

/// Two hours less the safety margin for the way of a signature.
const SERVED_FOR: u64 = 7_200 - 5;

async fn served(app: &TestApp) {
    let ticket = app
        .sandbox
        .ticket(APP, "jsapi")
        .expect("WeChat still accepts it");
    assert!(app.sandbox.accepts_ticket(APP, "jsapi", &ticket));
    let config = app.config(PAGE).await.ok();
    assert_eq!(
        text(&config, "signature"),
        app.expected_signature(&config, PAGE)
    );
    let verdict = app.verdict(&config, PAGE);
    assert!(verdict.is_ok(), "{verdict:?}");
}

/// Runs from a warm start through the whole life of the ticket and beyond.
async fn lives_through(app: &TestApp) {
    for _ in 0..SERVED_FOR / 60 {
        served(app).await;
        app.sandbox.advance(seconds(60));
    }
    app.sandbox.advance(seconds(SERVED_FOR % 60 - 1));
    served(app).await;
    for _ in 0..20 {
        app.sandbox.advance(seconds(1));
        let answer = app.config(PAGE).await;
        answer.assert_problem(503, "upstream_unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    app.sandbox.advance(seconds(100_000));
    app.config(PAGE)
        .await
        .assert_problem(503, "upstream_unavailable");
}

#[tokio::test]
async fn with_wechat_answering_errors_a_valid_ticket_is_served_until_its_end() {
    let app = spawn_app().await;
    served_first(&app).await;
    for call in [TOKEN_CALL, TICKET_CALL] {
        app.sandbox
            .fault(Fault::always(call, FaultKind::Status(502)));
    }
    lives_through(&app).await;
    app.sandbox.clear_faults();
    app.sandbox.advance(seconds(120));
    served_first(&app).await;
}

#[tokio::test]
async fn with_wechat_unreachable_the_valid_ticket_is_served_to_its_end_and_no_longer() {
    let app = spawn_app().await;
    served_first(&app).await;
    app.sandbox.stop().await;
    lives_through(&app).await;
}

/// Sends the first request, which fetches the credentials.
async fn served_first(app: &TestApp) {
    let config = app.config(PAGE).await.ok();
    assert!(app.verdict(&config, PAGE).is_ok());
    assert_eq!(
        app.sandbox.state().apps[0].tickets["jsapi"].expires_at,
        app.sandbox.clock().now().plus(seconds(7_200))
    );
}

#[tokio::test]
async fn an_exhausted_quota_does_not_take_away_the_valid_ticket() {
    let app = spawn_app().await;
    served_first(&app).await;
    for call in [TOKEN_CALL, TICKET_CALL] {
        app.sandbox
            .fault(Fault::always(call, FaultKind::Errcode(45009)));
    }
    app.sandbox.advance(seconds(SERVED_FOR - 1));
    served(&app).await;
    app.sandbox.advance(seconds(1));
    app.config(PAGE).await.assert_problem(503, "upstream_quota");
}
