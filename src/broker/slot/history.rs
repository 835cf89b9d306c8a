//! The results of the last refreshes of one credential: a small ring buffer for the charts on the status
//! page.
//!
//! It exists for every credential of ten thousand accounts, so an entry takes 20 bytes. Consecutive
//! failures of the same kind share one entry, so a night of failures does not displace the day before.

use std::collections::VecDeque;
use std::time::Duration;

use super::hours::{HOURS, HourState, Hours};
use crate::clock::UnixTime;
use crate::error::Class;

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshOutcome {
    /// WeChat returned a new value.
    Fetched,
    /// WeChat returned the same value again.
    Repeated,
    /// The store had a newer value, from a peer node or from this process before its restart.
    FromStore,
    /// It failed, with this class of error.
    Failed(Class),
}

/// One refresh, or several consecutive failures of the same kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Refresh {
    /// When it ended; of several, the first.
    pub at: UnixTime,
    /// When the last of them ended.
    pub last_at: UnixTime,
    /// Number of refreshes in this entry.
    pub times: u64,
    /// How it ended.
    pub outcome: RefreshOutcome,
    /// WeChat's errcode, if it sent one.
    pub errcode: Option<i64>,
    /// How long it took; of several, the last.
    pub took: Duration,
    /// When the value that it brought ends.
    pub expires_at: Option<UnixTime>,
}

/// The last [`KEPT`] refreshes of a slot, oldest first, and its last hours.
#[derive(Default)]
pub(in crate::broker) struct History {
    entries: VecDeque<Entry>,
    hours: Hours,
}

/// A compact [`Refresh`].
struct Entry {
    at: u32,
    last_at: u32,
    errcode: i32,
    times: u16,
    millis: u16,
    /// Seconds from `at`; 0 means that there is no value.
    life: u16,
    outcome: RefreshOutcome,
}

impl RefreshOutcome {
    /// Returns the name used in `status.json`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Repeated => "repeated",
            Self::FromStore => "from_store",
            Self::Failed(class) => class.as_str(),
        }
    }

    /// Whether the refresh brought no value.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

impl History {
    /// Adds a refresh that ended at this time. A failure has no `expires_at`.
    pub(in crate::broker) fn add(
        &mut self,
        at: UnixTime,
        outcome: RefreshOutcome,
        took: Duration,
        errcode: Option<i64>,
        expires_at: Option<UnixTime>,
    ) {
        self.hours.note(at, expires_at);
        let life = expires_at.map_or(0, |end| end.since(at).as_secs());
        let seconds = u32::try_from(at.0).unwrap_or(u32::MAX);
        let new = Entry {
            at: seconds,
            last_at: seconds,
            errcode: errcode
                .and_then(|code| i32::try_from(code).ok())
                .unwrap_or_default(),
            times: 1,
            millis: u16::try_from(took.as_millis()).unwrap_or(u16::MAX),
            life: u16::try_from(life).unwrap_or(u16::MAX),
            outcome,
        };
        let is_same = |last: &Entry| (last.outcome, last.errcode) == (outcome, new.errcode);
        if outcome.is_failure()
            && let Some(last) = self.entries.back_mut().filter(|last| is_same(last))
        {
            *last = Entry {
                at: last.at,
                times: last.times.saturating_add(1),
                ..new
            };
            return;
        }
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        // Starts with room for one entry and doubles: most slots of ten thousand accounts have seen one
        // refresh since the start.
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(self.entries.len().max(1));
        }
        self.entries.push_back(new);
    }

    pub(in crate::broker) fn all(&self) -> Vec<Refresh> {
        self.entries.iter().map(Refresh::from).collect()
    }

    /// Returns the last 24 hours, oldest first.
    pub(in crate::broker) fn hours(&self, now: UnixTime) -> [HourState; HOURS] {
        self.hours.all(now)
    }

    /// Returns how many of the refreshes since a time succeeded, and how many there were.
    pub(in crate::broker) fn since(&self, begin: UnixTime) -> (u64, u64) {
        let mut counts = (0, 0);
        for entry in &self.entries {
            if u64::from(entry.last_at) >= begin.0 {
                let times = u64::from(entry.times);
                counts.0 += if entry.outcome.is_failure() { 0 } else { times };
                counts.1 += times;
            }
        }
        counts
    }
}

impl From<&Entry> for Refresh {
    fn from(entry: &Entry) -> Self {
        let at = UnixTime(entry.at.into());
        let life = Duration::from_secs(entry.life.into());
        Self {
            at,
            last_at: UnixTime(entry.last_at.into()),
            times: entry.times.into(),
            outcome: entry.outcome,
            errcode: Some(i64::from(entry.errcode)).filter(|code| *code != 0),
            took: Duration::from_millis(entry.millis.into()),
            expires_at: (!life.is_zero()).then(|| at.plus(life)),
        }
    }
}

/// A day and a third of two-hour lives. Full buffers for two credentials of ten thousand accounts take 6.4
/// MB.
const KEPT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    impl History {
        fn add_failed(&mut self, at: u64, class: Class, errcode: Option<i64>) {
            let outcome = RefreshOutcome::Failed(class);
            let took = Duration::from_millis(40);
            self.add(UnixTime(at), outcome, took, errcode, None);
        }

        fn add_fetched(&mut self, at: u64) {
            let took = Duration::from_millis(52);
            let end = Some(UnixTime(at + 7_200));
            self.add(UnixTime(at), RefreshOutcome::Fetched, took, None, end);
        }
    }

    #[test]
    fn an_entry_is_small_and_keeps_what_was_added() {
        assert!(size_of::<Entry>() <= 20, "{}", size_of::<Entry>());
        let mut history = History::default();
        history.add_fetched(1_767_225_600);
        history.add_failed(1_767_225_700, Class::Setup, Some(-1));
        let at = UnixTime(1_767_225_600);
        let fetched = Refresh {
            at,
            last_at: at,
            times: 1,
            outcome: RefreshOutcome::Fetched,
            errcode: None,
            took: Duration::from_millis(52),
            expires_at: Some(UnixTime(1_767_232_800)),
        };
        let at = UnixTime(1_767_225_700);
        let failed = Refresh {
            at,
            last_at: at,
            outcome: RefreshOutcome::Failed(Class::Setup),
            errcode: Some(-1),
            took: Duration::from_millis(40),
            expires_at: None,
            ..fetched
        };
        assert_eq!(history.all(), [fetched, failed]);
    }

    #[test]
    fn out_of_range_values_are_clamped_and_do_not_wrap() {
        let mut history = History::default();
        for _ in 0..1 << 17 {
            let at = UnixTime(u64::from(u32::MAX) + 1);
            let outcome = RefreshOutcome::Failed(Class::Transient);
            history.add(at, outcome, Duration::from_secs(600), None, None);
        }
        let read = &history.all()[0];
        assert_eq!(
            (read.took.as_millis(), read.times, read.at),
            (65_535, 65_535, UnixTime(u32::MAX.into()))
        );
    }

    #[test]
    fn the_oldest_entries_are_dropped_first() {
        let mut history = History::default();
        for at in 0..40 {
            history.add_fetched(at);
        }
        let all = history.all();
        assert_eq!(
            (all.len(), all[0].at, all[KEPT - 1].at),
            (KEPT, UnixTime(24), UnixTime(39))
        );
    }

    #[test]
    fn consecutive_equal_failures_are_one_entry_and_displace_no_other() {
        let mut history = History::default();
        history.add_fetched(10);
        for n in 0..500 {
            history.add_failed(100 + n, Class::Setup, Some(7));
        }
        history.add_failed(700, Class::Transient, None);
        history.add_failed(701, Class::Setup, Some(7));
        let all: Vec<_> = history
            .all()
            .iter()
            .map(|one| (one.at.0, one.last_at.0, one.times))
            .collect();
        assert_eq!(
            all,
            [(10, 10, 1), (100, 599, 500), (700, 700, 1), (701, 701, 1)]
        );
        history.add_fetched(800);
        history.add_fetched(801);
        assert_eq!(history.all().len(), 6, "successes are not counted together");
    }
}
