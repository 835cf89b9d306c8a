//! Faults of WeChat: every class of failed answer and of silence, at the next refresh and beyond the end of a value.
//!
//! Each fault is a module of three tests: for pages, for clients of the token server, and for the operator.

use std::time::Duration;

use wx_jssdk::Kind;
use wx_jssdk::sandbox::FaultKind;

use crate::common::wait::until;
use crate::faults::service::{Outage, SECRET, Service};

/// The effect of a fault after all values have expired.
struct After {
    status: u16,
    code: &'static str,
    /// `transient`, `quota` or `setup`.
    class: &'static str,
    /// A word of the operator's cause or fix.
    word: &'static str,
}

/// A page is signed until the last second, then gets the reason and when to retry; it is signed again once WeChat recovers.
async fn check_page(fault: Outage, after: After) {
    let service = Service::warm().await;
    service.add_fault(&fault).await;
    service.refresh_failed().await;
    for left in [60, 30, 10] {
        service.advance_to_before_end(left);
        service.signs().await;
    }
    service.last_second();
    service.signs().await;
    service.end_of_life();
    for _ in 0..3 {
        service.page().await.is_problem(after.status, after.code);
    }
    service.heal().await;
    service.signs_again().await;
}

/// A client has a valid token until its end, on both APIs; then the reason; then a token again.
async fn check_client(fault: Outage, after: After) {
    let service = Service::warm().await;
    service.add_fault(&fault).await;
    service.refresh_failed().await;
    for left in [60, 10] {
        service.advance_to_before_end(left);
        service.assert_client_is_served().await;
        let token = service.dropin().await;
        assert!(
            token["access_token"].is_string() && token["expires_in"].as_u64() <= Some(left),
            "{token}"
        );
    }
    service.end_of_life();
    service
        .client("access_token")
        .await
        .is_problem(after.status, after.code);
    service
        .client("jsapi_ticket")
        .await
        .is_problem(after.status, after.code);
    let refusal = service.dropin().await;
    assert!(
        refusal["errcode"]
            .as_i64()
            .is_some_and(|errcode| errcode != 0),
        "{refusal}"
    );
    assert!(refusal.get("access_token").is_none(), "{refusal}");
    service.heal().await;
    service.signs_again().await;
    service.assert_client_is_served().await;
}

/// The operator sees the first failure while pages still work: the cause, the fix, and the time of the retry.
async fn check_operator(fault: Outage, after: After) {
    let service = Service::warm().await;
    service.add_fault(&fault).await;
    let token = service.refresh_failed().await;
    assert!(token.is_served(), "pages still work");
    let error = token.last_error.unwrap();
    assert_eq!(error.class, after.class);
    assert!(error.retry_at > error.at, "{error:?}");
    for hint in [error.error.cause(), error.error.fix_for_operator()] {
        assert!(
            hint.en.len() > 10 && hint.zh.chars().any(|c| c > '\u{4e00}'),
            "{hint:?}"
        );
    }
    let words = format!(
        "{} {}",
        error.error.cause().en,
        error.error.fix_for_operator().en
    );
    assert!(words.contains(after.word), "{words}");
    assert!(!format!("{error:?} {words}").contains(SECRET));
    assert_eq!(
        service.admin("/readyz").await.status,
        200,
        "until pages are no longer signed"
    );
    let labels = format!(
        r#"account="main",kind="access_token",class="{}""#,
        after.class
    );
    let failing = format!("wx_jssdk_credential_failing_seconds{{{labels}");
    let metrics = service
        .admin("/metrics")
        .await
        .body
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        metrics.contains(&failing) && !metrics.contains(SECRET),
        "{metrics}"
    );

    service.end_of_life();
    let ready = service.admin("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.body);
    let account = &ready.body["accounts"][0];
    assert_eq!(
        (account["account"].as_str(), account["ready"].as_bool()),
        (Some("main"), Some(false)),
        "{account}"
    );
    assert!(account["cause"]["zh"].is_string(), "{account}");

    service.heal().await;
    service.signs_again().await;
    assert_eq!(service.admin("/readyz").await.status, 200);
    let is_healed = async || {
        let ticket = service.credential(Kind::JsapiTicket);
        ticket.is_some_and(|ticket| ticket.is_served() && ticket.last_error.is_none())
    };
    until("a ticket without a failure", is_healed).await;
}

const fn busy(word: &'static str) -> After {
    After {
        status: 503,
        code: "upstream_unavailable",
        class: "transient",
        word,
    }
}

const fn spent(word: &'static str) -> After {
    After {
        status: 503,
        code: "upstream_quota",
        class: "quota",
        word,
    }
}

const fn setup(word: &'static str) -> After {
    After {
        status: 502,
        code: "account_misconfigured",
        class: "setup",
        word,
    }
}

macro_rules! faults {
    ($($(#[$meta:meta])* $name:ident: $fault:expr => $after:expr;)*) => {
        $($(#[$meta])* mod $name {
            use super::*;

            #[tokio::test]
            async fn a_page_is_signed_until_the_last_second_and_again_once_wechat_recovers() {
                check_page($fault.into(), $after).await;
            }

            #[tokio::test]
            async fn a_client_has_a_valid_token_to_its_end_and_then_the_reason() {
                check_client($fault.into(), $after).await;
            }

            #[tokio::test]
            async fn the_operator_is_warned_while_pages_still_work() {
                check_operator($fault.into(), $after).await;
            }
        })*
    };
}

faults! {
    /// "system error": retry later.
    busy_wechat: FaultKind::Errcode(-1) => busy("busy");
    wrong_secret: FaultKind::Errcode(40125) => setup("AppSecret");
    wrong_app_id: FaultKind::Errcode(40013) => setup("AppID");
    address_not_allowed: FaultKind::Errcode(40164) => setup("IP");
    frozen_secret: FaultKind::Errcode(40243) => setup("frozen");
    spent_day: FaultKind::Errcode(45009) => spent("quota");
    /// Exhausted for a minute, not for the day.
    spent_minute: FaultKind::Errcode(45011) => busy("minute");
    /// An unknown errcode: an operator has to investigate.
    unknown_errcode: FaultKind::Errcode(987_654) => setup("");
    gateway_error: FaultKind::Status(502) => busy("");
    page_of_html: FaultKind::NotJson => busy("");
    empty_answer: FaultKind::Body("{}".into()) => busy("");
    empty_token: FaultKind::Body(r#"{"access_token":"","ticket":"","expires_in":7200}"#.into()) => busy("");
    absurd_life: FaultKind::Body(r#"{"access_token":"x","ticket":"x","expires_in":-1}"#.into()) => busy("");
    huge_body: FaultKind::HugeBody => busy("");
    cut_body: FaultKind::CutBody => busy("");
    lost_reply: FaultKind::LostReply => busy("");
    hang: FaultKind::Hang => busy("");
    too_slow: FaultKind::Slow(Duration::from_secs(5)) => busy("");
    unreachable: Outage::Unreachable => busy("");
}
