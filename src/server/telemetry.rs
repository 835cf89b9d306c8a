//! Logs: to stderr, as text or JSON lines. No level prints a secret: values that are secret cannot be printed (`Secret`).

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::config::LogSettings;

/// Starts logging for this process. A second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_new(with_quiet_server(&settings.level)).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only where a subscriber is installed already: an embedding program's own.
    let _ = if settings.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
}

/// actix's own lines about its threads say nothing that an operator asks for, unless the filters name it.
fn with_quiet_server(level: &str) -> String {
    if level.contains("actix_server") { level.to_owned() } else { format!("{level},actix_server=warn") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actix_is_quiet_unless_asked_for() {
        assert_eq!(with_quiet_server("debug"), "debug,actix_server=warn");
        assert_eq!(with_quiet_server("info,actix_server=debug"), "info,actix_server=debug");
    }
}
