//! The keys of credentials: by them the store and every node find one.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use super::Kind;

/// Identifies an app on a platform. Never contains a secret, nor the account's name, which may change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppKey {
    /// `official`, `mini`, `work`, `component` (an open platform), or `authorizer` (an account that authorised
    /// one).
    pub platform: &'static str,
    /// The AppID, or WeCom's CorpID.
    pub id: Arc<str>,
    /// WeCom's AgentId: each app of a corp has its own tokens.
    pub agent_id: Option<u64>,
    /// The component_appid of the open platform that acts for the account. Its tokens and the account's own do
    /// not retire each other.
    pub component: Option<Arc<str>>,
}

impl AppKey {
    /// Whether the app is a WeCom app.
    pub fn is_work(&self) -> bool {
        self.agent_id.is_some()
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.id)?;
        self.agent_id
            .map_or(Ok(()), |agent| write!(f, ":{agent}"))?;
        let component = self.component.as_deref();
        component.map_or(Ok(()), |component| write!(f, "@{component}"))
    }
}

/// Identifies one credential: `official:wx0123456789abcdef:jsapi_ticket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialKey {
    /// The app that it belongs to.
    pub app: AppKey,
    /// Its kind.
    pub kind: Kind,
    /// A hash of the AppSecret, for an account that the admin API added: an account with another secret finds
    /// nothing under this key.
    pub secret_hash: Option<NonZeroU64>,
}

impl fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.app, self.kind)?;
        self.secret_hash
            .map_or(Ok(()), |hash| write!(f, ":{hash:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hold_platform_app_agent_and_kind_and_nothing_else() {
        let official = AppKey {
            platform: "official",
            id: "wx12ab".into(),
            agent_id: None,
            component: None,
        };
        let work = AppKey {
            platform: "work",
            id: "ww12ab".into(),
            agent_id: Some(1_000_002),
            component: None,
        };
        let key = |app: &AppKey, kind| {
            CredentialKey {
                app: app.clone(),
                kind,
                secret_hash: None,
            }
            .to_string()
        };
        assert_eq!(
            key(&official, Kind::JsapiTicket),
            "official:wx12ab:jsapi_ticket"
        );
        assert_eq!(
            key(&work, Kind::AgentTicket),
            "work:ww12ab:1000002:agent_ticket"
        );
        let marked = CredentialKey {
            app: official,
            kind: Kind::JsapiTicket,
            secret_hash: NonZeroU64::new(0xab),
        };
        assert_eq!(
            marked.to_string(),
            "official:wx12ab:jsapi_ticket:00000000000000ab"
        );
        assert_ne!(
            key(&work, Kind::AccessToken),
            key(
                &AppKey {
                    agent_id: Some(1),
                    component: None,
                    ..work.clone()
                },
                Kind::AccessToken
            )
        );
    }
}
