//! The kinds of app, and the credentials of each.

use crate::credential::Kind;

/// The kinds of app, whose tokens WeChat keeps separate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Platform {
    /// 公众号 / 服务号: an official account. Signs pages.
    Official,
    /// 小程序: a mini program. Has a token, but no ticket.
    Mini,
    /// 企业微信: an app of a WeCom corp. Signs pages with the corp's ticket and with its own.
    Work {
        /// The app's AgentId.
        agent_id: u64,
    },
    /// 第三方平台: an open platform, which acts for accounts that authorised it. Signs no pages; its token
    /// fetches the tokens of those accounts.
    Component,
}

impl Platform {
    /// Returns the name used in the configuration, in keys and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Mini => "mini",
            Self::Work { .. } => "work",
            Self::Component => "component",
        }
    }

    /// Returns the kinds of credential that this platform has, parents first.
    #[must_use]
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::Official => &[Kind::AccessToken, Kind::JsapiTicket, Kind::CardTicket],
            Self::Mini | Self::Component => &[Kind::AccessToken],
            Self::Work { .. } => &[Kind::AccessToken, Kind::JsapiTicket, Kind::AgentTicket],
        }
    }
}
