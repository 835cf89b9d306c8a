//! The errcode table.

use super::{Class, Hint, Paid, System, Wait};

/// What an errcode means and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Advice {
    /// What the program does.
    pub class: Class,
    /// When it tries again.
    pub wait: Wait,
    /// What happened.
    pub cause: Hint,
    /// What a person can do.
    pub fix: Hint,
}

/// The row for an errcode; for one that is in no table, a row that says so.
#[must_use]
pub fn explain(_system: System, _paid: Paid, _errcode: i64) -> &'static Advice {
    &UNKNOWN
}

static UNKNOWN: Advice = Advice { class: Class::Setup, wait: Wait::Slow, cause: Hint::fixed("", ""), fix: Hint::fixed("", "") };
