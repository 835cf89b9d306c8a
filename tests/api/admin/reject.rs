//! `POST /credentials/{account}/{kind}/reject`: "WeChat refused this one".

use std::collections::HashSet;

use wx_jssdk::sandbox::{FaultKind, Revoke};

use crate::admin::world::*;
use crate::common::wait::called;

const PATH: &str = "/credentials/main/access_token";

#[tokio::test]
async fn rejecting_a_dead_token_returns_the_token_to_use_instead() {
    let world = World::new().await;
    let dead = world.token("main").await;
    world.advance(1_000);
    world.sandbox.revoke(APP, Revoke::Token);
    let new = world.reject(PATH, &dead).await.ok();
    assert!(
        new.has_exactly(&["value", "expires_in", "expires_at", "generation"]),
        "{}",
        new.0
    );
    assert!(world.sandbox.accepts_token(APP, &new.text("value")));
    assert_eq!(new.number("expires_in"), 7_200);
    assert_eq!(world.token("main").await, new.text("value"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_that_saw_one_40001_cause_one_refresh_and_a_late_one_none() {
    for (account, app, endpoint) in [("main", APP, STABLE), ("classic", CLASSIC_APP, CLASSIC)] {
        let world = World::new().await;
        let path = format!("/credentials/{account}/access_token");
        let dead = world.token(account).await;
        world.sandbox.revoke(app, Revoke::Token);
        let gate = world.sandbox.hold(endpoint);
        let clients: Vec<_> = (0..50)
            .map(|_| {
                let (address, path, dead) = (world.address, path.clone(), dead.clone());
                tokio::spawn(async move { reject(address, &path, &dead).await.ok().text("value") })
            })
            .collect();
        called(&world.sandbox, endpoint, 2).await;
        gate.release();
        let mut values = HashSet::new();
        for client in clients {
            values.insert(client.await.unwrap());
        }
        assert_eq!(
            (values.len(), world.sandbox.calls(endpoint)),
            (1, 2),
            "{account}"
        );
        world.advance(120);
        let late = world.reject(&path, &dead).await.ok().text("value");
        assert!(values.contains(&late));
        assert_eq!(
            world.sandbox.calls(endpoint),
            2,
            "{account}: a late client causes no refresh"
        );
    }
}

#[tokio::test]
async fn a_value_never_issued_here_causes_no_call() {
    let world = World::new().await;
    let token = world.token("main").await;
    let calls = world.sandbox.calls_total();
    assert_eq!(
        world
            .reject(PATH, "somebody else's")
            .await
            .ok()
            .text("value"),
        token
    );
    assert_eq!(world.sandbox.calls_total(), calls);
}

#[tokio::test]
async fn a_second_reject_within_half_a_minute_is_told_to_wait() {
    let world = World::new().await;
    let first = world.token("main").await;
    let second = world.reject(PATH, &first).await.ok().text("value");
    let calls = world.sandbox.calls_total();
    world.advance(10);
    let answer = world.reject(PATH, &second).await;
    answer.problem(429, "rate_limited");
    assert_eq!(answer.header("retry-after"), Some("20"));
    assert_eq!(world.sandbox.calls_total(), calls);
    assert_eq!(world.token("main").await, second, "it is still served");
    world.advance(20);
    assert_ne!(world.reject(PATH, &second).await.ok().text("value"), second);
}

#[tokio::test]
async fn a_dead_ticket_is_replaced_too() {
    let world = World::new().await;
    let path = "/credentials/main/jsapi_ticket";
    let dead = world.get_with(KEY, path).await.ok().text("value");
    world.sandbox.revoke(APP, Revoke::JsapiTicket);
    let new = world.reject(path, &dead).await.ok().text("value");
    assert_ne!(new, dead);
    assert!(world.sandbox.accepts_ticket(APP, "jsapi", &new));
}

#[tokio::test]
async fn a_failed_reject_returns_wechats_error_and_keeps_the_current_value() {
    let world = World::new().await;
    let token = world.token("main").await;
    world.fault(STABLE, FaultKind::Errcode(40125));
    let problem = world
        .reject(PATH, &token)
        .await
        .problem(502, "account_misconfigured");
    assert_eq!(problem.0["upstream"]["errcode"], 40125);
    let detail = problem.text("detail");
    assert!(
        detail.starts_with("could not refresh the access_token of account \"main\": "),
        "a value is still served: {detail}"
    );
    assert!(
        problem.0["upstream"]["errmsg"]
            .as_str()
            .unwrap()
            .starts_with("invalid appsecret rid: ")
    );
    assert_eq!(world.token("main").await, token);
}

#[tokio::test]
async fn a_body_without_a_value_is_a_400_that_does_not_quote_it() {
    let world = World::new().await;
    let token = world.token("main").await;
    let calls = world.sandbox.calls_total();
    for body in [
        String::new(),
        "{}".into(),
        "[]".into(),
        format!("{{\"value\":\"{token}\""),
        format!("\"{token}\""),
        format!("value={token}"),
        r#"{"value":""}"#.into(),
        r#"{"value":7}"#.into(),
        r#"{"value":null}"#.into(),
        format!("{{\"token\":\"{token}\"}}"),
    ] {
        let answer = world
            .send(
                "POST",
                &format!("{PATH}/reject"),
                &[("X-Api-Key", KEY)],
                &body,
            )
            .await;
        answer.problem(400, "bad_body");
        assert!(!answer.text.contains(&token), "{answer:?}");
    }
    assert_eq!(world.sandbox.calls_total(), calls);
}

#[tokio::test]
async fn a_body_of_more_than_eight_kibibytes_is_not_read() {
    let world = World::new().await;
    let body = format!("{{\"value\":\"{}\"}}", "x".repeat(9_000));
    world
        .send(
            "POST",
            &format!("{PATH}/reject"),
            &[("X-Api-Key", KEY)],
            &body,
        )
        .await
        .problem(413, "body_too_large");
    world
        .send("POST", &format!("{PATH}/reject"), &[], &body)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_body_needs_no_content_type_and_may_have_other_fields() {
    let world = World::new().await;
    let token = world.token("main").await;
    let body = serde_json::json!({ "value": "old", "errcode": 40001 }).to_string();
    for headers in [
        vec![("X-Api-Key", KEY)],
        vec![("X-Api-Key", KEY), ("Content-Type", "application/json")],
    ] {
        let answer = world
            .send("POST", &format!("{PATH}/reject"), &headers, &body)
            .await;
        assert_eq!(answer.ok().text("value"), token);
    }
}

#[tokio::test]
async fn an_unknown_account_or_kind_is_distinguished_from_a_dead_value() {
    let world = World::new().await;
    world
        .reject("/credentials/nobody/access_token", "x")
        .await
        .problem(404, "unknown_account");
    world
        .reject("/credentials/mini/jsapi_ticket", "x")
        .await
        .problem(404, "unsupported_credential");
    world
        .reject("/credentials/main/secret", "x")
        .await
        .problem(404, "unsupported_credential");
    assert_eq!(world.sandbox.calls_total(), 0);
}

#[tokio::test]
async fn a_trailing_line_break_in_a_reported_value_is_ignored() {
    let world = World::new().await;
    for end in ["\n", "\r\n", " "] {
        let dead = world.token("main").await;
        world.advance(1_000);
        world.sandbox.revoke(APP, Revoke::Token);
        let new = world.reject(PATH, &format!("{dead}{end}")).await.ok();
        assert_ne!(new.text("value"), dead, "{end:?}");
        assert!(world.sandbox.accepts_token(APP, &new.text("value")));
    }
    for blank in ["", "\n", " \t"] {
        assert_eq!(world.reject(PATH, blank).await.status, 400, "{blank:?}");
    }
}
