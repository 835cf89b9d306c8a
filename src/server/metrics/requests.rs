//! Metrics of requests: status and latency by route, and status by account.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;
use crate::broker::{Broker, Distribution, Latency};

/// Collector for the broker's request counters.
pub(in crate::server) struct RequestMetrics(pub(in crate::server) Broker);

impl fmt::Debug for RequestMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestMetrics")
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (page, requests) = (&mut Page(encoder), self.0.requests());
        let answered: Vec<_> = requests
            .routes
            .iter()
            .flat_map(|of| {
                of.by_status
                    .iter()
                    .map(move |(status, count)| (of.plane, &of.route, status.to_string(), *count))
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
        let latencies: Vec<_> = requests
            .routes
            .iter()
            .map(|of| (of, distribution(&of.latency)))
            .collect();
        page.histograms(
            "wx_jssdk_http_request_duration_seconds",
            "How long requests took to answer, by listener and route",
            latencies.iter().map(|(of, spread)| {
                (
                    [
                        ("listener", of.plane.as_str()),
                        ("route", of.route.as_str()),
                    ],
                    spread,
                )
            }),
        )?;
        let signed: Vec<_> = requests
            .accounts
            .iter()
            .flat_map(|of| {
                of.by_status
                    .iter()
                    .map(move |(status, count)| (&of.account, status.to_string(), *count))
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

/// Converts cumulative bucket counts to counts per bucket.
fn distribution(latency: &Latency) -> Distribution {
    let mut below = 0;
    let bounds = latency
        .buckets
        .iter()
        .copied()
        .chain([(f64::INFINITY, latency.count)]);
    let buckets = bounds
        .map(|(bound, count)| (bound, count - std::mem::replace(&mut below, count)))
        .collect();
    Distribution {
        buckets,
        sum: latency.sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_counts_become_counts_of_each_bucket() {
        let latency = Latency {
            buckets: vec![(0.1, 2), (0.5, 2), (1.0, 7)],
            sum: 9.0,
            count: 8,
        };
        let expected = vec![(0.1, 2), (0.5, 0), (1.0, 5), (f64::INFINITY, 1)];
        assert_eq!(
            distribution(&latency),
            Distribution {
                buckets: expected,
                sum: 9.0
            }
        );
    }
}
