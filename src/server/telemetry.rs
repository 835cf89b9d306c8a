//! Logs to stderr, as text or JSON lines. Secrets cannot be printed at any level (`Secret`).

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::Subscriber;
use tracing::field::Field;
use tracing::subscriber::Interest;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::config::LogSettings;

/// Starts logging for this process. A second call has no effect.
pub fn start(settings: &LogSettings) {
    let filter = EnvFilter::try_new(with_quiet_server(&settings.level))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines)
        .log_internal_errors(false);
    // Fails only if the embedding program has installed a subscriber already.
    let _ = if settings.json {
        let lines = lines.json().flatten_event(true).finish();
        lines.with(without_ended_accepts()).try_init()
    } else {
        let lines = lines
            .fmt_fields(format::debug_fn(logfmt).delimited(" "))
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .finish();
        lines.with(without_ended_accepts()).try_init()
    };
}

/// Writes `key=value`. Quotes values with blanks, so that logfmt parsers can read the line.
fn logfmt(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let (name, text) = (field.name(), format!("{value:?}"));
    match name {
        "message" => write!(writer, "{text}"),
        _ if !text.starts_with('"') && text.contains([' ', '=', '"']) => {
            write!(writer, "{name}={text:?}")
        }
        _ => write!(writer, "{name}={text}"),
    }
}

/// Stderr that ignores write errors: a line that cannot be written is lost. If the subscriber got the
/// error, it would complain to stderr, panic over that in the middle of the logging code, and keep the
/// line for the next attempt.
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

/// Sets whether failed accepts are logged: at shutdown the sockets stop listening, and actix may notice
/// before it stops accepting.
pub(super) fn report_accepts(report: bool) {
    ACCEPTS_ENDED.store(!report, Ordering::Relaxed);
}

static ACCEPTS_ENDED: AtomicBool = AtomicBool::new(false);

fn without_ended_accepts<S: Subscriber>() -> impl Layer<S> {
    const ACCEPT: &str = "actix_server::accept";
    dynamic_filter_fn(|line, _| line.target() != ACCEPT || !ACCEPTS_ENDED.load(Ordering::Relaxed))
        .with_callsite_filter(|line| match line.target() {
            ACCEPT => Interest::sometimes(),
            _ => Interest::always(),
        })
}

/// Silences actix's lines about its threads, which operators do not need, unless the filter names it.
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
    fn a_failed_accept_is_an_error_until_the_sockets_stop_listening() {
        let written = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(written.reopen().unwrap()))
            .finish()
            .with(without_ended_accepts());
        tracing::subscriber::with_default(lines, || {
            for report in [true, false, true] {
                report_accepts(report);
                tracing::error!(target: "actix_server::accept", "accept {report}");
                tracing::error!("ours {report}");
            }
        });
        let text = std::fs::read_to_string(written.path()).unwrap();
        for (words, count) in [("accept true", 2), ("accept false", 0), ("ours false", 1)] {
            assert_eq!(text.matches(words).count(), count, "{words}: {text}");
        }
    }

    #[test]
    fn actix_is_quiet_unless_asked_for() {
        assert_eq!(with_quiet_server("debug"), "debug,actix_server=warn");
        assert_eq!(
            with_quiet_server("info,actix_server=debug"),
            "info,actix_server=debug"
        );
    }
}
