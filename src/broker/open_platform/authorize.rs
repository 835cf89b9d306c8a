//! The links with which the owner of an account authorises the platform.

use super::Broker;
use crate::error::{CallAuth, Error, Failure, System, UpstreamError};
use crate::upstream::Upstream;

/// Two links for one visitor. They share a code, so that together they work once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationLinks {
    /// For a PC: a page with a QR code.
    pub pc: String,
    /// For a phone, inside WeChat.
    pub phone: String,
}

impl Broker {
    /// Fetches a pre_auth_code and returns the links that contain it. WeChat's page returns the browser to
    /// `redirect_uri`, with `auth_code` and `expires_in` in its query, and only accepts visitors who come from a
    /// page of the platform's own host (授权发起页域名). While the quota of these codes is known to be spent, no
    /// call is made, at any node.
    ///
    /// # Errors
    /// [`Error::UnknownAccount`] if there is no such platform, [`Error::Upstream`] if WeChat issues no code.
    pub async fn authorization_links(
        &self,
        platform: &str,
        redirect_uri: &str,
    ) -> Result<AuthorizationLinks, Error> {
        let platform = self.entry(platform)?;
        let (store, clock) = (&self.inner.store, &self.inner.clock);
        let app = platform.account.app_key();
        let endpoint = Upstream::PRE_AUTH_CODE;
        // If the store fails, WeChat says again that the quota is spent.
        let blocked = store.blocked_until(&app, endpoint, clock.now()).await;
        if let Ok(Some(until)) = blocked {
            let spent = UpstreamError {
                endpoint,
                system: System::Weixin,
                auth: CallAuth::WithComponentToken,
                failure: Failure::spent_until(until, clock.to_wall()(until), None),
                also_seen: Vec::new(),
            };
            return Err(self.failed(&platform, spent));
        }
        let code =
            self.with_platform_token(
                &platform,
                endpoint,
                |upstream, platform, token| async move {
                    upstream.pre_auth_code(&platform, &token).await
                },
            );
        let code = code.await;
        let refused = code.as_ref().err().and_then(Error::upstream);
        if let Some(refused) = refused.filter(|refused| refused.endpoint == endpoint)
            && let Some(until) = refused.spent_until(clock.now())
        {
            let _ = store.set_block(&app, endpoint, until, clock.now()).await;
        }
        let code = code?;
        let query = |first: &[(&str, &str)]| {
            let common = [
                ("component_appid", platform.account.app_id()),
                ("pre_auth_code", code.value.expose()),
                ("redirect_uri", redirect_uri),
                ("auth_type", EVERY_KIND),
            ];
            let pairs: Vec<_> = first.iter().copied().chain(common).collect();
            serde_urlencoded::to_string(pairs).expect("pairs of strings always encode")
        };
        let [pc, phone] = self.inner.upstream.page_hosts();
        let on_phone = query(&[("action", "bindcomponent"), ("no_scan", "1")]);
        Ok(AuthorizationLinks {
            pc: format!("{pc}/cgi-bin/componentloginpage?{}", query(&[])),
            phone: format!("{phone}/wxaopen/safe/bindcomponent?{on_phone}#wechat_redirect"),
        })
    }
}

/// Official accounts and mini programs.
const EVERY_KIND: &str = "3";
