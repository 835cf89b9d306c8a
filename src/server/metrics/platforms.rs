//! Metrics of open platforms: WeChat's pushes, the ticket, the accounts.

use std::fmt;

use super::{Page, float};
use crate::actix::Pushes;
use crate::broker::Broker;

/// Writes the metrics of the open platforms.
pub(super) fn write(page: &mut Page<'_>, broker: &Broker, pushes: &Pushes) -> fmt::Result {
    let receivers = pushes.all();
    let pushes = receivers.iter().flat_map(|receiver| {
        let (platform, counts) = receiver.counts();
        counts.map(move |(outcome, count)| ([platform, outcome], count))
    });
    page.counters(
        "wx_jssdk_platform_pushes",
        "Pushes of WeChat to an open platform, by what became of them",
        ["platform", "outcome"],
        pushes,
    )?;
    let platforms = broker.platforms();
    let tickets = platforms.iter().filter_map(|platform| {
        let at = platform.ticket_at?;
        Some(([platform.name.as_str()], float(at.0)))
    });
    page.gauges(
        "wx_jssdk_platform_ticket_timestamp_seconds",
        "When WeChat made the newest component_verify_ticket; it pushes one every ten minutes",
        ["platform"],
        tickets,
    )?;
    let accounts = platforms.iter().flat_map(|platform| {
        [
            ("active", platform.active),
            ("needs_authorization", platform.needs_authorization.len()),
        ]
        .map(|(state, count)| ([platform.name.as_str(), state], float(count as u64)))
    });
    page.gauges(
        "wx_jssdk_platform_accounts",
        "Accounts that authorised an open platform, and those that have to authorise it again",
        ["platform", "state"],
        accounts,
    )
}
