//! The errcode table: what each WeChat errcode means, how the program reacts, and what a person can do.
//!
//! To add a code, add a row to `codes/weixin.rs` or `codes/qyapi.rs`, one paragraph per row. The tables hold
//! the codes that users of a token server meet, not WeChat's complete list; any other code gets a row that
//! says where to look.

#[cfg(feature = "diagnose")]
mod errmsg_fragments;
mod qyapi;
mod weixin;
pub mod wire_errors;

use std::time::Duration;

use super::{CallAuth, Class, System, Text, Wait};
#[cfg(feature = "diagnose")]
pub(crate) use errmsg_fragments::by_errmsg;

/// The quota is spent. The same code on both systems.
pub(super) const SPENT: i64 = 45009;

/// The meaning of an errcode and how to react.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// How the program reacts.
    pub class: Class,
    /// When the program retries.
    pub wait: Wait,
    /// What happened: a clause without a full stop.
    pub cause: Text,
    /// What a person can do: whole sentences.
    pub fix: Text,
}

/// Returns the row for an errcode; for an unlisted errcode, a row that says so.
pub fn explain(system: System, auth: CallAuth, errcode: i64) -> &'static Advice {
    let (rows, unknown) = table(system);
    let first = rows.partition_point(|row| row.errcode < errcode);
    let mut same_code = rows[first..]
        .iter()
        .take_while(|row| row.errcode == errcode);
    same_code
        .find(|row| row.auth.is_none_or(|only| only.covers(auth)))
        .map_or(unknown, |row| &row.advice)
}

/// Returns every row, for documentation and tests: the system, the credential of the call where it matters,
/// the code and the advice.
pub fn all() -> impl Iterator<Item = (System, Option<CallAuth>, i64, &'static Advice)> {
    [System::Weixin, System::Qyapi]
        .into_iter()
        .flat_map(|system| {
            table(system)
                .0
                .iter()
                .map(move |row| (system, row.auth, row.errcode, &row.advice))
        })
}

/// Returns a system's rows in ascending order of code, and the row for all other codes.
fn table(system: System) -> (&'static [Row], &'static Advice) {
    match system {
        System::Weixin => (weixin::ROWS, &weixin::UNKNOWN),
        System::Qyapi => (qyapi::ROWS, &qyapi::UNKNOWN),
    }
}

/// One row of the table.
struct Row {
    errcode: i64,
    /// Set if the meaning of the code depends on the credential that authenticated the call.
    auth: Option<CallAuth>,
    advice: Advice,
}

impl CallAuth {
    /// Whether a row for calls with this credential applies to a call with `auth`. What holds for every token
    /// holds for an open platform's; a more particular row comes first.
    fn covers(self, auth: Self) -> bool {
        self == auth
            || matches!(
                (self, auth),
                (Self::WithToken, Self::WithComponentToken)
                    | (Self::WithSecret, Self::WithPushedTicket)
            )
    }
}

/// Creates a row: code, policy, then cause and fix, each in English and Chinese.
const fn row(
    errcode: i64,
    policy: Policy,
    cause: [&'static str; 2],
    fix: [&'static str; 2],
) -> Row {
    Row {
        errcode,
        auth: None,
        advice: advice(policy, cause, fix),
    }
}

/// Creates a row that applies only to calls with this credential.
const fn row_if(
    auth: CallAuth,
    errcode: i64,
    policy: Policy,
    cause: [&'static str; 2],
    fix: [&'static str; 2],
) -> Row {
    Row {
        errcode,
        auth: Some(auth),
        advice: advice(policy, cause, fix),
    }
}

pub(super) const fn advice(
    (class, wait): Policy,
    cause: [&'static str; 2],
    fix: [&'static str; 2],
) -> Advice {
    Advice {
        class,
        wait,
        cause: Text::new(cause[0], cause[1]),
        fix: Text::new(fix[0], fix[1]),
    }
}

/// How the program reacts, and when.
type Policy = (Class, Wait);

/// A temporary failure.
pub(super) const BUSY: Policy = (Class::Transient, Wait::Backoff);
/// Too many calls within this minute.
const MINUTE: Policy = (Class::Transient, Wait::NextMinute);
/// Refresh the token and repeat the call; if the new token is rejected too, back off.
const STALE: Policy = (Class::StaleToken, Wait::Backoff);
/// No call until midnight in Shanghai.
const DAY: Policy = (Class::Quota, Wait::NextDay);
/// WeCom's hourly block lasts as long as its counting window:
/// <https://developer.work.weixin.qq.com/document/path/90454>.
const HOUR: Policy = (Class::Quota, Wait::For(ONE_HOUR));
/// An operator must act.
pub(super) const SETUP: Policy = (Class::Setup, Wait::Slow);
/// The administrator refused this IP: WeChat rejects its calls for an hour.
const REFUSED_FOR_AN_HOUR: Policy = (Class::Setup, Wait::For(ONE_HOUR));
/// The administrator refused this IP twice: WeChat rejects its calls for a day.
const REFUSED_FOR_A_DAY: Policy = (Class::Setup, Wait::For(ONE_DAY));

const ONE_HOUR: Duration = Duration::from_secs(60 * 60);
const ONE_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    /// `explain` uses a binary search.
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
