//! Metrics of requests: status and latency by route, and status by account.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;
use crate::actix::RequestStats;
use crate::broker::Broker;

/// Collector for the request counters.
pub(in crate::server) struct RequestMetrics {
    broker: Broker,
    stats: RequestStats,
}

impl RequestMetrics {
    pub(in crate::server) fn new(broker: Broker, stats: RequestStats) -> Self {
        Self { broker, stats }
    }
}

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetrics")
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (page, routes) = (&mut Page(encoder), self.stats.routes());
        let answered: Vec<_> = routes
            .iter()
            .flat_map(|of| {
                of.by_status.iter().map(move |(status, count)| {
                    (of.listener, &of.route, status.to_string(), *count)
                })
            })
            .collect();
        page.counters(
            "wx_jssdk_http_requests",
            "Requests by listener, route and status",
            answered.iter().map(|(listener, route, status, count)| {
                (
                    [
                        ("listener", listener.as_str()),
                        ("route", route.as_str()),
                        ("status", status.as_str()),
                    ],
                    *count,
                )
            }),
        )?;
        page.histograms(
            "wx_jssdk_http_request_duration_seconds",
            "How long requests took to answer, by listener and route",
            routes.iter().map(|of| {
                (
                    [
                        ("listener", of.listener.as_str()),
                        ("route", of.route.as_str()),
                    ],
                    &of.latency,
                )
            }),
        )?;
        let accounts = self.stats.accounts(&self.broker);
        let signed: Vec<_> = accounts
            .iter()
            .flat_map(|(account, by_status)| {
                by_status
                    .iter()
                    .map(move |(status, count)| (account, status.to_string(), *count))
            })
            .collect();
        page.counters(
            "wx_jssdk_account_requests",
            "Public requests by account and status; ? stands for unknown account names",
            signed.iter().map(|(account, status, count)| {
                (
                    [("account", account.as_str()), ("status", status.as_str())],
                    *count,
                )
            }),
        )
    }
}
