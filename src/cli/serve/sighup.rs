//! Reloads the configuration at SIGHUP and when an operator asks for it.

use std::sync::Arc;

use tokio::signal::unix::Signal;

use super::Serve;
use crate::error::Text;
use crate::server::config::{Problem, Problems};
use crate::server::{Preflight, Reloader, TimedRead, systemd};

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
        let result = match read.unwrap_or_else(|error| Err(unread(error))) {
            // The reloader logs each problem of a rejected configuration.
            Ok(settings) => {
                settings.log_exposed_secrets();
                reloader.reload(settings)
            }
            Err(problems) => {
                reloader.refuse(&problems);
                Err(problems)
            }
        };
        systemd::ready();
        if let Some(request) = request {
            request.answer(result, certificates);
        }
    }
}

/// Reports that the configuration could not be read as a whole.
fn unread(error: Text) -> Problems {
    Problems(vec![Problem {
        path: "the configuration".to_owned(),
        what: error,
    }])
}
