//! Client-side check of `wx.agentConfig`, WeCom's second config, which is signed with the app's own ticket.
//!
//! Its texts are those that pages have reported.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;

use super::config_check::Verdict;
use super::domain::{Reach, covers};
use super::page_signature::{Signed, cut, text_or_number};
use super::rejection_reason::Reason;
use super::simulator::{Running, Simulator};
use super::work::AGENT_CONFIG;
use super::work_reply::more_info;

/// Arguments of `wx.agentConfig` and the page they came from. The JSON form also has `"kind": "agentConfig"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentVerify {
    /// `corpid` of the config.
    pub corpid: String,
    /// `agentid` of the config. In JSON a string or a number, as WeCom accepts both.
    #[serde(deserialize_with = "text_or_number")]
    pub agentid: String,
    /// `timestamp` of the config: a string or a number.
    #[serde(deserialize_with = "text_or_number")]
    pub timestamp: String,
    /// `nonceStr` of the config.
    #[serde(rename = "nonceStr")]
    pub nonce_str: String,
    /// `signature` of the config.
    pub signature: String,
    /// `location.href` when `wx.agentConfig` was called. WeCom checks this address on every system.
    pub url: String,
    /// `jsApiList` of the config. It must be present, but may be empty.
    #[serde(rename = "jsApiList", skip_serializing_if = "Option::is_none")]
    pub js_api_list: Option<Vec<String>>,
}

impl Simulator {
    /// Checks as WeCom does: the fields, the corp, the app, its domains, then the signature.
    pub(super) fn verify_agent(&self, page: &AgentVerify, now: UnixTime) -> Verdict {
        let checked_url = cut(&page.url);
        Verdict::of(checked_url, OK, self.judge_agent(page, checked_url, now))
    }

    fn judge_agent(
        &self,
        page: &AgentVerify,
        url: &str,
        now: UnixTime,
    ) -> Result<(), (String, Reason)> {
        let ids = [
            ("corpid", page.corpid.as_str()),
            ("agentid", page.agentid.as_str()),
        ];
        if let Some(field) = page.signed().missing(&ids, page.js_api_list.is_some()) {
            let reason = Reason::missing("wx.agentConfig", field);
            return Err(("agentConfig:fail".to_owned(), reason));
        }
        if self.apps_of(&page.corpid).next().is_none() {
            let reason = Reason::unknown_app(&page.corpid);
            return Err(refused("invalid corpId", 40013, reason));
        }
        let named = |running: &&Running| {
            running
                .app
                .agent_id
                .is_some_and(|id| id.to_string() == page.agentid)
        };
        let running = self.apps_of(&page.corpid).find(named);
        let running = running.ok_or_else(|| {
            let reason = Reason::unknown_agent(&page.agentid);
            refused("invalid agentid", 40056, reason)
        })?;
        let domains = &running.app.safe_domains;
        if !domains
            .iter()
            .any(|domain| covers(domain, Reach::Exact, url))
        {
            let reason = Reason::untrusted(url, domains);
            return Err(refused("not match any reliable domain.", 80001, reason));
        }
        if self
            .accepted_tickets(running, AGENT_CONFIG, now)
            .any(|ticket| page.signed().fits(ticket, url))
        {
            return Ok(());
        }
        let reason = self.why_agent_unsigned(running, page, url, now);
        Err(refused("invalid signature", 40093, reason))
    }

    /// Tries the most common mistakes and names the one that fits.
    fn why_agent_unsigned(
        &self,
        running: &Running,
        page: &AgentVerify,
        url: &str,
        now: UnixTime,
    ) -> Reason {
        let signed = page.signed();
        let fits = |ticket: &str| signed.fits(ticket, url);
        let own = running.tickets.get(AGENT_CONFIG);
        let corps = self.tickets_of(running, "jsapi");
        let others = self
            .apps
            .iter()
            .filter(|other| other.app.name() != running.app.name());
        let agent_tickets = |running| self.accepted_tickets(running, AGENT_CONFIG, now);
        if corps.is_some_and(|values| values.accepted(now).any(fits)) {
            Reason::corp_ticket()
        } else if others.flat_map(agent_tickets).any(fits) {
            Reason::other_app(TICKET)
        } else if own.is_none() {
            Reason::no_ticket(TICKET)
        } else if agent_tickets(running).any(|ticket| signed.fits(ticket, &page.url)) {
            Reason::fragment()
        } else if own.is_some_and(|values| values.dead(now).any(fits)) {
            Reason::dead_ticket(TICKET)
        } else {
            Reason::mismatch(url, TICKET)
        }
    }
}

impl AgentVerify {
    fn signed(&self) -> Signed<'_> {
        Signed {
            nonce_str: &self.nonce_str,
            timestamp: &self.timestamp,
            signature: &self.signature,
        }
    }
}

/// Returns the text for the page with its explanation.
fn refused(words: &str, code: i64, reason: Reason) -> (String, Reason) {
    let text = format!("agentConfig:{words} more info at {}", more_info(code));
    (text, reason)
}

const TICKET: &str = "agent_config ticket";

/// Makes the page call `success`.
pub(super) const OK: &str = "agentConfig:ok";
