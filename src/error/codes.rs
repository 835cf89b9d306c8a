//! The errcode table: what each code of WeChat means, what the program does about it, and what a person can do.
//!
//! One row, one paragraph, in `codes/weixin.rs` or `codes/qyapi.rs`: to teach a code, add a row there. It holds the codes that
//! users of a token server meet, not WeChat's whole list; any other code gets a row that says where to look.

mod qyapi;
#[cfg(feature = "diagnose")]
mod sentences;
mod weixin;
pub mod wire_errors;

use std::time::Duration;

use super::{Class, Hint, Paid, System, Wait};
#[cfg(feature = "diagnose")]
pub(crate) use sentences::by_sentence;

/// "The quota is spent", on both systems.
pub(super) const SPENT: i64 = 45009;

/// What an errcode means and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// What the program does.
    pub class: Class,
    /// When it tries again.
    pub wait: Wait,
    /// What happened: a clause without a full stop.
    pub cause: Hint,
    /// What a person can do: whole sentences.
    pub fix: Hint,
}

/// The row for an errcode; for one that is in no table, a row that says so.
#[must_use]
pub fn explain(system: System, paid: Paid, errcode: i64) -> &'static Advice {
    let (rows, unknown) = table(system);
    let first = rows.partition_point(|row| row.errcode < errcode);
    let mut same_code = rows[first..]
        .iter()
        .take_while(|row| row.errcode == errcode);
    same_code
        .find(|row| row.paid.is_none_or(|only| only == paid))
        .map_or(unknown, |row| &row.advice)
}

/// Every row, for documentation and tests: the system, what the call was paid with where that matters, the code, the advice.
pub fn all() -> impl Iterator<Item = (System, Option<Paid>, i64, &'static Advice)> {
    [System::Weixin, System::Qyapi]
        .into_iter()
        .flat_map(|system| {
            table(system)
                .0
                .iter()
                .map(move |row| (system, row.paid, row.errcode, &row.advice))
        })
}

/// A system's rows, ascending by code, and the row for all other codes.
fn table(system: System) -> (&'static [Row], &'static Advice) {
    match system {
        System::Weixin => (weixin::ROWS, &weixin::UNKNOWN),
        System::Qyapi => (qyapi::ROWS, &qyapi::UNKNOWN),
    }
}

/// One line of the table.
struct Row {
    errcode: i64,
    /// Set where the same code means another thing on a call paid otherwise.
    paid: Option<Paid>,
    advice: Advice,
}

/// A row: code, what to do, then cause and fix in English, cause and fix in Chinese.
const fn row(errcode: i64, policy: Policy, en: [&'static str; 2], zh: [&'static str; 2]) -> Row {
    Row {
        errcode,
        paid: None,
        advice: advice(policy, en, zh),
    }
}

/// A row that holds only for calls paid in this way.
const fn row_if(
    paid: Paid,
    errcode: i64,
    policy: Policy,
    en: [&'static str; 2],
    zh: [&'static str; 2],
) -> Row {
    Row {
        errcode,
        paid: Some(paid),
        advice: advice(policy, en, zh),
    }
}

const fn advice((class, wait): Policy, en: [&'static str; 2], zh: [&'static str; 2]) -> Advice {
    Advice {
        class,
        wait,
        cause: Hint::fixed(en[0], zh[0]),
        fix: Hint::fixed(en[1], zh[1]),
    }
}

/// What the program does and when.
type Policy = (Class, Wait);

/// WeChat is at fault and will be well again.
const BUSY: Policy = (Class::Transient, Wait::Backoff);
/// Too many calls in this minute.
const MINUTE: Policy = (Class::Transient, Wait::NextMinute);
/// Renew the token, repeat the call; should the new token be refused too, do not hurry.
const STALE: Policy = (Class::StaleToken, Wait::Backoff);
/// Nothing more until the day turns.
const DAY: Policy = (Class::Quota, Wait::NextDay);
/// WeCom's hourly block lasts as long as the window it counts in.
const HOUR: Policy = (Class::Quota, Wait::For(ONE_HOUR));
/// Somebody has to act.
const SETUP: Policy = (Class::Setup, Wait::Slow);
/// The administrator said no: WeChat does not listen to this IP for an hour.
const REFUSED_FOR_AN_HOUR: Policy = (Class::Setup, Wait::For(ONE_HOUR));
/// The administrator said no twice: not for a day.
const REFUSED_FOR_A_DAY: Policy = (Class::Setup, Wait::For(ONE_DAY));

const ONE_HOUR: Duration = Duration::from_secs(60 * 60);
const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    /// `explain` searches by halves.
    #[test]
    fn the_tables_are_sorted_by_code() {
        for system in [System::Weixin, System::Qyapi] {
            assert!(
                table(system).0.is_sorted_by_key(|row| row.errcode),
                "{system:?}"
            );
        }
    }
}
