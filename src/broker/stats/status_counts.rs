//! Counts this service's answers by HTTP status.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Number of answers by status.
#[derive(Debug, Default)]
pub(crate) struct StatusCounts {
    /// Number of the first one of [`STATUSES`].
    ok: AtomicU64,
    /// By the place in [`STATUSES`]. Allocated on use: most of ten thousand accounts answer nothing else than 200.
    others: OnceLock<Box<[AtomicU64; STATUSES.len()]>>,
}

#[cfg_attr(not(feature = "actix"), allow(dead_code))] // only the web layer answers
impl StatusCounts {
    /// Counts one answer.
    pub(crate) fn record(&self, status: u16) {
        self.at(status).fetch_add(1, Relaxed);
    }

    /// Like [`StatusCounts::record`], but cheaper: there must be no other writer.
    pub(crate) fn record_alone(&self, status: u16) {
        let counter = self.at(status);
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// Returns the number of answers with status 200.
    pub(crate) fn ok(&self) -> u64 {
        self.ok.load(Relaxed)
    }

    pub(crate) fn add_to(&self, sum: &Self) {
        for (status, count) in self.read() {
            sum.at(status).fetch_add(count, Relaxed);
        }
    }

    /// Returns the statuses and their counts, without those that are zero.
    pub(crate) fn read(&self) -> Vec<(u16, u64)> {
        let others = self.others.get().into_iter().flat_map(|others| &others[..]);
        let counts = std::iter::once(&self.ok).chain(others.skip(1));
        STATUSES
            .into_iter()
            .zip(counts.map(|counter| counter.load(Relaxed)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    fn at(&self, status: u16) -> &AtomicU64 {
        match index_of(status) {
            0 => &self.ok,
            at => &self.others.get_or_init(Box::default)[at],
        }
    }
}

/// Returns the index at which a status is counted: its own, or the first of its class.
fn index_of(status: u16) -> usize {
    let own = STATUSES.iter().position(|known| *known == status);
    let class = status / 100;
    let first_of_class = || STATUSES.iter().position(|known| known / 100 == class);
    own.or_else(first_of_class).unwrap_or(STATUSES.len() - 1)
}

/// The statuses counted separately. Any other status is counted as the first of its class.
const STATUSES: [u16; 28] = [
    200, 201, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 408, 409, 412, 413, 414, 415,
    416, 421, 429, 431, 500, 502, 503, 504, 508,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_read_as_it_was_counted() {
        let (counts, sum) = (StatusCounts::default(), StatusCounts::default());
        for (n, status) in STATUSES.into_iter().enumerate() {
            for _ in 0..=n {
                counts.record(status);
            }
        }
        counts.record_alone(200);
        assert_eq!(counts.ok(), 2);
        let counted = counts.read();
        let expected = (1u64..).zip(STATUSES).map(|(n, status)| match status {
            200 => (status, n + 1),
            _ => (status, n),
        });
        assert_eq!(counted, expected.collect::<Vec<_>>());
        counts.add_to(&sum);
        assert_eq!(sum.read(), counted);
        assert_eq!(StatusCounts::default().read(), []);
    }

    #[test]
    fn a_status_is_counted_by_code_or_by_class() {
        for status in STATUSES {
            assert_eq!(STATUSES[index_of(status)], status);
        }
        for (status, counted) in [
            (202, 200),
            (399, 301),
            (418, 400),
            (507, 500),
            (100, 508),
            (0, 508),
            (999, 508),
        ] {
            assert_eq!(STATUSES[index_of(status)], counted, "{status}");
        }
    }
}
