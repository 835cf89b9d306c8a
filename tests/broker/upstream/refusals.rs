//! Refusals of WeChat: their class, and their text without the secret.

use std::time::Duration;

use wx_jssdk::account::{Account, TokenMode};
use wx_jssdk::credential::{Kind, Secret};
use wx_jssdk::error::{Class, UpstreamError};
use wx_jssdk::sandbox::{Fault, FaultKind};
use wx_jssdk::upstream::Issued;

use crate::upstream::support::*;

#[tokio::test]
async fn refusals_are_classed_by_their_errcode() {
    for (errcode, class) in [
        (-1, Class::Transient),
        (40_013, Class::Setup),
        (40_125, Class::Setup),
        (40_164, Class::Setup),
        (40_001, Class::Setup),
        (45_009, Class::Quota),
        (45_011, Class::Transient),
    ] {
        let outcome = token_meets(FaultKind::Errcode(errcode), PATIENT).await;
        assert_eq!(
            assert_failed(outcome, "refused", class, false).errcode(),
            Some(errcode)
        );
    }
}

#[tokio::test]
async fn a_refused_token_is_distinguished_from_a_refused_secret() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let refused = upstream
        .ticket(&account(), Kind::JsapiTicket, &Secret::new("85_dead"))
        .await;
    assert_eq!(
        assert_failed(refused, "refused", Class::StaleToken, false).errcode(),
        Some(40_001)
    );
    let token = upstream.token(&account(), false).await.unwrap().value;
    sandbox.advance(Duration::from_secs(7_200));
    let expired = upstream.ticket(&account(), Kind::JsapiTicket, &token).await;
    assert_eq!(
        assert_failed(expired, "refused", Class::StaleToken, false).errcode(),
        Some(42_001)
    );
}

#[tokio::test]
async fn an_unknown_errcode_is_a_refusal_too() {
    let outcome =
        token_answered(r#"{"errcode":999999999999,"access_token":"85_abc","expires_in":7200}"#)
            .await;
    assert_eq!(outcome.unwrap_err().errcode(), Some(999_999_999_999));
}

#[tokio::test]
async fn a_secret_repeated_in_the_errmsg_is_redacted() {
    let echo = format!("invalid appsecret {SECRET}, you sent secret={SECRET}");
    let refused = token_meets(FaultKind::ErrcodeWith(40_125, echo), PATIENT).await;
    let error = assert_redacted(refused, SECRET);
    assert!(
        error
            .to_string()
            .contains("40125 invalid appsecret [secret], you sent secret"),
        "{error}"
    );
}

#[tokio::test]
async fn a_secret_repeated_in_pieces_is_redacted_too() {
    let (left, right) = SECRET.split_at(9);
    let refused = token_meets(
        FaultKind::ErrcodeWith(40_125, format!("invalid {left}\u{1}\r\n{right}")),
        PATIENT,
    )
    .await;
    assert_redacted(refused, SECRET);
}

#[tokio::test]
async fn a_secret_repeated_in_encoded_form_is_redacted_too() {
    let sandbox = sandbox().await;
    let odd = Account::official(APP, "a+b/c==&d").token_mode(TokenMode::Classic);
    let echo = "GET /cgi-bin/token?secret=a%2Bb%2Fc%3D%3D%26d".to_owned();
    sandbox.fault(Fault::always(
        "/cgi-bin/token",
        FaultKind::ErrcodeWith(40_125, echo),
    ));
    let refused = upstream(sandbox.url(), PATIENT).token(&odd, false).await;
    assert_redacted(refused, "a%2Bb%2Fc%3D%3D%26d");
}

#[tokio::test]
async fn a_ticket_call_redacts_its_token() {
    let sandbox = sandbox().await;
    let upstream = upstream(sandbox.url(), PATIENT);
    let token = upstream.token(&account(), false).await.unwrap().value;
    for kind in [
        FaultKind::ErrcodeWith(40_001, format!("invalid credential {}", token.expose())),
        FaultKind::Body(format!(
            r#"{{"ticket":"t","expires_in":"{}"}}"#,
            token.expose()
        )),
        FaultKind::Body(format!(
            r#"{{"ticket":"t","expires_in":{{"{}":1}}}}"#,
            token.expose()
        )),
        FaultKind::Body(format!(r#"{{"errcode":"{}"}}"#, token.expose())),
    ] {
        sandbox.fault(Fault::once(TICKET, kind));
        assert_redacted(
            upstream.ticket(&account(), Kind::JsapiTicket, &token).await,
            token.expose(),
        );
    }
}

#[track_caller]
fn assert_redacted(outcome: Result<Issued, UpstreamError>, value: &str) -> UpstreamError {
    let error = outcome.unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(value), "{printed}");
    error
}
