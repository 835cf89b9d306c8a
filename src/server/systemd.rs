//! What systemd is told (`Type=notify`): ready, reloading, stopping, and that the workers are well (`WatchdogSec=`).
//!
//! Without systemd, nobody is told and nothing happens.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use super::timeouts::Load;

/// The listeners are served.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A new configuration is being read; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "systemd could not be told");
    }
}

/// Says that all is well for as long as every worker goes on looking through its connections. One that hangs is not well, though
/// the process lives: then systemd hears nothing, and starts it anew.
pub(super) async fn keep_watchdog_calm(loads: Vec<Arc<Load>>) {
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
        // A worker looks once a second: in less, it need not have looked again.
        let well = every < LEAST
            || (now.len() == before.len()
                && now.iter().zip(&before).all(|(now, before)| now > before));
        if well {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(
                "a worker thread does not go on: systemd is not told that all is well · 有工作线程停滞"
            );
        }
        before = now;
    }
}

const LEAST: Duration = Duration::from_secs(2);
