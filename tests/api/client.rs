//! The client script and its types, as a page or a compiler fetches them.

use actix_web::App;
use actix_web::test::{TestRequest, call_and_read_body, init_service};
use wx_jssdk::account::Account;
use wx_jssdk::actix::public_scope;
use wx_jssdk::broker::Broker;

use crate::app::*;

const SCRIPT: &str = include_str!("../../static/client/wx-jssdk.js");
const TYPES: &str = include_str!("../../static/client/wx-jssdk.d.ts");

#[tokio::test]
async fn the_script_and_its_types_are_served_with_their_types() {
    let app = spawn_app().await;
    for (path, content_type, text) in [
        (
            "/jssdk/wx-jssdk.js",
            "text/javascript; charset=utf-8",
            SCRIPT,
        ),
        ("/jssdk/wx-jssdk.d.ts", "text/plain; charset=utf-8", TYPES),
    ] {
        let answer = app.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "a module is fetched by CORS rules"
        );
        assert!(answer.text == text, "{path} is the file, byte for byte");
    }
}

#[tokio::test]
async fn a_cached_script_is_answered_304_without_a_body() {
    let app = spawn_app().await;
    let tags: Vec<String> = tags_of(&app, ["/jssdk/wx-jssdk.js", "/jssdk/wx-jssdk.d.ts"]).await;
    assert_ne!(tags[0], tags[1]);
    for (known, status) in [
        (tags[0].as_str(), 304),
        ("*", 304),
        (tags[1].as_str(), 200),
        ("\"other\"", 200),
    ] {
        let answer = app
            .request("GET", "/jssdk/wx-jssdk.js", &[("If-None-Match", known)])
            .await;
        assert_eq!(
            (answer.status, answer.text.is_empty()),
            (status, status == 304),
            "{known}"
        );
        assert_eq!(answer.header("etag"), Some(tags[0].as_str()), "{known}");
    }
}

async fn tags_of(app: &TestApp, paths: [&str; 2]) -> Vec<String> {
    let mut tags = Vec::new();
    for path in paths {
        tags.push(
            app.get(path)
                .await
                .header("etag")
                .expect("an ETag")
                .to_owned(),
        );
    }
    tags
}

#[tokio::test]
async fn a_version_in_the_query_changes_nothing() {
    let app = spawn_app().await;
    assert!(app.get("/jssdk/wx-jssdk.js?v=3").await.text == SCRIPT);
}

#[tokio::test]
async fn the_script_accepts_only_get_and_head() {
    let app = spawn_app().await;
    let head = app.request("HEAD", "/jssdk/wx-jssdk.js", &[]).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(
        head.header("content-length"),
        Some(SCRIPT.len().to_string().as_str())
    );
    let refused = app
        .request("POST", "/jssdk/wx-jssdk.js", &[("Content-Length", "0")])
        .await;
    refused.assert_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn an_embedded_scope_serves_it_at_any_path() {
    let account = Account::official("wx0123456789abcdef", "secret")
        .js_safe_domain("example.com")
        .unwrap();
    let broker = Broker::builder().account("main", account).build().unwrap();
    let app = init_service(App::new().service(public_scope("/a/deep/er/path", broker))).await;
    let request = TestRequest::get()
        .uri("/a/deep/er/path/wx-jssdk.js")
        .to_request();
    let body = call_and_read_body(&app, request).await;
    assert!(body == SCRIPT.as_bytes());
}

#[test]
fn the_script_contains_only_the_default_path_of_this_server() {
    assert!(
        SCRIPT
            .lines()
            .filter(|line| line.contains("/jssdk/"))
            .count()
            <= 3,
        "it finds the scope by its own address"
    );
    assert!(
        !SCRIPT.contains("import.meta") && !SCRIPT.contains("\nexport "),
        "a classic script must be able to read it"
    );
}
