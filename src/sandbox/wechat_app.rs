//! The apps that the sandbox knows: what an account's console at WeChat would show.
//!
//! Settings only; what an app's tokens and counts are is `world`'s matter.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::{Quotas, Switches};

/// Which kind of account an app is. Tokens of different kinds buy different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// 公众号 / 服务号.
    #[default]
    Official,
    /// 小程序.
    Mini,
    /// 企业微信: an app of a corp.
    Work,
}

impl Platform {
    /// `official`, `mini` or `work`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Mini => "mini",
            Self::Work => "work",
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
    #[serde(alias = "corp_id")]
    pub(super) app_id: String,
    /// Only WeCom's apps have one.
    #[serde(default)]
    pub(super) agent_id: Option<u64>,
    pub(super) secret: String,
    #[serde(default)]
    pub(super) safe_domains: Vec<String>,
    /// `None`: any address may call.
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

impl App {
    /// An official account.
    pub fn official(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Official, app_id.into(), secret.into())
    }

    /// A mini program.
    pub fn mini(app_id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self::new(Platform::Mini, app_id.into(), secret.into())
    }

    /// An app of a WeCom corp. The corp is there as soon as one of its apps is.
    pub fn work(corp_id: impl Into<String>, agent_id: u64, secret: impl Into<String>) -> Self {
        Self {
            agent_id: Some(agent_id),
            ..Self::new(Platform::Work, corp_id.into(), secret.into())
        }
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
            token_ttl: two_hours(),
            ticket_ttl: two_hours(),
            quotas: Quotas::default(),
            switches: Switches::default(),
        }
    }

    /// What the handle's methods and the steering call this app: its AppID, or `corp id:agent id`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.agent_id {
            Some(agent_id) => format!("{}:{agent_id}", self.app_id),
            None => self.app_id.clone(),
        }
    }

    /// The platform.
    #[must_use]
    pub fn platform(&self) -> Platform {
        self.platform
    }

    /// The AppID, or the CorpID of a WeCom app.
    #[must_use]
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The AgentId of a WeCom app.
    #[must_use]
    pub fn agent_id(&self) -> Option<u64> {
        self.agent_id
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

    /// Binds a JS safe domain, `example.com` or `example.com/path`; of a WeCom app, a trusted domain, which has no subdomains.
    #[must_use]
    pub fn safe_domain(mut self, domain: impl Into<String>) -> Self {
        self.safe_domains.push(domain.into());
        self
    }

    /// Lets only these addresses fetch tokens; others get 40164. Of a WeCom app, the addresses whose data calls are answered;
    /// others get 60020.
    #[must_use]
    pub fn allow_ips<I: ToString>(mut self, addresses: impl IntoIterator<Item = I>) -> Self {
        self.allow_ips = Some(
            addresses
                .into_iter()
                .map(|address| address.to_string())
                .collect(),
        );
        self
    }

    /// Lets any address call: the default.
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

    /// The account is frozen: 50007. A WeCom app is stopped: 40001 to its secret, 50003 to its token. The other three states are
    /// unknown there.
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

impl App {
    /// What is wrong with an app that came as JSON.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.platform, self.agent_id) {
            _ if self.app_id.is_empty() || self.secret.is_empty() => {
                Some("\"app_id\" and \"secret\" must not be empty")
            }
            (Platform::Work, None) => Some("an app of platform work needs \"agent_id\""),
            (Platform::Official | Platform::Mini, Some(_)) => {
                Some("\"agent_id\" is for apps of platform work")
            }
            _ => None,
        }
    }

    pub(super) fn is_work(&self) -> bool {
        self.platform == Platform::Work
    }

    /// The address that a call seems to come from.
    pub(super) fn seen(&self, peer: IpAddr) -> IpAddr {
        self.caller_ip.unwrap_or(peer).to_canonical()
    }

    pub(super) fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_string();
        self.allow_ips
            .as_ref()
            .is_none_or(|allowed| allowed.contains(&peer))
    }
}

/// What every credential lives when nothing else is set.
fn two_hours() -> u64 {
    7_200
}
