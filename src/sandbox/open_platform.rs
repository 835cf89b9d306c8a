//! The simulated open platforms (第三方平台), with the settings that WeChat's console would show.
//!
//! Settings only: tickets, tokens and authorisations belong to `component` and `authorizer`.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::app_settings::{Switches, TWO_HOURS, setters};
use super::push_crypto::PushKey;
use super::quota::Quotas;
use super::token_values::{new_encoding_aes_key, new_push_token};

/// A simulated open platform, built like `OpenPlatform::new("wx…", "secret").with_push_url("http://…")`. Accounts
/// that authorise it are ordinary [`App`](super::App)s.
///
/// Its JSON form is the body of `POST /sandbox/platforms`.
#[must_use]
#[derive(Clone, Serialize, Deserialize)]
#[serde(default = "OpenPlatform::unnamed", deny_unknown_fields)]
pub struct OpenPlatform {
    #[serde(rename = "component_appid")]
    pub(super) app_id: String,
    pub(super) secret: String,
    /// `None` pushes nothing.
    pub(super) push_url: Option<String>,
    /// With `$APPID$`. `None` sends no messages.
    pub(super) message_url: Option<String>,
    /// Whether pushes trust every certificate.
    #[serde(skip)]
    pub(super) trusts_any_certificate: bool,
    pub(super) push_token: String,
    pub(super) encoding_aes_key: String,
    pub(super) previous_push_token: Option<String>,
    pub(super) previous_encoding_aes_key: Option<String>,
    /// In milliseconds.
    pub(super) push_timeout_ms: u64,
    /// Host of the page that links to the authorisation page. `None` allows any.
    pub(super) page_host: Option<String>,
    /// Hosts that the authorisation page may redirect to. Empty allows any.
    pub(super) redirect_hosts: Vec<String>,
    /// JS safe domains of every account that authorised the platform.
    pub(super) safe_domains: Vec<String>,
    /// Accounts that authorised the platform before the sandbox started.
    pub(super) authorized_by: Vec<String>,
    /// `None` allows any address.
    pub(super) allow_ips: Option<Vec<String>>,
    /// Replaces the caller's real address.
    pub(super) caller_ip: Option<IpAddr>,
    /// In seconds.
    pub(super) token_ttl: u64,
    /// In seconds.
    pub(super) pre_auth_code_ttl: u64,
    /// In seconds.
    pub(super) authorization_code_ttl: u64,
    pub(super) token_overlap: bool,
    pub(super) reauthorization_renews_refresh_token: bool,
    pub(super) list_without_refresh_tokens: bool,
    pub(super) quotas: Quotas,
    pub(super) switches: Switches,
}

impl OpenPlatform {
    /// Returns a platform with a new random push token and EncodingAESKey, and without a push URL.
    pub fn new(component_app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self {
            app_id: component_app_id.into(),
            secret: secret.into(),
            push_url: None,
            message_url: None,
            trusts_any_certificate: false,
            push_token: new_push_token(),
            encoding_aes_key: new_encoding_aes_key(),
            previous_push_token: None,
            previous_encoding_aes_key: None,
            push_timeout_ms: 5_000,
            page_host: None,
            redirect_hosts: Vec::new(),
            safe_domains: Vec::new(),
            authorized_by: Vec::new(),
            allow_ips: None,
            caller_ip: None,
            token_ttl: TWO_HOURS,
            pre_auth_code_ttl: TEN_MINUTES,
            authorization_code_ttl: TEN_MINUTES,
            token_overlap: true,
            reauthorization_renews_refresh_token: false,
            list_without_refresh_tokens: false,
            quotas: Quotas::default(),
            switches: Switches::default(),
        }
    }

    /// Returns the defaults of a platform that is read from JSON.
    fn unnamed() -> Self {
        Self::new("", "")
    }

    /// Returns the component_appid.
    pub fn component_app_id(&self) -> &str {
        &self.app_id
    }

    /// Returns the AppSecret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the token that signs pushes (消息校验Token).
    pub fn push_token(&self) -> &str {
        &self.push_token
    }

    /// Returns the key that encrypts pushes (消息加解密Key): 43 letters and digits.
    pub fn encoding_aes_key(&self) -> &str {
        &self.encoding_aes_key
    }

    /// Sets the URL for tickets and authorisation events (授权事件接收URL).
    pub fn with_push_url(mut self, url: impl Into<String>) -> Self {
        self.push_url = Some(url.into());
        self
    }

    /// Sets the URL for messages and events of users (消息与事件接收URL). WeChat replaces `$APPID$` in it by the
    /// account's AppID.
    pub fn with_message_url(mut self, url: impl Into<String>) -> Self {
        self.message_url = Some(url.into());
        self
    }

    /// Pushes to a service with any certificate: one that is self-signed, or for another name than that of the URL.
    pub fn trusting_any_certificate(mut self) -> Self {
        self.trusts_any_certificate = true;
        self
    }

    /// Sets the push token and the EncodingAESKey.
    pub fn with_push_keys(
        mut self,
        token: impl Into<String>,
        encoding_aes_key: impl Into<String>,
    ) -> Self {
        self.push_token = token.into();
        self.encoding_aes_key = encoding_aes_key.into();
        self
    }

    /// Sets the push token and the EncodingAESKey that the current ones have replaced.
    pub fn with_previous_push_keys(
        mut self,
        token: impl Into<String>,
        encoding_aes_key: impl Into<String>,
    ) -> Self {
        self.previous_push_token = Some(token.into());
        self.previous_encoding_aes_key = Some(encoding_aes_key.into());
        self
    }

    /// Sets how long a push waits for its answer; 5 s by default.
    pub fn push_timeout(mut self, limit: Duration) -> Self {
        self.push_timeout_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the host of the page that links to the authorisation page (授权发起页域名), which then checks its
    /// Referer. Any page may link to it by default.
    pub fn page_host(mut self, host: impl Into<String>) -> Self {
        self.page_host = Some(host.into());
        self
    }

    /// Adds a host that the authorisation page may redirect to. Without any, all are allowed.
    pub fn redirect_host(mut self, host: impl Into<String>) -> Self {
        self.redirect_hosts.push(host.into());
        self
    }

    /// Adds a JS safe domain (公众号开发域名) of every account that authorised the platform.
    pub fn safe_domain(mut self, domain: impl Into<String>) -> Self {
        self.safe_domains.push(domain.into());
        self
    }

    /// Adds an account that authorised the platform earlier. Its code was redeemed, and the list of authorisers
    /// has its refresh token.
    pub fn authorized_by(mut self, app_id: impl Into<String>) -> Self {
        self.authorized_by.push(app_id.into());
        self
    }

    /// Restricts the platform's calls, also those on behalf of accounts, to these addresses; others get 61004.
    pub fn allow_ips<I: ToString>(mut self, addresses: impl IntoIterator<Item = I>) -> Self {
        let addresses = addresses.into_iter().map(|address| address.to_string());
        self.allow_ips = Some(addresses.collect());
        self
    }

    /// Replaces the address that calls come from.
    pub fn caller_ip(mut self, address: IpAddr) -> Self {
        self.caller_ip = Some(address);
        self
    }

    /// Sets the lifetime of the platform's token and of the accounts' tokens for it, in whole seconds.
    pub fn token_ttl(mut self, life: Duration) -> Self {
        self.token_ttl = life.as_secs();
        self
    }

    /// Sets the lifetime of authorisation codes, in whole seconds; ten minutes by default.
    pub fn authorization_code_ttl(mut self, life: Duration) -> Self {
        self.authorization_code_ttl = life.as_secs();
        self
    }

    setters! {
        /// Sets whether a replaced token is accepted for five more minutes, which is the default.
        token_overlap: bool,
        /// Sets whether an account that authorises again without a cancellation gets a new refresh token. By default
        /// it keeps its own.
        reauthorization_renews_refresh_token: bool,
        /// Sets whether the list of authorisers lacks all refresh tokens.
        list_without_refresh_tokens: bool,
        /// Sets the quotas: `component_token_daily` and `clear_monthly` are a platform's.
        quotas: Quotas,
    }
}

impl OpenPlatform {
    /// Returns what is wrong with the settings.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let url_is_wrong = |url: &String| {
            Url::parse(url).map_or(true, |url| !matches!(url.scheme(), "http" | "https"))
        };
        let mut keys = self
            .previous_encoding_aes_key
            .iter()
            .chain([&self.encoding_aes_key]);
        let message_url = self.message_url.as_ref();
        if self.app_id.is_empty() || self.secret.is_empty() {
            Some("\"component_appid\" and \"secret\" must not be empty")
        } else if keys.any(|key| PushKey::read(key).is_none()) {
            Some("\"encoding_aes_key\" must be 43 letters and digits")
        } else if self.push_url.as_ref().is_some_and(url_is_wrong) {
            Some("\"push_url\" must be a URL with http or https")
        } else if message_url.is_some_and(|url| url_is_wrong(url) || !url.contains(APP_ID)) {
            Some("\"message_url\" must be a URL with http or https, and with $APPID$")
        } else {
            None
        }
    }
}

/// What WeChat replaces by the account's AppID.
pub(super) const APP_ID: &str = "$APPID$";

/// In seconds.
const TEN_MINUTES: u64 = 600;
