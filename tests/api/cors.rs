//! CORS: only pages on the accounts' safe domains may read the answers.

use crate::app::*;
use crate::common::http;

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F";

async fn allowed_origin(app: &TestApp, target: &str, origin: &str) -> Option<String> {
    let answer = app.request("GET", target, &[("Origin", origin)]).await;
    assert_eq!(
        answer.header("vary"),
        Some("Origin"),
        "caches must keep the answers separate"
    );
    answer
        .header("access-control-allow-origin")
        .map(str::to_owned)
}

#[tokio::test]
async fn pages_on_a_safe_domain_may_read_the_answer() {
    let app = spawn_app().await;
    for origin in [
        "https://example.com",
        "http://example.com",
        "https://shop.example.com",
        "https://a.b.example.com",
        "https://example.com:8443",
        "http://m.example.com:3000",
    ] {
        assert_eq!(
            allowed_origin(&app, PAGE, origin).await.as_deref(),
            Some(origin)
        );
    }
}

#[tokio::test]
async fn pages_elsewhere_may_not() {
    let app = spawn_app().await;
    for origin in [
        "null",
        "https://evil.com",
        "https://evilexample.com",
        "https://example.com.evil.com",
        "https://example.com.",
        "https://example.com@evil.com",
        "https://evil.com/example.com",
        "https://evil.com#example.com",
        "file://",
        "file://example.com",
        "ftp://example.com",
        "chrome-extension://example.com",
        "example.com",
        "*",
        "",
        "https://",
        "https://com",
        // Allowed hosts, but not in the form that browsers send.
        "https://example.com/",
        "https://EXAMPLE.com",
        "HTTPS://example.com",
        "https://example.com:443",
        "http://example.com:80",
        "https://example.com:08443",
        "https://user@example.com",
        "https://example.com?",
        "https://example.com#",
        "https:example.com",
        "https:///example.com",
        "https://example.com https://shop.example.com",
    ] {
        assert_eq!(allowed_origin(&app, PAGE, origin).await, None, "{origin}");
    }
}

#[tokio::test]
async fn an_origin_in_raw_bytes_is_not_allowed() {
    let app = spawn_app().await;
    let request = http::get(PAGE).header("Origin", "https://RAW.example.com");
    let bytes = http::with_bytes(&request.close().text(), "RAW", b"\xff");
    let answer = app.send(&bytes).await;
    assert_eq!(
        answer.header("access-control-allow-origin"),
        None,
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_request_without_an_origin_gets_no_cors_header() {
    let app = spawn_app().await;
    let answer = app.get(PAGE).await;
    assert!(
        !answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("access-control-")),
        "{answer:?}"
    );
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn errors_can_be_read_across_origins_too() {
    let app = spawn_against(|sandbox| {
        sandbox.fault(wx_jssdk::sandbox::Fault::always(
            TOKEN_CALL,
            wx_jssdk::sandbox::FaultKind::Errcode(-1),
        ));
    })
    .await;
    const SHOP: &str = "https://shop.example.com";
    for (target, status, allowed) in [
        ("/jssdk/config", 400, SHOP),
        ("/jssdk/config?url=https://example.com/?a=1&b=2", 400, SHOP),
        ("/jssdk/config?url=https%3A%2F%2Fevil.com", 403, SHOP),
        (
            "/jssdk/config?url=https%3A%2F%2Fa.cn&account=gone",
            404,
            "*",
        ),
        (PAGE, 503, SHOP),
    ] {
        let answer = app.request("GET", target, &[("Origin", SHOP)]).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(allowed),
            "{target}"
        );
        assert_eq!(answer.header("vary"), Some("Origin"), "{target}");
        let exposed = answer.header("access-control-expose-headers");
        assert_eq!(
            exposed,
            Some("Retry-After"),
            "the page may read when to ask again"
        );
    }
}

#[tokio::test]
async fn a_wrong_method_can_be_read_across_origins_too() {
    let app = spawn_app().await;
    let answer = app
        .request("DELETE", PAGE, &[("Origin", "https://example.com")])
        .await;
    answer.assert_problem(405, "method_not_allowed");
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://example.com")
    );
}

#[tokio::test]
async fn a_preflight_allows_get_with_the_headers_it_asks_for() {
    let app = spawn_app().await;
    let headers = [
        ("Origin", "https://shop.example.com"),
        ("Access-Control-Request-Method", "GET"),
        (
            "Access-Control-Request-Headers",
            "x-requested-with, authorization",
        ),
    ];
    let answer = app.request("OPTIONS", PAGE, &headers).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("https://shop.example.com")
    );
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("x-requested-with, authorization")
    );
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[tokio::test]
async fn a_preflight_from_elsewhere_allows_nothing() {
    let app = spawn_app().await;
    let headers = [
        ("Origin", "https://evil.com"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let answer = app.request("OPTIONS", PAGE, &headers).await;
    assert_eq!(answer.status, 204);
    assert!(
        !answer
            .headers
            .iter()
            .any(|(name, _)| name.starts_with("access-control-")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_preflight_for_an_unknown_account_lets_any_page_read_the_error() {
    let app = spawn_app().await;
    let headers = [
        ("Origin", "https://evil.com"),
        ("Access-Control-Request-Headers", "x-requested-with"),
    ];
    let target = format!("{PAGE}&account=gone");
    let answer = app.request("OPTIONS", &target, &headers).await;
    let header = |name| answer.header(name);
    assert_eq!(header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        header("access-control-allow-headers"),
        Some("x-requested-with")
    );
    assert_eq!(header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_preflight_makes_no_upstream_call() {
    let app = spawn_app().await;
    app.get(PAGE).await.ok();
    let before = app.sandbox.calls_total();
    app.request("OPTIONS", PAGE, &[("Origin", "https://example.com")])
        .await;
    assert_eq!(app.sandbox.calls_total(), before);
}

/// Two accounts with a host each; the first is the default.
const TWO: &str = r#"
[server]
default_account = "shop"
[accounts.shop]
app_id = "wxaaaaaaaaaaaaaaaa"
secret = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
js_safe_domains = ["shop.cn"]
[accounts.news]
app_id = "wxbbbbbbbbbbbbbbbb"
secret = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
js_safe_domains = ["news.cn"]
"#;

async fn spawn_two() -> TestApp {
    use wx_jssdk::sandbox::App;
    spawn(TWO, |sandbox| {
        sandbox.add_app(App::official("wxaaaaaaaaaaaaaaaa", "a".repeat(32)).safe_domain("shop.cn"));
        sandbox.add_app(App::official("wxbbbbbbbbbbbbbbbb", "b".repeat(32)).safe_domain("news.cn"));
    })
    .await
}

#[tokio::test]
async fn the_requested_account_decides_which_origins_may_read() {
    let app = spawn_two().await;
    let news = "/jssdk/config?account=news&url=https%3A%2F%2Fnews.cn%2F";
    assert_eq!(
        allowed_origin(&app, news, "https://news.cn")
            .await
            .as_deref(),
        Some("https://news.cn")
    );
    assert_eq!(allowed_origin(&app, news, "https://shop.cn").await, None);
    let default = "/jssdk/config?url=https%3A%2F%2Fshop.cn%2F";
    assert_eq!(
        allowed_origin(&app, default, "https://shop.cn")
            .await
            .as_deref(),
        Some("https://shop.cn")
    );
    assert_eq!(allowed_origin(&app, default, "https://news.cn").await, None);
}

#[tokio::test]
async fn the_requested_account_decides_for_bad_requests_too() {
    let app = spawn_two().await;
    for query in [
        "account=news",
        "account=news&url=null",
        "account=news&url=https%3A%2F%2Fnews.cn&url=x",
        "account=news&debug=x&url=https%3A%2F%2Fnews.cn",
    ] {
        let target = format!("/jssdk/config?{query}");
        assert_eq!(
            allowed_origin(&app, &target, "https://news.cn")
                .await
                .as_deref(),
            Some("https://news.cn"),
            "{query}"
        );
        // An error contains no secret, and says more than the browser's own message.
        assert_eq!(
            allowed_origin(&app, &target, "https://shop.cn")
                .await
                .as_deref(),
            Some("*"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn pages_of_any_site_may_read_only_why_they_are_refused() {
    let app = spawn_app().await;
    for (target, status, readable) in [
        ("/jssdk/config?url=https%3A%2F%2Fevil.com", 403, true),
        ("/jssdk/no-such-path", 404, true),
        ("/no-such-path", 404, true),
        (PAGE, 200, false),
    ] {
        let answer = app
            .request("GET", target, &[("Origin", "https://evil.com")])
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, readable.then_some("*"), "{target}");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}
