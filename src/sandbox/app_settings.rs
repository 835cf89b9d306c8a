//! The simulated apps, with the settings that WeChat's console would show.
//!
//! Settings only: tokens and counts belong to `simulator`.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::quota::Quotas;

/// Declares methods that set a field.
macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            pub fn $field(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}

pub(super) use setters;

/// Platform of an app. Tokens of different platforms serve different endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Official account (公众号 / 服务号).
    #[default]
    Official,
    /// Mini program (小程序).
    Mini,
    /// App of a WeCom corp (企业微信).
    Work,
}

impl Platform {
    /// Returns `official`, `mini` or `work`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Mini => "mini",
            Self::Work => "work",
        }
    }
}

/// A simulated app, built like `App::official("wx…", "secret").safe_domain("example.com")`.
///
/// Its JSON form is the body of `POST /sandbox/accounts`.
#[must_use]
#[derive(Clone, Serialize, Deserialize)]
#[serde(default = "App::unnamed", deny_unknown_fields)]
pub struct App {
    pub(super) platform: Platform,
    #[serde(alias = "corp_id")]
    pub(super) app_id: String,
    /// Set for WeCom apps only.
    pub(super) agent_id: Option<u64>,
    pub(super) secret: String,
    pub(super) safe_domains: Vec<String>,
    /// `None` allows any address.
    pub(super) allow_ips: Option<Vec<String>>,
    /// Replaces the caller's real address.
    pub(super) caller_ip: Option<IpAddr>,
    pub(super) frozen_secret: bool,
    pub(super) punished: bool,
    pub(super) frozen: bool,
    pub(super) awaiting_admin: bool,
    pub(super) without_menu: bool,
    /// In seconds.
    pub(super) token_ttl: u64,
    /// In seconds.
    pub(super) ticket_ttl: u64,
    pub(super) quotas: Quotas,
    pub(super) switches: Switches,
}

impl App {
    /// Returns an official account.
    pub fn official(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Official, app_id.into(), secret.into())
    }

    /// Returns a mini program.
    pub fn mini(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Mini, app_id.into(), secret.into())
    }

    /// Returns an app of a WeCom corp. The corp exists as soon as one of its apps does.
    pub fn work(corp_id: impl Into<String>, agent_id: u64, secret: impl Into<String>) -> Self {
        Self {
            agent_id: Some(agent_id),
            ..Self::new(Platform::Work, corp_id.into(), secret.into())
        }
    }

    /// Returns the defaults of an app that is read from JSON.
    fn unnamed() -> Self {
        Self::official("", "")
    }

    fn new(platform: Platform, app_id: String, secret: String) -> Self {
        Self {
            platform,
            app_id,
            agent_id: None,
            secret,
            safe_domains: Vec::new(),
            allow_ips: None,
            caller_ip: None,
            frozen_secret: false,
            punished: false,
            frozen: false,
            awaiting_admin: false,
            without_menu: false,
            token_ttl: TWO_HOURS,
            ticket_ttl: TWO_HOURS,
            quotas: Quotas::default(),
            switches: Switches::default(),
        }
    }

    /// Returns the name used by [`Sandbox`](super::Sandbox) and the control API: the AppID, or `corp id:agent
    /// id`.
    pub fn name(&self) -> String {
        match self.agent_id {
            Some(agent_id) => format!("{}:{agent_id}", self.app_id),
            None => self.app_id.clone(),
        }
    }

    /// Returns the platform.
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// Returns the AppID, or the CorpID of a WeCom app.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// Returns the AgentId of a WeCom app.
    pub fn agent_id(&self) -> Option<u64> {
        self.agent_id
    }

    /// Returns the AppSecret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Sets the AppSecret.
    pub fn with_secret(mut self, secret: impl Into<String>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Returns the JS safe domains.
    pub fn safe_domains(&self) -> &[String] {
        &self.safe_domains
    }

    /// Adds a JS safe domain, `example.com` or `example.com/path`. For a WeCom app it is a trusted domain,
    /// which does not cover subdomains.
    pub fn safe_domain(mut self, domain: impl Into<String>) -> Self {
        self.safe_domains.push(domain.into());
        self
    }

    /// Restricts token calls to these addresses; others get 40164. For a WeCom app it restricts the data
    /// calls; others get 60020.
    pub fn allow_ips<I: ToString>(mut self, addresses: impl IntoIterator<Item = I>) -> Self {
        let addresses = addresses.into_iter().map(|address| address.to_string());
        self.allow_ips = Some(addresses.collect());
        self
    }

    /// Allows any address, which is the default.
    pub fn any_ip(mut self) -> Self {
        self.allow_ips = None;
        self
    }

    /// Replaces the address that calls come from.
    pub fn caller_ip(mut self, address: IpAddr) -> Self {
        self.caller_ip = Some(address);
        self
    }

    setters! {
        /// Marks the AppSecret as frozen in the console: 40243.
        frozen_secret: bool,
        /// Marks the account as punished: 50004.
        punished: bool,
        /// Marks the account as frozen: 50007. A WeCom app is stopped: its secret gets 40001, its token 50003.
        /// WeCom does not have the other three states.
        frozen: bool,
        /// Marks the caller's address as risky and not yet confirmed by the account's administrator: 89503.
        awaiting_admin: bool,
        /// Sets the quotas.
        quotas: Quotas,
        /// Sets how uncertain behaviour is simulated.
        switches: Switches,
    }

    /// Removes the menu: `menu/get` answers 46003.
    pub fn without_menu(mut self) -> Self {
        self.without_menu = true;
        self
    }

    /// Sets the lifetime of tokens and tickets, in whole seconds.
    pub fn ttl(self, life: Duration) -> Self {
        self.token_ttl(life).ticket_ttl(life)
    }

    /// Sets the lifetime of tokens, in whole seconds.
    pub fn token_ttl(mut self, life: Duration) -> Self {
        self.token_ttl = life.as_secs();
        self
    }

    /// Sets the lifetime of tickets, in whole seconds.
    pub fn ticket_ttl(mut self, life: Duration) -> Self {
        self.ticket_ttl = life.as_secs();
        self
    }
}

impl App {
    /// Returns what is wrong with an app that was read from JSON.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.platform, self.agent_id) {
            _ if self.app_id.is_empty() || self.secret.is_empty() => {
                Some("\"app_id\" and \"secret\" must not be empty")
            }
            (Platform::Work, None) => Some("an app of platform work requires \"agent_id\""),
            (Platform::Official | Platform::Mini, Some(_)) => {
                Some("\"agent_id\" is for apps of platform work")
            }
            _ => None,
        }
    }

    pub(super) fn is_work(&self) -> bool {
        self.platform == Platform::Work
    }

    /// Returns the address that a call appears to come from.
    pub(super) fn seen(&self, peer: IpAddr) -> IpAddr {
        seen(self.caller_ip, peer)
    }

    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        admits(self.allow_ips.as_deref(), peer)
    }
}

/// Switches for points where WeChat's behaviour is not known for certain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Value of `expires_in` when an existing ticket is fetched again.
    pub ticket_expires_in: ExpiresIn,
    /// Whether a third `/cgi-bin/token` within five minutes ends the first token at once.
    pub third_token_ends_first: bool,
    /// Errcode of a `force_refresh` within 30 s of the last one; `None` returns the unchanged token.
    pub force_too_soon: Option<i64>,
    /// Errcode of a `force_refresh` beyond the daily quota; `None` returns the unchanged token.
    pub force_over_quota: Option<i64>,
    /// Errcode of a wrong secret.
    pub wrong_secret: i64,
    /// Hour in Shanghai time at which daily quotas restart.
    pub quota_day_starts_hour: u64,
    /// Whether each `/cgi-bin/gettoken` returns a new token (the previous one stays accepted for five
    /// minutes) or the current one.
    pub gettoken_always_new: bool,
    /// Whether `/cgi-bin/gettoken` rejects an untrusted address, as the data calls do.
    pub gettoken_checks_ip: bool,
    /// Number of wrong secrets within an hour that bans an address from `/cgi-bin/gettoken` for an hour.
    pub wrong_secrets_until_ban: u64,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            ticket_expires_in: ExpiresIn::Remaining,
            third_token_ends_first: true,
            force_too_soon: None,
            force_over_quota: Some(45009),
            wrong_secret: 40125,
            quota_day_starts_hour: 0,
            gettoken_always_new: false,
            gettoken_checks_ip: false,
            wrong_secrets_until_ban: 2_000,
        }
    }
}

/// Meaning of `expires_in` for a value that was issued earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// Remaining lifetime.
    Remaining,
    /// Full lifetime, as if it were new.
    Full,
}

/// Returns the address that a call from `peer` appears to come from.
pub(super) fn seen(caller_ip: Option<IpAddr>, peer: IpAddr) -> IpAddr {
    caller_ip.unwrap_or(peer).to_canonical()
}

/// Returns whether an IP allow-list has this address; without a list any address is allowed.
pub(super) fn admits(allow_ips: Option<&[String]>, peer: IpAddr) -> bool {
    let peer = peer.to_string();
    allow_ips.is_none_or(|allowed| allowed.contains(&peer))
}

/// Default lifetime of every credential, in seconds.
pub(super) const TWO_HOURS: u64 = 7_200;
