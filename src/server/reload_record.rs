//! The record of reloads since the start: when a configuration was applied, and the problems of a refused
//! one.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use super::config::Problem;
use crate::clock::UnixTime;

/// A handle on the record. Clones share it.
#[derive(Clone)]
pub(super) struct ReloadRecord(Arc<Mutex<State>>);

/// The state of the configuration, as `/status.json` has it.
#[derive(Clone, Debug, Default, Hash, Serialize)]
pub(super) struct State {
    /// When the configuration in use was applied.
    pub(super) loaded_at: UnixTime,
    /// How often a new configuration was applied since the start.
    pub(super) reloads: u64,
    /// How often a new configuration was refused since the start.
    #[serde(skip)]
    pub(super) refusals: u64,
    /// Settings that differ from those in use, and need a restart.
    pub(super) needs_restart: Vec<&'static str>,
    /// A newer configuration that was refused.
    pub(super) refused: Option<Refused>,
}

/// A configuration with problems.
#[derive(Clone, Debug, Hash, Serialize)]
pub(super) struct Refused {
    pub(super) at: UnixTime,
    /// The total number of problems.
    pub(super) count: usize,
    /// The first [`SHOWN`] problems.
    pub(super) problems: Vec<Problem>,
}

impl State {
    /// Converts its times for printing.
    pub(super) fn printed(mut self, to_wall: impl Fn(UnixTime) -> UnixTime) -> Self {
        self.loaded_at = to_wall(self.loaded_at);
        if let Some(refused) = &mut self.refused {
            refused.at = to_wall(refused.at);
        }
        self
    }
}

impl ReloadRecord {
    pub(super) fn new(now: UnixTime) -> Self {
        Self(Arc::new(Mutex::new(State {
            loaded_at: now,
            ..State::default()
        })))
    }

    /// Records that a new configuration is in use.
    pub(super) fn applied(&self, now: UnixTime, needs_restart: &[&'static str]) {
        let mut state = self.0.lock();
        state.loaded_at = now;
        state.reloads += 1;
        state.needs_restart = needs_restart.to_vec();
        state.refused = None;
    }

    /// Records that a new configuration was refused; the previous one stays in use.
    pub(super) fn refused(&self, now: UnixTime, problems: &[Problem]) {
        let mut state = self.0.lock();
        state.refusals += 1;
        state.refused = Some(Refused {
            at: now,
            count: problems.len(),
            problems: problems.iter().take(SHOWN).cloned().collect(),
        });
    }

    pub(super) fn state(&self) -> State {
        self.0.lock().clone()
    }
}

/// Ten thousand wrong files would hide the rest of the page.
pub(super) const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Text;

    #[test]
    fn an_applied_configuration_clears_the_previous_refusal() {
        let record = ReloadRecord::new(UnixTime(10));
        let problem = |n: usize| Problem {
            path: format!("accounts.a{n}"),
            what: Text::new("wrong", "有误"),
        };
        record.refused(UnixTime(20), &(0..500).map(problem).collect::<Vec<_>>());
        let state = record.state();
        let refused = state.refused.as_ref().unwrap();
        assert_eq!(
            (
                state.loaded_at,
                refused.at,
                refused.count,
                refused.problems.len()
            ),
            (UnixTime(10), UnixTime(20), 500, SHOWN)
        );
        record.applied(UnixTime(30), &["store"]);
        let state = record.state();
        assert_eq!(
            (
                state.loaded_at,
                state.reloads,
                state.needs_restart.as_slice()
            ),
            (UnixTime(30), 1, ["store"].as_slice())
        );
        assert_eq!(state.refusals, 1);
        assert!(state.refused.is_none());
    }
}
