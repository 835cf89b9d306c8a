//! The service in this process, as `serve` starts it.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;

use tokio::sync::oneshot;
use tokio::time::timeout;
use wx_jssdk::Clock;
use wx_jssdk::actix::RequestStats;
use wx_jssdk::broker::Broker;
use wx_jssdk::server::config::Settings;
use wx_jssdk::server::tls::Certificate;
use wx_jssdk::server::{Application, GuardStats, Reloader};

use super::http::BOUND;

/// Both listeners and the parts that tests inspect. Stops when dropped.
pub(crate) struct Service {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) broker: Broker,
    pub(crate) stats: RequestStats,
    pub(crate) reloader: Reloader,
    pub(crate) guard_stats: GuardStats,
    pub(crate) certificates: Vec<Certificate>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

/// Reads a valid configuration; its paths are relative to `home`.
pub(crate) fn settings(text: &str, home: &Path) -> Settings {
    Settings::read(text, home, HashMap::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

impl Service {
    /// Starts it in its own thread and runtime.
    pub(crate) async fn start(settings: Settings, clock: Clock) -> Self {
        Self::build(async move || Application::build_on(&settings, clock).await).await
    }

    /// The same with an application that `build` makes.
    pub(crate) async fn build<E: Display>(
        build: impl AsyncFnOnce() -> Result<Application, E> + Send + 'static,
    ) -> Self {
        let (report, started) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let application = build().await.unwrap_or_else(|error| panic!("{error}"));
                let (service, running) = Self::around(application);
                let _ = report.send(service);
                running.await;
            });
        });
        timeout(BOUND, started)
            .await
            .expect("it starts in time")
            .expect("it starts")
    }

    /// Starts it in the test's runtime, so that its tasks log to the subscriber of the test's thread.
    pub(crate) async fn start_here(settings: &Settings, clock: Clock) -> Self {
        let application = Application::build_on(settings, clock)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        let (service, running) = Self::around(application);
        tokio::spawn(running);
        service
    }

    fn around(application: Application) -> (Self, impl Future<Output = ()> + Send) {
        let (stop, stopped) = oneshot::channel::<()>();
        let (at_end, ended) = oneshot::channel();
        let service = Self {
            public: application.address(),
            admin: application.admin_address().expect("an admin listener"),
            broker: application.broker().clone(),
            stats: application.request_stats().clone(),
            reloader: application.reloader(),
            guard_stats: application.guard_stats(),
            certificates: application.certificates().to_vec(),
            stop,
            ended,
        };
        let running = async move {
            // Dropping the sender stops it.
            application
                .run_until_stopped(async { drop(stopped.await) })
                .await
                .expect("it runs until it is stopped");
            let _ = at_end.send(());
        };
        (service, running)
    }

    /// Waits until the keeper has made its first refreshes, so that none of its first calls comes between the
    /// steps of a test. A credential that cannot be fetched is no error here.
    pub(crate) async fn wait_for_first_refreshes(&self) {
        for (name, account) in self.broker.accounts().iter() {
            for &kind in account.kept_kinds() {
                let _ = self.broker.credential(name, kind).await;
            }
        }
    }

    /// Stops it as SIGTERM does, and waits for its end.
    pub(crate) async fn end(self) {
        drop(self.stop);
        timeout(BOUND, self.ended)
            .await
            .expect("it ends in time")
            .expect("it ends without an error");
    }
}
