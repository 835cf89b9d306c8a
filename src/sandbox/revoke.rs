//! Revocation of credentials, as WeChat may do at any time.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::issued_values::IssuedValues;
use super::simulator::Simulator;
use super::work::AGENT_CONFIG;

/// What to revoke. A credential that an app does not have or has not fetched is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
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
    pub(super) fn revoke(&mut self, name: &str, what: Revoke, now: UnixTime) -> Result<(), String> {
        let at = self.position(name).ok_or_else(|| self.no_app(name))?;
        let running = &mut self.apps[at];
        let corp = self
            .corps
            .get_mut(&running.app.app_id)
            .filter(|_| running.app.is_work())
            .map(|corp| &mut corp.jsapi);
        let affected: Vec<&mut IssuedValues> = match what {
            Revoke::Token => vec![&mut running.classic, &mut running.stable, &mut running.work],
            Revoke::StableToken => vec![&mut running.stable],
            Revoke::ClassicToken => vec![&mut running.classic],
            Revoke::Ticket => running.tickets.values_mut().chain(corp).collect(),
            Revoke::JsapiTicket => running
                .tickets
                .get_mut("jsapi")
                .into_iter()
                .chain(corp)
                .collect(),
            Revoke::CardTicket => running.tickets.get_mut("wx_card").into_iter().collect(),
            Revoke::AgentTicket => running.tickets.get_mut(AGENT_CONFIG).into_iter().collect(),
        };
        for values in affected {
            values.revoke(now);
        }
        Ok(())
    }
}
