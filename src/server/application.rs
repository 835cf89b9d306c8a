//! The application: builds and binds all parts, then serves until it is stopped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::config::Settings;
use super::demo_accounts::{
    DEFAULT_DEMO, DEMO_OWNER_ID, demo_account, demo_accounts, demo_key, demo_platform_settings,
};
use super::guard_stats::GuardStats;
use super::listener::{Listener, next_end, start_all};
use super::metrics::{Metrics, Sources};
use super::notify::Notifier;
use super::reload::Reloader;
use super::routes::{Guards, Watchers, admin, public};
use super::shutdown::{EXIT_LIMIT, SLACK, shut_down};
use super::sockets::HandedOver;
use super::startup_error::{StartupError, cannot_start, check_addresses};
use super::systemd;
use super::telemetry;
use super::tls::{Certificate, watch_certificates};
use crate::account::Egress;
use crate::actix::{Gateway, RequestStats};
use crate::broker::Broker;
use crate::clock::Clock;
use crate::credential::Secret;
use crate::sandbox::{App, DEMO_COMPONENT_ID, Sandbox, demo_platform};
use crate::store::Store;
use crate::upstream::UpstreamOptions;

/// The whole service, bound to its ports and not yet serving.
pub struct Application {
    requests: RequestStats,
    public: Listener,
    admin: Option<Listener>,
    reloader: Reloader,
    notifier: Notifier,
    guards: Guards,
    /// How long requests in progress may take to finish at shutdown.
    shutdown: Duration,
    /// Kept alive as long as the service.
    simulated: Option<Simulated>,
}

/// Options of `serve --sandbox`.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The address of the simulator.
    pub listen: SocketAddr,
    /// Safe domains in addition to `demo.example.com`, `localhost` and `127.0.0.1`: a phone on the same
    /// network uses another host.
    pub safe_domains: Vec<String>,
}

/// The simulator, and the API key generated for this run.
struct Simulated {
    sandbox: Sandbox,
    api_key: Secret,
}

impl Application {
    /// Opens the store, builds the broker and binds the ports.
    ///
    /// # Errors
    /// [`StartupError`] says what is wrong and what to do.
    pub async fn build(settings: &Settings) -> Result<Self, StartupError> {
        Self::build_with(settings, Clock::system(), HandedOver::take()?).await
    }

    /// Builds as [`Application::build`] does, with the caller's clock, for tests.
    ///
    /// # Errors
    /// [`StartupError`], as above.
    pub async fn build_on(settings: &Settings, clock: Clock) -> Result<Self, StartupError> {
        Self::build_with(settings, clock, HandedOver::none()).await
    }

    async fn build_with(
        settings: &Settings,
        clock: Clock,
        handed_over: HandedOver,
    ) -> Result<Self, StartupError> {
        check_addresses(settings, None)?;
        let guards = Guards::new(settings, &clock, handed_over)?;
        guards.log_unlimited_peers(settings);
        let store = settings.store.open()?;
        let has_credential = settings.check_store(&store).await?;
        let application = Self::assemble(
            settings,
            settings.upstream.clone(),
            store,
            clock,
            guards,
            None,
        )?;
        if !has_credential {
            application.broker().check_documents().await?;
        }
        // Before the first request, which may be for one of them.
        application.broker().load_accounts_at_start().await;
        Ok(application)
    }

    /// Builds as [`Application::build`] does, with a simulated WeChat, demo accounts and its own API key,
    /// on a clock that the simulator can advance. Touches no file.
    ///
    /// # Errors
    /// [`StartupError`], as above.
    pub async fn build_with_sandbox(
        settings: &Settings,
        options: &SandboxOptions,
    ) -> Result<Self, StartupError> {
        check_addresses(settings, Some(options.listen))?;
        let clock = Clock::shifted();
        let sandbox = Sandbox::bind(clock.clone(), options.listen)
            .await
            .map_err(|error| StartupError::listen("--sandbox-listen", options.listen, error))?;
        let mut settings = settings.clone();
        settings.accounts.clear();
        settings.platforms.clear();
        let apis = settings.account_defaults.list("js_api_list");
        for (name, app) in demo_accounts() {
            let app = options
                .safe_domains
                .iter()
                .fold(app, |app, domain| app.safe_domain(domain));
            let account = demo_account(&app, &apis)?;
            settings.accounts.push((name.to_owned(), account));
            sandbox.add_app(app);
        }
        settings.server.default_account = Some(DEFAULT_DEMO.to_owned());
        let (api_keys, api_key) = demo_key();
        settings.server.api_keys = api_keys;
        // Real people need not hear of simulated outages.
        settings.notify.webhooks.clear();
        let upstream = UpstreamOptions {
            weixin: sandbox.url().to_owned(),
            qyapi: sandbox.url().to_owned(),
            // Never the real WeChat, and no proxy to this process.
            fallback: Vec::new(),
            egress: Egress::Direct,
            ..settings.upstream.clone()
        };
        let demo_platform = demo_platform();
        let platform = demo_platform_settings(&demo_platform, &apis);
        settings.platforms.push(platform);
        // The third one, to authorise by hand.
        sandbox.add_app(App::official(DEMO_OWNER_ID, demo_platform.secret()));
        let guards = Guards::new(&settings, &clock, HandedOver::take()?)?;
        let simulated = Simulated { sandbox, api_key };
        let store = Store::memory();
        let application =
            Self::assemble(&settings, upstream, store, clock, guards, Some(simulated))?;
        if let Some(sandbox) = application.sandbox() {
            let (base, platform) = (application.url(), &settings.platforms[0]);
            let events = format!("{base}{}", platform.callback_path);
            let messages = format!("{base}{}", platform.messages_path);
            let platform = demo_platform
                .with_push_url(events)
                .with_message_url(messages)
                // That of server.tls is for the name that pages use.
                .trusting_any_certificate();
            sandbox.add_platform(platform);
        }
        application.broker().load_accounts_at_start().await;
        Ok(application)
    }

    fn assemble(
        settings: &Settings,
        upstream: UpstreamOptions,
        store: Store,
        clock: Clock,
        guards: Guards,
        simulated: Option<Simulated>,
    ) -> Result<Self, StartupError> {
        let mut builder = Broker::builder()
            .store(store)
            .upstream(upstream)
            .clock(clock)
            .stored_accounts();
        for (name, account) in &settings.accounts {
            builder = builder.account(name, account.clone());
        }
        for platform in &settings.platforms {
            builder = builder.account(&platform.name, platform.account.clone());
        }
        if let Some(name) = &settings.server.default_account {
            builder = builder.default_account(name);
        }
        let broker = builder.build()?;
        if !settings.signing_without_default().is_empty() {
            tracing::info!("no default account: requests without an account are refused");
        }
        let platforms = guards.platform_routes(settings, &broker);
        let requests = RequestStats::default();
        let public = public(
            settings,
            &broker,
            &requests,
            simulated.as_ref().map(|simulated| &simulated.sandbox),
            &guards,
            &platforms,
        )?;
        let certificates = guards.certificates.clone();
        let reloader = Reloader::new(settings, broker.clone(), platforms, certificates);
        let notifier = Notifier::new(
            &settings.notify,
            &settings.upstream.egress,
            broker.clone(),
            reloader.reload_record.clone(),
            guards.certificates.clone(),
        )?;
        let gateway = Gateway::new(
            broker.clone(),
            reloader.keys.clone(),
            guards.stats.lockout.clone().into_inner(),
            settings.gateway.clone(),
        );
        let metrics = Metrics::of(Sources {
            reloader: reloader.clone(),
            requests: requests.clone(),
            gateway: gateway.clone(),
            guards: guards.stats.clone(),
            notifications: notifier.counts(),
            started: broker.clock().now(),
        });
        let watchers = Watchers {
            metrics,
            reloader: reloader.clone(),
            gateway,
        };
        let admin = admin(settings, watchers, &guards, &public.url(), &requests)?;
        Ok(Self {
            requests,
            public,
            admin,
            reloader,
            notifier,
            guards,
            shutdown: settings.server.shutdown,
            simulated,
        })
    }

    /// Returns the address of the public listener: the actual port if the configured one was 0.
    pub fn address(&self) -> SocketAddr {
        self.public.address
    }

    /// Returns the address of the admin listener, if there is one.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// Returns the base URL of the public listener, with https if it uses TLS.
    pub fn url(&self) -> String {
        self.public.url()
    }

    /// Returns the base URL of the admin listener.
    pub fn admin_url(&self) -> Option<String> {
        self.admin.as_ref().map(Listener::url)
    }

    /// Returns the certificates in use, each with its setting and expiry.
    pub fn certificates(&self) -> &[Certificate] {
        &self.guards.certificates
    }

    /// Returns a handle on the counters of both listeners' guards.
    pub fn guard_stats(&self) -> GuardStats {
        self.guards.stats.clone()
    }

    /// Returns the application's broker.
    pub fn broker(&self) -> &Broker {
        &self.reloader.broker
    }

    /// Returns the counters of both listeners' requests.
    pub fn request_stats(&self) -> &RequestStats {
        &self.requests
    }

    /// Returns the simulator, if there is one.
    pub fn sandbox(&self) -> Option<&Sandbox> {
        self.simulated.as_ref().map(|simulated| &simulated.sandbox)
    }

    /// Returns the key that opens every demo account, if there is a simulator. It is generated at each
    /// start and valid nowhere else.
    pub fn sandbox_api_key(&self) -> Option<&Secret> {
        self.simulated.as_ref().map(|simulated| &simulated.api_key)
    }

    /// Returns the handle that applies another configuration to the running service.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Returns how long the shutdown may take at most.
    pub fn longest_shutdown(&self) -> Duration {
        self.shutdown + SLACK
    }

    /// Serves until `stop` resolves; then stops accepting connections, lets requests in progress finish,
    /// and returns.
    ///
    /// # Errors
    /// Returns an error if a listener fails or its threads cannot be started, and [`io::ErrorKind::TimedOut`] if a thread
    /// did not stop in time.
    pub async fn run_until_stopped(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let longest = self.longest_shutdown();
        let listeners: Vec<_> = std::iter::once(self.public).chain(self.admin).collect();
        let exits: Vec<_> = listeners
            .iter()
            .map(|listener| listener.exit.clone())
            .collect();
        systemd::start().map_err(cannot_start)?;
        telemetry::report_accepts(true);
        let mut serving = start_all(listeners).await?;
        systemd::ready();
        let certificates = tokio::spawn(watch_certificates(self.guards.certificates));
        let notifying = tokio::spawn(self.notifier.run());
        let loads = exits.iter().map(|exit| exit.load.clone()).collect();
        let watchdog = tokio::spawn(systemd::feed_watchdog(loads));
        if let Some(sandbox) = self.simulated.as_ref().map(|one| one.sandbox.clone()) {
            // WeChat's first ticket may take ten minutes.
            tokio::spawn(async move { sandbox.push_ticket(DEMO_COMPONENT_ID).await });
        }
        // The keeper runs on this thread: what it loads from a store fits into the memory that reading
        // the configuration of ten thousand accounts used before, while another thread would need memory
        // of its own.
        let mut served = tokio::select! {
            () = stop => Ok(()),
            () = self.reloader.broker.clone().keep_fresh() => Ok(()),
            ended = next_end(&mut serving) => ended,
        };
        systemd::stopping(longest + EXIT_LIMIT);
        tracing::info!("shutting down: no new connections, requests in progress may finish");
        let ending = async {
            shut_down(&exits, self.shutdown).await;
            let mut ended = Ok(());
            while !serving.is_empty() {
                ended = ended.and(next_end(&mut serving).await);
            }
            ended
        };
        // A worker that hangs never ends.
        let ended = timeout(longest, ending).await;
        served = served.and(ended.unwrap_or_else(|timed_out| {
            tracing::error!("shutdown timed out: the process is ended");
            Err(timed_out.into())
        }));
        for task in [certificates, watchdog, notifying] {
            task.abort();
        }
        if let Some(simulated) = &self.simulated {
            simulated.sandbox.stop().await;
        }
        served
    }
}
