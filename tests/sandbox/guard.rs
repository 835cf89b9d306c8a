//! Access to the control API: programs, but no pages of other sites.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wx_jssdk::sandbox::Sandbox;

use crate::support::*;

const ORDERS: [(&str, &str, &str); 10] = [
    ("GET", "/sandbox/state", ""),
    (
        "POST",
        "/sandbox/faults",
        r#"{"endpoint":"/cgi-bin/token","fault":"hang"}"#,
    ),
    ("DELETE", "/sandbox/faults", ""),
    ("POST", "/sandbox/advance", r#"{"seconds":60}"#),
    (
        "POST",
        "/sandbox/revoke",
        r#"{"app_id":"wx0123456789abcdef","kind":"token"}"#,
    ),
    (
        "POST",
        "/sandbox/foreign-refresh",
        r#"{"app_id":"wx0123456789abcdef","mode":"classic"}"#,
    ),
    (
        "POST",
        "/sandbox/accounts",
        r#"{"app_id":"wxevil","secret":"s"}"#,
    ),
    ("POST", "/sandbox/reset", ""),
    (
        "POST",
        "/sandbox/platforms",
        r#"{"component_appid":"wxevil","secret":"s"}"#,
    ),
    ("GET", "/sandbox/nothing", ""),
];

async fn order(
    sandbox: &Sandbox,
    (method, path, body): (&str, &str, &str),
    origins: &[&str],
) -> (StatusCode, Value) {
    let mut request = client()
        .request(method.parse().unwrap(), format!("{}{path}", sandbox.url()))
        .body(body.to_owned());
    for origin in origins {
        request = request.header("Origin", *origin);
    }
    let answer = request.send().await.unwrap();
    (
        answer.status(),
        serde_json::from_str(&answer.text().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn pages_of_other_origins_may_not_use_the_control_api() {
    let sandbox = sandbox().await;
    let token = token_of(&stable(&sandbox).await);
    let (port, before) = (sandbox.addr().port(), sandbox.state());
    for order_given in ORDERS {
        for origin in [
            "https://evil.example",
            "null",
            &format!("http://127.0.0.1:{}", port ^ 1),
            &format!("http://evil.example:{port}"),
        ] {
            let (status, answer) = order(&sandbox, order_given, &[origin]).await;
            assert_eq!(status, 403, "{order_given:?} from {origin}");
            assert_eq!(
                answer,
                json!({ "error": "pages of other origins may not control the sandbox" })
            );
        }
    }
    assert!(sandbox.state() == before, "nothing was changed");
    assert_eq!(try_token(&sandbox, &token).await, 0);
}

#[tokio::test]
async fn a_page_that_uses_dns_rebinding_reads_nothing_without_an_origin() {
    let sandbox = sandbox().await;
    let state = |host: &'static str| {
        let request = client().get(format!("{}/sandbox/state", sandbox.url()));
        request.header("Host", host).send()
    };
    let answer = state("evil.example:8082").await.unwrap();
    assert_eq!(answer.status(), 403);
    let text = answer.text().await.unwrap();
    assert!(text.contains("IP address or localhost"), "{text}");
    for host in ["192.0.2.7:8082", "localhost", "wechat:8082"] {
        assert_eq!(state(host).await.unwrap().status(), 200, "{host}");
    }
}

#[tokio::test]
async fn a_foreign_origin_beside_an_own_one_is_refused() {
    let sandbox = sandbox().await;
    assert_eq!(
        order(
            &sandbox,
            ORDERS[7],
            &[sandbox.url(), "https://evil.example"]
        )
        .await
        .0,
        403
    );
}

#[tokio::test]
async fn programs_and_the_sandboxs_own_pages_may_use_the_control_api() {
    let sandbox = sandbox().await;
    let localhost = format!("http://localhost:{}", sandbox.addr().port());
    for order_given in ORDERS {
        for origins in [[].as_slice(), &[sandbox.url()], &[localhost.as_str()]] {
            let (status, answer) = order(&sandbox, order_given, origins).await;
            let known = order_given.1 != "/sandbox/nothing";
            assert_eq!(
                status,
                if known { 200 } else { 404 },
                "{order_given:?} from {origins:?}: {answer}"
            );
        }
    }
}

#[tokio::test]
async fn pages_of_any_origin_may_still_ask_for_a_verdict() {
    let sandbox = sandbox().await;
    let question = json!({ "appId": APP, "url": "https://example.com/" }).to_string();
    let (status, answer) = order(
        &sandbox,
        ("POST", "/sandbox/pre-verify", &question),
        &["https://example.com"],
    )
    .await;
    assert_eq!(
        (status.as_u16(), &answer["err_msg"]),
        (200, &json!("preVerifyJSAPI:fail"))
    );
}

#[tokio::test]
async fn wechats_own_paths_ignore_the_origin() {
    let sandbox = sandbox().await;
    let request = client()
        .get(format!("{}{}", sandbox.url(), token_path()))
        .header("Origin", "https://evil.example");
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_eq!(sandbox.calls("/cgi-bin/token"), 1);
}
