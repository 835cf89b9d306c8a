//! Open platforms over the control API.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{App, Push, Sandbox, State, demo_platform};

use crate::platform_support::*;
use crate::support::*;

/// Returns status and answer of a control request.
async fn order(sandbox: &Sandbox, path: &str, body: Value) -> (u16, Value) {
    let answer = client()
        .post(format!("{}/sandbox/{path}", sandbox.url()))
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

async fn carried_out(sandbox: &Sandbox, path: &str, body: Value) -> Value {
    let (status, answer) = order(sandbox, path, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[tokio::test]
async fn a_platform_is_added_and_its_push_keys_are_made_up() {
    let sandbox = sandbox().await;
    let body = json!({ "component_appid": PLATFORM, "secret": PLATFORM_SECRET });
    let answer = carried_out(&sandbox, "platforms", body).await;
    assert_eq!(text(&answer, "encoding_aes_key").len(), 43);
    assert_eq!(text(&answer, "push_token").len(), 32);
    component_token(&sandbox).await;
}

#[tokio::test]
async fn a_platform_with_a_mistake_is_refused_with_the_reason() {
    let sandbox = sandbox().await;
    for (body, reason) in [
        (json!({ "component_appid": PLATFORM }), "expected JSON like"),
        (
            json!({ "component_appid": "", "secret": "s" }),
            "must not be empty",
        ),
        (
            json!({ "component_appid": "wx1", "secret": "s", "encoding_aes_key": "short" }),
            "43 letters and digits",
        ),
        (
            json!({ "component_appid": "wx1", "secret": "s", "push_url": "service/push" }),
            "must be a URL",
        ),
    ] {
        let (status, answer) = order(&sandbox, "platforms", body).await;
        assert_eq!(status, 400);
        assert!(text(&answer, "error").contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn every_option_of_a_push_is_available_over_http() {
    let (sandbox, mut receiver) = pushing().await;
    let reply = carried_out(&sandbox, "push", json!({ "what": "ticket" })).await;
    assert_eq!(
        (&reply["status"], &reply["body"], &reply["info_type"]),
        (
            &json!(200),
            &json!("success"),
            &json!("component_verify_ticket")
        )
    );
    assert!(reply["took_ms"].is_u64());
    let ticket = receiver.next().await;
    for body in [
        json!({ "component_appid": PLATFORM, "what": "replay" }),
        json!({ "wrong_signature": true, "wrong_receiver": true }),
        json!({ "previous_keys": true, "truncated": true }),
        json!({ "what": "event", "info_type": "x", "fields": { "a": "b" }, "created_at": 7 }),
    ] {
        carried_out(&sandbox, "push", body).await;
        receiver.next().await;
    }
    carried_out(&sandbox, "push", json!({ "twice": true })).await;
    let twice = receiver.next().await;
    assert_eq!(receiver.next().await, twice);
    assert_ne!(twice, ticket);
}

#[tokio::test]
async fn a_push_order_with_a_mistake_is_refused_with_the_reason() {
    let (sandbox, _receiver) = pushing().await;
    for (body, reason) in [
        (json!({ "what": "x" }), "expected JSON like"),
        (json!({ "knob": true }), "expected JSON like"),
        (json!({ "component_appid": 1 }), "must be a text"),
        (json!({ "component_appid": "wx1" }), "no open platform"),
        (json!({ "what": "event" }), "requires \"info_type\""),
        (json!({ "what": "replay" }), "nothing has been pushed"),
    ] {
        let (status, answer) = order(&sandbox, "push", body).await;
        assert_eq!(status, 400);
        assert!(text(&answer, "error").contains(reason), "{answer}");
    }
}

#[tokio::test]
async fn an_owners_decisions_are_made_over_http() {
    let (sandbox, mut receiver) = pushing().await;
    let token = component_token(&sandbox).await;
    receiver.next().await;
    let body = json!({ "app_id": APP });
    let answer = carried_out(&sandbox, "authorize", body.clone()).await;
    assert_eq!(answer["push"]["body"], "success");
    let redeemed = redeem(&sandbox, &token, text(&answer, "auth_code")).await;
    assert_eq!(redeemed["authorization_info"]["authorizer_appid"], APP);
    let answer = carried_out(&sandbox, "authorize", body.clone()).await;
    assert_eq!(answer["push"], Value::Null);
    let changed = json!({ "app_id": APP, "changed": true });
    let answer = carried_out(&sandbox, "authorize", changed).await;
    assert_eq!(answer["push"]["info_type"], "updateauthorized");
    let answer = carried_out(&sandbox, "cancel-authorization", body.clone()).await;
    assert_eq!(answer["push"]["info_type"], "unauthorized");
    let (status, answer) = order(&sandbox, "cancel-authorization", body).await;
    assert_eq!(status, 400);
    assert!(text(&answer, "error").contains("has not authorised"));
    let (status, _) = order(&sandbox, "authorize", json!({ "app_id": "wx1" })).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn the_platform_must_be_named_if_there_are_several() {
    let sandbox = platform_sandbox().await;
    let body = json!({ "component_appid": "wxother", "secret": "s" });
    carried_out(&sandbox, "platforms", body).await;
    let (status, answer) = order(&sandbox, "push", json!({})).await;
    assert_eq!(status, 400);
    assert!(text(&answer, "error").contains("several platforms"));
}

#[tokio::test]
async fn the_state_shows_platforms_and_authorisers_without_push_keys() {
    let (sandbox, _receiver) = pushing().await;
    let tokens = authorized(&sandbox, APP).await;
    sandbox.authorize(PLATFORM, MINI).await;
    let state = get(&sandbox, "/sandbox/state").await;
    let shown = &state["platforms"][0];
    assert_eq!(shown["component_appid"], PLATFORM);
    assert_eq!(shown["token"]["current"], tokens.component.as_str());
    assert_eq!(
        shown["authorizers"][0],
        json!({
            "app_id": APP, "authorized": true, "auth_time": START.0, "redeemed": true,
            "token": { "current": tokens.access, "previous": null, "expires_at": START.0 + 7_200 },
        })
    );
    assert_eq!(shown["authorizers"][1]["redeemed"], false);
    assert_eq!(shown["pushes"].as_array().unwrap().len(), 3);
    let written = state.to_string();
    for hidden in [KEY, "push-token", tokens.refresh.as_str()] {
        assert!(!written.contains(hidden), "{hidden}");
    }
    serde_json::from_value::<State>(state).unwrap();
}

#[tokio::test]
async fn the_demo_platform_has_two_accounts_from_the_start() {
    let sandbox = sandbox().await;
    sandbox.add_app(App::mini(MINI, SECRET));
    let demo = demo_platform();
    let id = demo.component_app_id().to_owned();
    assert!(id.len() == 18 && id.starts_with("wx"));
    sandbox.add_platform(demo);
    for app in [APP, MINI] {
        assert!(sandbox.authorizer_refresh_token(&id, app).is_some());
    }
    let reply = sandbox.push(&id, Push::ticket()).await;
    assert_eq!(reply.status, None, "it has no push URL");
}
