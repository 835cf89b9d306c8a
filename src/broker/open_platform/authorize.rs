//! The links with which the owner of an account authorises the platform.

use super::Broker;
use crate::error::Error;
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
        let code =
            self.with_platform_token(
                &platform,
                Upstream::PRE_AUTH_CODE,
                |upstream, platform, token| async move {
                    upstream.pre_auth_code(&platform, &token).await
                },
            );
        let code = code.await?;
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
