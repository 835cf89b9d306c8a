//! Another server with the same secret, which fetches a token.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::issued_values::IssuedValues;
use super::simulator::{Running, Simulator};

/// A way to fetch tokens. Each mode has its own tokens, independent of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `/cgi-bin/stable_token`.
    Stable,
    /// `/cgi-bin/token`.
    Classic,
    /// WeCom's `/cgi-bin/gettoken`.
    Work,
}

impl Simulator {
    /// Returns the token that another server with the same secret gets. In stable mode it forces a refresh.
    /// WeCom gives every caller the current token.
    pub(super) fn foreign_refresh(
        &mut self,
        name: &str,
        mode: Mode,
        now: UnixTime,
    ) -> Result<String, String> {
        let at = self.position(name).ok_or_else(|| self.no_app(name))?;
        let running = &mut self.apps[at];
        let issued = match (mode, running.app.is_work()) {
            (Mode::Stable, false) => running.force(now),
            (Mode::Classic, false) => running.refetch(now),
            (Mode::Work, true) => running.gettoken(now),
            (_, true) => {
                return Err(format!(
                    "\"mode\" must be work for the WeCom app \"{name}\""
                ));
            }
            (Mode::Work, false) => {
                return Err(format!(
                    "\"mode\" must be stable or classic for \"{name}\", which is not a WeCom app"
                ));
            }
        };
        Ok(issued.value.clone())
    }
}

impl Running {
    pub(super) fn issued_tokens(&self, mode: Mode) -> &IssuedValues {
        match mode {
            Mode::Stable => &self.stable,
            Mode::Classic => &self.classic,
            Mode::Work => &self.work,
        }
    }
}
