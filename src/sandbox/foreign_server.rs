//! Changes to an app that it did not ask for: WeChat revokes a credential, or another server fetches a token.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::issued_values::IssuedValues;
use super::simulator::{Running, Simulator};
use super::work::AGENT_CONFIG;

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

/// What to revoke. A credential that an app does not have or has not fetched is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Tokens of every mode.
    #[serde(alias = "access_token")]
    Token,
    /// Tokens of stable mode.
    StableToken,
    /// Tokens of classic mode.
    ClassicToken,
    /// Tickets of every type; for a WeCom app also the corp's.
    Ticket,
    /// Ticket of type `jsapi`; for a WeCom app, the ticket that all apps of its corp share.
    JsapiTicket,
    /// Ticket of type `wx_card`.
    CardTicket,
    /// Ticket of type `agent_config`.
    AgentTicket,
}

impl Simulator {
    pub(super) fn revoke(&mut self, name: &str, kind: Kind, now: UnixTime) -> Result<(), String> {
        let at = self.position(name).ok_or_else(|| self.no_app(name))?;
        let running = &mut self.apps[at];
        let corp = self
            .corps
            .get_mut(&running.app.app_id)
            .filter(|_| running.app.is_work())
            .map(|corp| &mut corp.jsapi);
        let affected: Vec<&mut IssuedValues> = match kind {
            Kind::Token => vec![&mut running.classic, &mut running.stable, &mut running.work],
            Kind::StableToken => vec![&mut running.stable],
            Kind::ClassicToken => vec![&mut running.classic],
            Kind::Ticket => running.tickets.values_mut().chain(corp).collect(),
            Kind::JsapiTicket => running
                .tickets
                .get_mut("jsapi")
                .into_iter()
                .chain(corp)
                .collect(),
            Kind::CardTicket => running.tickets.get_mut("wx_card").into_iter().collect(),
            Kind::AgentTicket => running.tickets.get_mut(AGENT_CONFIG).into_iter().collect(),
        };
        for values in affected {
            values.revoke(now);
        }
        Ok(())
    }

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
