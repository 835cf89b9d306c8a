//! Successful answers.

use std::time::Duration;

use wx_jssdk::account::TokenMode;
use wx_jssdk::credential::Kind;
use wx_jssdk::error::Class;
use wx_jssdk::sandbox::{FaultKind, Mode};
use wx_jssdk::upstream::Issued;

use crate::upstream::support::*;

#[tokio::test]
async fn each_mode_returns_its_own_valid_token() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let stable = upstream.token(&account(), false).await.unwrap();
    assert_eq!(
        Some(stable.value.expose()),
        sandbox.token(APP, Mode::Stable).as_deref()
    );
    let classic = upstream
        .token(&account().token_mode(TokenMode::Classic), false)
        .await
        .unwrap();
    assert_eq!(
        Some(classic.value.expose()),
        sandbox.token(APP, Mode::Classic).as_deref()
    );
    assert_ne!(stable.value, classic.value);
    assert_eq!(
        (stable.expires_in, classic.expires_in),
        (Duration::from_secs(7_200), Duration::from_secs(7_200))
    );
}

#[tokio::test]
async fn a_stable_token_is_returned_with_its_remaining_life_until_forced() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let first = upstream.token(&account(), false).await.unwrap();
    sandbox.advance(Duration::from_secs(1_000));
    let again = upstream.token(&account(), false).await.unwrap();
    assert_eq!(
        again,
        Issued {
            expires_in: Duration::from_secs(6_200),
            ..first.clone()
        }
    );
    assert_ne!(
        upstream.token(&account(), true).await.unwrap().value,
        first.value
    );
}

#[tokio::test]
async fn each_ticket_type_has_its_own_value() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let token = upstream.token(&account(), false).await.unwrap().value;
    for (kind, name) in [(Kind::JsapiTicket, "jsapi"), (Kind::CardTicket, "wx_card")] {
        let ticket = upstream.ticket(&account(), kind, &token).await.unwrap();
        assert_eq!(
            Some(ticket.value.expose()),
            sandbox.ticket(APP, name).as_deref(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_slow_but_in_time_is_accepted() {
    assert!(
        token_meets(FaultKind::Slow(Duration::from_millis(100)), PATIENT)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn errcode_zero_with_a_value_is_a_success() {
    let body = r#"{"errcode":0,"errmsg":"ok","access_token":"85_abc","expires_in":7200}"#;
    assert_eq!(token_answered(body).await.unwrap(), issued("85_abc", 7_200));
    let body = r#"{"errcode":null,"access_token":"85_abc","expires_in":60,"more":{"x":[1]}}"#;
    assert_eq!(token_answered(body).await.unwrap(), issued("85_abc", 60));
}

#[tokio::test]
async fn the_errcode_decides_and_not_the_http_status() {
    for status in [
        "404 Not Found",
        "500 Internal Server Error",
        "203 Non-Authoritative Information",
    ] {
        let (base, asked) = server(answer(status, "", GOOD));
        assert!(
            upstream(&base, PATIENT)
                .token(&account(), false)
                .await
                .is_ok(),
            "{status}"
        );
        asked.join().unwrap();
        let (base, asked) = server(answer(
            status,
            "",
            r#"{"errcode":40125,"errmsg":"invalid appsecret"}"#,
        ));
        let refused = upstream(&base, PATIENT).token(&account(), false).await;
        assert_eq!(
            assert_failed(refused, "refused", Class::Setup, false).errcode(),
            Some(40_125)
        );
        asked.join().unwrap();
    }
}

#[tokio::test]
async fn the_content_type_is_ignored() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    for content_type in [
        "text/plain",
        "text/html; charset=gbk",
        "application/json; encoding=utf-8",
        "x",
    ] {
        sandbox.set_content_type(content_type);
        assert!(
            upstream.token(&account(), false).await.is_ok(),
            "{content_type}"
        );
    }
    let (base, asked) = server(answer("200 OK", "", GOOD));
    assert!(
        crate::upstream::support::upstream(&base, PATIENT)
            .token(&account(), false)
            .await
            .is_ok(),
        "none at all"
    );
    asked.join().unwrap();
}
