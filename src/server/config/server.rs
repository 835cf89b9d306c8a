//! `[server]`.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use url::{Host, Url};

use super::TlsSettings;
use super::limits::{self, ProxySettings};
use super::redact::got;
use super::section::Section;
use crate::account::Account;
use crate::actix::ApiKeys;
use crate::server::startup_error::collide;

/// `[server]`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Address of the public listener, for pages.
    pub listen: SocketAddr,
    /// Address of the admin listener, for clients; `None` disables it.
    pub admin_listen: Option<SocketAddr>,
    /// Host names of the admin listener, in addition to IP addresses and names without a dot. Browsers can open
    /// the status page only under these names and addresses.
    pub admin_hosts: Vec<String>,
    /// API keys for the admin listener.
    pub api_keys: ApiKeys,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// How long requests may take to finish after SIGTERM.
    pub shutdown: Duration,
    /// The account of a request that names no account.
    pub default_account: Option<String>,
    /// Whether the demo page is served.
    pub demo: bool,
    /// Condition for `/readyz` to answer 200.
    pub readiness: ReadyRule,
    /// Trusted proxies, and the header that carries the client IP.
    pub proxies: ProxySettings,
    /// Whether other processes may bind the same ports.
    pub reuse_port: bool,
    /// `[server.tls]`: the public listener's certificate.
    pub tls: Option<TlsSettings>,
    /// `[server.admin_tls]`: the admin listener's certificate.
    pub admin_tls: Option<TlsSettings>,
}

/// `server.readiness`: how many accounts must be able to sign before this process gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadyRule {
    /// At least one account.
    Any,
    /// Every account.
    All,
}

impl ReadyRule {
    /// Returns the word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}

/// Reads the address of the public listener.
pub(super) fn listen(section: &mut Section) -> Option<SocketAddr> {
    section.parse("listen", ADDRESS, "127.0.0.1:8080")
}

/// Reads the address of the admin listener; `Some(None)` if it is disabled.
pub(super) fn admin_listen(section: &mut Section) -> Option<Option<SocketAddr>> {
    if section.take_if_empty("admin_listen") {
        return Some(None);
    }
    let address = section.parse("admin_listen", ADDRESS, "127.0.0.1:8081");
    address.map(Some)
}

/// Reads the name of the default account; `None` if it is empty, or after a problem.
pub(super) fn default_account(section: &mut Section) -> Option<String> {
    section
        .text("default_account")
        .filter(|name| !name.is_empty())
}

/// Checks that the default account exists (`names` has those with a problem too), and that it signs pages if any does.
pub(super) fn check_default(
    name: &str,
    names: &HashSet<String>,
    accounts: &[(String, Account)],
    root: &Section,
) {
    let default = accounts.iter().find(|(own, _)| own == name);
    let signs_none = default.is_some_and(|(_, account)| !account.signs_pages());
    let (en, zh) = if !names.contains(name) {
        let (en, zh) = got(name);
        (
            format!(
                "must be the name of an account in the configuration{en}: one that the admin API added does not count"
            ),
            format!("应为配置文件中一个账号的名称{zh}：管理接口添加的账号不算"),
        )
    } else if signs_none && accounts.iter().any(|(_, account)| account.signs_pages()) {
        (
            format!(
                "[accounts.{name}] signs no pages (platform = \"mini\", or an empty js_safe_domains): name an account that does"
            ),
            format!(
                "[accounts.{name}] 不为页面签名（platform = \"mini\"，或 js_safe_domains 为空）：请填写可以签名的账号"
            ),
        )
    } else {
        return;
    };
    root.report_at("server.default_account", en, zh);
}

/// The addresses of this server's own listeners, as far as they are valid.
pub(super) struct OwnAddresses(Vec<SocketAddr>);

impl OwnAddresses {
    /// Takes the addresses from `[server]`.
    pub(super) fn of(mut server: Section) -> Self {
        let listen = listen(&mut server);
        let admin_listen = admin_listen(&mut server).flatten();
        Self(listen.into_iter().chain(admin_listen).collect())
    }

    /// Returns the address of a URL, if a listener of this server has it.
    pub(super) fn find(&self, url: &Url) -> Option<SocketAddr> {
        let ip: IpAddr = match url.host()? {
            Host::Ipv4(ip) => ip.into(),
            Host::Ipv6(ip) => ip.into(),
            Host::Domain("localhost") => Ipv4Addr::LOCALHOST.into(),
            Host::Domain(_) => return None,
        };
        let port = url.port_or_known_default()?;
        // An address of another machine may have the same port, also if this server listens on all of its own.
        let is_own = |own: &SocketAddr| {
            own.port() == port
                && (own.ip() == ip || (own.ip().is_unspecified() && ip.is_loopback()))
        };
        self.0.iter().any(is_own).then(|| SocketAddr::new(ip, port))
    }
}

impl ServerSettings {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let listen = listen(section);
        let admin_listen = admin_listen(section);
        if let (Some(listen), Some(Some(admin))) = (listen, admin_listen)
            && collide(listen, admin)
        {
            section.report(
                "admin_listen",
                format!(
                    "{admin} conflicts with server.listen ({listen}): use another port, or \"\" to disable the admin listener"
                ),
                format!("{admin} 与 server.listen（{listen}）冲突：请换一个端口，或留空以停用管理端口"),
            );
        }
        let workers = section.number("workers", 0..=1_024);
        let shutdown = section.number("shutdown_seconds", 0..=3_600);
        let default_account = default_account(section);
        let demo = section.flag("demo");
        let rules = [ReadyRule::Any, ReadyRule::All].map(|rule| (rule.as_str(), rule));
        let readiness = section.choice("readiness", &rules);
        let proxies = ProxySettings::read(section);
        let admin_hosts = limits::hosts(section);
        let reuse_port = section.flag("reuse_port");
        let [tls, admin_tls] =
            ["tls", "admin_tls"].map(|key| TlsSettings::read(section.section(key)));
        section.finish();
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen?,
            admin_hosts: admin_hosts?,
            api_keys: ApiKeys::default(),
            workers: workers?,
            shutdown: Duration::from_secs(shutdown?),
            default_account,
            demo: demo?,
            readiness: readiness?,
            proxies: proxies?,
            reuse_port: reuse_port?,
            tls: tls?,
            admin_tls: admin_tls?,
        })
    }
}

const ADDRESS: &str = "an address and a port";
