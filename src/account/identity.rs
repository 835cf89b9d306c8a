//! Which app an account is: the keys of its credentials, and what no two accounts may share.

use super::{Account, Platform};
use crate::credential::{AppKey, CredentialKey, Kind};

impl Account {
    /// Returns the key under which a credential of this account is cached and stored.
    pub fn key(&self, kind: Kind) -> CredentialKey {
        CredentialKey {
            app: self.app_key(),
            kind,
            secret_hash: None,
        }
    }

    /// Returns the platform, app ID and agent ID.
    pub fn app_key(&self) -> AppKey {
        let agent_id = match self.platform {
            Platform::Work { agent_id } => Some(agent_id),
            Platform::Official | Platform::Mini | Platform::Component => None,
        };
        AppKey {
            // Whether such an account is a mini program may be learnt later, and its key must not change then.
            platform: match self.component {
                Some(_) => AUTHORIZER,
                None => self.platform.as_str(),
            },
            id: self.app_id.clone(),
            agent_id,
            component: self.component.clone(),
        }
    }

    /// Returns the key of an account that authorised this open platform.
    pub(crate) fn authorizer_key(&self, app_id: &str) -> AppKey {
        AppKey {
            platform: AUTHORIZER,
            id: app_id.into(),
            agent_id: None,
            component: Some(self.app_id.clone()),
        }
    }

    /// Returns the identity that only one account may have: the AppID on any platform, since official accounts and
    /// mini programs share the token endpoint and would retire each other's tokens; for WeCom the app of a corp.
    pub(crate) fn app_identity(&self) -> AppKey {
        let key = self.app_key();
        match self.platform {
            Platform::Official | Platform::Mini if self.component.is_none() => AppKey {
                platform: "weixin",
                ..key
            },
            _ => key,
        }
    }
}

/// The word in the keys of accounts that authorised an open platform.
const AUTHORIZER: &str = "authorizer";
