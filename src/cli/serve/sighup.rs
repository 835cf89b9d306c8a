//! Reloads the configuration at SIGHUP and when an operator asks for it.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::Serve;
use crate::server::config::Problems;
use crate::server::{Reloader, TimedRead, systemd};

/// Reloads the configuration on each SIGHUP and each request of an operator, outside the threads that serve:
/// it may have ten thousand files.
pub(super) async fn reload_on_request(mut hangup: Signal, serve: Serve, reloader: Reloader) {
    let serve = Arc::new((serve, reloader.started_with()));
    let mut requests = reloader.requests().expect("it is asked for once");
    let files = TimedRead::default();
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
        let (read, certificates) = tokio::join!(
            files.run(move || serve.0.settings_beside(&serve.1)),
            reloader.reload_certificates(),
        );
        let result = read
            .unwrap_or_else(|error| Err(Problems::one("the configuration", error)))
            .inspect_err(|problems| reloader.refuse(problems))
            .and_then(|settings| {
                settings.log_exposed_secrets();
                // It logs the problems of a rejected configuration itself.
                reloader.reload(settings)
            });
        systemd::ready();
        if let Some(request) = request {
            request.answer(result, certificates);
        }
    }
}
