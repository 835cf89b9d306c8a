//! Work that is done again and again, each time after a pause.

use std::time::Duration;

/// When work is due again, in uptime. At first it is due at once.
#[derive(Default)]
pub(crate) struct Due {
    next: Duration,
}

impl Due {
    /// Whether the work is due. If it is, the next time comes after `every`.
    pub(crate) fn take(&mut self, uptime: Duration, every: Duration) -> bool {
        let is_due = uptime >= self.next;
        if is_due {
            self.next = uptime.saturating_add(every);
        }
        is_due
    }

    /// Makes the work due at once.
    pub(crate) fn at_once(&mut self) {
        self.next = Duration::ZERO;
    }

    /// Postpones the next time.
    pub(crate) fn postpone(&mut self, by: Duration) {
        self.next = self.next.saturating_add(by);
    }
}

/// Returns this many pauses of `every`: one, and another for each page of entries.
pub(crate) fn per_page(every: Duration, entries: usize) -> Duration {
    every.saturating_mul(u32::try_from(1 + entries / PAGE).unwrap_or(u32::MAX))
}

/// The number of entries of the store that cost about as much as one look.
const PAGE: usize = 500;
