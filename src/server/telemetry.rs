//! Logs to stderr, as text or JSON lines. Secrets cannot be printed at any level (`Secret`).

mod log_buffer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Debug};
use std::io::{self, IsTerminal as _};
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;

use tracing::field::Field;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Subscriber, error, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::{LevelFilter, Targets, dynamic_filter_fn};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::log_buffer::{Lines, LogBuffer};
use super::config::LogSettings;

/// Writes the last lines of the log when it is dropped. Waits a second at most for a log that is not read.
#[derive(Debug)]
#[must_use = "the last lines may be lost"]
pub struct LogGuard(());

impl Drop for LogGuard {
    fn drop(&mut self) {
        BUFFER.flush();
    }
}

/// Starts logging for this process, panics included.
///
/// Lines are written by a thread of their own: the service goes on if the log is not read, and loses lines.
///
/// # Errors
///
/// The thread cannot be started.
pub fn start(settings: &LogSettings) -> io::Result<LogGuard> {
    BUFFER.write_to(io::stderr(), |lost| {
        warn!(lost, "log lines were lost: they could not be written");
    })?;
    let filter: Targets = with_quiet_server(&settings.level)
        .parse()
        .unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let filtered = tracing_subscriber::registry()
        .with(filter)
        .with(without_ended_accepts());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lines(BUFFER.clone()))
        .log_internal_errors(false);
    // Fails only if the embedding program has installed a subscriber already.
    let started = if settings.json {
        filtered.with(lines.json().flatten_event(true)).try_init()
    } else {
        let lines = lines
            .fmt_fields(format::debug_fn(logfmt).delimited(" "))
            .with_ansi(io::stderr().is_terminal())
            .event_format(Logfmt);
        filtered.with(lines).try_init()
    };
    if started.is_ok() && tracing::enabled!(Level::ERROR) {
        panic::set_hook(Box::new(log_panic));
    }
    Ok(LogGuard(()))
}

/// Logs a panic. By default the thread would write to stderr itself, and wait for what reads it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let has_backtrace = backtrace.status() == BacktraceStatus::Captured;
    error!(
        thread = thread::current().name().unwrap_or("unnamed"),
        at = panic.location().map(tracing::field::display),
        error = panic.payload_as_str().unwrap_or("unknown"),
        backtrace = has_backtrace.then(|| tracing::field::display(backtrace)),
        "a thread panicked"
    );
}

/// Writes the last lines of the log, for at most a second, and ends the process.
pub fn end_process(code: i32) -> ! {
    BUFFER.flush();
    process::exit(code)
}

/// Returns how many lines of the log were lost because it was not read.
pub(super) fn lost_lines() -> u64 {
    BUFFER.lost()
}

static BUFFER: LazyLock<Arc<LogBuffer>> = LazyLock::new(Arc::default);

/// Writes a line as logfmt: `time=…Z level=… msg=… key=value`. The time is UTC.
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "time=")?;
        SystemTime.format_time(&mut writer)?;
        let level = *event.metadata().level();
        match (writer.has_ansi_escapes(), level) {
            (true, Level::ERROR) => write!(writer, " level=\x1b[31m{level}\x1b[0m ")?,
            (true, Level::WARN) => write!(writer, " level=\x1b[33m{level}\x1b[0m ")?,
            _ => write!(writer, " level={level} ")?,
        }
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Writes `key=value`. Quotes values with blanks, so that logfmt parsers can read the line.
fn logfmt(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let (name, text) = (field.name(), format!("{value:?}"));
    let name = if name == "message" { "msg" } else { name };
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || c == '=' || c == '"';
    if is_quoted(&text) || (!text.is_empty() && !text.contains(needs_quotes)) {
        write!(writer, "{name}={text}")
    } else {
        write!(writer, "{name}={text:?}")
    }
}

/// Returns whether the whole text is one quoted string.
fn is_quoted(text: &str) -> bool {
    let inside = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let mut is_escaped = false;
    inside.is_some_and(|inside| {
        inside.chars().all(|c| {
            let fits = (is_escaped || c != '"') && !c.is_control();
            is_escaped = c == '\\' && !is_escaped;
            fits
        }) && !is_escaped
    })
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

/// Silences actix's lines about its threads, which operators do not need, and its lines about connections,
/// which have one ERROR for each malformed request, unless the filter names their crate. The gateway logs by
/// itself that an answer is incomplete.
fn with_quiet_server(level: &str) -> String {
    let mut filter = level.to_owned();
    for (crate_name, at_most) in [("actix_server", "warn"), ("actix_http", "off")] {
        if !level.contains(crate_name) {
            filter += &format!(",{crate_name}={at_most}");
        }
    }
    filter
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

    /// Reads `key=value` and `key="quoted \" value"` strictly.
    fn parsed(line: &str) -> Vec<(&str, String)> {
        let (mut rest, mut pairs) = (line, Vec::new());
        while !rest.is_empty() {
            let (key, value) = rest.split_once('=').unwrap();
            assert!(
                !key.is_empty() && !key.contains([' ', '"']),
                "{key:?} in {line}"
            );
            let length = match value.strip_prefix('"') {
                None => value.find(' ').unwrap_or(value.len()),
                Some(quoted) => {
                    let mut is_escaped = false;
                    let end = quoted.find(|c| {
                        let is_end = c == '"' && !is_escaped;
                        is_escaped = c == '\\' && !is_escaped;
                        is_end
                    });
                    end.unwrap() + 2
                }
            };
            let (value, after) = value.split_at(length);
            let is_bare = !value.starts_with('"');
            assert!(!is_bare || !value.contains('"'), "{value} in {line}");
            let text = if is_bare {
                value.to_owned()
            } else {
                serde_json::from_str(value).unwrap()
            };
            pairs.push((key, text));
            rest = after.strip_prefix(' ').unwrap_or(after);
        }
        pairs
    }

    const BEGIN_WITH_A_QUOTE: [&str; 6] = [
        "\"/run/secrets/none such\" cannot be read: No such file",
        "\"a\" conflicts with \"b\"",
        "\"ends in a backslash\\\"",
        "\"two\nlines\"",
        "\"whole\"",
        "\"",
    ];

    #[test]
    fn a_text_line_is_logfmt_with_its_time_in_utc() {
        let written = tempfile::NamedTempFile::new().unwrap();
        let lines = tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(written.reopen().unwrap()))
            .fmt_fields(format::debug_fn(logfmt).delimited(" "))
            .with_ansi(false)
            .event_format(Logfmt)
            .finish();
        tracing::subscriber::with_default(lines, || {
            let error = "refused: 40164 \"invalid ip\", a=b\nnext";
            tracing::error!(account = "shop", took_ms = 61, fix = %error, empty = %"", "refresh failed: {error}");
            for value in BEGIN_WITH_A_QUOTE {
                tracing::error!(value, shown = %value, "\"{value}\"");
            }
            tracing::info!("refreshed");
        });
        let text = std::fs::read_to_string(written.path()).unwrap();
        let [first, quoted @ .., second] = &text.lines().collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        assert_eq!(quoted.len(), BEGIN_WITH_A_QUOTE.len(), "{text}");
        for (line, value) in quoted.iter().zip(BEGIN_WITH_A_QUOTE) {
            let pairs = parsed(line);
            let keys: Vec<_> = pairs.iter().map(|(key, _)| *key).collect();
            assert_eq!(keys, ["time", "level", "msg", "value", "shown"], "{line}");
            assert_eq!(pairs[3].1, value, "{line}");
            assert!(pairs[4].1 == value || format!("{:?}", pairs[4].1) == value);
        }
        let pairs = parsed(first);
        let keys: Vec<_> = pairs.iter().map(|(key, _)| *key).collect();
        assert_eq!(
            keys,
            ["time", "level", "msg", "account", "took_ms", "fix", "empty"]
        );
        assert!(
            pairs[0].1.starts_with("20") && pairs[0].1.ends_with('Z'),
            "{first}"
        );
        assert_eq!(
            (pairs[1].1.as_str(), pairs[3].1.as_str()),
            ("ERROR", "shop")
        );
        assert!(
            pairs[2]
                .1
                .starts_with("refresh failed: refused: 40164 \"invalid ip\"")
        );
        assert!(
            second.ends_with("Z level=INFO msg=\"refreshed\"") || second.ends_with("msg=refreshed")
        );
    }

    #[test]
    fn actix_is_quiet_unless_asked_for() {
        for (level, filter) in [
            ("debug", "debug,actix_server=warn,actix_http=off"),
            (
                "info,actix_server=debug",
                "info,actix_server=debug,actix_http=off",
            ),
            (
                "info,actix_http::h1=trace",
                "info,actix_http::h1=trace,actix_server=warn",
            ),
        ] {
            assert_eq!(with_quiet_server(level), filter);
        }
    }
}
