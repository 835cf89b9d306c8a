//! WeChat refuses or does not answer: what the public error contains, and what it hides.

use std::net::IpAddr;

use serde_json::{Value, json};
use wx_jssdk::sandbox::{Fault, FaultKind, Mode};

use crate::app::*;

const PAGE: &str = "https://example.com/";

/// A service whose WeChat answers every token call with this.
async fn spawn_refused(kind: FaultKind) -> TestApp {
    spawn_against(|sandbox| sandbox.fault(Fault::always(TOKEN_CALL, kind))).await
}

#[tokio::test]
async fn a_misconfigured_account_reports_its_errcode_and_the_fix() {
    for errcode in [40013, 40125, 40243, 50004, 50007, 89503, 41004, 48001] {
        let app = spawn_refused(FaultKind::Errcode(errcode)).await;
        let answer = app.config(PAGE).await;
        let problem = answer.assert_problem(502, "account_misconfigured");
        assert_eq!(problem["errcode"], json!(errcode));
        assert_eq!(
            answer.header("retry-after"),
            None,
            "waiting does not fix it"
        );
    }
}

#[tokio::test]
async fn an_address_not_on_the_allow_list_is_shown_to_the_operator_only() {
    let seen: IpAddr = "203.0.113.77".parse().unwrap();
    let app = spawn_against(|sandbox| {
        sandbox.add_app(main_app().caller_ip(seen).allow_ips(["10.9.8.7"]))
    })
    .await;
    let answer = app.config(PAGE).await;
    let problem = answer.assert_problem(502, "account_misconfigured");
    assert_eq!(problem["errcode"], json!(40164));
    for inside in ["203.0.113", "10.9.8.7", "whitelist", "rid"] {
        assert!(!answer.text.contains(inside), "{inside}: {}", answer.text);
    }
}

#[tokio::test]
async fn an_exhausted_daily_quota_says_when_it_is_retried() {
    let app = spawn_refused(FaultKind::Errcode(45009)).await;
    let answer = app.config(PAGE).await;
    let problem = answer.assert_problem(503, "upstream_quota");
    assert_eq!(problem["errcode"], json!(45009));
    assert!(
        (3_600..=3_660).contains(&answer.retry_after()),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_exhausted_minute_quota_says_when_it_resets() {
    let app = spawn_refused(FaultKind::Errcode(45011)).await;
    let answer = app.config(PAGE).await;
    answer.assert_problem(503, "upstream_unavailable");
    assert!((40..=45).contains(&answer.retry_after()), "{answer:?}");
}

#[tokio::test]
async fn a_busy_wechat_is_retried_soon() {
    let app = spawn_refused(FaultKind::Errcode(-1)).await;
    let answer = app.config(PAGE).await;
    let problem = answer.assert_problem(503, "upstream_unavailable");
    assert_eq!(problem["errcode"], json!(-1));
    assert_eq!(answer.retry_after(), 1);
}

#[tokio::test]
async fn an_unusable_wechat_answer_has_no_errcode() {
    for kind in [
        FaultKind::Status(502),
        FaultKind::NotJson,
        FaultKind::HugeBody,
        FaultKind::CutBody,
        FaultKind::LostReply,
        FaultKind::Body(r#"{"access_token":"","expires_in":7200}"#.into()),
        FaultKind::Body(r#"{"access_token":"leaked-token","expires_in":0}"#.into()),
        FaultKind::Body(r#"{"access_token":"leaked-token","expires_in":"leaked-token"}"#.into()),
    ] {
        let app = spawn_refused(kind.clone()).await;
        let answer = app.config(PAGE).await;
        let problem = answer.assert_problem(503, "upstream_unavailable");
        assert_eq!(problem.get("errcode"), None, "{kind:?}");
        assert_eq!(answer.retry_after(), 1, "{kind:?}");
        assert!(
            !answer.text.contains("leaked-token") && !answer.text.contains("127.0.0.1"),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn an_unreachable_wechat_is_reported() {
    let app = spawn_refused(FaultKind::Errcode(-1)).await;
    app.config(PAGE)
        .await
        .assert_problem(503, "upstream_unavailable");
    app.sandbox.stop().await;
    app.sandbox.advance(seconds(120));
    let answer = app.config(PAGE).await;
    let problem = answer.assert_problem(503, "upstream_unavailable");
    assert_eq!(problem.get("errcode"), None);
    assert!(
        text(&problem["hint"], "en").contains("could not be reached"),
        "{problem}"
    );
    assert!(
        !answer.text.contains(&app.sandbox.addr().port().to_string()),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn a_refused_ticket_call_names_the_ticket() {
    let app = spawn_against(|sandbox| {
        sandbox.fault(Fault::always(TICKET_CALL, FaultKind::Errcode(48001)))
    })
    .await;
    let problem = app
        .config(PAGE)
        .await
        .assert_problem(502, "account_misconfigured");
    assert_eq!(problem["errcode"], json!(48001));
    assert!(
        text(&problem, "detail").contains("jsapi_ticket"),
        "{problem}"
    );
}

#[tokio::test]
async fn wechat_is_not_called_during_the_cooldown() {
    let app = spawn_refused(FaultKind::Errcode(40125)).await;
    let first = app
        .config(PAGE)
        .await
        .assert_problem(502, "account_misconfigured");
    for _ in 0..30 {
        assert_eq!(
            app.config(PAGE)
                .await
                .assert_problem(502, "account_misconfigured"),
            first
        );
    }
    assert_eq!(
        (
            app.sandbox.calls(TOKEN_CALL),
            app.sandbox.calls(TICKET_CALL)
        ),
        (1, 0)
    );
    app.sandbox.advance(seconds(80));
    app.config(PAGE)
        .await
        .assert_problem(502, "account_misconfigured");
    assert_eq!(app.sandbox.calls(TOKEN_CALL), 2);
}

#[tokio::test]
async fn the_remaining_cooldown_counts_down() {
    let app = spawn_refused(FaultKind::Errcode(45009)).await;
    let first = app.config(PAGE).await.retry_after();
    app.sandbox.advance(seconds(1_000));
    assert_eq!(app.config(PAGE).await.retry_after(), first - 1_000);
    assert_eq!(app.sandbox.calls(TOKEN_CALL), 1);
}

#[tokio::test]
async fn pages_are_signed_once_wechat_recovers() {
    let app = spawn_refused(FaultKind::Errcode(40125)).await;
    app.config(PAGE)
        .await
        .assert_problem(502, "account_misconfigured");
    app.sandbox.clear_faults();
    app.config(PAGE)
        .await
        .assert_problem(502, "account_misconfigured");
    app.sandbox.advance(seconds(80));
    let config = app.config(PAGE).await.ok();
    assert!(app.verdict(&config, PAGE).is_ok());
}

#[tokio::test]
async fn a_dead_token_is_refreshed_before_the_ticket_is_fetched() {
    let app =
        spawn_against(|sandbox| sandbox.fault(Fault::once(TICKET_CALL, FaultKind::Errcode(40001))))
            .await;
    let config = app.config(PAGE).await.ok();
    assert!(app.verdict(&config, PAGE).is_ok());
    assert_eq!(app.sandbox.calls(TICKET_CALL), 2);
}

#[tokio::test]
async fn no_public_answer_discloses_internals() {
    let app = spawn_app().await;
    let mut answers = vec![
        app.config(PAGE).await,
        app.config("https://evil.com/").await,
        app.query("account=x").await,
    ];
    let ticket = app.sandbox.ticket(APP, "jsapi").expect("a valid ticket");
    let token = app.sandbox.token(APP, Mode::Stable).expect("a valid token");
    for kind in [
        FaultKind::ErrcodeWith(40001, format!("invalid ip 203.0.113.77, {SECRET} {token}")),
        FaultKind::ErrcodeWith(
            40164,
            format!("invalid ip 203.0.113.77 ipv6 ::ffff:203.0.113.77, not in whitelist {ticket}"),
        ),
        FaultKind::Errcode(45009),
        FaultKind::NotJson,
    ] {
        app.sandbox.fault(Fault::always(TOKEN_CALL, kind));
        app.sandbox.advance(seconds(100_000));
        answers.push(app.config(PAGE).await);
        app.sandbox.clear_faults();
    }
    for answer in &answers {
        let whole = format!("{answer:?}");
        for inside in [
            SECRET,
            &ticket,
            &token,
            "203.0.113",
            "rid",
            "errmsg",
            "jsapi_ticket=",
            "noncestr=",
        ] {
            assert!(!whole.contains(inside), "{inside}: {whole}");
        }
    }
    assert_eq!(answers[0].ok()["debug"], Value::Bool(false));
}
