//! Shutdown: new connections are refused first, requests in progress finish.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use futures_util::future::join_all;

use super::connection_guard::Load;
use super::sockets::stop_listening;
use super::telemetry;

/// Shuts all listeners down. Connections get up to `within` to finish their requests.
pub(super) async fn shut_down(exits: &[Exit], within: Duration) {
    join_all(exits.iter().map(Exit::begin)).await;
    drain_connections(exits, within).await;
    join_all(exits.iter().map(Exit::end)).await;
}

/// Shuts a listener down without dropping connections in use.
#[derive(Clone)]
pub(super) struct Exit {
    pub(super) handle: ServerHandle,
    pub(super) load: Arc<Load>,
    /// The socket to stop listening on; `None` if it is shared and keeps listening for another process.
    pub(super) listener: Option<Arc<TcpListener>>,
}

impl Exit {
    /// Stops accepting first, then sends `Connection: close`; otherwise a reconnecting client could land
    /// on this socket again.
    async fn begin(&self) {
        self.handle.pause().await;
        if let Some(listener) = &self.listener {
            // The accepting thread has been told by now, and stops within microseconds. Connections that
            // arrive in between are reset.
            tokio::time::sleep(Duration::from_millis(1)).await;
            telemetry::report_accepts(false);
            stop_listening(listener);
        }
        self.load.draining.store(true, Ordering::Relaxed);
    }

    /// Stops the server: idle connections are closed, requests in progress may finish.
    async fn end(&self) {
        self.load.ending.send_replace(true);
        self.handle.stop(true).await;
    }
}

/// Waits so that active clients receive `Connection: close` before their connection ends, instead of
/// finding it closed at their next request. Returns early once no connection is open.
async fn drain_connections(exits: &[Exit], within: Duration) {
    let mut left = within.min(DRAIN_TIME);
    while !left.is_zero() {
        let step = left.min(Duration::from_millis(50));
        tokio::time::sleep(step).await;
        left = left.saturating_sub(step);
        if exits
            .iter()
            .all(|exit| exit.load.open.load(Ordering::Relaxed) == 0)
        {
            return;
        }
    }
}

/// A client with longer pauses may find its connection closed, as after any idle time, and retries on a
/// new one.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// What a shutdown may take in addition to the time of the requests in progress.
pub(super) const SLACK: Duration = Duration::from_secs(5);

/// What the end of the process may take after the shutdown: a thread may block, e.g. on a disk that hangs.
pub(crate) const EXIT_LIMIT: Duration = Duration::from_secs(2);
