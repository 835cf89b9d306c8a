//! The apps that the sandbox knows: what an account's console at WeChat would show, and the switches of the sandbox.
//!
//! Settings only; what an app's tokens and counts are is `world`'s matter.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;

/// Which kind of account an app is. Tokens of different kinds buy different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// 公众号 / 服务号.
    #[default]
    Official,
    /// 小程序.
    Mini,
}

impl Platform {
    /// `official` or `mini`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Mini => "mini",
        }
    }
}

/// One app, built like `App::official("wx…", "secret").safe_domain("example.com")`.
///
/// The body of `POST /sandbox/accounts` is this in JSON.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    #[serde(default)]
    pub(super) platform: Platform,
    pub(super) app_id: String,
    pub(super) secret: String,
    #[serde(default)]
    pub(super) safe_domains: Vec<String>,
    /// `None`: any address may fetch tokens.
    #[serde(default)]
    pub(super) allow_ips: Option<Vec<String>>,
    /// The address the caller seems to have, in place of its real one.
    #[serde(default)]
    pub(super) caller_ip: Option<IpAddr>,
    #[serde(default)]
    pub(super) frozen_secret: bool,
    #[serde(default)]
    pub(super) punished: bool,
    #[serde(default)]
    pub(super) frozen: bool,
    #[serde(default)]
    pub(super) awaiting_admin: bool,
    #[serde(default)]
    pub(super) without_menu: bool,
    /// Seconds.
    #[serde(default = "two_hours")]
    pub(super) token_ttl: u64,
    /// Seconds.
    #[serde(default = "two_hours")]
    pub(super) ticket_ttl: u64,
    #[serde(default)]
    pub(super) quotas: Quotas,
    #[serde(default)]
    pub(super) switches: Switches,
}

/// How often an app may call what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// `/cgi-bin/token` a day.
    pub token_daily: u64,
    /// `/cgi-bin/stable_token` a day, forced or not.
    pub stable_daily: u64,
    /// `/cgi-bin/stable_token` a minute.
    pub stable_per_minute: u64,
    /// Refreshes by `force_refresh` a day.
    pub force_daily: u64,
    /// `/cgi-bin/ticket/getticket` a day, all types together.
    pub ticket_daily: u64,
    /// Each of the other endpoints a day.
    pub data_daily: u64,
    /// `/cgi-bin/clear_quota` a calendar month.
    pub clear_monthly: u64,
}

impl Quotas {
    pub(super) fn daily(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Token => self.token_daily,
            Endpoint::StableToken => self.stable_daily,
            Endpoint::GetTicket => self.ticket_daily,
            Endpoint::ApiDomainIp | Endpoint::MenuGet => self.data_daily,
            Endpoint::ClearQuota | Endpoint::QuotaGet => u64::MAX,
        }
    }
}

impl Default for Quotas {
    /// A normal, verified account's. The ticket's is not published: staff say to ask `openapi/quota/get`.
    fn default() -> Self {
        Self {
            token_daily: 2_000,
            stable_daily: 500_000,
            stable_per_minute: 10_000,
            force_daily: 20,
            ticket_daily: 10_000,
            data_daily: 10_000,
            clear_monthly: 10,
        }
    }
}

/// What WeChat does is not known for certain in these points; each can be played the other way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// What `expires_in` says when a ticket is asked for again.
    pub ticket_expires_in: ExpiresIn,
    /// Whether a third `/cgi-bin/token` within five minutes ends the first token at once.
    pub third_token_ends_first: bool,
    /// The errcode of a `force_refresh` within 30 s of the last; `None`: the unchanged token.
    pub force_too_soon: Option<i64>,
    /// The errcode of a `force_refresh` beyond the day's quota; `None`: the unchanged token.
    pub force_over_quota: Option<i64>,
    /// The errcode of a wrong secret.
    pub wrong_secret: i64,
    /// The hour in Shanghai at which daily quotas start anew.
    pub quota_day_starts_hour: u64,
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
        }
    }
}

/// What `expires_in` tells about a value that was issued earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiresIn {
    /// What is left of its life.
    Remaining,
    /// Its whole life, as if it were new.
    Full,
}

impl App {
    /// An official account.
    pub fn official(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Official, app_id.into(), secret.into())
    }

    /// A mini program.
    pub fn mini(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Mini, app_id.into(), secret.into())
    }

    fn new(platform: Platform, app_id: String, secret: String) -> Self {
        Self {
            platform,
            app_id,
            secret,
            safe_domains: Vec::new(),
            allow_ips: None,
            caller_ip: None,
            frozen_secret: false,
            punished: false,
            frozen: false,
            awaiting_admin: false,
            without_menu: false,
            token_ttl: two_hours(),
            ticket_ttl: two_hours(),
            quotas: Quotas::default(),
            switches: Switches::default(),
        }
    }

    /// The AppID.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The AppSecret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The JS safe domains.
    #[must_use]
    pub fn safe_domains(&self) -> &[String] {
        &self.safe_domains
    }

    /// Binds a JS safe domain: `example.com` or `example.com/path`.
    #[must_use]
    pub fn safe_domain(mut self, domain: impl Into<String>) -> Self {
        self.safe_domains.push(domain.into());
        self
    }

    /// Lets only these addresses fetch tokens; others get 40164.
    #[must_use]
    pub fn allow_ips<I: ToString>(mut self, addresses: impl IntoIterator<Item = I>) -> Self {
        self.allow_ips = Some(addresses.into_iter().map(|address| address.to_string()).collect());
        self
    }

    /// Lets any address fetch tokens: the default.
    #[must_use]
    pub fn any_ip(mut self) -> Self {
        self.allow_ips = None;
        self
    }

    /// Calls seem to come from this address instead of the one they come from.
    #[must_use]
    pub fn caller_ip(mut self, address: IpAddr) -> Self {
        self.caller_ip = Some(address);
        self
    }

    /// The AppSecret was frozen in the console: 40243.
    #[must_use]
    pub fn frozen_secret(mut self, yes: bool) -> Self {
        self.frozen_secret = yes;
        self
    }

    /// The account is punished: 50004.
    #[must_use]
    pub fn punished(mut self, yes: bool) -> Self {
        self.punished = yes;
        self
    }

    /// The account is frozen: 50007.
    #[must_use]
    pub fn frozen(mut self, yes: bool) -> Self {
        self.frozen = yes;
        self
    }

    /// The caller's address looks risky, and the account's admin has not confirmed it yet: 89503.
    #[must_use]
    pub fn awaiting_admin(mut self, yes: bool) -> Self {
        self.awaiting_admin = yes;
        self
    }

    /// No menu was made: `menu/get` answers 46003.
    #[must_use]
    pub fn without_menu(mut self) -> Self {
        self.without_menu = true;
        self
    }

    /// The life of tokens and of tickets, whole seconds.
    #[must_use]
    pub fn ttl(self, life: Duration) -> Self {
        self.token_ttl(life).ticket_ttl(life)
    }

    /// The life of tokens, whole seconds.
    #[must_use]
    pub fn token_ttl(mut self, life: Duration) -> Self {
        self.token_ttl = life.as_secs();
        self
    }

    /// The life of tickets, whole seconds.
    #[must_use]
    pub fn ticket_ttl(mut self, life: Duration) -> Self {
        self.ticket_ttl = life.as_secs();
        self
    }

    /// How often it may call what.
    #[must_use]
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// How the uncertain points are played.
    #[must_use]
    pub fn switches(mut self, switches: Switches) -> Self {
        self.switches = switches;
        self
    }
}

/// What every credential lives when nothing else is set.
fn two_hours() -> u64 {
    7_200
}
