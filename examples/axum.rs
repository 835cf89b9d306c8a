//! Adds signing under `/jssdk` to an existing axum application.
//!
//! `cargo run --example axum --features axum` also starts a simulated WeChat and works in any browser. With `WX_APP_ID`, `WX_SECRET`
//! and `WX_DOMAIN` (`shop.example.com`) it signs with your account. `LISTEN=127.0.0.1:0` picks a free port.
#![allow(clippy::print_stdout)] // prints its address

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, header};
use axum::response::{Extension, Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use wx_jssdk::endpoint::{ClientIps, RateLimit};
use wx_jssdk::sandbox::{self, Sandbox};
use wx_jssdk::{Account, Broker, Clock, UpstreamOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (broker, wechat) = match env::var("WX_APP_ID") {
        Ok(app_id) => (
            signer(
                &app_id,
                env::var("WX_SECRET")?,
                &env::var("WX_DOMAIN")?,
                UpstreamOptions::default(),
            )?,
            None,
        ),
        Err(_) => simulated().await?,
    };
    tokio::spawn(broker.clone().keep_fresh());

    // Optional: at most 100 requests a second from each client. Name your proxies in place of 127.0.0.1.
    let proxies = ClientIps::new(vec!["127.0.0.1/32".parse()?], "x-forwarded-for");
    let limit = RateLimit::new(100, 100, Arc::new(proxies), Clock::system());
    let jssdk = wx_jssdk::axum::public_router(broker).layer(Extension(Arc::new(limit)));

    let app = Router::new()
        .route("/", get(Html(include_str!("embed.html")))) // the existing application
        .nest("/jssdk", jssdk)
        .merge(phone(wechat));
    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8090".to_owned());
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("http://{}/", listener.local_addr()?);
    // The rate limit needs the addresses of the clients.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// An account and its broker: this is what an embedder writes.
fn signer(
    app_id: &str,
    secret: String,
    domain: &str,
    upstream: UpstreamOptions,
) -> Result<Broker, Box<dyn Error>> {
    let account = Account::official(app_id, secret)
        .js_safe_domain(domain)?
        .js_api_list(["updateAppMessageShareData", "updateTimelineShareData"]);
    Ok(Broker::builder()
        .account("shop", account)
        .upstream(upstream)
        .build()?)
}

/// The same with the simulated WeChat.
async fn simulated() -> Result<(Broker, Option<Sandbox>), Box<dyn Error>> {
    let wechat = Sandbox::start(Clock::system()).await?;
    wechat.add_app(sandbox::App::official("wxshop", "secret").safe_domain("127.0.0.1"));
    let upstream = UpstreamOptions::at(wechat.url());
    Ok((
        signer("wxshop", "secret".to_owned(), "127.0.0.1", upstream)?,
        Some(wechat),
    ))
}

/// In the sandbox, a script simulates the phone and asks the page's origin to check the signature.
fn phone(wechat: Option<Sandbox>) -> Router {
    let script = match wechat {
        Some(_) => include_str!("../static/sandbox/wechat-client.js"),
        None => "",
    };
    let script = ([(header::CONTENT_TYPE, "text/javascript")], script);
    let check = async move |page: Bytes| check(wechat.as_ref(), &page);
    Router::new()
        .route("/phone.js", get(script))
        .route("/sandbox/pre-verify", post(check))
}

fn check(wechat: Option<&Sandbox>, page: &[u8]) -> Response {
    let verdict = wechat
        .zip(serde_json::from_slice(page).ok())
        .map(|(wechat, page)| serde_json::json!(wechat.verify(&page)));
    match verdict {
        Some(verdict) => verdict.to_string().into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}
