//! The control API over HTTP.

use serde_json::{Value, json};
use wx_jssdk::clock::Clock;
use wx_jssdk::sandbox::{Mode, Sandbox};

use crate::support::*;

/// Returns the explanation of a 400.
async fn bad(sandbox: &Sandbox, path: &str, body: &str) -> String {
    let answer = client()
        .post(format!("{}{path}", sandbox.url()))
        .body(body.to_owned())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 400, "{path} {body}");
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    answer["error"].as_str().unwrap().to_owned()
}

async fn add_fault(sandbox: &Sandbox, fault: Value) {
    assert_eq!(
        post(sandbox, "/sandbox/faults", fault.to_string()).await,
        json!({ "ok": true })
    );
}

#[tokio::test]
async fn the_state_shows_everything_in_its_documented_shape() {
    let sandbox = sandbox().await;
    let old = token_of(&classic(&sandbox).await);
    let new = token_of(&classic(&sandbox).await);
    let bought = ticket(&sandbox, &new, "jsapi").await;
    let state = get(&sandbox, "/sandbox/state").await;
    assert_eq!(
        state,
        json!({
            "now": 1_700_000_000,
            "apps": [{
                "app_id": APP, "secret": SECRET, "platform": "official",
                "tokens": {
                    "stable": { "current": null, "previous": null, "expires_at": null },
                    "classic": { "current": new, "previous": old, "expires_at": 1_700_007_200 },
                },
                "tickets": { "jsapi": { "value": bought["ticket"], "expires_at": 1_700_007_200 } },
                "safe_domains": ["example.com"],
            }],
            "platforms": [],
            "calls": {
                "/cgi-bin/token": 2, "/cgi-bin/stable_token": 0, "/cgi-bin/ticket/getticket": 1,
                "/cgi-bin/get_api_domain_ip": 0, "/cgi-bin/menu/get": 0, "/cgi-bin/clear_quota": 0, "/cgi-bin/openapi/quota/get": 0,
                "/cgi-bin/gettoken": 0, "/cgi-bin/get_jsapi_ticket": 0, "/cgi-bin/ticket/get": 0,
                "/cgi-bin/clear_quota/v2": 0, "/cgi-bin/openapi/rid/get": 0,
                "/cgi-bin/component/api_start_push_ticket": 0, "/cgi-bin/component/api_component_token": 0,
                "/cgi-bin/component/api_create_preauthcode": 0, "/cgi-bin/component/api_query_auth": 0,
                "/cgi-bin/component/api_authorizer_token": 0, "/cgi-bin/component/api_get_authorizer_list": 0,
                "/cgi-bin/component/api_get_authorizer_info": 0, "/cgi-bin/component/clear_quota/v2": 0,
                "/sns/jscode2session": 0, "/sns/oauth2/access_token": 0, "/sns/oauth2/refresh_token": 0, "/sns/userinfo": 0, "/sns/auth": 0,
            },
            "errcodes": { "/cgi-bin/token": { "0": 2 }, "/cgi-bin/ticket/getticket": { "0": 1 } },
        })
    );
    assert!(
        serde_json::from_value::<wx_jssdk::sandbox::State>(state).unwrap() == sandbox.state(),
        "the handle reports the same"
    );
}

#[tokio::test]
async fn the_state_shows_no_expired_value() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    ticket(&sandbox, &token, "jsapi").await;
    post(&sandbox, "/sandbox/advance", r#"{"seconds":7200}"#).await;
    let state = get(&sandbox, "/sandbox/state").await;
    assert_eq!(
        state["apps"][0]["tokens"]["stable"],
        json!({ "current": null, "previous": null, "expires_at": null })
    );
    assert_eq!(state["apps"][0]["tickets"], json!({}));
}

#[tokio::test]
async fn control_calls_are_not_counted_as_calls_to_wechat() {
    let sandbox = sandbox().await;
    get(&sandbox, "/sandbox/state").await;
    post(&sandbox, "/sandbox/reset", "").await;
    assert_eq!(sandbox.calls_total(), 0);
}

#[tokio::test]
async fn every_fault_can_be_added_and_removed_over_http() {
    let sandbox = sandbox().await;
    let at = |fault: &str| json!({ "endpoint": "/cgi-bin/token", "fault": fault, "errcode": 50007, "status": 503, "seconds": 0.01, "body": "hi" });
    for fault in [
        "errcode",
        "status",
        "not_json",
        "huge_body",
        "slow",
        "cut_body",
        "lost_reply",
        "body",
        "hang",
    ] {
        add_fault(&sandbox, at(fault)).await;
    }
    assert_eq!(classic(&sandbox).await["errcode"], 50007);
    let fetch = || {
        client()
            .get(format!("{}{}", sandbox.url(), token_path()))
            .send()
    };
    assert_eq!(fetch().await.unwrap().status(), 503);
    assert!(
        fetch()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .starts_with("<html>")
    );
    assert!(fetch().await.unwrap().bytes().await.unwrap().len() > 1_000_000);
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
    assert!(fetch().await.unwrap().bytes().await.is_err());
    assert_eq!(raw(&sandbox, &token_path()).await, b"");
    assert_eq!(fetch().await.unwrap().text().await.unwrap(), "hi");
    let cleared = client()
        .delete(format!("{}/sandbox/faults", sandbox.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(cleared.status(), 200);
    assert_eq!(
        classic(&sandbox).await["expires_in"],
        7_200,
        "the hang is gone"
    );
}

#[tokio::test]
async fn a_fault_applies_as_often_as_configured() {
    let sandbox = sandbox().await;
    add_fault(&sandbox, json!({ "endpoint": "/cgi-bin/token", "fault": "errcode", "errcode": -1, "errmsg": "busy", "times": 2 }))
        .await;
    for _ in 0..2 {
        let answer = classic(&sandbox).await;
        assert_eq!(
            (
                answer["errcode"].as_i64(),
                errmsg(&sandbox, &answer).as_str()
            ),
            (Some(-1), "busy")
        );
    }
    assert_eq!(classic(&sandbox).await["expires_in"], 7_200);
}

#[tokio::test]
async fn an_invalid_fault_is_answered_with_the_valid_ones() {
    let sandbox = sandbox().await;
    let (path, faults) = (
        "/sandbox/faults",
        "errcode, status, hang, cut_body, not_json, huge_body, slow, lost_reply",
    );
    for (told, body) in [
        (
            faults,
            r#"{"endpoint":"/cgi-bin/token","fault":"explode","times":1}"#,
        ),
        (
            "unknown endpoint \"/cgi/token\"; its first segment must be one of: cgi-bin, wxa,",
            r#"{"endpoint":"/cgi/token","fault":"hang"}"#,
        ),
        (
            "requires \"errcode\"",
            r#"{"endpoint":"/cgi-bin/token","fault":"errcode"}"#,
        ),
        (
            "requires \"status\"",
            r#"{"endpoint":"/cgi-bin/token","fault":"status"}"#,
        ),
        (
            "requires \"seconds\"",
            r#"{"endpoint":"/cgi-bin/token","fault":"slow"}"#,
        ),
        (
            "requires \"body\"",
            r#"{"endpoint":"/cgi-bin/token","fault":"body"}"#,
        ),
        (
            "from 200 to 599",
            r#"{"endpoint":"/cgi-bin/token","fault":"status","status":101}"#,
        ),
        (
            "from 0 to 3600",
            r#"{"endpoint":"/cgi-bin/token","fault":"slow","seconds":-1}"#,
        ),
        (
            "from 0 to 3600",
            r#"{"endpoint":"/cgi-bin/token","fault":"slow","seconds":1e300}"#,
        ),
        (
            "unknown field `time`",
            r#"{"endpoint":"/cgi-bin/token","fault":"hang","time":1}"#,
        ),
        ("missing field `fault`", r#"{"endpoint":"/cgi-bin/token"}"#),
        ("expected JSON like {\"endpoint\"", "hang"),
    ] {
        let error = bad(&sandbox, path, body).await;
        assert!(error.contains(told), "{body}: {error}");
    }
    assert_eq!(
        classic(&sandbox).await["expires_in"],
        7_200,
        "and no fault was added"
    );
}

#[tokio::test]
async fn the_clock_is_advanced_over_http() {
    let sandbox = sandbox().await;
    assert_eq!(
        post(&sandbox, "/sandbox/advance", r#"{"seconds":60}"#).await,
        json!({ "now": 1_700_000_060 })
    );
    assert_eq!(sandbox.clock().now().0, 1_700_000_060);
    for body in [
        r#"{"seconds":-1}"#,
        r#"{"seconds":"60"}"#,
        "{}",
        "",
        r#"{"seconds":99999999999}"#,
    ] {
        assert!(
            bad(&sandbox, "/sandbox/advance", body)
                .await
                .contains("seconds"),
            "{body}"
        );
    }
    assert_eq!(sandbox.clock().now().0, 1_700_000_060);
}

#[tokio::test]
async fn the_machines_own_clock_cannot_be_advanced() {
    let sandbox = Sandbox::start(Clock::system()).await.unwrap();
    let error = bad(&sandbox, "/sandbox/advance", r#"{"seconds":60}"#).await;
    assert_eq!(
        error,
        "this sandbox runs on the machine's clock, which it cannot advance"
    );
}

#[tokio::test]
async fn tokens_and_tickets_are_revoked_over_http() {
    let sandbox = sandbox().await;
    for (kind, token_dies, ticket_dies) in [
        ("token", true, false),
        ("access_token", true, false),
        ("stable_token", true, false),
        ("classic_token", false, false),
        ("jsapi_ticket", false, true),
        ("ticket", false, true),
        ("card_ticket", false, false),
    ] {
        let token = token_of(&stable(&sandbox).await);
        let value = text(&ticket(&sandbox, &token, "jsapi").await, "ticket").to_owned();
        post(
            &sandbox,
            "/sandbox/revoke",
            json!({ "app_id": APP, "kind": kind }).to_string(),
        )
        .await;
        let dead = (
            !sandbox.accepts_token(APP, &token),
            !sandbox.accepts_ticket(APP, "jsapi", &value),
        );
        assert_eq!(dead, (token_dies, ticket_dies), "{kind}");
    }
    let error = bad(
        &sandbox,
        "/sandbox/revoke",
        &json!({ "app_id": APP, "kind": "secret" }).to_string(),
    )
    .await;
    assert!(
        error.contains(
            "token, stable_token, classic_token, ticket, jsapi_ticket, card_ticket or agent_ticket"
        ),
        "{error}"
    );
    let error = bad(
        &sandbox,
        "/sandbox/revoke",
        r#"{"app_id":"wxnobody","kind":"token"}"#,
    )
    .await;
    assert_eq!(error, "the sandbox has no app \"wxnobody\"");
}

#[tokio::test]
async fn a_foreign_refresh_over_http_answers_with_the_foreign_token() {
    let sandbox = sandbox().await;
    for (name, mode) in [("stable", Mode::Stable), ("classic", Mode::Classic)] {
        let answer = post(
            &sandbox,
            "/sandbox/foreign-refresh",
            json!({ "app_id": APP, "mode": name }).to_string(),
        )
        .await;
        assert_eq!(answer, json!({ "access_token": sandbox.token(APP, mode) }));
    }
    let error = bad(
        &sandbox,
        "/sandbox/foreign-refresh",
        &json!({ "app_id": APP, "mode": "forced" }).to_string(),
    )
    .await;
    assert!(
        error.contains("where \"mode\" is stable or classic"),
        "{error}"
    );
}

#[tokio::test]
async fn an_account_is_added_over_http_with_all_its_settings() {
    let sandbox = sandbox().await;
    let account = json!({
        "platform": "mini", "app_id": "wxmini", "secret": "s", "safe_domains": ["a.example"],
        "allow_ips": ["10.0.0.1"], "caller_ip": "10.0.0.2", "quotas": { "token_daily": 5 }, "switches": { "wrong_secret": 40001 },
    });
    assert_eq!(
        post(&sandbox, "/sandbox/accounts", account.to_string()).await,
        json!({ "ok": true })
    );
    let state = sandbox.state();
    let added = &state.apps[1];
    assert_eq!(
        (added.app_id.as_str(), added.platform.as_str()),
        ("wxmini", "mini")
    );
    let path = "/cgi-bin/token?grant_type=client_credential&appid=wxmini&secret=";
    assert_eq!(
        errmsg(&sandbox, &get(&sandbox, &format!("{path}s")).await),
        "invalid ip 10.0.0.2 ipv6 ::ffff:10.0.0.2, not in whitelist"
    );
    assert_eq!(
        get(&sandbox, &format!("{path}wrong")).await["errcode"],
        40001
    );
    post(
        &sandbox,
        "/sandbox/accounts",
        r#"{"app_id":"wxplain","secret":"s"}"#,
    )
    .await;
    let path = path.replace("wxmini", "wxplain");
    assert_eq!(
        get(&sandbox, &format!("{path}s")).await["expires_in"],
        7_200,
        "the rest has defaults"
    );
}

#[tokio::test]
async fn an_invalid_account_is_answered_with_the_valid_settings() {
    let sandbox = sandbox().await;
    for (told, body) in [
        (
            "must not be empty; expected JSON like",
            r#"{"app_id":"wx1"}"#,
        ),
        ("unknown field `appid`", r#"{"appid":"wx1","secret":"s"}"#),
        (
            "unknown variant `web`, expected one of `official`, `mini`, `work`",
            r#"{"platform":"web","app_id":"wx1","secret":"s"}"#,
        ),
        ("must not be empty", r#"{"app_id":"","secret":"s"}"#),
        (
            "of platform work requires \"agent_id\"",
            r#"{"platform":"work","app_id":"ww1","secret":"s"}"#,
        ),
        (
            "\"agent_id\" is for apps of platform work",
            r#"{"app_id":"wx1","agent_id":1,"secret":"s"}"#,
        ),
        (
            r#"expected JSON like {"platform": "official", "app_id": "wx…""#,
            "wx1",
        ),
    ] {
        let error = bad(&sandbox, "/sandbox/accounts", body).await;
        assert!(error.contains(told), "{body}: {error}");
    }
    assert_eq!(sandbox.state().apps.len(), 1);
}

#[tokio::test]
async fn a_reset_over_http_forgets_all_but_the_apps() {
    let sandbox = sandbox().await;
    classic(&sandbox).await;
    post(&sandbox, "/sandbox/reset", "").await;
    let state = sandbox.state();
    assert_eq!(
        (
            state.apps.len(),
            state.apps[0].tokens.classic.current.clone(),
            sandbox.calls_total()
        ),
        (1, None, 0)
    );
}

#[tokio::test]
async fn an_invalid_pre_verify_request_is_answered_with_the_valid_values() {
    let sandbox = sandbox().await;
    for (told, body) in [
        (
            "\"client\" is android, ios, devtools, desktop or wecom",
            r#"{"client":"windows"}"#,
        ),
        ("a string or a whole number", r#"{"timestamp":1.5}"#),
    ] {
        let error = bad(&sandbox, "/sandbox/pre-verify", body).await;
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn an_unknown_control_path_is_404_and_lists_the_known_ones() {
    let sandbox = sandbox().await;
    for (method, path) in [
        ("GET", "/sandbox/stat"),
        ("GET", "/sandbox/reset"),
        ("POST", "/sandbox/state"),
        ("GET", "/sandbox"),
    ] {
        let request = client().request(method.parse().unwrap(), format!("{}{path}", sandbox.url()));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 404, "{method} {path}");
        let body = answer.text().await.unwrap();
        assert!(
            body.contains(&format!("unknown endpoint {method} {path}"))
                && body.contains("GET /sandbox/state"),
            "{body}"
        );
    }
}
