//! Time: the only module that reads it.
//!
//! All other code takes a [`UnixTime`] as an argument or asks a [`Clock`], so that a test can stop, jump or
//! advance time (`clippy.toml` forbids `SystemTime::now` and `Instant::now` everywhere else).
//!
//! Credential lifetimes are measured with [`Clock::now`], which is never behind the process's start time
//! plus its uptime: when the machine's clock is set back an hour, a ticket must not live an hour longer. It
//! is not monotonic: if the wall clock was ahead and is corrected, it goes back too, but not behind that
//! limit. Signed timestamps are [`Clock::wall`]; printed ones are converted to it by [`Clock::to_wall`].

mod due;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

pub(crate) use due::{Due, per_page};

/// Seconds since 1970-01-01T00:00:00Z without leap seconds, which is WeChat's timestamp.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// Returns this time plus `life` in whole seconds; saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, life: Duration) -> Self {
        Self(self.0.saturating_add(life.as_secs()))
    }

    /// Returns how long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// Formats the time for people: `2026-11-21T14:36:11Z`.
    #[must_use]
    pub fn utc(self) -> String {
        // Howard Hinnant's days-to-civil algorithm: years start in March, so that a leap day is the last
        // day of a year.
        let (days, second) = (self.0 / 86_400 + 719_468, self.0 % 86_400);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let (day, month) = (day - (153 * march + 2) / 5 + 1, (march + 2) % 12 + 1);
        let year = year + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Returns the next midnight in Shanghai (UTC+8, no daylight saving time), when WeChat's daily quotas
    /// are assumed to reset.
    #[must_use]
    pub fn next_shanghai_midnight(self) -> Self {
        const DAY: u64 = 86_400;
        const EAST: u64 = 8 * 3_600;
        Self(((self.0 + EAST) / DAY + 1) * DAY - EAST)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A source of time. Clones share the same clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System(Anchor),
    /// The machine's clock, moved ahead by this many milliseconds; used by `serve --sandbox`.
    Shifted(Anchor, Arc<AtomicU64>),
    /// Stands still until it is advanced; for tests.
    Manual(Arc<Hands>),
}

/// One reading of the clock: [`Clock::now`], [`Clock::uptime`] and [`Clock::wall`] at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time for measuring lifetimes.
    pub now: UnixTime,
    /// How long the clock has been running.
    pub uptime: Duration,
    /// The time for signing and printing.
    pub wall: UnixTime,
}

/// The state of a manual clock, in milliseconds: its start, how far it has advanced, and the error of its
/// wall clock.
#[derive(Debug)]
pub struct Hands {
    start: u64,
    advanced: AtomicU64,
    set_wrong: AtomicI64,
}

/// A reading of the monotonic clock and the wall clock at the same moment. [`Clock::now`] is never behind
/// it plus the elapsed time.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    wall: Duration,
    monotonic: Instant,
}

impl Anchor {
    #[allow(clippy::disallowed_methods)] // the one reader of time
    fn new() -> Self {
        Self {
            wall: since_epoch(),
            monotonic: Instant::now(),
        }
    }
}

#[allow(clippy::disallowed_methods)] // the one reader of time
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

impl Clock {
    /// Returns the machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::System(Anchor::new())
    }

    /// Returns the machine's clock in a form that [`Clock::advance`] can move ahead.
    #[must_use]
    pub fn shifted() -> Self {
        Self::Shifted(Anchor::new(), Arc::default())
    }

    /// Returns a clock that stands still at `start`.
    #[must_use]
    pub fn manual(start: UnixTime) -> Self {
        let start = start.0.saturating_mul(1_000);
        Self::Manual(Arc::new(Hands {
            start,
            advanced: AtomicU64::new(0),
            set_wrong: AtomicI64::new(0),
        }))
    }

    /// Returns the time for measuring lifetimes. Never behind the start time plus the uptime; goes back
    /// only if the wall clock was ahead of that.
    pub fn now(&self) -> UnixTime {
        UnixTime(self.now_millis() / 1_000)
    }

    /// Returns [`Clock::now`] in milliseconds, which is fine enough to order two refreshes within one
    /// second.
    pub fn now_millis(&self) -> u64 {
        millis(self.wall_time().max(self.start() + self.uptime()))
    }

    /// Returns how long this clock has been running, unaffected by changes of the wall clock.
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System(anchor) => anchor.monotonic.elapsed(),
            Self::Shifted(anchor, ahead) => anchor.monotonic.elapsed() + load(ahead),
            Self::Manual(hands) => load(&hands.advanced),
        }
    }

    /// Returns the time for signing and printing: the wall clock as currently set.
    pub fn wall(&self) -> UnixTime {
        UnixTime(self.wall_time().as_secs())
    }

    /// Returns the wall clock as currently set, since 1970.
    fn wall_time(&self) -> Duration {
        match self {
            Self::System(_) => since_epoch(),
            Self::Shifted(_, ahead) => since_epoch() + load(ahead),
            Self::Manual(hands) => {
                let right = hands.start + hands.advanced.load(Ordering::Relaxed);
                let wrong = hands.set_wrong.load(Ordering::Relaxed);
                Duration::from_millis(right.saturating_add_signed(wrong))
            }
        }
    }

    /// Returns the wall clock at the start, since 1970.
    fn start(&self) -> Duration {
        match self {
            Self::System(anchor) | Self::Shifted(anchor, _) => anchor.wall,
            Self::Manual(hands) => Duration::from_millis(hands.start),
        }
    }

    /// Returns the conversion of times of [`Clock::now`] to the wall clock, for printing. They are the same unless the
    /// wall clock was ahead when this clock started, and has been set back.
    pub fn to_wall(&self) -> impl Fn(UnixTime) -> UnixTime + Copy + use<> {
        let behind = (self.start() + self.uptime()).saturating_sub(self.wall_time());
        // Rounded, so that a clock that a time server slows down does not let each time flicker.
        let seconds = (millis(behind) + 500) / 1_000;
        move |time| UnixTime(time.0.saturating_sub(seconds))
    }

    /// Returns all three times at once, at half the cost of three calls, for code that runs a hundred
    /// thousand times a second.
    pub fn moment(&self) -> Moment {
        let wall = self.wall_time();
        let uptime = self.uptime();
        Moment {
            now: UnixTime(wall.max(self.start() + uptime).as_secs()),
            uptime,
            wall: UnixTime(wall.as_secs()),
        }
    }

    /// Moves a manual or shifted clock ahead. Does nothing and returns false for the machine's own clock.
    pub fn advance(&self, by: Duration) -> bool {
        let ahead = match self {
            Self::System(_) => return false,
            Self::Shifted(_, ahead) => ahead,
            Self::Manual(hands) => &hands.advanced,
        };
        ahead.fetch_add(millis(by), Ordering::Relaxed);
        true
    }

    /// Sets a manual clock's wall clock ahead (or back, if negative) by this many seconds without time
    /// passing, as an administrator or a faulty time server does. Does nothing and returns false for any
    /// other clock.
    pub fn set_wrong(&self, seconds: i64) -> bool {
        let Self::Manual(hands) = self else {
            return false;
        };
        hands
            .set_wrong
            .fetch_add(seconds.saturating_mul(1_000), Ordering::Relaxed);
        true
    }
}

/// Returns the duration that a counter of milliseconds holds.
fn load(millis: &AtomicU64) -> Duration {
    Duration::from_millis(millis.load(Ordering::Relaxed))
}

/// Returns a duration in milliseconds, as `u64`: a log in JSON writes a `u128` as text.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_reads_the_same_time_both_ways() {
        let clock = Clock::system();
        assert!(clock.now().0.abs_diff(clock.wall().0) <= 1);
        assert!(
            clock.now() > UnixTime(1_700_000_000),
            "the machine's clock is set"
        );
    }

    #[test]
    fn the_system_clock_cannot_be_advanced() {
        assert!(!Clock::system().advance(Duration::from_secs(60)));
    }

    #[test]
    fn lives_are_not_prolonged_when_the_wall_clock_is_set_back() {
        // An anchor taken with the wall clock an hour ahead looks like a clock that was set back since.
        let mut anchor = Anchor::new();
        anchor.wall += Duration::from_secs(3_600);
        let clock = Clock::System(anchor);
        assert!(
            clock.now().0 >= clock.wall().0 + 3_599,
            "life time goes on from where it was"
        );
    }

    #[test]
    fn a_wall_clock_set_ahead_ends_lives_early_rather_than_late() {
        let mut anchor = Anchor::new();
        anchor.wall -= Duration::from_secs(3_600);
        let clock = Clock::System(anchor);
        assert!(clock.now().0.abs_diff(clock.wall().0) <= 1);
    }

    #[test]
    fn a_manual_clock_stands_still_until_advanced() {
        let clock = Clock::manual(UnixTime(1_000));
        let other_handle = clock.clone();
        assert_eq!(clock.now(), UnixTime(1_000));
        assert!(other_handle.advance(Duration::from_millis(2_500)));
        assert_eq!(
            (clock.now(), clock.now_millis(), clock.wall()),
            (UnixTime(1_002), 1_002_500, UnixTime(1_002))
        );
    }

    #[test]
    fn a_manual_clock_set_back_is_never_behind_its_uptime() {
        let clock = Clock::manual(UnixTime(10_000));
        assert!(clock.set_wrong(-3_600));
        assert_eq!(
            (clock.now(), clock.wall(), clock.uptime()),
            (UnixTime(10_000), UnixTime(6_400), Duration::ZERO)
        );
        assert!(clock.advance(Duration::from_secs(5)) && clock.set_wrong(7_200));
        assert_eq!(
            (clock.now(), clock.wall(), clock.uptime()),
            (UnixTime(13_605), UnixTime(13_605), Duration::from_secs(5))
        );
        assert!(!Clock::system().set_wrong(1));
        assert!(clock.set_wrong(-3_600));
        assert_eq!(
            clock.now(),
            UnixTime(10_005),
            "what was ahead goes back, as far as the uptime allows"
        );
    }

    #[test]
    fn times_are_printed_as_the_corrected_wall_clock_has_them() {
        let clock = Clock::manual(UnixTime(10_000));
        assert_eq!(clock.to_wall()(UnixTime(17_200)), UnixTime(17_200));
        assert!(clock.set_wrong(-3_600));
        assert_eq!(clock.to_wall()(clock.now()), clock.wall());
        assert_eq!(clock.to_wall()(UnixTime(17_200)), UnixTime(13_600));
        let mut ahead = Anchor::new();
        ahead.wall += Duration::from_secs(3_600);
        let shifted = Clock::Shifted(ahead, Arc::new(AtomicU64::new(60_000)));
        for clock in [Clock::System(ahead), shifted] {
            let printed = clock.to_wall()(clock.now());
            assert!(printed.0.abs_diff(clock.wall().0) <= 1, "{printed}");
        }
    }

    #[test]
    fn a_shifted_clock_runs_on_from_where_it_was_moved() {
        let clock = Clock::shifted();
        let before = clock.now();
        assert!(clock.advance(Duration::from_secs(7_200)));
        assert!(clock.now().since(before) >= Duration::from_secs(7_200));
        assert!(clock.wall().since(before) >= Duration::from_secs(7_199));
    }

    #[test]
    fn one_snapshot_equals_three_separate_reads() {
        let manual = Clock::manual(UnixTime(10_000));
        assert!(manual.advance(Duration::from_millis(1_500)) && manual.set_wrong(-60));
        let moment = manual.moment();
        assert_eq!(
            (moment.now, moment.uptime, moment.wall),
            (manual.now(), manual.uptime(), manual.wall())
        );
        let shifted = Clock::shifted();
        assert!(shifted.advance(Duration::from_secs(7_200)));
        let mut behind = Anchor::new();
        behind.wall += Duration::from_secs(3_600);
        for clock in [Clock::system(), shifted, Clock::System(behind)] {
            let (before, moment, after) = (clock.uptime(), clock.moment(), clock.uptime());
            assert!(before <= moment.uptime && moment.uptime <= after);
            assert!(
                moment.now.0.abs_diff(clock.now().0) <= 1
                    && moment.wall.0.abs_diff(clock.wall().0) <= 1
            );
        }
    }

    #[test]
    fn time_arithmetic_saturates() {
        assert_eq!(
            UnixTime(u64::MAX).plus(Duration::from_secs(1)),
            UnixTime(u64::MAX)
        );
        assert_eq!(UnixTime(5).since(UnixTime(9)), Duration::ZERO);
        assert_eq!(UnixTime(9).since(UnixTime(5)), Duration::from_secs(4));
    }

    #[test]
    fn a_time_is_formatted_for_people() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(UnixTime(seconds).utc(), text);
        }
    }

    #[test]
    fn the_quota_day_turns_at_midnight_in_shanghai() {
        // 2024-01-01T15:59:59Z is 23:59:59 in Shanghai, one second before its midnight.
        assert_eq!(
            UnixTime(1_704_124_799).next_shanghai_midnight(),
            UnixTime(1_704_124_800)
        );
        assert_eq!(
            UnixTime(1_704_124_800).next_shanghai_midnight(),
            UnixTime(1_704_124_800 + 86_400)
        );
    }
}
