//! The library in another program: `docs/EMBEDDING.md`, whose code is compiled here, and the endpoints without an adapter.

#![allow(dead_code, unused_variables)] // most functions are only compiled

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use actix_web::web;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use wx_jssdk::actix::public_scope;
use wx_jssdk::endpoint::{ClientIps, Headers, RateLimit};
use wx_jssdk::{
    Account, Broker, Clock, JsConfig, Kind, PageUrl, Secret, Signer, UnixTime, UpstreamOptions,
};

use crate::common::http::{Request, send};

#[rustfmt::skip]
async fn in_actix(secret: String) -> Result<(), Box<dyn Error>> {
    use actix_web::{App, HttpServer};
    use wx_jssdk::{Account, Broker, Store};

    let account = Account::official("wx0123456789abcdef", secret)
        .js_safe_domain("example.com")?
        .js_api_list(["updateAppMessageShareData", "chooseImage"]); // empty by default
    let broker = Broker::builder().account("main", account).store(Store::file("wx-jssdk.redb")?).build()?;
    tokio::spawn(broker.clone().keep_fresh()); // refreshes ahead of time
    HttpServer::new(move || App::new().service(wx_jssdk::actix::public_scope("/jssdk", broker.clone())))
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}

#[rustfmt::skip]
fn limited(broker: Broker) -> Result<(), Box<dyn Error>> {
    use actix_web::{App, HttpServer};

    let proxies = ClientIps::new(vec!["127.0.0.1/32".parse()?], "x-forwarded-for");
    let limit = web::Data::new(RateLimit::new(100, 100, Arc::new(proxies), Clock::system())); // and a burst of 100
    let app = move || App::new().app_data(limit.clone()).service(public_scope("/jssdk", broker.clone()));
    drop(HttpServer::new(app));
    Ok(())
}

#[rustfmt::skip]
async fn in_axum(broker: Broker) -> Result<(), Box<dyn Error>> {
    let app = axum::Router::new().nest("/jssdk", wx_jssdk::axum::public_router(broker.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?; // a rate limit needs the clients' addresses
    Ok(())
}

#[rustfmt::skip]
fn with_a_state(broker: Broker) {
    let app = axum::Router::new().nest("/jssdk", wx_jssdk::axum::public_router(broker.clone()));
    async fn verify_file(State(broker): State<Broker>, uri: Uri) -> Result<String, StatusCode> {
        let accounts = broker.accounts();
        accounts.verify_file(uri.path()).map(|text| text.to_string()).ok_or(StatusCode::NOT_FOUND)
    }
    let app = app.fallback(verify_file).with_state(broker);
    drop::<axum::Router>(app);
}

#[rustfmt::skip]
async fn elsewhere(broker: Broker) {
    use wx_jssdk::endpoint; // endpoint::SIGNING has the paths

    let json = endpoint::answer(&broker, "/config", "url=https%3A%2F%2Fexample.com%2F").await; // Err: a Problem, to be answered as problem+json
}

#[rustfmt::skip]
async fn without_a_framework(broker: Broker, dead: Secret) -> Result<(), Box<dyn Error>> {
    let page = PageUrl::parse("https://example.com/page?a=1#route")?;
    let config: JsConfig = broker.js_config("main", &page).await?; // serialises to the argument of wx.config
    broker.reject("main", Kind::AccessToken, &dead).await?;        // WeChat answered 40001 to this token
    Ok(())
}

#[rustfmt::skip]
fn with_a_ticket(ticket: &str, page: PageUrl) {
    let config = Signer::new("wx0123456789abcdef", ticket).sign(&page, "Wm3WZYTPz0wzccnW", UnixTime(1414587457));
}

#[rustfmt::skip]
#[tokio::test]
async fn the_example_of_a_test_with_the_sandbox_passes() -> Result<(), Box<dyn Error>> {
    use wx_jssdk::sandbox::{App, PreVerify, Sandbox};

    let clock = Clock::manual(UnixTime(1_767_225_600)); // stands still; clock.advance(…) moves it
    let wechat = Sandbox::start(clock.clone()).await?;
    wechat.add_app(App::official("wx0123456789abcdef", "secret").safe_domain("example.com"));
    let account = Account::official("wx0123456789abcdef", "secret").js_safe_domain("example.com")?;
    let upstream = UpstreamOptions::at(wechat.url());
    let broker = Broker::builder().account("main", account).upstream(upstream).clock(clock).build()?;

    let page = PageUrl::parse("https://example.com/page")?;
    let config = serde_json::to_value(broker.js_config("main", &page).await?)?;
    let page: PreVerify = serde_json::from_value(config)?;
    assert!(wechat.verify(&page).is_ok()); // as a phone checks it
    Ok(())
}

/// Returns the Rust code of a document, block for block, without comments and indentation.
fn blocks(document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```rust\n").skip(1);
    let code = blocks.map(|block| plain(block.split("```").next().unwrap()));
    code.collect()
}

fn plain(code: &str) -> String {
    let lines = code.lines().map(|line| match line.split_once(" // ") {
        Some((code, _)) => code.trim(),
        None => line.trim(),
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_code_of_the_embedding_documents_compiles() {
    let compiled = plain(include_str!("embedding.rs"));
    let english = blocks("docs/EMBEDDING.md");
    assert_eq!(english.len(), 8);
    for block in &english {
        assert!(compiled.contains(block), "copy it to this file:\n{block}");
    }
    assert_eq!(blocks("docs/zh/EMBEDDING.md"), english);
}

#[tokio::test]
async fn a_scope_at_the_root_or_with_a_last_slash_has_its_endpoints() {
    use actix_web::{App, HttpServer};

    let account = Account::official("wx0123456789abcdef", "s");
    let broker = Broker::builder().account("main", account).build().unwrap();
    let scopes = move || {
        let [below, root] = ["/jssdk/", "/"].map(|path| public_scope(path, broker.clone()));
        App::new().service(below).service(root)
    };
    let server = HttpServer::new(scopes)
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    for (path, status) in [
        ("/jssdk/config", 400),
        ("/jssdk/wx-jssdk.js", 200),
        ("/config", 400),
        ("/wx-jssdk.js", 200),
        ("/unknown", 404),
    ] {
        let answer = send(address, Request::new("GET", path).close().text()).await;
        assert_eq!(answer.status, status, "{path}");
    }
}

#[test]
fn a_problem_is_an_answer_of_axum_although_it_is_one_of_actix_too() {
    use axum::response::{IntoResponse as _, Response};

    let problem = wx_jssdk::endpoint::Problem::from(wx_jssdk::PageError::Empty);
    let answer: Response = problem.into_response();
    assert_eq!(answer.status(), 400);
}

/// The request headers of another framework.
struct Tag(String);

impl Headers for Tag {
    fn values<'h>(&'h self, name: &str) -> impl DoubleEndedIterator<Item = &'h [u8]> {
        let tag = (name == "if-none-match").then_some(self.0.as_bytes());
        tag.into_iter()
    }
}

#[tokio::test]
async fn another_framework_can_serve_the_script_and_decide_who_may_read() {
    use wx_jssdk::endpoint::{SCRIPT, TYPES, account_of, client_has, may_read};

    let (main, shop) = (
        Account::official("wx0123456789abcdef", "s"),
        Account::official("wxfedcba9876543210", "s"),
    );
    let broker = Broker::builder()
        .account("main", main.js_safe_domain("example.com").unwrap())
        .account("shop", shop.js_safe_domain("example.org").unwrap())
        .default_account("main")
        .upstream(UpstreamOptions::at("http://127.0.0.1:9"))
        .build()
        .unwrap();
    let readers = |query: &str| {
        let account = account_of(query);
        ["https://example.com", "https://example.org"]
            .map(|origin| may_read(&broker, &account, origin))
    };
    assert_eq!(readers("url=a"), [true, false]);
    assert_eq!(readers("account=shop&url=a"), [false, true]);
    assert_eq!(readers("account=unknown"), [false, false]);
    for (file, content_type) in [
        (&SCRIPT, "text/javascript; charset=utf-8"),
        (&TYPES, "text/plain; charset=utf-8"),
    ] {
        assert_eq!(file.content_type, content_type);
        assert!(file.headers().contains(&("etag", &file.tag)));
        assert!(client_has(&Tag(file.tag.clone()), &file.tag));
        assert!(!client_has(&Tag("\"other\"".to_owned()), &file.tag));
    }
    assert!(SCRIPT.text.contains("window.wxJssdk"));
}
