//! `[gateway]`.

use std::time::Duration;

use super::section::Section;
use crate::actix::GatewayOptions;

pub(super) fn read(section: &mut Section) -> Option<GatewayOptions> {
    let replay_limit = section.number("replay_limit", 0..=16 * 1_048_576);
    let body_limit = section.number("body_limit", 1..=1_073_741_824);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000);
    let timeout = section.number("timeout_ms", 1..=600_000);
    let calls_at_once = section.number("calls_at_once", 1..=100_000);
    let calls_per_second = section.number("calls_per_second", 0..=1_000_000);
    section.finish();
    Some(GatewayOptions {
        replay_limit: replay_limit?,
        body_limit: body_limit?,
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
        calls_at_once: calls_at_once?,
        calls_per_second: calls_per_second?,
    })
}
