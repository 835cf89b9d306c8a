//! Metrics of connections, rejected requests, timeouts and certificates.

use std::fmt;
use std::sync::atomic::Ordering;

use super::{Page, float};
use crate::clock::UnixTime;
use crate::server::guard_stats::GuardStats;
use crate::server::tls::Certificate;

/// Writes the metrics of the guards of both listeners.
pub(super) fn write(
    page: &mut Page<'_>,
    stats: &GuardStats,
    certificates: &[Certificate],
) -> fmt::Result {
    let listeners = [("public", &stats.public), ("admin", &stats.admin)];
    let open = listeners.map(|(listener, load)| {
        let open = load.open.load(Ordering::Relaxed);
        ([listener], float(open as u64))
    });
    page.gauges(
        "wx_jssdk_connections",
        "Open connections",
        ["listener"],
        open,
    )?;
    let ended = listeners.into_iter().flat_map(|(listener, load)| {
        [
            ("timed_out", &load.timed_out),
            ("evicted_idle", &load.evicted_idle),
            ("evicted_unfinished", &load.evicted_unfinished),
        ]
        .map(|(reason, count)| ([listener, reason], count.load(Ordering::Relaxed)))
    });
    page.counters(
        "wx_jssdk_connections_ended",
        "Connections closed by the server, because they took too long or to free a place",
        ["listener", "reason"],
        ended,
    )?;
    page.counters(
        "wx_jssdk_wrong_keys",
        "Requests with an invalid API key, repeated ones included",
        [],
        [([], stats.lockout.wrong())],
    )?;
    let refused = [
        ("rate_limited", stats.limit.refused()),
        ("locked_out", stats.lockout.refused()),
    ];
    page.counters(
            "wx_jssdk_refused_requests",
            "Requests refused by the rate limit (rate_limited) or after too many invalid API keys (locked_out)",
            ["reason"],
            refused.map(|(reason, count)| ([reason], count)),
        )?;
    let each = |time: fn(&Certificate) -> UnixTime| {
        let times = certificates.iter();
        times.map(move |one| ([one.setting()], float(time(one).0)))
    };
    page.gauges(
        "wx_jssdk_certificate_expiry_timestamp_seconds",
        "When a certificate in use expires",
        ["setting"],
        each(Certificate::expires_at),
    )?;
    page.gauges(
        "wx_jssdk_certificate_expires_soon_timestamp_seconds",
        "From when on a certificate in use should have been renewed: 14 days before it expires, or a fifth of its validity if that is shorter",
        ["setting"],
        each(Certificate::expires_soon_at),
    )
}
