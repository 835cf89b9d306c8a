//! Throttles a log line that anyone can cause to one per minute.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    /// The uptime before which nothing is logged again, in milliseconds.
    next: AtomicU64,
}

impl LogThrottle {
    /// Returns true for one caller per minute; `uptime` is the clock's.
    pub(crate) fn may_log(&self, uptime: Duration) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let next = self.next.load(Ordering::Relaxed);
        let after = millis(uptime + EVERY);
        millis(uptime) >= next
            && self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_logged_once_a_minute() {
        let throttle = LogThrottle::default();
        let at = |seconds| throttle.may_log(Duration::from_secs(seconds));
        assert_eq!(
            [at(0), at(0), at(59), at(60), at(61), at(500)],
            [true, false, false, true, false, true]
        );
    }
}
