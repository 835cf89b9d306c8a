//! The kinds of credentials.

use std::fmt;
use std::str::FromStr;

/// The kind of a credential. The parent of a ticket is the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// `access_token`: needed to fetch every ticket.
    AccessToken,
    /// `jsapi_ticket`: signs `wx.config`.
    JsapiTicket,
    /// `api_ticket` of type `wx_card`: signs `wx.addCard` and `wx.chooseCard`.
    CardTicket,
    /// The app's ticket of type `agent_config`: signs WeCom's `wx.agentConfig`.
    AgentTicket,
}

impl Kind {
    /// All kinds, parents first.
    pub const ALL: [Self; 4] = [
        Self::AccessToken,
        Self::JsapiTicket,
        Self::CardTicket,
        Self::AgentTicket,
    ];

    /// Returns the name used in URLs, logs, metrics and keys.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::JsapiTicket => "jsapi_ticket",
            Self::CardTicket => "card_ticket",
            Self::AgentTicket => "agent_ticket",
        }
    }

    /// Returns the kind needed to fetch this one; `None` for the access token, which is fetched with the
    /// AppSecret.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        (self != Self::AccessToken).then_some(Self::AccessToken)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("must be one of: {names} (got \"{name}\")")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_names_round_trip() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(kind));
        }
        assert_eq!(
            "ticket".parse::<Kind>().unwrap_err(),
            "must be one of: access_token, jsapi_ticket, card_ticket, agent_ticket (got \"ticket\")"
        );
        assert_eq!(Kind::AccessToken.parent(), None);
        assert_eq!(Kind::CardTicket.parent(), Some(Kind::AccessToken));
    }
}
