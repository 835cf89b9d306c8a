//! The signing scope in each web framework: the same requests get the same answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use axum::extract::State;
use serde_json::Value;
use tokio::net::TcpListener;
use wx_jssdk::endpoint::{ClientIps, RateLimit};
use wx_jssdk::sandbox::{self, Sandbox};
use wx_jssdk::{Account, Broker, Clock, UpstreamOptions};

use crate::app::START;
use crate::common::http::{self, Answer, Request};

const PAGE: &str = "/jssdk/config?url=https%3A%2F%2Fexample.com%2F%3Fa%3D1";
const SCRIPT: &str = "/jssdk/wx-jssdk.js";

type Headers = &'static [(&'static str, &'static str)];

const SAFE: (&str, &str) = ("Origin", "https://shop.example.com");
const OTHER: (&str, &str) = ("Origin", "https://example.org");
const ASKS: (&str, &str) = ("Access-Control-Request-Headers", "x-a, x-b");
const EMPTY: (&str, &str) = ("Content-Length", "0");

/// Query and status of `GET /jssdk/…`, each without an origin, from a safe domain and from another site.
const READS: &[(&str, u16)] = &[
    ("config?url=https%3A%2F%2Fexample.com%2F%3Fa%3D1", 200),
    (
        "config?url=https%3A%2F%2Fexample.com&jsApiList=scanQRCode&debug=true",
        200,
    ),
    ("config?url=https%3A%2F%2Fexample.com&jsapilist=a", 200),
    ("config?url=https%3A%2F%2Fexample.com%2F%22%5C", 200),
    ("config?url=https%3A%2F%2Fexample.com&account=crm", 403),
    ("config?url=https%3A%2F%2Fexample.org", 403),
    ("config?url=https%3A%2F%2Fexample.com&account=none", 404),
    ("config?url=https%3A%2F%2Fexample.com&account=down", 502),
    ("config", 400),
    ("config?", 400),
    ("config?url=https://example.com/?a=1&b=2", 400),
    ("config?url=https%3A%2F%2Fexample.com&url=a", 400),
    ("config?url=https%3A%2F%2Fexample.com%2F%E4%B8%AD", 400),
    ("config?url=%FF", 400),
    ("agent-config?url=https%3A%2F%2Fexample.com", 404),
    (
        "agent-config?url=https%3A%2F%2Fwork.example.com&account=crm",
        200,
    ),
    (
        "work-config?url=https%3A%2F%2Fwork.example.com&account=crm",
        200,
    ),
    ("work-config", 400),
    ("card-ext?cardId=p1&code=7&openid=o&outer_str=s", 200),
    ("card-ext", 400),
    ("choose-card?cardType=CASH", 200),
    ("choose-card?account=crm", 404),
    ("wx-jssdk.js", 200),
    ("wx-jssdk.js?v=3", 200),
    ("wx-jssdk.d.ts", 200),
    ("wx-jssdk.ts", 404),
    ("config/", 404),
    ("config/x", 404),
    ("Config", 404),
];

/// Other requests.
const OTHERS: &[(&str, &str, Headers, u16)] = &[
    ("GET", "/jssdk", &[], 404),
    ("GET", "/jssdk", &[OTHER], 404),
    ("OPTIONS", PAGE, &[], 204),
    ("OPTIONS", PAGE, &[SAFE], 204),
    ("OPTIONS", PAGE, &[SAFE, ASKS], 204),
    ("OPTIONS", PAGE, &[OTHER, ASKS], 204),
    ("OPTIONS", "/jssdk/card-ext?account=none", &[SAFE], 204),
    ("OPTIONS", "/jssdk/nothing", &[SAFE], 404),
    ("OPTIONS", SCRIPT, &[SAFE], 405),
    ("POST", PAGE, &[EMPTY], 405),
    ("POST", PAGE, &[EMPTY, SAFE], 405),
    ("DELETE", "/jssdk/choose-card", &[OTHER], 405),
    ("TRACE", "/jssdk/work-config", &[], 405),
    ("POST", SCRIPT, &[EMPTY, OTHER], 405),
    ("POST", "/jssdk/nothing", &[EMPTY], 404),
    ("GET", SCRIPT, &[("If-None-Match", "*")], 304),
    ("GET", SCRIPT, &[("If-None-Match", "\"x\", W/\"y\"")], 200),
    ("GET", SCRIPT, &[("If-None-Match", "")], 200),
];

/// The headers that must be the same.
const HEADERS: &[&str] = &[
    "content-type",
    "content-length",
    "cache-control",
    "allow",
    "vary",
    "etag",
    "retry-after",
    "x-content-type-options",
    "cross-origin-resource-policy",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "access-control-max-age",
];

#[tokio::test]
async fn actix_and_axum_answer_reads_alike() {
    let servers = Servers::start().await;
    for (query, status) in READS {
        let target = format!("/jssdk/{query}");
        for headers in [&[][..], &[SAFE], &[OTHER]] {
            servers.compare("GET", &target, headers, *status).await;
            servers.compare("HEAD", &target, headers, *status).await;
        }
    }
}

#[tokio::test]
async fn actix_and_axum_answer_other_methods_and_paths_alike() {
    let servers = Servers::start().await;
    for (method, target, headers, status) in OTHERS {
        servers.compare(method, target, headers, *status).await;
    }
}

#[tokio::test]
async fn actix_and_axum_let_the_same_origins_read() {
    let servers = Servers::start().await;
    let refused = "/jssdk/config?url=https%3A%2F%2Fexample.org";
    for origin in [
        "http://example.com",
        "https://example.com:8443",
        "https://example.com:443",
        "https://EXAMPLE.com",
        "https://example.com.",
        "https://bücher.example.com",
        "https://work.example.com",
        "null",
        "*",
        "",
    ] {
        for (target, status) in [(PAGE, 200), (refused, 403)] {
            let headers = [("Origin", origin)];
            servers.compare("GET", target, &headers, status).await;
            servers.compare("OPTIONS", target, &headers, 204).await;
        }
    }
}

#[tokio::test]
async fn both_adapters_sign_pages_that_the_client_accepts() {
    let servers = Servers::start().await;
    for address in servers.both() {
        let config = send(address, http::get(PAGE)).await.ok();
        let page = sandbox::PreVerify {
            url: "https://example.com/?a=1".to_owned(),
            ..serde_json::from_value(config).unwrap()
        };
        let verdict = servers.wechat.verify(&page);
        assert!(verdict.is_ok(), "{verdict:?}");
    }
}

#[tokio::test]
async fn both_adapters_answer_304_to_a_matching_etag() {
    let servers = Servers::start().await;
    for address in servers.both() {
        let answer = send(address, http::get(SCRIPT)).await;
        let tag = answer.header("etag").unwrap();
        for tag in [tag.to_owned(), format!("W/{tag}"), format!("\"a\", {tag}")] {
            let answer = send(address, http::get(SCRIPT).header("If-None-Match", &tag)).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{tag}");
        }
    }
}

#[tokio::test]
async fn both_adapters_rate_limit_clients_behind_a_trusted_proxy() {
    let servers = Servers::start().await;
    let client: Headers = &[("X-Forwarded-For", "203.0.113.9")];
    servers.compare("POST", PAGE, client, 405).await;
    servers.compare("GET", SCRIPT, client, 200).await;
    servers.compare("GET", PAGE, client, 200).await;
    servers.compare("GET", PAGE, client, 429).await;
    let choose = "/jssdk/choose-card";
    let headers = [client[0], SAFE];
    servers.compare("GET", choose, &headers, 429).await;
    servers.compare("GET", SCRIPT, client, 200).await;
    let other: Headers = &[("X-Forwarded-For", "203.0.113.9, 203.0.113.10")];
    servers.compare("GET", choose, other, 200).await;
}

#[tokio::test]
async fn the_axum_router_nests_in_an_application_with_a_state() {
    async fn verify_file(
        State(broker): State<Broker>,
        uri: axum::http::Uri,
    ) -> Result<String, axum::http::StatusCode> {
        let accounts = broker.accounts();
        let text = accounts
            .verify_file(uri.path())
            .map(|text| text.to_string());
        text.ok_or(axum::http::StatusCode::NOT_FOUND)
    }
    let account = Account::official("wx0123456789abcdef", "s");
    let account = account.js_safe_domain("example.com").unwrap();
    let account = account
        .verify_file("MP_verify_0123456789abcdef.txt", "0123456789abcdef")
        .unwrap();
    let broker = Broker::builder().account("main", account).build().unwrap();
    let app = axum::Router::new()
        .nest("/jssdk", wx_jssdk::axum::public_router(broker.clone()))
        .fallback(verify_file)
        .with_state(broker);
    let address = serve_axum(app).await;
    let file = send(address, http::get("/MP_verify_0123456789abcdef.txt")).await;
    assert_eq!((file.status, file.text.as_str()), (200, "0123456789abcdef"));
    assert_eq!(send(address, http::get(SCRIPT)).await.status, 200);
    assert_eq!(send(address, http::get("/jssdk/config")).await.status, 400);
    assert_eq!(send(address, http::get("/elsewhere")).await.status, 404);
}

#[tokio::test]
async fn both_adapters_name_the_methods_that_each_path_answers() {
    let servers = Servers::start().await;
    for address in servers.both() {
        for (target, allow) in [(PAGE, "GET, HEAD, OPTIONS"), (SCRIPT, "GET, HEAD")] {
            let answer = send(address, Request::new("DELETE", target)).await;
            assert_eq!(answer.header("allow"), Some(allow), "{target}");
        }
    }
}

/// Both adapters with one broker. Requests with `X-Forwarded-For` are limited to one a second.
struct Servers {
    actix: SocketAddr,
    axum: SocketAddr,
    wechat: Sandbox,
}

impl Servers {
    async fn start() -> Self {
        let clock = Clock::manual(START);
        let wechat = Sandbox::start(clock.clone()).await.unwrap();
        wechat
            .add_app(sandbox::App::official("wx0123456789abcdef", "s").safe_domain("example.com"));
        wechat.add_app(
            sandbox::App::work("ww0123456789abcdef", 7, "s").safe_domain("work.example.com"),
        );
        let broker = broker(&wechat, &clock);
        // Both then answer from the same cached failure.
        let _ = broker
            .credential("down", wx_jssdk::Kind::JsapiTicket)
            .await
            .unwrap_err();
        let limit = || {
            let proxies = ClientIps::new(vec!["127.0.0.0/8".parse().unwrap()], "x-forwarded-for");
            RateLimit::new(1, 1, Arc::new(proxies), clock.clone())
        };
        Self {
            actix: start_actix(broker.clone(), limit()),
            axum: start_axum(broker, limit()).await,
            wechat,
        }
    }

    fn both(&self) -> [SocketAddr; 2] {
        [self.actix, self.axum]
    }

    /// Sends the request to both and compares status, headers and body.
    async fn compare(&self, method: &str, target: &str, headers: &[(&str, &str)], status: u16) {
        let request = || Request::new(method, target).headers(headers);
        let actix = send(self.actix, request()).await;
        let axum = send(self.axum, request()).await;
        let case = format!("{method} {target} {headers:?}\n{actix:#?}\n{axum:#?}");
        assert_eq!((actix.status, axum.status), (status, status), "{case}");
        for name in HEADERS {
            assert_eq!(axum.header(name), actix.header(name), "{name} of {case}");
        }
        assert_eq!(comparable(&axum), comparable(&actix), "{case}");
    }
}

fn broker(wechat: &Sandbox, clock: &Clock) -> Broker {
    let main = Account::official("wx0123456789abcdef", "s");
    let down = Account::official("wxffffffffffffffff", "s");
    let crm = Account::work("ww0123456789abcdef", 7, "s");
    let upstream = UpstreamOptions {
        timeout: Duration::from_secs(60),
        ..UpstreamOptions::at(wechat.url())
    };
    Broker::builder()
        .account("main", main.js_safe_domain("example.com").unwrap())
        .account("down", down.js_safe_domain("example.com").unwrap())
        .account("crm", crm.js_safe_domain("work.example.com").unwrap())
        .default_account("main")
        .upstream(upstream)
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn start_actix(broker: Broker, limit: RateLimit) -> SocketAddr {
    let limit = web::Data::new(limit);
    let scope = move || {
        let scope = wx_jssdk::actix::public_scope("/jssdk", broker.clone());
        App::new().app_data(limit.clone()).service(scope)
    };
    let server = HttpServer::new(scope)
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn start_axum(broker: Broker, limit: RateLimit) -> SocketAddr {
    let scope = wx_jssdk::axum::public_router(broker).layer(axum::Extension(Arc::new(limit)));
    serve_axum(axum::Router::new().nest("/jssdk", scope)).await
}

async fn serve_axum(app: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Returns the body without what differs between any two signatures.
fn comparable(answer: &Answer) -> Value {
    let Ok(mut body) = serde_json::from_str(&answer.text) else {
        return answer.text.clone().into();
    };
    blank(&mut body);
    body
}

fn blank(value: &mut Value) {
    let Some(members) = value.as_object_mut() else {
        return;
    };
    for (name, value) in members {
        match name.as_str() {
            "nonceStr" | "nonce_str" | "signature" | "cardSign" => *value = "…".into(),
            // JSON in a text.
            "cardExt" => {
                let mut text = serde_json::from_str(value.as_str().unwrap_or("")).unwrap();
                blank(&mut text);
                *value = text;
            }
            _ => blank(value),
        }
    }
}

async fn send(address: SocketAddr, request: Request) -> Answer {
    http::send(address, request.close().text()).await
}
