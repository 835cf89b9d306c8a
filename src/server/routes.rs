//! The routes of both listeners.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, web};

use super::account_api;
use super::authorize::AuthorizePages;
use super::backpressure::UnsentBudget;
use super::config::Settings;
use super::doctor::DoctorPages;
use super::forward::MessageClient;
use super::guard_stats::GuardStats;
use super::host_guard::{HostNames, keep_out};
use super::listener::{Listener, ListenerLimits, open};
use super::metrics::{self, Metrics};
use super::openapi;
use super::pages::{Pages, admin_files, admin_in_commands, not_found};
use super::platform_routes::{PlatformRoutes, push_or_not_found};
use super::ready::readyz;
use super::reload::Reloader;
use super::sockets::{self, HandedOver, Places};
use super::startup_error::StartupError;
use super::status::StatusState;
use super::tls::{Certificate, tls_settings};
use crate::actix::{
    AccessLog, ClientIps, Doctor, FastPath, Gateway, KeyLockout, ListenerName, Pushes, RateLimit,
    RequestStats, credentials_scope, diagnose_resource, dropin_scope, public_scope, read_route,
    verify_resource,
};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::sandbox::Sandbox;
use crate::sign::PageUrl;

/// What both listeners share: the guards and their counters, the inherited sockets, the certificates.
pub(super) struct Guards {
    pub(super) stats: GuardStats,
    clients: Arc<ClientIps>,
    pub(super) certificates: Vec<Certificate>,
    places: Places,
    handed_over: HandedOver,
}

impl Guards {
    pub(super) fn new(
        settings: &Settings,
        clock: &Clock,
        handed_over: HandedOver,
    ) -> Result<Self, StartupError> {
        let (limits, proxies) = (&settings.limits, &settings.server.proxies);
        let clients = Arc::new(ClientIps::new(
            proxies.trusted.clone(),
            proxies.header.as_str(),
        ));
        let limit = RateLimit::new(
            limits.requests_per_second,
            limits.burst,
            clients.clone(),
            clock.clone(),
        );
        let lockout = KeyLockout::new(limits.wrong_keys, clients.clone(), clock.clone());
        let wanted = tls_settings(&settings.server).into_iter();
        let certificates = wanted.filter_map(|(setting, files)| {
            let loaded = Certificate::load(setting, files?, clock.clone());
            Some(loaded.map_err(|error| StartupError::Certificate { setting, error }))
        });
        let certificates = certificates.collect::<Result<_, _>>()?;
        Ok(Self {
            stats: GuardStats {
                limit: web::Data::new(limit),
                lockout: web::Data::new(lockout),
                public: Arc::default(),
                admin: Arc::default(),
            },
            clients,
            certificates,
            places: places(settings)?,
            handed_over,
        })
    }

    /// Logged once, at the start, for operators who have a proxy in front and have not named it.
    pub(super) fn log_unlimited_peers(&self, settings: &Settings) {
        if settings.limits.requests_per_second > 0 && settings.server.proxies.trusted.is_empty() {
            tracing::info!(
                "server.trusted_proxies is empty: peers on this machine and in private networks are not rate limited, since they may be proxies"
            );
        }
    }

    /// Returns the routes of open platforms, with the platforms of these settings.
    pub(super) fn platform_routes(&self, settings: &Settings, broker: &Broker) -> PlatformRoutes {
        let clock = broker.clock().clone();
        let routes = PlatformRoutes {
            pushes: Pushes::default(),
            message_client: MessageClient::default(),
            pages: AuthorizePages::new(broker, self.clients.clone(), clock),
        };
        routes.replace(settings);
        routes
    }

    fn access_log(&self, listener: ListenerName, settings: &Settings) -> AccessLog {
        AccessLog::new(listener, settings.log.requests, self.clients.clone())
    }

    fn certificate(&self, setting: &str) -> Option<&Certificate> {
        self.certificates
            .iter()
            .find(|certificate| certificate.setting() == setting)
    }
}

/// Opens the public listener, for pages.
pub(super) fn public(
    settings: &Settings,
    broker: &Broker,
    stats: &RequestStats,
    sandbox: Option<&Sandbox>,
    guards: &Guards,
    platforms: &PlatformRoutes,
) -> Result<Listener, StartupError> {
    let services = public_services(settings, broker, sandbox, guards, platforms);
    let listen = settings.server.listen;
    let failed = |error| StartupError::listen("server.listen", listen, error);
    let bound = guards
        .handed_over
        .bind(ListenerName::Public, listen, settings.server.reuse_port)
        .map_err(failed)?;
    let limits = ListenerLimits {
        workers: workers(settings),
        connections: guards.places.public,
        request: settings.limits.request,
        may_upload: |_| false,
        answer: settings.upstream.timeout * 5 + settings.limits.request + SLACK,
        ..admin_limits(settings, guards.places)
    };
    let (broker, stats) = (broker.clone(), stats.clone());
    let limit = guards.stats.limit.clone().into_inner();
    let access_log = guards.access_log(ListenerName::Public, settings);
    let front = move || {
        FastPath::new(
            App::new().configure(services.clone()),
            broker.clone(),
            stats.clone(),
            access_log.clone(),
            Some((SCOPE, limit.clone())),
            None,
        )
    };
    open(
        front,
        bound,
        guards.certificate("server.tls"),
        limits,
        guards.stats.public.clone(),
    )
    .map_err(failed)
}

pub(super) fn public_services(
    settings: &Settings,
    broker: &Broker,
    sandbox: Option<&Sandbox>,
    guards: &Guards,
    platforms: &PlatformRoutes,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + use<> {
    let has_pages = settings.server.demo || sandbox.is_some();
    let pages = has_pages.then(|| demo_pages(settings, broker, guards, sandbox.is_some()));
    let doctor = has_pages.then(|| DoctorPages {
        doctor: Doctor::new(broker.clone(), guards.clients.clone()),
        sandbox: sandbox.is_some(),
        admin: false,
    });
    let (broker, sandbox) = (broker.clone(), sandbox.cloned());
    let limit = guards.stats.limit.clone();
    let platforms = platforms.clone();
    move |services: &mut web::ServiceConfig| {
        services.app_data(limit.clone());
        for resource in platforms.pushes.resources(&broker) {
            services.service(resource);
        }
        services.configure(platforms.pages.clone().configure());
        // Also below the signing scope, for proxies that pass on nothing else. Before the scope, which answers
        // every path.
        if let Some(pages) = pages.clone() {
            services.configure(pages.clone().configure_below(SCOPE));
            services.configure(pages.configure());
        }
        if let Some(doctor) = doctor.clone() {
            services.configure(doctor.clone().configure_below(SCOPE));
            services.configure(doctor.configure_below(""));
        }
        services
            .service(public_scope(SCOPE, broker.clone()).default_service(web::to(not_found)))
            .configure(alive);
        services.service(verify_resource(broker.clone()));
        if let Some(sandbox) = &sandbox {
            services.service(sandbox.pre_verify_scope());
        }
        services
            .app_data(web::Data::new(broker.clone()))
            .app_data(web::Data::new(platforms.pushes.clone()))
            .default_service(web::to(push_or_not_found));
    }
}

/// The sources of the operator's endpoints.
pub(super) struct Watchers {
    pub(super) metrics: Metrics,
    pub(super) reloader: Reloader,
    pub(super) gateway: Gateway,
}

/// Opens the admin listener, for clients and the operator; `None` if it is not configured.
pub(super) fn admin(
    settings: &Settings,
    watchers: Watchers,
    guards: &Guards,
    public: &str,
    stats: &RequestStats,
) -> Result<Option<Listener>, StartupError> {
    let Some(listen) = settings.server.admin_listen else {
        guards.handed_over.close_unused(ListenerName::Admin);
        return Ok(None);
    };
    let (broker, gateway) = (watchers.reloader.broker.clone(), watchers.gateway.clone());
    let services = admin_services(settings, watchers, guards, public);
    let stats = stats.clone();
    let access_log = guards.access_log(ListenerName::Admin, settings);
    let failed = |error| StartupError::listen("server.admin_listen", listen, error);
    let bound = guards
        .handed_over
        .bind(ListenerName::Admin, listen, settings.server.reuse_port)
        .map_err(failed)?;
    let app = move || {
        App::new()
            .configure(services.clone())
            .wrap(from_fn(keep_out))
    };
    let front = move || {
        FastPath::new(
            app(),
            broker.clone(),
            stats.clone(),
            access_log.clone(),
            None,
            Some(gateway.clone()),
        )
    };
    open(
        front,
        bound,
        guards.certificate("server.admin_tls"),
        admin_limits(settings, guards.places),
        guards.stats.admin.clone(),
    )
    .map(Some)
    .map_err(failed)
}

/// Registers the services of the admin listener. `public` is the address at which pages reach the public
/// listener.
pub(super) fn admin_services(
    settings: &Settings,
    watchers: Watchers,
    guards: &Guards,
    public: &str,
) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + use<> {
    let Watchers {
        metrics,
        reloader,
        gateway,
    } = watchers;
    let (broker, keys) = (
        reloader.broker.clone(),
        web::Data::from(reloader.keys.clone()),
    );
    let readiness = web::Data::new(reloader.readiness.clone());
    let accounts = reloader.clone();
    let status = StatusState {
        gateway: gateway.stats().clone(),
        reloader,
    };
    let description = openapi::configure(public);
    let doctor = DoctorPages {
        doctor: Doctor::new(broker.clone(), guards.clients.clone()),
        sandbox: false,
        admin: true,
    };
    let (measured, unsent) = (
        web::Data::new(metrics),
        web::Data::new(UnsentBudget::default()),
    );
    let (lockout, names) = (
        guards.stats.lockout.clone(),
        web::Data::new(HostNames::new(&settings.server.admin_hosts)),
    );
    move |services: &mut web::ServiceConfig| {
        services
            .app_data(readiness.clone())
            .app_data(measured.clone())
            .app_data(unsent.clone())
            .app_data(lockout.clone())
            .app_data(names.clone());
        services
            .configure(alive)
            .configure(status.clone().configure())
            .configure(account_api::configure(accounts.clone()))
            .configure(description.clone())
            .configure(doctor.clone().configure_below(""))
            .configure(admin_files);
        services.service(web::resource("/").route(read_route().to(to_status)));
        services.service(web::resource("/readyz").route(read_route().to(readyz)));
        services.service(web::resource("/metrics").route(read_route().to(metrics::metrics)));
        services.service(diagnose_resource(
            "/jssdk/diagnose",
            &doctor.doctor,
            keys.clone(),
        ));
        services
            .service(credentials_scope(broker.clone(), keys.clone()))
            .service(dropin_scope(broker.clone(), keys.clone()));
    }
}

/// Returns the number of worker threads of the public listener.
fn workers(settings: &Settings) -> usize {
    NonZeroUsize::new(settings.server.workers)
        .or_else(|| available_parallelism().ok())
        .map_or(1, NonZeroUsize::get)
}

/// Returns the number of worker threads of the admin listener.
fn admin_workers(settings: &Settings) -> usize {
    workers(settings).min(ADMIN_WORKERS)
}

fn places(settings: &Settings) -> Result<Places, StartupError> {
    let mut wanted = Places {
        public: settings.limits.max_connections,
        admin: 0,
    };
    let mut workers = workers(settings);
    if settings.server.admin_listen.is_some() {
        wanted.admin = ADMIN_CONNECTIONS;
        workers += admin_workers(settings);
    }
    sockets::places(wanted, workers)
}

/// Returns the limits of the admin listener.
fn admin_limits(settings: &Settings, places: Places) -> ListenerLimits {
    let limits = &settings.limits;
    ListenerLimits {
        workers: admin_workers(settings),
        connections: places.admin,
        request: limits.request,
        may_upload: |request| Gateway::may_upload(request.uri().path()),
        // A cold ticket takes a token call and a ticket call, each perhaps twice, after a wait for
        // another node.
        answer: (settings.upstream.timeout * 5).max(settings.gateway.timeout * 2)
            + limits.request
            + SLACK,
        keep_alive: limits.keep_alive,
        shutdown: settings.server.shutdown,
    }
}

/// Builds the demo pages. A QR code is drawn only for addresses that this server signs.
fn demo_pages(settings: &Settings, broker: &Broker, guards: &Guards, sandbox: bool) -> Pages {
    let broker = broker.clone();
    let qr_limit = Pages::qr_limit(guards.clients.clone(), broker.clock().clone());
    let qr_allowed = Arc::new(move |href: &str| {
        PageUrl::parse(href).is_ok_and(|page| {
            broker
                .accounts()
                .iter()
                .any(|(_, account)| account.allows_page(page.host(), page.path()))
        })
    });
    // Only a sandbox tells the public where the admin listener is.
    let admin = settings.server.admin_listen.filter(|_| sandbox);
    Pages {
        sandbox,
        admin: admin_in_commands(admin, sandbox && settings.server.admin_tls.is_some()),
        qr_allowed,
        qr_limit,
    }
}

/// Leads a browser from the bare address to the page it wants.
async fn to_status() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, "status"))
        .finish()
}

fn alive(services: &mut web::ServiceConfig) {
    services.service(web::resource("/healthz").route(read_route().to(healthz)));
}

/// Liveness only. Makes no upstream call.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("Cache-Control", "no-store"))
        .json(serde_json::json!({ "status": "ok" }))
}

/// The path of the public scope.
pub(super) const SCOPE: &str = "/jssdk";

/// For waits that are not calls, such as for another node.
const SLACK: Duration = Duration::from_secs(10);

/// Clients call rarely and cache the answer; two threads answer tens of thousands of requests per second.
const ADMIN_WORKERS: usize = 2;

/// Enough for a thousand concurrent callers: each worker has half of the places, and not exactly half of the
/// callers.
const ADMIN_CONNECTIONS: usize = 2_000;
