//! Listener of the sandbox. It has its own thread, so that it serves independently of the caller's runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service as _};
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::shared_state::Shared;
use super::{authorize_page, control_api, http_handler};

/// Serves until it is stopped or dropped.
pub(super) struct Listener {
    pub(super) addr: SocketAddr,
    handle: ServerHandle,
    /// Closes when the thread has ended; for async callers.
    ended: watch::Receiver<()>,
    /// The same for `drop`, which cannot await.
    ended_blocking: Mutex<mpsc::Receiver<()>>,
}

/// Reported by the thread once it listens.
type Started = io::Result<(SocketAddr, ServerHandle)>;

impl Listener {
    /// Serves at this address. `calls` counts the calls of WeChat's API.
    pub(super) async fn start(
        shared: Arc<Shared>,
        calls: Arc<AtomicU64>,
        addr: SocketAddr,
    ) -> io::Result<Self> {
        let (report, started) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        let (alive_blocking, ended_blocking) = mpsc::channel();
        thread::Builder::new()
            .name("wechat-sandbox".into())
            .spawn(move || {
                let _until_the_end = (alive, alive_blocking);
                actix_web::rt::System::new().block_on(serve(shared, calls, addr, report));
            })?;
        let (addr, handle) = started.await.map_err(io::Error::other)??;
        Ok(Self {
            addr,
            handle,
            ended,
            ended_blocking: Mutex::new(ended_blocking),
        })
    }

    /// Closes all connections and waits for the thread to end, which takes milliseconds.
    pub(super) async fn stop(&self) {
        self.order_to_stop();
        let mut ended = self.ended.clone();
        let _ = tokio::time::timeout(STOP_LIMIT, async { while ended.changed().await.is_ok() {} })
            .await;
    }

    fn order_to_stop(&self) {
        // The call itself sends the stop order; the future only waits for it.
        drop(self.handle.stop(false));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.order_to_stop();
        let ended = self.ended_blocking.get_mut();
        let _ = ended.recv_timeout(STOP_LIMIT);
    }
}

/// Serves until the handle stops it.
async fn serve(
    shared: Arc<Shared>,
    calls: Arc<AtomicU64>,
    addr: SocketAddr,
    report: oneshot::Sender<Started>,
) {
    let shared = Data::from(shared);
    let http = HttpServer::new(move || {
        let calls = calls.clone();
        App::new()
            .wrap_fn(move |request, service| {
                if !request.path().starts_with("/sandbox/") {
                    calls.fetch_add(1, Ordering::Relaxed);
                }
                service.call(request)
            })
            .app_data(shared.clone())
            .service(control_api::scope())
            .configure(authorize_page::routes)
            .default_service(web::to(http_handler::answer))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(0)
    .keep_alive(CONNECTION_TIMEOUT)
    .client_request_timeout(CONNECTION_TIMEOUT)
    .h1_allow_half_closed(false)
    .bind(addr);
    let http = match http {
        Ok(http) => http,
        Err(error) => return drop(report.send(Err(error))),
    };
    let addr = http.addrs()[0];
    let server = http.run();
    if report.send(Ok((addr, server.handle()))).is_ok() {
        let _ = server.await;
    }
}

/// Keep-alive and request timeout. Long, so that neither a pooled connection nor a busy test machine causes a
/// rejection that WeChat would not give.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(75);

/// Maximum time to wait for a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);
