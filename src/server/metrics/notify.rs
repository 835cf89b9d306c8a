//! Metrics of the messages to webhooks.

use std::fmt;
use std::sync::Arc;

use super::Page;
use crate::server::notify::DeliveryCounts;

/// Writes the metrics of the webhooks.
pub(super) fn write(page: &mut Page<'_>, counts: &[Arc<DeliveryCounts>]) -> fmt::Result {
    let counts = counts.iter().flat_map(|counts| {
        let results = counts.read();
        results.map(|(result, count)| ([counts.webhook.as_str(), result], count))
    });
    page.counters(
        "wx_jssdk_notifications",
        "Messages to webhooks: sent, failed (and tried again), lost",
        ["webhook", "result"],
        counts,
    )
}
