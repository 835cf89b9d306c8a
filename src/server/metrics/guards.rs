//! Metrics of connections, rejected requests, timeouts and certificates.

use std::fmt;

use super::{Page, float};
use crate::server::guard_stats::GuardStats;
use crate::server::tls::Certificate;

/// Writes the metrics of the guards of both listeners.
pub(super) fn write(
    page: &mut Page<'_>,
    stats: &GuardStats,
    certificates: &[Certificate],
) -> fmt::Result {
    let listeners: Vec<_> = ["public", "admin"]
        .into_iter()
        .zip(stats.connections())
        .collect();
    let open = listeners
        .iter()
        .map(|(listener, of)| ([("listener", *listener)], float(of.open)));
    page.gauges("wx_jssdk_connections", "Open connections", open)?;
    let ended = listeners.iter().flat_map(|(listener, of)| {
        [
            ("timed_out", of.timed_out),
            ("evicted_idle", of.evicted_idle),
            ("evicted_unfinished", of.evicted_unfinished),
        ]
        .map(|(reason, count)| ([("listener", *listener), ("reason", reason)], count))
    });
    page.counters(
        "wx_jssdk_connections_ended",
        "Connections closed by the server, because they took too long or to free a place",
        ended,
    )?;
    let counts = stats.counts();
    page.counters(
        "wx_jssdk_wrong_keys",
        "Requests with an invalid API key, repeated ones included",
        [([], counts.wrong_keys)],
    )?;
    let refused = [
        ("rate_limited", counts.rate_limited),
        ("locked_out", counts.locked_out),
    ];
    page.counters(
            "wx_jssdk_refused_requests",
            "Requests refused by the rate limit (rate_limited) or after too many invalid API keys (locked_out)",
            refused.map(|(reason, count)| ([("reason", reason)], count)),
        )?;
    let expiries = certificates
        .iter()
        .map(|one| ([("setting", one.setting())], float(one.expires_at().0)));
    page.gauges(
        "wx_jssdk_certificate_expiry_timestamp_seconds",
        "When a certificate in use expires",
        expiries,
    )?;
    let soon = certificates
        .iter()
        .map(|one| ([("setting", one.setting())], float(one.expires_soon_at().0)));
    page.gauges(
        "wx_jssdk_certificate_expires_soon_timestamp_seconds",
        "From when on a certificate in use should have been renewed: 14 days before it expires, or a fifth of its validity if that is shorter",
        soon,
    )
}
