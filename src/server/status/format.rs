//! Formats durations and times in the same way as the page's script (`static/status/status.js`).

use crate::clock::UnixTime;
use crate::credential::Kind;
use crate::server::pages::Lang;

/// Formats a duration with its two largest units: `1 h 58 min`, `4 min 12 s`.
pub(in crate::server) fn span(seconds: u64, lang: Lang) -> String {
    let (d, h, m, s) = (
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    let [day, hour, minute, minutes, second] = match lang {
        Lang::En => ["d", "h", "min", "min", "s"],
        Lang::Zh => ["天", "小时", "分", "分钟", "秒"],
    };
    match (d, h, m) {
        (0, 0, 0) => format!("{s} {second}"),
        (0, 0, 1..10) => format!("{m} {minute} {s} {second}"),
        (0, 0, _) => format!("{m} {minutes}"),
        (0, _, 0) => format!("{h} {hour}"),
        (0, _, _) => format!("{h} {hour} {m} {minute}"),
        (_, 0, _) => format!("{d} {day}"),
        _ => format!("{d} {day} {h} {hour}"),
    }
}

/// Says what is served, and which kinds are not, for pages and messages: `served except agent_ticket`.
pub(in crate::server) fn served_except(down_kinds: &[Kind], lang: Lang) -> String {
    let kinds = down_kinds.iter().map(|kind| kind.as_str());
    let kinds: Vec<_> = kinds.collect();
    match (lang, kinds.is_empty()) {
        (Lang::En, true) => "served".to_owned(),
        (Lang::Zh, true) => "目前仍可用".to_owned(),
        (Lang::En, false) => format!("served except {}", kinds.join(", ")),
        (Lang::Zh, false) => format!("除 {} 外仍可用", kinds.join("、")),
    }
}

/// Formats the time until an event that starts by itself: `in 4 min 12 s`, or `now` once it is due.
pub(super) fn in_time(seconds: u64, lang: Lang) -> String {
    match (seconds, lang) {
        (0, lang) => lang.t("now", "进行中").to_owned(),
        (_, Lang::En) => format!("in {}", span(seconds, lang)),
        (_, Lang::Zh) => format!("{}后", span(seconds, lang)),
    }
}

/// Formats the time of day in Shanghai, since WeChat's quota days follow that time zone; the script replaces
/// it with the reader's local time.
pub(super) fn time_of_day(at: UnixTime) -> String {
    let of_day = of_day(at);
    format!("{:02}:{:02}", of_day / 3_600, of_day / 60 % 60)
}

/// Formats the time of day with its seconds.
pub(super) fn time_with_seconds(at: UnixTime) -> String {
    format!("{}:{:02}", time_of_day(at), of_day(at) % 60)
}

fn of_day(at: UnixTime) -> u64 {
    (at.0 + 8 * 3_600) % 86_400
}

/// Formats a number with thousands separators: `500,000`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        [comma.then_some(','), Some(digit)].into_iter().flatten()
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_at_most_two_units() {
        for (seconds, en, zh) in [
            (0, "0 s", "0 秒"),
            (59, "59 s", "59 秒"),
            (252, "4 min 12 s", "4 分 12 秒"),
            (600, "10 min", "10 分钟"),
            (7_080, "1 h 58 min", "1 小时 58 分"),
            (3_659, "1 h", "1 小时"),
            (86_400, "1 d", "1 天"),
            (90_000, "1 d 1 h", "1 天 1 小时"),
        ] {
            assert_eq!(
                (
                    span(seconds, Lang::En).as_str(),
                    span(seconds, Lang::Zh).as_str()
                ),
                (en, zh)
            );
        }
    }

    #[test]
    fn times_are_shown_in_shanghai_time() {
        assert_eq!(time_of_day(UnixTime(1_767_225_600)), "08:00");
        assert_eq!(time_with_seconds(UnixTime(1_704_124_799)), "23:59:59");
    }

    #[test]
    fn large_numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (2_000, "2,000"),
            (500_000, "500,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
