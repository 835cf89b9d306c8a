//! The two listeners: what is mounted on which.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Response, Server, Service, ServiceFactory};
use actix_web::{App, HttpResponse, HttpServer, web};
use arc_swap::ArcSwap;

use super::config::Settings;
use super::pages::Pages;
use super::ready::{Readiness, readyz};
use super::start::StartError;
use crate::actix::{ApiKeys, Front, diagnose_resource, dropin_scope, private_scope, uncounted_scope, unknown_path};
use crate::broker::Broker;
use crate::sandbox::Sandbox;
use crate::sign::PageUrl;

/// A bound listener that is not yet serving.
pub(super) struct Listener {
    pub(super) server: Server,
    /// The real port where the configured one was 0.
    pub(super) address: SocketAddr,
}

/// What a page may call.
pub(super) fn public(settings: &Settings, broker: &Broker, sandbox: Option<&Sandbox>) -> Result<Listener, StartError> {
    let pages = (settings.server.demo || sandbox.is_some()).then(|| demo_pages(broker, sandbox.is_some()));
    let (scoped, sandbox) = (broker.clone(), sandbox.cloned());
    let services = move |services: &mut web::ServiceConfig| {
        services.service(uncounted_scope(SCOPE, scoped.clone())).configure(alive);
        if let Some(pages) = pages.clone() {
            services.configure(pages.configure());
        }
        if let Some(sandbox) = &sandbox {
            services.service(sandbox.pre_verify_scope());
        }
        services.default_service(web::to(unknown_path));
    };
    let (listen, broker, log) = (settings.server.listen, broker.clone(), settings.log.requests);
    let front = move || Front::public(App::new().configure(services.clone()), broker.clone(), SCOPE, log);
    bind(front, listen, settings, settings.server.workers).map_err(|error| StartError::listen("server.listen", listen, error))
}

/// What the company's other servers may call; `None` where there is to be no such listener.
pub(super) fn private(
    settings: &Settings,
    broker: &Broker,
    keys: &Arc<ArcSwap<ApiKeys>>,
    readiness: &Readiness,
) -> Result<Option<Listener>, StartError> {
    let Some(listen) = settings.server.admin_listen else { return Ok(None) };
    let (counted, log) = (broker.clone(), settings.log.requests);
    let (readiness, broker, keys) = (web::Data::new(readiness.clone()), broker.clone(), web::Data::from(keys.clone()));
    let services = move |services: &mut web::ServiceConfig| {
        services.app_data(readiness.clone()).configure(alive);
        services.service(web::resource("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)));
        services.service(diagnose_resource("/jssdk/diagnose", broker.clone(), keys.clone()));
        services.service(private_scope(broker.clone(), keys.clone())).service(dropin_scope(broker.clone(), keys.clone()));
    };
    let front = move || Front::private(App::new().configure(services.clone()), counted.clone(), log);
    bind(front, listen, settings, PRIVATE_WORKERS)
        .map(Some)
        .map_err(|error| StartError::listen("server.admin_listen", listen, error))
}

fn bind<F, S, B>(front: F, listen: SocketAddr, settings: &Settings, workers: usize) -> io::Result<Listener>
where
    F: Fn() -> S + Clone + Send + 'static,
    S: ServiceFactory<Request, Config = AppConfig, Response = Response<B>, Error = actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let mut server = HttpServer::new(front).shutdown_timeout(settings.server.shutdown.as_secs()).disable_signals();
    if workers > 0 {
        server = server.workers(workers);
    }
    let server = server.bind(listen)?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    Ok(Listener { server: server.run(), address })
}

/// A QR code is drawn for pages that this server signs, and for nothing else.
fn demo_pages(broker: &Broker, sandbox: bool) -> Pages {
    let broker = broker.clone();
    let qr_allowed = Arc::new(move |href: &str| {
        PageUrl::parse(href)
            .is_ok_and(|page| broker.accounts().iter().any(|(_, account)| account.allows_page(page.host(), page.path())))
    });
    Pages { account: None, endpoint: "/jssdk/config".into(), sandbox, qr_allowed }
}

fn alive(services: &mut web::ServiceConfig) {
    services.service(web::resource("/healthz").route(web::get().to(healthz)).route(web::head().to(healthz)));
}

/// Alive: never asks anybody else.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(serde_json::json!({ "status": "ok" }))
}

/// Where the public scope is.
const SCOPE: &str = "/jssdk";

/// Other servers ask now and then, and keep what they get: two threads answer tens of thousands a second.
const PRIVATE_WORKERS: usize = 2;
