//! The refresh history as a small chart: successes go up from a baseline, failures go down, independent of
//! colours.
//!
//! Only geometry; the template draws it.

use super::report::RefreshReport;
use crate::clock::UnixTime;

/// A time axis that ends at the present.
pub(super) struct Chart {
    pub(super) bars: Vec<Bar>,
    /// Length of the axis, in seconds.
    pub(super) reach: u64,
    /// Number of refreshes that returned a value.
    pub(super) came: u64,
    /// Number of failed refreshes.
    pub(super) failed: u64,
}

/// One refresh, or consecutive failures.
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) y: u64,
    pub(super) width: u64,
    pub(super) height: u64,
    /// CSS class.
    pub(super) class: &'static str,
}

impl Chart {
    /// Returns `None` if there is no history.
    pub(super) fn of(history: &[RefreshReport], now: UnixTime) -> Option<Self> {
        let first = history.first()?;
        let reach = now.since(first.at).as_secs().clamp(SHORTEST, LONGEST);
        let begin = UnixTime(now.0.saturating_sub(reach));
        let shown = || history.iter().filter(|refresh| refresh.last_at >= begin);
        let count = |failed| {
            shown()
                .filter(|one| one.failed == failed)
                .map(|one| one.times)
                .sum()
        };
        let x = |at: UnixTime| at.since(begin).as_secs().min(reach) * (WIDTH - BAR) / reach;
        let bars = shown()
            .map(|refresh| Bar::of(refresh, x(refresh.at), x(refresh.last_at)))
            .collect();
        Some(Self {
            bars,
            reach,
            came: count(false),
            failed: count(true),
        })
    }
}

impl Bar {
    fn of(refresh: &RefreshReport, from: u64, to: u64) -> Self {
        let width = to - from + BAR;
        if refresh.failed {
            return Self {
                x: from,
                y: LINE + 1,
                width,
                height: DOWN,
                class: "bad",
            };
        }
        let (height, class) = match refresh.outcome {
            "from_store" => (LOWEST, "stored"),
            "repeated" => (LOWEST, "same"),
            _ => (height(refresh.millis), "new"),
        };
        Self {
            x: from,
            y: LINE - height,
            width,
            height,
            class,
        }
    }
}

/// Logarithmic: ten times the duration adds a fixed height.
fn height(millis: u128) -> u64 {
    let decades = u64::from(millis.max(1).ilog10());
    (LOWEST + 5 * decades).min(LINE)
}

/// Size of the chart; same as the template's viewBox.
pub(super) const WIDTH: u64 = 240;
pub(super) const HEIGHT: u64 = 40;
/// Position of the baseline.
pub(super) const LINE: u64 = 26;
const DOWN: u64 = 12;
const BAR: u64 = 4;
const LOWEST: u64 = 8;

/// Bounds of the axis, in seconds.
const SHORTEST: u64 = 3_600;
const LONGEST: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn refresh(at: u64, failed: bool, last_at: u64, times: u64) -> RefreshReport {
        let (at, last_at, outcome) = (
            UnixTime(at),
            UnixTime(last_at),
            if failed { "setup" } else { "fetched" },
        );
        RefreshReport {
            at,
            last_at,
            times,
            outcome,
            failed,
            errcode: None,
            millis: 52,
            expires_at: None,
        }
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(Chart::of(&[], UnixTime(1_000_000)).is_none());
    }

    #[test]
    fn what_came_stands_above_the_line_and_what_failed_below() {
        let now = UnixTime(1_000_000);
        let history = [
            refresh(now.0 - 7_200, false, now.0 - 7_200, 1),
            refresh(now.0 - 3_600, true, now.0, 40),
        ];
        let chart = Chart::of(&history, now).unwrap();
        assert_eq!((chart.reach, chart.came, chart.failed), (7_200, 1, 40));
        let [came, failed] = chart.bars.as_slice() else {
            panic!("two bars")
        };
        assert_eq!((came.x, came.y + came.height, came.class), (0, LINE, "new"));
        assert!(failed.y > LINE && failed.y + failed.height <= HEIGHT);
        assert_eq!(
            (failed.x, failed.x + failed.width),
            ((WIDTH - BAR) / 2, WIDTH),
            "as long as it lasted, up to now"
        );
    }

    #[test]
    fn no_bar_leaves_the_strip() {
        let now = UnixTime(10_000_000);
        for ago in [0, 1, 59, 3_600, 86_399, 86_400, 86_401, 5_000_000] {
            for millis in [0, 1, 52, 9_999, 65_535] {
                let one = RefreshReport {
                    millis,
                    ..refresh(now.0 - ago, false, now.0 - ago, 1)
                };
                let two = refresh(now.0 - ago, true, now.0, 3);
                let from_the_future = refresh(now.0 + 50, false, now.0 + 50, 1);
                for bar in Chart::of(&[one, two, from_the_future], now).unwrap().bars {
                    assert!(
                        bar.x + bar.width <= WIDTH && bar.y + bar.height <= HEIGHT,
                        "{ago} {millis}"
                    );
                }
            }
        }
    }
}
