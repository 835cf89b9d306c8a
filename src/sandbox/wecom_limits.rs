//! WeCom's hourly quotas: exceeding one blocks the caller for an hour.
//!
//! It is not known whether WeCom's hours follow the clock or begin with the first call; here they begin with
//! the first call.

use std::time::Duration;

use crate::clock::UnixTime;

/// Count of one hour, and its block.
#[derive(Default)]
pub(super) struct HourlyLimit {
    began: UnixTime,
    count: u64,
    blocked_until: Option<UnixTime>,
}

impl HourlyLimit {
    /// Returns whether one more call is allowed. A call beyond the limit starts the block; a call during the
    /// block does not prolong it.
    pub(super) fn admits(&mut self, limit: u64, now: UnixTime) -> bool {
        if self.is_blocked(now) {
            return false;
        }
        if self.count >= limit {
            self.block(now);
        }
        self.count < limit
    }

    /// Counts one.
    pub(super) fn count(&mut self, now: UnixTime) {
        self.roll(now);
        if self.count == 0 {
            self.began = now;
        }
        self.count += 1;
    }

    /// Counts one; reaching `limit` starts a block.
    pub(super) fn count_towards_block(&mut self, limit: u64, now: UnixTime) {
        self.count(now);
        if self.count >= limit {
            self.block(now);
        }
    }

    /// Returns whether a block is active.
    pub(super) fn is_blocked(&mut self, now: UnixTime) -> bool {
        self.roll(now);
        self.blocked_until.is_some()
    }

    fn block(&mut self, now: UnixTime) {
        self.blocked_until = Some(now.plus(HOUR));
    }

    /// Resets an hour or a block that has ended.
    fn roll(&mut self, now: UnixTime) {
        let end = self.blocked_until.unwrap_or_else(|| self.began.plus(HOUR));
        if now >= end {
            *self = Self::default();
        }
    }
}

/// "A block by the hour lasts 60 minutes."
const HOUR: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> UnixTime {
        UnixTime(1_700_000_000 + second)
    }

    /// Makes one call and returns whether it was allowed.
    fn call(hourly: &mut HourlyLimit, second: u64) -> bool {
        let admitted = hourly.admits(2, at(second));
        if admitted {
            hourly.count(at(second));
        }
        admitted
    }

    #[test]
    fn an_hour_begins_with_its_first_call() {
        let mut hourly = HourlyLimit::default();
        assert!(call(&mut hourly, 0) && call(&mut hourly, 3_599));
        assert!(call(&mut hourly, 3_600) && call(&mut hourly, 3_601));
        assert!(!call(&mut hourly, 3_602));
    }
}
