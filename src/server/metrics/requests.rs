//! Metrics of requests: status and latency by route, and status by account.

use std::fmt;

use super::Page;
use crate::actix::RequestStats;
use crate::broker::Broker;

/// Writes the metrics of the requests.
pub(super) fn write(page: &mut Page<'_>, broker: &Broker, stats: &RequestStats) -> fmt::Result {
    let routes = stats.routes();
    let answered: Vec<_> = routes
        .iter()
        .flat_map(|of| {
            let statuses = of.by_status.iter();
            statuses.map(move |(status, count)| (of, status.to_string(), *count))
        })
        .collect();
    page.counters(
        "wx_jssdk_http_requests",
        "Requests by listener, route and status",
        ["listener", "route", "status"],
        answered.iter().map(|(of, status, count)| {
            let labels = [of.listener.as_str(), of.route.as_str(), status.as_str()];
            (labels, *count)
        }),
    )?;
    page.histograms(
        "wx_jssdk_http_request_duration_seconds",
        "How long requests took to answer, by listener and route",
        ["listener", "route"],
        routes
            .iter()
            .map(|of| ([of.listener.as_str(), of.route.as_str()], &of.latency)),
    )?;
    let accounts = stats.accounts(broker);
    let signed: Vec<_> = accounts
        .iter()
        .flat_map(|(account, by_status)| {
            let statuses = by_status.iter();
            statuses.map(move |(status, count)| (account, status.to_string(), *count))
        })
        .collect();
    page.counters(
        "wx_jssdk_account_requests",
        "Public requests by account and status; ? stands for unknown account names",
        ["account", "status"],
        signed
            .iter()
            .map(|(account, status, count)| ([account.as_str(), status.as_str()], *count)),
    )
}
