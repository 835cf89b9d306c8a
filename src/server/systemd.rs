//! Notifies systemd (`Type=notify`): ready, reloading, stopping, and the watchdog (`WatchdogSec=`).
//!
//! Does nothing without systemd.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::connection_guard::Load;

/// Reports that the listeners are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Reports that a new configuration is being read; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Reports that shutdown has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be notified");
    }
}

/// Feeds the watchdog as long as every worker keeps checking its connections. If one hangs while the
/// process lives, systemd gets no message and restarts the service.
pub(super) async fn feed_watchdog(loads: Vec<Arc<Load>>) {
    let Some(every) = sd_notify::watchdog_enabled().map(|patience| patience / 3) else {
        return;
    };
    let rounds = || {
        loads
            .iter()
            .flat_map(|load| load.rounds())
            .collect::<Vec<_>>()
    };
    let mut before = rounds();
    loop {
        tokio::time::sleep(every).await;
        let now = rounds();
        // A worker checks once a second; in a shorter interval it need not have checked again.
        let all_work = every < LEAST
            || (now.len() == before.len()
                && now.iter().zip(&before).all(|(now, before)| now > before));
        if all_work {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("worker thread stuck: no watchdog message is sent to systemd");
        }
        before = now;
    }
}

const LEAST: Duration = Duration::from_secs(2);
