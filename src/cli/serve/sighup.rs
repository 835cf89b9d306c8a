//! Reloads the configuration at SIGHUP and when an operator asks for it.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::Serve;
use crate::server::{Preflight, Reloader, systemd};

/// Reloads the configuration on each SIGHUP and each request of an operator, outside the threads that serve:
/// it may have ten thousand files.
pub(super) async fn reload_on_request(
    mut hangup: Signal,
    serve: Serve,
    running: Preflight,
    reloader: Reloader,
) {
    let serve = Arc::new((serve, running));
    let mut requests = reloader.requests().expect("it is asked for once");
    loop {
        let request = tokio::select! {
            signal = hangup.recv() => match signal {
                Some(()) => None,
                None => return,
            },
            request = requests.recv() => request,
        };
        let serve = serve.clone();
        systemd::reloading();
        let looking = reloader.clone();
        let _ = tokio::task::spawn_blocking(move || looking.reload_certificates()).await;
        let read = tokio::task::spawn_blocking(move || serve.0.settings_beside(&serve.1)).await;
        let result = match read {
            // The reloader logs each problem of a rejected configuration.
            Ok(Ok(settings)) => {
                settings.log_exposed_files();
                Some(reloader.reload(settings))
            }
            Ok(Err(problems)) => {
                reloader.refuse(&problems);
                Some(Err(problems))
            }
            Err(error) => {
                tracing::error!(%error, "configuration could not be reloaded");
                None
            }
        };
        systemd::ready();
        if let (Some(request), Some(result)) = (request, result) {
            request.answer(result);
        }
    }
}
