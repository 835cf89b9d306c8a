//! Logs: to stderr, as text or JSON lines. No level prints a secret: values that are secret cannot be printed (`Secret`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::config::LogSettings;

/// Starts logging for this process. A second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_new(&settings.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where a subscriber is installed already: an embedding program's own.
    let _ = if settings.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
}
