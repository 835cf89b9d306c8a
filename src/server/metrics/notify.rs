//! Metrics of the messages to webhooks.

use std::fmt;
use std::sync::Arc;

use super::Page;
use crate::server::notify::DeliveryCounts;

/// Writes the metrics of the webhooks.
pub(super) fn write(page: &mut Page<'_>, counts: &[Arc<DeliveryCounts>]) -> fmt::Result {
    let counts = counts.iter().flat_map(|counts| {
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
