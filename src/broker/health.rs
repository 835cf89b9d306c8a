//! The health of a credential or an account.

use super::slot::State;

/// Health of a credential or an account, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Served, without a failure.
    Ok,
    /// Nothing was fetched yet.
    Starting,
    /// Still served, but a refresh failed.
    Degraded,
    /// Not served.
    Down,
}

impl Health {
    /// Returns the name used in metrics, pages and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Starting => "starting",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }

    pub(super) fn of_slot(state: &State, is_served: bool) -> Self {
        match (is_served, state.failure.is_some()) {
            (true, false) => Self::Ok,
            (true, true) => Self::Degraded,
            (false, false) if state.last.is_none() || state.flight.is_some() => Self::Starting,
            (false, _) => Self::Down,
        }
    }
}
