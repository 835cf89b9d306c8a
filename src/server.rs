//! The service: the public listener with the signing endpoint and the pages, the keeper beside it, and a clean end.

pub mod config;
pub mod pages;
pub mod telemetry;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::account::Account;
use crate::actix::{public_scope, unknown_path};
use crate::broker::{Broker, BuildError};
use crate::clock::Clock;
use crate::sandbox::{Sandbox, demo_app};
use crate::sign::PageUrl;
use crate::store::{Store, StoreError};
use crate::upstream::UpstreamOptions;
use config::{Settings, StoreSettings};
use pages::Pages;

/// The whole service, bound to its ports and not yet serving.
pub struct Application {
    broker: Broker,
    server: Server,
    handle: ServerHandle,
    address: SocketAddr,
    /// Kept alive as long as the service.
    sandbox: Option<Sandbox>,
}

/// What `serve --sandbox` adds.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where the simulator listens.
    pub listen: SocketAddr,
    /// Beside `demo.example.com`, `localhost` and `127.0.0.1`: a phone on the same network opens another host.
    pub safe_domains: Vec<String>,
}

impl Application {
    /// Opens the store, puts the broker together and binds the port.
    ///
    /// # Errors
    /// [`StartError`] says what is in the way and what to do.
    pub async fn build(settings: &Settings) -> Result<Self, StartError> {
        Self::build_on(settings, Clock::system()).await
    }

    /// The same on a clock of the caller's: for tests.
    ///
    /// # Errors
    /// [`StartError`], as above.
    pub async fn build_on(settings: &Settings, clock: Clock) -> Result<Self, StartError> {
        let store = open(&settings.store)?;
        Self::assemble(settings, settings.upstream.clone(), store, clock, None).await
    }

    /// The same with a simulated WeChat and a demo account, on a clock that the simulator can advance. Touches no file.
    ///
    /// # Errors
    /// [`StartError`], as above.
    pub async fn build_with_sandbox(settings: &Settings, options: &SandboxOptions) -> Result<Self, StartError> {
        let clock = Clock::shifted();
        let sandbox = Sandbox::bind(clock.clone(), options.listen)
            .await
            .map_err(|error| StartError::listen("--sandbox-listen", options.listen, error))?;
        let app = options.safe_domains.iter().fold(demo_app(), |app, domain| app.safe_domain(domain));
        let mut account = Account::official(app.app_id(), app.secret()).js_api_list(settings.default_apis.clone());
        for domain in app.safe_domains() {
            account = account.js_safe_domain(domain).map_err(|error| StartError::SafeDomain(error.to_string()))?;
        }
        sandbox.add_app(app);
        let upstream =
            UpstreamOptions { weixin: sandbox.url().to_owned(), qyapi: sandbox.url().to_owned(), ..settings.upstream.clone() };
        let settings = Settings { accounts: vec![("demo".into(), account)], ..settings.clone() };
        Self::assemble(&settings, upstream, Store::memory(), clock, Some(sandbox)).await
    }

    async fn assemble(
        settings: &Settings,
        upstream: UpstreamOptions,
        store: Store,
        clock: Clock,
        sandbox: Option<Sandbox>,
    ) -> Result<Self, StartError> {
        let mut builder = Broker::builder().store(store).upstream(upstream).clock(clock);
        for (name, account) in &settings.accounts {
            builder = builder.account(name, account.clone());
        }
        if let Some(name) = &settings.server.default_account {
            builder = builder.default_account(name);
        }
        let broker = builder.build()?;
        let (server, address) = listen(settings, &broker, sandbox.as_ref())?;
        let handle = server.handle();
        Ok(Self { broker, server, handle, address, sandbox })
    }

    /// Where pages call: the real port where the configured one was 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The broker behind it.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// The simulator, where there is one.
    #[must_use]
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    /// Serves until `stop` resolves; then accepts nobody any more, lets the requests under way finish, and returns.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let keeper = tokio::spawn(self.broker.clone().keep_fresh());
        let serving = tokio::spawn(self.server);
        stop.await;
        tracing::info!("stopping: no new connections, requests under way may finish");
        self.handle.stop(true).await;
        keeper.abort();
        let served = serving.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        if let Some(sandbox) = &self.sandbox {
            sandbox.stop().await;
        }
        served
    }
}

fn open(settings: &StoreSettings) -> Result<Store, StoreError> {
    match settings {
        StoreSettings::Memory => Ok(Store::memory()),
        StoreSettings::File(path) => Store::file(path),
        StoreSettings::Redis(url) => Store::redis(url.expose()),
    }
}

fn listen(settings: &Settings, broker: &Broker, sandbox: Option<&Sandbox>) -> Result<(Server, SocketAddr), StartError> {
    let pages = (settings.server.demo || sandbox.is_some()).then(|| demo_pages(broker, sandbox.is_some()));
    let (broker, sandbox) = (broker.clone(), sandbox.cloned());
    let mut server = HttpServer::new(move || {
        App::new().configure(|services| {
            services.service(public_scope("/jssdk", broker.clone()));
            services.route("/healthz", web::get().to(healthz));
            services.route("/healthz", web::head().to(healthz));
            if let Some(pages) = pages.clone() {
                services.configure(pages.configure());
            }
            if let Some(sandbox) = &sandbox {
                services.service(sandbox.pre_verify_scope());
            }
            services.default_service(web::to(unknown_path));
        })
    })
    .shutdown_timeout(settings.server.shutdown.as_secs())
    .disable_signals();
    if settings.server.workers > 0 {
        server = server.workers(settings.server.workers);
    }
    let wanted = settings.server.listen;
    let server = server.bind(wanted).map_err(|error| StartError::listen("server.listen", wanted, error))?;
    let address = server.addrs().first().copied().unwrap_or(wanted);
    Ok((server.run(), address))
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

/// Alive: never asks anybody else.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(serde_json::json!({ "status": "ok" }))
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The port is taken or may not be bound.
    #[error("{setting}: cannot listen on {address}: {error}{}", advice(error))]
    Listen {
        /// The setting or flag that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// `--safe-domain` is none.
    #[error("--safe-domain: {0}")]
    SafeDomain(String),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The broker cannot be built.
    #[error(transparent)]
    Broker(#[from] BuildError),
}

impl StartError {
    fn listen(setting: &'static str, address: SocketAddr, error: io::Error) -> Self {
        Self::Listen { setting, address, error }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program has this port: stop it or choose another (port 0 picks a free one)\n    端口已被占用：请停止占用它的程序，或换一个端口（0 表示自动选择）"
        }
        io::ErrorKind::PermissionDenied => {
            ". Ports below 1024 need a right that this user lacks: choose a higher one, behind nginx or Caddy\n    没有权限监听该端口：请使用 1024 以上的端口，前面放 nginx 或 Caddy"
        }
        io::ErrorKind::AddrNotAvailable => {
            ". This machine has no such address: 0.0.0.0 means all of its own\n    本机没有这个地址：0.0.0.0 表示本机的所有地址"
        }
        _ => "",
    }
}
