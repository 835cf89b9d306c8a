//! HTTP behaviour of the endpoint: methods, paths, headers of proxies.

use crate::app::*;
use crate::common::http;

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";

#[tokio::test]
async fn a_wrong_method_is_told_the_allowed_ones() {
    let app = spawn_app().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
        let answer = app.request(method, PAGE, &[("Content-Length", "0")]).await;
        answer.assert_problem(405, "method_not_allowed");
        assert_eq!(
            answer.header("allow"),
            Some("GET, HEAD, OPTIONS"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let app = spawn_app().await;
    let (head, get) = (app.request("HEAD", PAGE, &[]).await, app.get(PAGE).await);
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in ["content-type", "cache-control", "content-length", "vary"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    let refused = app.request("HEAD", "/jssdk/config", &[]).await;
    assert_eq!((refused.status, refused.text.as_str()), (400, ""));
}

#[tokio::test]
async fn an_unknown_path_says_where_the_endpoint_is() {
    let app = spawn_app().await;
    for path in [
        "/jssdk",
        "/jssdk/",
        "/jssdk/config/",
        "/jssdk/Config",
        "/jssdk/nothing",
        "/nothing",
        "/",
        "/cgi-bin/token",
        "/sandbox/state",
    ] {
        let answer = app.get(path).await;
        let problem = answer.assert_problem(404, "not_found");
        assert!(
            text(&problem["hint"], "en").contains("/jssdk/config"),
            "{path}: {problem}"
        );
    }
}

#[tokio::test]
async fn headers_added_by_a_proxy_do_not_change_the_answer() {
    let app = spawn_app().await;
    for headers in [
        &[("Host", "evil.com")][..],
        &[
            ("Host", "example.com"),
            ("X-Forwarded-Host", "evil.com"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Port", "81"),
        ],
        &[
            ("Forwarded", "for=1.2.3.4;host=evil.com;proto=http"),
            ("X-Forwarded-For", "1.2.3.4"),
            ("X-Real-IP", "1.2.3.4"),
        ],
        &[
            ("X-Forwarded-Prefix", "/sub"),
            ("X-Original-URL", "/admin"),
            ("X-Rewrite-URL", "/admin"),
        ],
        &[
            ("Referer", "https://evil.com/page"),
            ("User-Agent", "MicroMessenger/8.0"),
            ("Cookie", "a=b"),
        ],
        &[("Accept", "text/html"), ("Accept-Encoding", "gzip, br")],
    ] {
        let answer = app
            .request(
                "GET",
                "/jssdk/config?url=https%3A%2F%2Fexample.com%2Fp%23x",
                headers,
            )
            .await;
        let config = answer.ok();
        assert_eq!(text(&config, "url"), "https://example.com/p");
        assert!(
            app.verdict(&config, "https://example.com/p").is_ok(),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn no_header_replaces_the_url_parameter() {
    let app = spawn_app().await;
    let headers = [
        ("Referer", "https://example.com/page"),
        ("Origin", "https://example.com"),
    ];
    app.request("GET", "/jssdk/config", &headers)
        .await
        .assert_problem(400, "missing_url");
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let app = spawn_app().await;
    let requests = http::get(PAGE).text().repeat(2) + &http::get(PAGE).close().text();
    let answer = app.send(requests.as_bytes()).await;
    assert_eq!(answer.text.matches(http::OK).count() + 1, 3, "{answer:?}");
}

#[tokio::test]
async fn healthz_is_200_whatever_wechat_answers() {
    let app = spawn_against(|sandbox| {
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            TOKEN_CALL,
            wx_jssdk::sandbox::FaultKind::Errcode(40013),
        ));
    })
    .await;
    app.config("https://example.com/")
        .await
        .assert_problem(502, "account_misconfigured");
    let answer = app.get("/healthz").await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    app.sandbox.stop().await;
    assert_eq!(app.get("/healthz").await.status, 200);
    assert_eq!(app.request("HEAD", "/healthz", &[]).await.status, 200);
}
