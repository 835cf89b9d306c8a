//! The last 24 hours of an account as a strip of cells, one an hour, oldest first. States differ by height,
//! independent of colours.
//!
//! Only geometry and words; the template draws it.

use std::fmt::Write as _;

use crate::broker::HourState;
use crate::server::pages::Lang;

/// One path for each state that occurs: CSS class and outline of its cells.
pub(super) fn paths(hours: &[HourState]) -> Vec<(&'static str, String)> {
    let states = [
        (HourState::NoData, "none", 3),
        (HourState::Served, "ok", 9),
        (HourState::Failed, "warn", 13),
        (HourState::Down, "bad", HEIGHT),
    ];
    let mut paths = Vec::new();
    for (state, class, height) in states {
        let mut outline = String::new();
        for (at, _) in hours.iter().enumerate().filter(|(_, hour)| **hour == state) {
            let (x, y) = (at * STEP, HEIGHT - height);
            let _ = write!(outline, "M{x} {y}h{CELL}v{height}h-{CELL}z");
        }
        if !outline.is_empty() {
            paths.push((class, outline));
        }
    }
    paths
}

/// Describes the hours for readers who do not see the strip.
pub(super) fn label(hours: &[HourState], lang: Lang) -> String {
    let count = |state| hours.iter().filter(|hour| **hour == state).count();
    let [down, failed, unknown] =
        [HourState::Down, HourState::Failed, HourState::NoData].map(count);
    if unknown == hours.len() {
        return lang
            .t("Last 24 hours: no data", "最近 24 小时：没有数据")
            .to_owned();
    }
    let mut parts = Vec::new();
    if down == 0 {
        parts.push(lang.t("always served", "始终可用").to_owned());
    }
    let counted = [
        (down, " h down", " 小时不可用"),
        (failed, " h with failed refreshes", " 小时有刷新失败"),
        (unknown, " h without data", " 小时没有数据"),
    ];
    for (count, en, zh) in counted {
        if count > 0 {
            parts.push(format!("{count}{}", lang.t(en, zh)));
        }
    }
    let comma = lang.t(", ", "，");
    lang.t("Last 24 hours: ", "最近 24 小时：").to_owned() + &parts.join(comma)
}

/// Size of the strip for 24 hours; same as the template's viewBox.
const HEIGHT: usize = 18;
const CELL: usize = 5;
const STEP: usize = 6;

#[cfg(test)]
mod tests {
    use super::HourState::*;
    use super::*;

    #[test]
    fn the_worse_an_hour_the_taller_its_cell() {
        let paths = paths(&[NoData, Served, Served, Failed, Down]);
        assert_eq!(
            paths,
            [
                ("none", "M0 15h5v3h-5z".to_owned()),
                ("ok", "M6 9h5v9h-5zM12 9h5v9h-5z".to_owned()),
                ("warn", "M18 5h5v13h-5z".to_owned()),
                ("bad", "M24 0h5v18h-5z".to_owned()),
            ]
        );
    }

    #[test]
    fn the_label_counts_the_hours_in_both_languages() {
        assert_eq!(
            label(&[Served; 24], Lang::En),
            "Last 24 hours: always served"
        );
        assert_eq!(label(&[NoData; 24], Lang::Zh), "最近 24 小时：没有数据");
        let mixed = [NoData, Served, Failed, Failed, Down];
        assert_eq!(
            label(&mixed, Lang::En),
            "Last 24 hours: 1 h down, 2 h with failed refreshes, 1 h without data"
        );
    }
}
