//! Notifies systemd (`Type=notify`): ready, reloading, stopping, and the watchdog (`WatchdogSec=`).
//!
//! Does nothing without systemd.

use std::env;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

use super::connection_guard::Load;

/// Starts the thread that sends messages in their order, if systemd started the service: a send blocks while
/// systemd does not read its socket.
///
/// # Errors
/// The system refuses the thread.
pub(super) fn start() -> io::Result<()> {
    if env::var_os("NOTIFY_SOCKET").is_none() || MESSAGES.get().is_some() {
        return Ok(());
    }
    let (messages, waiting) = sync_channel::<Message>(MAX_WAITING);
    let send_all = move || {
        for message in waiting {
            if let Err(error) = sd_notify::notify(&message) {
                tracing::debug!(%error, "systemd could not be notified");
            }
        }
    };
    thread::Builder::new()
        .name("systemd".to_owned())
        .spawn(send_all)?;
    let _ = MESSAGES.set(messages);
    Ok(())
}

/// Reports that the listeners are served.
pub fn ready() {
    tell(vec![NotifyState::Ready]);
}

/// Reports that a new configuration is being read; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(vec![NotifyState::Reloading, now]),
        Err(_) => tell(vec![NotifyState::Reloading]),
    }
}

/// Reports that shutdown has begun and may take this long, also beyond `TimeoutStopSec=`.
pub(super) fn stopping(within: Duration) {
    let within = u32::try_from(within.as_micros()).unwrap_or(u32::MAX);
    tell(vec![
        NotifyState::Stopping,
        NotifyState::ExtendTimeoutUsec(within),
    ]);
}

/// Passes a message to the thread that sends it.
fn tell(message: Message) {
    if let Some(messages) = MESSAGES.get()
        && messages.try_send(message).is_err()
    {
        tracing::debug!("systemd does not read its messages: this one is dropped");
    }
}

type Message = Vec<NotifyState<'static>>;

/// The messages to the thread that [`start`] started.
static MESSAGES: OnceLock<SyncSender<Message>> = OnceLock::new();

/// Ten minutes of watchdog messages with `WatchdogSec=30`.
const MAX_WAITING: usize = 64;

/// Feeds the watchdog as long as each worker keeps checking its connections. If one hangs while the process
/// lives, systemd gets no message and restarts the service.
pub(super) async fn feed_watchdog(loads: Vec<Arc<Load>>) {
    let Some(every) = sd_notify::watchdog_enabled().map(|timeout| timeout / 3) else {
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
        if are_alive(&loads, &before, &now, every) {
            tell(vec![NotifyState::Watchdog]);
        } else {
            tracing::error!("worker thread stuck: no watchdog message is sent to systemd");
        }
        before = now;
    }
}

/// Returns whether every worker has checked its connections since `before`. During shutdown they may have stopped.
fn are_alive(loads: &[Arc<Load>], before: &[u64], now: &[u64], every: Duration) -> bool {
    let is_draining = |load: &Arc<Load>| load.draining.load(Ordering::Relaxed);
    // A worker checks once a second; in a shorter interval it need not have checked again.
    every < LEAST
        || loads.iter().any(is_draining)
        || (now.len() == before.len() && now.iter().zip(before).all(|(now, before)| now > before))
}

const LEAST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_stands_still_is_stuck_except_during_shutdown() {
        let loads = [Arc::new(Load::default()), Arc::default()];
        let alive = |now: &[u64], every| are_alive(&loads, &[1, 1], now, every);
        assert!(alive(&[2, 2], LEAST) && !alive(&[2, 1], LEAST));
        assert!(!alive(&[2, 2, 1], LEAST), "a worker was started again");
        assert!(alive(&[1, 1], LEAST / 2));
        loads[0].draining.store(true, Ordering::Relaxed);
        assert!(alive(&[1, 1], LEAST));
    }
}
