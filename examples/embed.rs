//! Adds signing under `/jssdk` to an existing actix-web application.
//!
//! `cargo run --example embed` also starts a simulated WeChat and works in any browser. With `WX_APP_ID`, `WX_SECRET` and `WX_DOMAIN`
//! (`shop.example.com`) it signs with your account. `LISTEN=127.0.0.1:0` picks a free port.
#![allow(clippy::print_stdout)] // prints its address

use std::env;
use std::error::Error;

use actix_web::{App, HttpResponse, HttpServer, web};
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

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8090".to_owned());
    let server = HttpServer::new(move || {
        App::new()
            .route("/", web::get().to(shop)) // the existing application
            .service(wx_jssdk::actix::public_scope("/jssdk", broker.clone()))
            .configure(|services| play_the_phone(services, wechat.as_ref()))
    })
    .bind(listen)?;
    for address in server.addrs() {
        println!("http://{address}/");
    }
    Ok(server.run().await?)
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

async fn shop() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .body(PAGE)
}

/// In the sandbox, a script simulates the phone and asks the page's origin to check the signature.
fn play_the_phone(services: &mut web::ServiceConfig, wechat: Option<&Sandbox>) {
    let script = if wechat.is_some() {
        include_str!("../static/sandbox/wechat-client.js")
    } else {
        ""
    };
    let phone = move || async move {
        HttpResponse::Ok()
            .content_type("text/javascript; charset=utf-8")
            .body(script)
    };
    services.route("/phone.js", web::get().to(phone));
    if let Some(wechat) = wechat {
        services.service(wechat.pre_verify_scope());
    }
}

const PAGE: &str = include_str!("embed.html");
