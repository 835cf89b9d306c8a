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
    host: &str,
    origins: &[&str],
) -> (StatusCode, Value) {
    let mut request = client()
        .request(method.parse().unwrap(), format!("{}{path}", sandbox.url()))
        .header("Host", host)
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
    let (host, port) = (sandbox.addr().to_string(), sandbox.addr().port());
    let before = sandbox.state();
    for order_given in ORDERS {
        for origin in [
            "https://evil.example",
            "null",
            &format!("http://127.0.0.1:{}", port ^ 1),
            &format!("http://127.0.0.2:{port}"),
            &format!("https://127.0.0.1:{port}"),
            &format!("http://evil.example:{port}"),
        ] {
            let (status, answer) = order(&sandbox, order_given, &host, &[origin]).await;
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
async fn a_page_that_uses_dns_rebinding_reads_and_changes_nothing() {
    let sandbox = sandbox().await;
    for (host, origins) in [
        ("evil.example:8082", &[][..]),
        ("evil.example:8082", &["http://evil.example:8082"]),
        ("evil.local:8082", &["http://evil.local:8082"]),
    ] {
        for order_given in ORDERS {
            let (status, answer) = order(&sandbox, order_given, host, origins).await;
            assert_eq!(status, 403, "{order_given:?} from {origins:?}");
            assert_eq!(
                answer["error"],
                "the control API has no such host name: use an IP address or localhost"
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_origin_beside_an_own_one_is_refused() {
    let sandbox = sandbox().await;
    let host = sandbox.addr().to_string();
    let origins = [sandbox.url(), "https://evil.example"];
    let (status, _) = order(&sandbox, ORDERS[7], &host, &origins).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn programs_and_own_pages_use_the_control_api_under_each_of_its_names() {
    let sandbox = sandbox().await;
    for host in [
        sandbox.addr().to_string().as_str(),
        "localhost:8082",
        "192.0.2.7:8082",
        "wechat:9082",
        "host.docker.internal",
    ] {
        for order_given in ORDERS {
            for origins in [&[][..], &[&*format!("http://{host}")]] {
                let (status, answer) = order(&sandbox, order_given, host, origins).await;
                let known = order_given.1 != "/sandbox/nothing";
                assert_eq!(
                    status,
                    if known { 200 } else { 404 },
                    "{order_given:?} at {host} from {origins:?}: {answer}"
                );
            }
        }
    }
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
