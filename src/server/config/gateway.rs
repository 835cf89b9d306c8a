//! `[gateway]`.

use std::time::Duration;

use super::Problems;
use super::section::Section;
use crate::actix::GatewayOptions;

pub(super) fn read(section: &mut Section, problems: &mut Problems) -> Option<GatewayOptions> {
    let replay_limit = section.number("replay_limit", 0..=16 * 1_048_576, problems);
    let body_limit = section.number("body_limit", 1..=1_073_741_824, problems);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000, problems);
    let timeout = section.number("timeout_ms", 1..=600_000, problems);
    let calls_at_once = section.number("calls_at_once", 1..=100_000, problems);
    let calls_per_second = section.number("calls_per_second", 0..=1_000_000, problems);
    section.finish(problems);
    Some(GatewayOptions {
        replay_limit: usize::try_from(replay_limit?).ok()?,
        body_limit: body_limit?,
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
        calls_at_once: u32::try_from(calls_at_once?).ok()?,
        calls_per_second: u32::try_from(calls_per_second?).ok()?,
    })
}
