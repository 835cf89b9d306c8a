//! What is known about a rejected signature.

use super::{Answer, client_errors, ticket_input};
use crate::credential::Secret;

/// The known facts about a rejected signature.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The page's URL: its `location.href`.
    pub url: String,
    /// The nonce as the page received it.
    pub nonce: String,
    /// The timestamp as the page received it, digit for digit.
    pub timestamp: String,
    /// Other nonces in the same answer.
    pub other_nonces: Vec<String>,
    /// Other timestamps in the same answer.
    pub other_timestamps: Vec<String>,
    /// The signature as the page received it.
    pub signature: String,
    /// The tickets that may have signed.
    pub tickets: Vec<Ticket>,
    /// What the signature is for, if given; see [`Case::signed_for`].
    pub target: Target,
    /// What the backend's answer looks made for.
    pub answered_for: Target,
    /// The URL of the first page load, if the page has changed routes since.
    pub landing: Option<String>,
    /// The URL that the client reports as checked: `realAuthUrl`.
    pub checked_url: Option<String>,
    /// Hosts of the API and its proxies, or the API's URL.
    pub hosts: Vec<String>,
    /// The AppID or CorpID that the page received.
    pub app_id: Option<String>,
    /// The AgentId that the page received.
    pub agent_id: Option<String>,
    /// Whether that is the AppID of an open platform (component_appid), which no page may use.
    pub is_component: bool,
    /// The AppID or CorpID of the account that owns the tickets.
    pub account_app_id: Option<String>,
    /// The AgentId of the account that owns the tickets, if it is an app of WeCom.
    pub account_agent_id: Option<u64>,
    /// The argument of `wx.agentConfig` beside that of `wx.config`, if the backend's answer has both.
    pub agent_answer: Option<Box<Answer>>,
    /// The URL that the backend's answer names.
    pub answered_url: Option<String>,
    /// Whether the answer's field names differ from those that `wx.config` reads.
    pub misnamed: bool,
    /// Whether the signature was computed here from the pasted string; then it proves nothing about that
    /// string's ticket.
    pub derived: bool,
    /// Whether the pasted text shows that the page is one of WeCom.
    pub is_wecom: bool,
    /// The client's error text.
    pub error: Option<String>,
    /// The `jsApiList` passed to `wx.config`, if known.
    pub js_api_list: Option<Vec<String>>,
}

/// A ticket and its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The role.
    pub role: Role,
    /// The ticket's value.
    pub value: Secret,
}

/// The role of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The account's current jsapi_ticket.
    Current,
    /// The previous jsapi_ticket.
    Previous,
    /// The account's wx_card ticket.
    Card,
    /// The WeCom app's agent_config ticket.
    Agent,
    /// An access token, which is not a ticket but is sometimes used as one.
    AccessToken,
    /// A ticket of the account with this name.
    Other(String),
    /// The ticket in the pasted string: it signed, but its account is unknown.
    Pasted,
    /// A ticket for this signature whose kind is not given: the jsapi_ticket for `wx.config`, and presumably
    /// the app's own for `wx.agentConfig`.
    Signing,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// `wx.config`.
    #[default]
    Config,
    /// WeCom's `wx.agentConfig`.
    AgentConfig,
}

impl Case {
    /// Creates a case from the four values that every case has. Quotes around the URL are removed.
    pub fn new(
        url: impl Into<String>,
        nonce: impl Into<String>,
        timestamp: impl Into<String>,
        signature: impl Into<String>,
    ) -> Self {
        let (nonce, timestamp, signature) = (nonce.into(), timestamp.into(), signature.into());
        Self {
            url: ticket_input::address(&url.into()).to_owned(),
            nonce,
            timestamp,
            signature,
            ..Self::default()
        }
    }

    /// Adds a ticket, extracted from quotes or from WeChat's complete answer. An empty ticket is ignored.
    #[must_use]
    pub fn ticket(mut self, role: Role, value: impl Into<Secret>) -> Self {
        let value = ticket_input::read(&role, value.into());
        if !value.is_empty() {
            self.tickets.push(Ticket { role, value });
        }
        self
    }

    /// Fills the unset fields from a backend's answer. Of an answer with both configs, the one that the
    /// signature is for counts.
    #[must_use]
    pub fn answer(mut self, mut answer: Answer) -> Self {
        if self.signed_for() == Target::AgentConfig
            && let Some(agent) = answer.agent.take()
        {
            answer = *agent;
        }
        if self.signature.is_empty() {
            self.answered_for = answer.target;
            self.agent_answer = answer.agent.take();
        }
        self.other_nonces.append(&mut answer.other_nonces);
        self.other_timestamps.append(&mut answer.other_timestamps);
        for (mine, its) in [
            (&mut self.nonce, answer.nonce),
            (&mut self.timestamp, answer.timestamp),
            (&mut self.signature, answer.signature),
        ] {
            if mine.is_empty() {
                *mine = its.unwrap_or_default();
            }
        }
        if self.url.is_empty() {
            self.url = answer.url.clone().unwrap_or_default();
        }
        self.app_id = self.app_id.or(answer.app_id);
        self.agent_id = self.agent_id.or(answer.agent_id);
        self.answered_url = self.answered_url.or(answer.url);
        self.misnamed |= answer.misnamed;
        self.js_api_list = self.js_api_list.or(answer.js_api_list);
        self
    }

    /// Returns what the signature is for: `wx.agentConfig` if the client's error text names it or
    /// [`Case::target`] is that, else what the backend's answer looks made for, unless the error text names
    /// `wx.config`.
    pub fn signed_for(&self) -> Target {
        let error = self.error.as_deref().unwrap_or_default();
        let error = error.to_ascii_lowercase();
        if error.contains("agentconfig") || self.target == Target::AgentConfig {
            Target::AgentConfig
        } else if error.contains("config:") || error.contains("preverifyjsapi") {
            Target::Config
        } else {
            self.answered_for
        }
    }

    /// Returns whether the page is one of WeCom, as far as its IDs, the signature or a pasted text show.
    pub(super) fn is_in_wecom(&self) -> bool {
        let mut app_ids = [&self.app_id, &self.account_app_id].into_iter().flatten();
        self.is_wecom
            || app_ids.any(|app_id| app_id.trim().starts_with("ww"))
            || self.agent_id.is_some()
            || self.agent_answer.is_some()
            || self.signed_for() == Target::AgentConfig
    }

    /// Returns the URL that has to be signed: the one that the client reports as checked, else the page's
    /// URL.
    pub fn checked(&self) -> &str {
        self.checked_url.as_deref().unwrap_or(&self.url)
    }

    /// Sets the client's error text and the checked URL that it names, where they are not set yet.
    #[must_use]
    pub fn client_error(mut self, error: Option<String>) -> Self {
        self.checked_url = self
            .checked_url
            .or_else(|| error.as_deref().and_then(client_errors::checked_url));
        self.error = self.error.or(error);
        if self.url.is_empty() {
            self.url = self.checked_url.clone().unwrap_or_default();
        }
        self
    }

    /// Returns the case of the argument of `wx.agentConfig` beside that of `wx.config`, for the same page and
    /// with the same tickets; `None` if an error text says what was refused.
    #[must_use]
    pub fn agent_half(&self) -> Option<Self> {
        let answer = self.agent_answer.as_deref();
        let answer = answer.filter(|_| self.error.is_none())?.clone();
        let mut tickets = self.with_known_roles().tickets;
        // The pasted string is that of one of the two signatures.
        tickets.retain(|ticket| ticket.role != Role::Pasted);
        let half = Self {
            url: self.url.clone(),
            hosts: self.hosts.clone(),
            target: Target::AgentConfig,
            tickets,
            ..Self::default()
        };
        Some(half.answer(answer)).filter(Self::is_whole)
    }

    /// Returns the case without [`Role::Signing`]: such a ticket gets the role that its target needs, unless
    /// another ticket has that role.
    pub(super) fn with_known_roles(&self) -> Self {
        let needs_agent = self.signed_for() == Target::AgentConfig && !self.has(&Role::Agent);
        let is_corps = |ticket: &Ticket| {
            let mut known = self.tickets.iter();
            known.any(|known| known.role == Role::Current && known.value == ticket.value)
        };
        let mut case = self.clone();
        for ticket in &mut case.tickets {
            if ticket.role == Role::Signing {
                ticket.role = if needs_agent && !is_corps(ticket) {
                    Role::Agent
                } else {
                    Role::Current
                };
            }
        }
        case
    }

    /// Returns whether the app's ticket is only presumed: the value does not show whether it is the app's or
    /// the corp's, and no other ticket tells them apart.
    pub(super) fn presumes_agent_ticket(&self) -> bool {
        self.signed_for() == Target::AgentConfig
            && self.has(&Role::Signing)
            && !self.has(&Role::Agent)
            && !self.has(&Role::Current)
    }

    pub(super) fn has(&self, role: &Role) -> bool {
        self.tickets.iter().any(|ticket| ticket.role == *role)
    }

    /// Returns whether all four values are present, so that a hash can be computed.
    pub fn is_whole(&self) -> bool {
        [&self.url, &self.nonce, &self.timestamp, &self.signature]
            .into_iter()
            .all(|value| !value.is_empty())
    }
}

impl Target {
    /// Returns the role of the ticket that signs for this target.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Config => Role::Current,
            Self::AgentConfig => Role::Agent,
        }
    }
}

impl Role {
    /// Returns the placeholder that is shown instead of the ticket.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Current => "[jsapi_ticket]".into(),
            Self::Previous => "[previous jsapi_ticket]".into(),
            Self::Card => "[wx_card ticket]".into(),
            Self::Agent => "[agent_config ticket]".into(),
            Self::AccessToken => "[access_token]".into(),
            Self::Other(account) => format!("[ticket of {account}]"),
            Self::Pasted => "[ticket of the string]".into(),
            Self::Signing => "[ticket]".into(),
        }
    }
}
