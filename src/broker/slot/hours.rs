//! The last 24 hours of one credential, for the strip on the status page: two bits an hour.
//!
//! The hours between two refreshes follow from the first one: its value was served until its end. They are
//! filled in at the next refresh, or when the page is read.

use crate::clock::UnixTime;

/// The worst state of a credential within one hour, in order of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HourState {
    /// This process was not running, or had not fetched the credential yet.
    #[default]
    NoData,
    /// Served, and every refresh succeeded.
    Served,
    /// Served, but a refresh failed.
    Failed,
    /// Not served.
    Down,
}

/// Number of hours that are kept.
pub const HOURS: usize = 24;

/// The last [`HOURS`] hours.
#[derive(Clone, Default)]
pub(in crate::broker) struct Hours {
    /// Two bits an hour; the hour of `seen` has the lowest.
    cells: u64,
    /// The time up to which the cells are filled; zero before the first refresh.
    seen: UnixTime,
    /// End of the last value.
    ends: UnixTime,
    /// Whether the last refresh failed.
    failing: bool,
}

impl Hours {
    /// Records a refresh: the end of its value, or `None` if it failed.
    pub(in crate::broker) fn note(&mut self, now: UnixTime, ends: Option<UnixTime>) {
        if self.seen.0 == 0 {
            self.seen = now;
        } else {
            self.fill(now);
        }
        self.failing = ends.is_none();
        self.ends = ends.unwrap_or(self.ends);
        self.mark(self.state_at(now));
    }

    /// Returns the hours, oldest first; the last one is the present.
    pub(in crate::broker) fn all(&self, now: UnixTime) -> [HourState; HOURS] {
        let mut filled = self.clone();
        if filled.seen.0 > 0 {
            filled.fill(now);
        }
        std::array::from_fn(|at| match filled.cells >> (2 * (HOURS - 1 - at)) & 3 {
            0 => HourState::NoData,
            1 => HourState::Served,
            2 => HourState::Failed,
            _ => HourState::Down,
        })
    }

    fn fill(&mut self, now: UnixTime) {
        if now < self.seen {
            // A clock that was set back by more than an hour makes the old cells meaningless.
            if self.seen.since(now).as_secs() > HOUR {
                (self.cells, self.seen) = (0, now);
            }
            return;
        }
        let oldest = (now.0 / HOUR).saturating_sub(HOURS as u64 - 1) * HOUR;
        let mut at = self.seen.0;
        if at < oldest {
            (self.cells, at) = (0, oldest);
        }
        loop {
            let next = (at / HOUR + 1) * HOUR;
            self.mark(self.state_at(UnixTime(now.0.min(next - 1))));
            if next > now.0 {
                break;
            }
            (self.cells, at) = (self.cells << 2, next);
        }
        self.seen = now;
    }

    fn state_at(&self, at: UnixTime) -> HourState {
        // A refresh at the very end of a value, as WeCom's, leaves seconds without one.
        let allowed_gap_seconds = if self.failing { 0 } else { 60 };
        if self.ends.0 + allowed_gap_seconds < at.0 {
            HourState::Down
        } else if self.failing {
            HourState::Failed
        } else {
            HourState::Served
        }
    }

    fn mark(&mut self, state: HourState) {
        let worst = (self.cells & 3).max(state as u64);
        self.cells = self.cells & !3 | worst;
    }
}

const HOUR: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::HourState::*;
    use super::*;

    const NOON: u64 = 1_767_268_800;

    fn at(hours: u64, seconds: u64) -> UnixTime {
        UnixTime(NOON + hours * HOUR + seconds)
    }

    fn last<const N: usize>(hours: &Hours, now: UnixTime) -> [HourState; N] {
        let all = hours.all(now);
        std::array::from_fn(|n| all[HOURS - N + n])
    }

    #[test]
    fn before_the_first_refresh_there_is_no_data() {
        assert_eq!(Hours::default().all(at(0, 0)), [NoData; HOURS]);
    }

    #[test]
    fn the_hours_between_two_refreshes_were_served() {
        let mut hours = Hours::default();
        hours.note(at(0, 100), Some(at(2, 100)));
        hours.note(at(2, 95), Some(at(4, 95)));
        assert_eq!(
            last(&hours, at(3, 0)),
            [NoData, Served, Served, Served, Served]
        );
    }

    #[test]
    fn a_failed_refresh_marks_its_hours_until_a_success_and_down_begins_at_the_end() {
        let mut hours = Hours::default();
        hours.note(at(0, 0), Some(at(2, 0)));
        hours.note(at(1, 3_300), None);
        assert_eq!(last(&hours, at(1, 3_500)), [Served, Failed]);
        hours.note(at(3, 60), None);
        hours.note(at(4, 60), Some(at(6, 60)));
        assert_eq!(
            last(&hours, at(5, 0)),
            [Served, Failed, Down, Down, Down, Served]
        );
    }

    #[test]
    fn a_credential_never_fetched_is_down_from_its_first_failure() {
        let mut hours = Hours::default();
        hours.note(at(0, 0), None);
        assert_eq!(last(&hours, at(1, 0)), [NoData, Down, Down]);
    }

    #[test]
    fn more_than_a_day_without_a_refresh_is_a_day_down() {
        let mut hours = Hours::default();
        hours.note(at(0, 0), Some(at(2, 0)));
        assert_eq!(hours.all(at(90, 0)), [Down; HOURS]);
    }

    #[test]
    fn a_clock_set_back_by_seconds_keeps_the_day_and_by_days_clears_it() {
        let mut hours = Hours::default();
        hours.note(at(0, 0), Some(at(2, 0)));
        hours.note(at(2, 1), Some(at(4, 0)));
        assert_eq!(last(&hours, at(1, 3_599)), [Served, Served, Served]);
        assert_eq!(hours.clone().all(UnixTime(NOON - 86_400)), [NoData; HOURS]);
    }

    #[test]
    fn the_hours_of_a_slot_take_little_memory() {
        assert!(size_of::<Hours>() <= 32, "{}", size_of::<Hours>());
    }
}
