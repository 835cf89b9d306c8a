//! Metrics of the calls that the gateway passes on.

use std::fmt;

use super::{Page, float};
use crate::actix::{CallOutcome, CallStats, Gateway};

/// Writes the metrics of the gateway.
pub(super) fn write(page: &mut Page<'_>, gateway: &Gateway) -> fmt::Result {
    let all = gateway.stats().calls();
    fn labels(calls: &CallStats) -> [&str; 2] {
        [&calls.account, &calls.path]
    }
    let by_outcome = all.iter().flat_map(|calls| {
        let outcomes = CallOutcome::ALL.into_iter().zip(calls.outcomes);
        let counted = outcomes.filter(|(_, count)| *count > 0);
        counted.map(|(outcome, count)| {
            let [account, path] = labels(calls);
            ([account, path, outcome.as_str()], count)
        })
    });
    page.counters(
        "wx_jssdk_gateway_calls",
        "Calls to WeChat through the gateway, by account, first two path segments and outcome",
        ["account", "path", "outcome"],
        by_outcome,
    )?;
    let bytes = all.iter().flat_map(|calls| {
        [
            ("sent", calls.bytes_sent),
            ("received", calls.bytes_received),
        ]
        .map(|(direction, bytes)| {
            let [account, path] = labels(calls);
            ([account, path, direction], bytes)
        })
    });
    page.counters(
        "wx_jssdk_gateway_bytes",
        "Bytes of bodies that were sent to WeChat and received from it",
        ["account", "path", "direction"],
        bytes,
    )?;
    let replays = all.iter().map(|calls| (labels(calls), calls.replays));
    page.counters(
        "wx_jssdk_gateway_replays",
        "Calls that were repeated because WeChat refused the token",
        LABELS,
        replays,
    )?;
    let healed = all.iter().map(|calls| (labels(calls), calls.healed));
    page.counters(
        "wx_jssdk_gateway_healed",
        "Repeated calls that WeChat then answered without a token error",
        LABELS,
        healed,
    )?;
    let latencies: Vec<_> = all.iter().map(|calls| (calls, calls.latency())).collect();
    let latencies = latencies
        .iter()
        .map(|(calls, latency)| (labels(calls), latency));
    page.histograms(
        "wx_jssdk_gateway_upstream_seconds",
        "Time until WeChat's answer began, repeated calls included",
        LABELS,
        latencies,
    )?;
    let in_progress = float(gateway.in_progress() as u64);
    page.gauge(
        "wx_jssdk_gateway_calls_in_progress",
        "Calls through the gateway that are not answered completely",
        Some(in_progress),
    )
}

const LABELS: [&str; 2] = ["account", "path"];
