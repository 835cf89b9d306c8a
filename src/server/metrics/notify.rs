//! Metrics of the messages to webhooks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::Page;
use crate::server::notify::DeliveryCounts;

/// Collector for the webhooks.
#[derive(Debug)]
pub(in crate::server) struct NotifyMetrics {
    counts: Vec<Arc<DeliveryCounts>>,
}

impl NotifyMetrics {
    pub(in crate::server) fn new(counts: Vec<Arc<DeliveryCounts>>) -> Self {
        Self { counts }
    }
}

impl Collector for NotifyMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let page = &mut Page(encoder);
        let counts = self.counts.iter().flat_map(|counts| {
            counts.read().map(|(result, count)| {
                let labels = [("webhook", counts.webhook.as_str()), ("result", result)];
                (labels, count)
            })
        });
        page.counters(
            "wx_jssdk_notifications",
            "Messages to webhooks: sent, failed (and tried again), lost",
            counts,
        )
    }
}
