//! Time: the one place that reads it.
//!
//! Everything else is given a [`UnixTime`] as an argument or asks a [`Clock`], so that a test can stand still, jump or advance
//! (`clippy.toml` forbids `SystemTime::now` and `Instant::now` everywhere else).
//!
//! A credential's life is counted on [`Clock::now`], which is never behind where the process's start and its uptime put it: when the
//! machine's clock is set back an hour, a ticket must not live an hour longer. It is no clock that only goes forward: where the wall
//! clock was ahead and is set right, it goes back with it, but not behind that. What is *printed* as a timestamp, and signed, is [`Clock::wall`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Seconds since 1970-01-01T00:00:00Z, without leap seconds: what WeChat calls a timestamp.
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
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// This time and `life` later, whole seconds; stops at the end of time instead of wrapping.
    #[must_use]
    pub fn plus(self, life: Duration) -> Self {
        Self(self.0.saturating_add(life.as_secs()))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }

    /// For people: `2026-11-21T14:36:11Z`.
    #[must_use]
    pub fn utc(self) -> String {
        // Howard Hinnant's days-to-civil: years begin in March, so that a leap day is a year's last.
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

    /// The next midnight in Shanghai (UTC+8, no summer time), when WeChat's daily quotas are taken to start anew.
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

/// The source of time. Cloning gives another handle on the same clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System(Anchor),
    /// The machine's clock, moved ahead by so many seconds: what `serve --sandbox` runs on.
    Shifted(Anchor, Arc<AtomicU64>),
    /// Stands still until it is told to advance: for tests.
    Manual(Arc<Hands>),
}

/// One look at the clock: what [`Clock::now`], [`Clock::uptime`] and [`Clock::wall`] say at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// By which lives are counted.
    pub now: UnixTime,
    /// How long the clock has been running.
    pub uptime: Duration,
    /// To sign and to print.
    pub wall: UnixTime,
}

/// A manual clock: where it started, how far it has advanced, and how far somebody has set its wall clock wrong. Milliseconds.
#[derive(Debug)]
pub struct Hands {
    start: u64,
    advanced: AtomicU64,
    set_wrong: AtomicI64,
}

/// Where the monotonic clock stood when the wall clock said what: what [`Clock::now`] is never behind.
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

    /// The later of what the wall clock says and what it must be by now if nobody had set it.
    fn now(&self) -> Duration {
        since_epoch().max(self.wall + self.monotonic.elapsed())
    }
}

#[allow(clippy::disallowed_methods)] // the one reader of time
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::System(Anchor::new())
    }

    /// The machine's clock, which [`Clock::advance`] can move ahead.
    #[must_use]
    pub fn shifted() -> Self {
        Self::Shifted(Anchor::new(), Arc::default())
    }

    /// A clock that stands still at `start`.
    #[must_use]
    pub fn manual(start: UnixTime) -> Self {
        let start = start.0.saturating_mul(1_000);
        Self::Manual(Arc::new(Hands {
            start,
            advanced: AtomicU64::new(0),
            set_wrong: AtomicI64::new(0),
        }))
    }

    /// The time by which lives are counted. Never behind what the uptime says; it goes back where the wall clock was ahead of that.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        UnixTime(self.now_millis() / 1_000)
    }

    /// [`Clock::now`] in milliseconds: fine enough to order two refreshes of one second.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        match self {
            Self::System(anchor) => millis(anchor.now()),
            Self::Shifted(anchor, ahead) => {
                millis(anchor.now()).saturating_add(ahead.load(Ordering::Relaxed))
            }
            Self::Manual(hands) => hands.wall().max(hands.start + millis(self.uptime())),
        }
    }

    /// How long this clock has been running, whatever anybody did to the wall clock meanwhile.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System(anchor) => anchor.monotonic.elapsed(),
            Self::Shifted(anchor, ahead) => {
                anchor.monotonic.elapsed() + Duration::from_millis(ahead.load(Ordering::Relaxed))
            }
            Self::Manual(hands) => Duration::from_millis(hands.advanced.load(Ordering::Relaxed)),
        }
    }

    /// The time to sign and to print: the wall clock as it is set now.
    #[must_use]
    pub fn wall(&self) -> UnixTime {
        match self {
            Self::System(_) => UnixTime(since_epoch().as_secs()),
            Self::Shifted(_, ahead) => UnixTime(
                since_epoch()
                    .as_secs()
                    .saturating_add(ahead.load(Ordering::Relaxed) / 1_000),
            ),
            Self::Manual(hands) => UnixTime(hands.wall() / 1_000),
        }
    }

    /// All three at once, which costs half of asking for each: for those who are asked a hundred thousand times a second.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let (anchor, ahead) = match self {
            Self::System(anchor) => (anchor, Duration::ZERO),
            Self::Shifted(anchor, ahead) => {
                (anchor, Duration::from_millis(ahead.load(Ordering::Relaxed)))
            }
            Self::Manual(_) => {
                return Moment {
                    now: self.now(),
                    uptime: self.uptime(),
                    wall: self.wall(),
                };
            }
        };
        let (wall, running) = (since_epoch(), anchor.monotonic.elapsed());
        let now = wall.max(anchor.wall + running);
        Moment {
            now: UnixTime((now + ahead).as_secs()),
            uptime: running + ahead,
            wall: UnixTime((wall + ahead).as_secs()),
        }
    }

    /// Moves a manual or shifted clock ahead. Answers false, and does nothing, on the machine's own clock.
    pub fn advance(&self, by: Duration) -> bool {
        match self {
            Self::System(_) => false,
            Self::Shifted(_, ahead) => {
                ahead.fetch_add(millis(by), Ordering::Relaxed);
                true
            }
            Self::Manual(hands) => {
                hands.advanced.fetch_add(millis(by), Ordering::Relaxed);
                true
            }
        }
    }

    /// Sets a manual clock's wall clock ahead (or, below zero, back) by so many seconds, as an administrator or a bad time server
    /// does: no time passes. Answers false, and does nothing, on any other clock.
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

impl Hands {
    fn wall(&self) -> u64 {
        let right = self.start + self.advanced.load(Ordering::Relaxed);
        right.saturating_add_signed(self.set_wrong.load(Ordering::Relaxed))
    }
}

fn millis(duration: Duration) -> u64 {
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
        // An anchor taken an hour "ahead" of the wall clock is what a step back looks like from inside.
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
    fn a_manual_clock_stands_still_until_told() {
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
    fn a_manual_clock_that_is_set_back_is_never_behind_its_uptime_and_leaves_an_error_ahead() {
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
    fn a_shifted_clock_runs_on_from_where_it_was_moved() {
        let clock = Clock::shifted();
        let before = clock.now();
        assert!(clock.advance(Duration::from_secs(7_200)));
        assert!(clock.now().since(before) >= Duration::from_secs(7_200));
        assert!(clock.wall().since(before) >= Duration::from_secs(7_199));
    }

    #[test]
    fn one_look_says_what_three_would_say() {
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
    fn a_time_is_written_as_people_read_it() {
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
