//! `[log]`.

use super::redact::got;
use super::section::Section;
use crate::actix::RequestLog;

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level, or `tracing` filters.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
    /// Which requests are logged.
    pub requests: RequestLog,
}

impl LogSettings {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let level = section.text("level");
        // A filter compares targets byte by byte.
        let level = level.map(|text| text.replace(char::is_whitespace, ""));
        if let Some(text) = level.as_ref().filter(|text| !is_filter(text)) {
            let (en, zh) = got(text);
            section.report(
                "level",
                format!("must be error, warn, info, debug, trace, or a filter such as \"info,wx_jssdk=debug\"{en}"),
                format!("应为 error、warn、info、debug、trace，或 \"info,wx_jssdk=debug\" 这样的过滤规则{zh}"),
            );
        }
        let json = section.choice("format", &[("text", false), ("json", true)]);
        let requests = section.choice("requests", REQUESTS);
        section.finish();
        Some(Self {
            level: level?,
            json: json?,
            requests: requests?,
        })
    }
}

const REQUESTS: &[(&str, RequestLog)] = &[
    ("off", RequestLog::Off),
    ("failed", RequestLog::Failed),
    ("all", RequestLog::All),
];

/// Returns whether every part is a level or `target=level`. `tracing` accepts a bare word as a target, but
/// here it is a typo: `inof` would disable all logging.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    text.split(',').all(|part| {
        let (target, level) = part.split_once('=').unwrap_or(("", part));
        let is_level = LEVELS.iter().any(|name| name.eq_ignore_ascii_case(level));
        is_level && !target.contains('[')
    })
}
