//! Throttles a log line to at most one per interval.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct LogThrottle {
    every: Duration,
    /// The uptime before which nothing is logged again, in milliseconds.
    next: AtomicU64,
}

impl LogThrottle {
    pub(crate) fn new(every: Duration) -> Self {
        Self {
            every,
            next: AtomicU64::new(0),
        }
    }

    /// Returns true for one caller per interval; `uptime` is the clock's.
    pub(crate) fn may_log(&self, uptime: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = millis(uptime + self.every);
        millis(uptime) >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_per_interval() {
        let throttle = LogThrottle::new(Duration::from_secs(60));
        let at = |seconds| throttle.may_log(Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(0), at(59), at(60), at(61), at(500)],
            [true, false, false, true, false, true]
        );
    }
}
