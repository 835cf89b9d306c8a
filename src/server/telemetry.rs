//! Logs: to stderr, as text or JSON lines. No level prints a secret: values that are secret cannot be printed (`Secret`).

use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;

use super::config::LogSettings;

/// Starts logging for this process. A second call changes nothing.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_new(with_quiet_server(&settings.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines)
        .log_internal_errors(false);
    // Fails only where a subscriber is installed already: an embedding program's own.
    let _ = if settings.json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .try_init()
    };
}

/// Stderr, as far as somebody reads it. A line that cannot be written is lost, and nothing else: told of it, the subscriber would
/// complain to stderr, panic over that in the midst of whatever was logged, and keep the line for the next try.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// actix's own lines about its threads say nothing that an operator asks for, unless the filters name it.
fn with_quiet_server(level: &str) -> String {
    if level.contains("actix_server") {
        level.to_owned()
    } else {
        format!("{level},actix_server=warn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actix_is_quiet_unless_asked_for() {
        assert_eq!(with_quiet_server("debug"), "debug,actix_server=warn");
        assert_eq!(
            with_quiet_server("info,actix_server=debug"),
            "info,actix_server=debug"
        );
    }
}
