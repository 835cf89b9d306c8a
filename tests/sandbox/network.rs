//! The second host and the proxies.

use serde_json::{Value, json};
use wx_jssdk::sandbox::{ProxyRule, Sandbox};

use crate::support::*;

async fn steer(url: &str, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
    let request = client().request(method, format!("{url}{path}"));
    let answer = request.body(body.to_string()).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (status, body)
}

async fn order(sandbox: &Sandbox, path: &str, body: Value) -> Value {
    let (status, answer) = steer(sandbox.url(), reqwest::Method::POST, path, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// A client through this proxy.
fn through(proxy: &str) -> reqwest::Client {
    reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(proxy).unwrap())
        .build()
        .unwrap()
}

/// Returns the answer of a classic token call through this proxy.
async fn token(sandbox: &Sandbox, proxy: &str) -> reqwest::Result<(u16, String)> {
    let url = format!("{}{}", sandbox.url(), token_path());
    let answer = through(proxy).get(url).send().await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

#[tokio::test]
async fn the_second_host_serves_the_same_wechat_and_either_can_be_disabled() {
    let sandbox = sandbox().await;
    let second = sandbox.second_host().await.unwrap();
    let state = |url: String| async move {
        let answer = client().get(format!("{url}/sandbox/state")).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    };
    let token = format!("{}{}", second.url(), token_path());
    assert_eq!(client().get(&token).send().await.unwrap().status(), 200);
    assert_eq!((sandbox.calls("/cgi-bin/token"), second.calls()), (1, 1));
    assert_eq!(sandbox.host().calls(), 0);
    for host in [sandbox.host(), &second] {
        host.set_reachable(false).await.unwrap();
        let refused = client().get(host.url()).send().await.unwrap_err();
        assert!(refused.is_connect(), "{refused:?}");
        host.set_reachable(true).await.unwrap();
        assert_eq!(state(host.url()).await, Some(200), "at the same address");
    }
    assert_eq!(sandbox.second_host().await.unwrap().url(), second.url());
}

#[tokio::test]
async fn hosts_are_controlled_over_http_and_none_can_disable_itself() {
    let sandbox = sandbox().await;
    let api2 = order(&sandbox, "/sandbox/hosts", json!({ "name": "api2" })).await;
    let url = api2["url"].as_str().unwrap();
    assert_eq!(
        get(&sandbox, "/sandbox/hosts").await,
        json!({ "hosts": [
            { "name": "api", "url": sandbox.url(), "reachable": true, "calls": 0 },
            { "name": "api2", "url": url, "reachable": true, "calls": 0 },
        ] })
    );
    let off = json!({ "name": "api", "reachable": false });
    let (status, answer) = steer(
        sandbox.url(),
        reqwest::Method::POST,
        "/sandbox/hosts",
        off.clone(),
    )
    .await;
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("other one"));
    let (_, answer) = steer(url, reqwest::Method::POST, "/sandbox/hosts", off).await;
    assert_eq!(answer["reachable"], false);
    assert!(client().get(sandbox.url()).send().await.is_err());
    let on = json!({ "name": "api" });
    let (_, answer) = steer(url, reqwest::Method::POST, "/sandbox/hosts", on).await;
    assert_eq!(answer["reachable"], true);
    get(&sandbox, "/sandbox/state").await;
    for bad in [json!({ "name": "api3" }), json!({}), json!([])] {
        let (status, _) = steer(url, reqwest::Method::POST, "/sandbox/hosts", bad).await;
        assert_eq!(status, 400);
    }
}

#[tokio::test]
async fn proxies_are_started_and_changed_over_http() {
    let sandbox = sandbox_with(app().allow_ips(["203.0.113.7"])).await;
    for kind in ["http", "socks5"] {
        let order_for =
            json!({ "kind": kind, "user": "u", "password": "p:w", "egress": "203.0.113.7" });
        let state = order(&sandbox, "/sandbox/proxies", order_for).await;
        let (url, port) = (state["url"].as_str().unwrap(), &state["port"]);
        let with = url.replace("://", "://u:p%3Aw@");
        let (status, body) = token(&sandbox, &with).await.unwrap();
        assert!(status == 200 && body.contains("access_token"), "{body}");
        order(
            &sandbox,
            "/sandbox/proxies",
            json!({ "port": port, "egress": "2001:db8::7" }),
        )
        .await;
        let (_, body) = token(&sandbox, &with).await.unwrap();
        assert!(
            body.contains("40164") && body.contains("2001:db8::7"),
            "{body}"
        );
        let deny = json!({ "port": port, "rule": "deny" });
        order(&sandbox, "/sandbox/proxies", deny).await;
        match token(&sandbox, &with).await {
            Ok((status, _)) => assert_eq!((kind, status), ("http", 403)),
            Err(error) => assert!(kind == "socks5" && error.is_connect(), "{error:?}"),
        }
    }
    let states = get(&sandbox, "/sandbox/proxies").await;
    assert_eq!(states["proxies"].as_array().unwrap().len(), 2);
    assert!(!states.to_string().contains("p:w"));
    for bad in [
        json!({ "kind": "ftp" }),
        json!({ "port": 1 }),
        json!({ "kind": "http", "port": 1 }),
        json!({ "kind": "http", "password": "p" }),
        json!({ "kind": "http", "egress": "x" }),
    ] {
        let path = "/sandbox/proxies";
        let (status, _) = steer(sandbox.url(), reqwest::Method::POST, path, bad.clone()).await;
        assert_eq!(status, 400, "{bad}");
    }
    let url = states["proxies"][0]["url"].as_str().unwrap();
    steer(
        sandbox.url(),
        reqwest::Method::DELETE,
        "/sandbox/proxies",
        json!(null),
    )
    .await;
    assert!(token(&sandbox, url).await.is_err());
}

#[tokio::test]
async fn a_proxy_connects_to_this_machine_only() {
    let sandbox = sandbox().await;
    let (http, socks) = (
        sandbox.http_proxy(None).await.unwrap(),
        sandbox.socks5_proxy(None).await.unwrap(),
    );
    let socks_url = socks.url().replace("socks5:", "socks5h:");
    for target in [
        "http://192.0.2.1/",
        "http://example.com/",
        "http://0.0.0.0/",
    ] {
        let answer = through(&http.url()).get(target).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{target}");
        let refused = through(&socks_url).get(target).send().await.unwrap_err();
        let cause = format!("{refused:?}");
        assert!(cause.contains("ConnectionNotAllowed"), "{cause}");
    }
    for target in ["http://[::1]:1/", "http://127.9.9.9:1/", "http://x.test:1/"] {
        let answer = through(&http.url()).get(target).send().await.unwrap();
        assert_eq!(
            answer.status(),
            502,
            "{target}: allowed, but no server listens"
        );
    }
}

#[tokio::test]
async fn a_body_of_megabytes_passes_a_proxy_both_ways() {
    let sandbox = sandbox().await;
    let proxy = sandbox.http_proxy(None).await.unwrap();
    let url = format!("{}/cgi-bin/stable_token", sandbox.url());
    let padded = format!("{}{}", " ".repeat(200_000), stable_body(false));
    let request = through(&proxy.url()).post(&url).body(padded);
    let answer = request.send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("access_token"), "{answer}");
    let huge = wx_jssdk::sandbox::FaultKind::HugeBody;
    sandbox.fault(wx_jssdk::sandbox::Fault::once(
        "/cgi-bin/stable_token",
        huge,
    ));
    let answer = through(&proxy.url()).post(&url).send().await.unwrap();
    assert!(answer.bytes().await.unwrap().len() > 8 * 1024 * 1024);
    proxy.set_rule(ProxyRule::Fail);
    let answer = through(&proxy.url()).post(&url).send().await.unwrap();
    assert_eq!(answer.status(), 502);
}
