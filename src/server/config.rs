//! The configuration: `wx-jssdk.toml` over the compiled-in defaults, then the environment. Reports all
//! problems at once.
//!
//! Reads and validates; opens only configuration and secret files. The result holds ready-to-use
//! [`Account`]s.
//!
//! Defaults: `wx-jssdk.default.toml`.

mod accounts;
mod egress;
mod environment;
mod keys;
mod layers;
mod limits;
mod notify;
mod quote;
mod section;
mod store;
mod tls;
mod verify;
mod warnings;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Value;

use super::startup_error::collide;
use crate::account::Account;
use crate::actix::{ApiKeys, GatewayOptions, RequestLog};
use crate::credential::Kind;
use crate::error::Text;
use crate::upstream::UpstreamOptions;
use quote::got;
use section::Section;

pub use keys::is_key_name;
pub use limits::{LimitSettings, ProxySettings};
pub use notify::{NotifySettings, WebhookKind, WebhookSettings};
pub(crate) use quote::ill_written;
pub use store::{StoreKind, StoreSettings};
pub use tls::TlsSettings;

/// The default configuration, which is also its documentation.
pub const DEFAULTS: &str = include_str!("../../wx-jssdk.default.toml");

/// The configuration file that is used if none is given.
pub const DEFAULT_PATH: &str = "wx-jssdk.toml";

/// The validated configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[server]`.
    pub server: ServerSettings,
    /// `[log]`.
    pub log: LogSettings,
    /// `[store]`.
    pub store: StoreSettings,
    /// `[upstream]`.
    pub upstream: UpstreamOptions,
    /// `[gateway]`.
    pub gateway: GatewayOptions,
    /// `[limits]`.
    pub limits: LimitSettings,
    /// `[notify]`.
    pub notify: NotifySettings,
    /// `[account_defaults] js_api_list`, for accounts that are not in the configuration: the sandbox's.
    pub default_apis: Vec<String>,
    /// `[account_defaults] open_tag_list`.
    pub default_tags: Vec<String>,
    /// `[accounts.NAME]`, sorted by name.
    pub accounts: Vec<(String, Account)>,
    /// Configuration files that hold a secret and are readable by every user of the machine.
    pub exposed: Vec<PathBuf>,
}

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

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level, or `tracing` filters.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
    /// Which requests are logged.
    pub requests: RequestLog,
}

/// One problem in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's path, e.g. `accounts.main.secret_file`.
    pub path: String,
    /// What is wrong, and what to write instead.
    pub what: Text,
}

/// All problems of a configuration.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Settings {
    /// Reads `file`, or [`DEFAULT_PATH`] if it exists, over the defaults and below the environment.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()),
        };
        let text = match &file {
            None => String::new(),
            Some(path) => {
                std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?
            }
        };
        let base = file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""))
            .to_owned();
        let mut settings = Self::read(&text, &base, environment::variables())?;
        if let Some(path) = file.filter(|path| warnings::is_exposed(path))
            && layers::one_file(&path).is_ok_and(|table| layers::holds_secret(&table))
        {
            settings.exposed.insert(0, path);
        }
        Ok(settings)
    }

    /// Reads the defaults and the environment, without any file.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn defaults() -> Result<Self, Problems> {
        Self::read("", Path::new(""), environment::variables())
    }

    /// Reads a configuration text. Relative secret files are resolved against `base`; `environment` is
    /// searched for `WX_JSSDK__…`.
    ///
    /// # Errors
    /// [`Problems`] holds every problem.
    pub fn read(
        text: &str,
        base: &Path,
        environment: HashMap<String, String>,
    ) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let table = layers::merged(text, environment, &mut problems)?;
        let settings = Self::from_table(table.into_iter().collect(), base, &mut problems);
        match settings {
            Some(settings) if problems.0.is_empty() => Ok(settings),
            _ => Err(problems),
        }
    }

    /// Returns the names of the accounts that sign pages if there are several and none is the default: then a
    /// request that names no account is rejected.
    #[must_use]
    pub fn signing_without_default(&self) -> Vec<&str> {
        let signing = self
            .accounts
            .iter()
            .filter(|(_, account)| account.has(Kind::JsapiTicket))
            .map(|(name, _)| name.as_str());
        let names: Vec<_> = signing.collect();
        if names.len() > 1 && self.server.default_account.is_none() {
            names
        } else {
            Vec::new()
        }
    }

    /// Returns `None` only after adding a problem.
    fn from_table(
        table: HashMap<String, Value>,
        base: &Path,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut root = Section::root(table);
        let mut server = root.section("server", problems);
        let api_keys = server.tables("api_keys", problems);
        let server = ServerSettings::read(&mut server, base, problems);
        let log = LogSettings::read(&mut root.section("log", problems), problems);
        let store = StoreSettings::read(&mut root.section("store", problems), base, problems);
        let upstream = read_upstream(&mut root.section("upstream", problems), base, problems);
        let gateway = read_gateway(&mut root.section("gateway", problems), problems);
        let limits = LimitSettings::read(&mut root.section("limits", problems), problems);
        let notify = NotifySettings::read(&mut root.section("notify", problems), base, problems);
        let defaults = accounts::defaults(root.section("account_defaults", problems), problems);
        let [default_apis, default_tags] = ["js_api_list", "open_tag_list"]
            .map(|key| defaults.clone().list(key, problems).unwrap_or_default());
        let mut entries = accounts::in_file(root.section("accounts", problems), base, problems);
        let mut exposed = Vec::new();
        if let Some(directory) = root
            .text("accounts_dir", problems)
            .filter(|directory| !directory.is_empty())
        {
            entries.extend(accounts::in_directory(
                &base.join(directory),
                &mut exposed,
                problems,
            ));
        }
        // Uses the configured names, not the valid accounts: an account with a problem still exists.
        let names: HashSet<_> = entries.iter().map(|entry| entry.name.clone()).collect();
        let accounts = accounts::read(entries, &defaults, problems);
        root.finish(problems);
        let api_keys = keys::read(api_keys, &names, problems);
        let server = server.map(|server| ServerSettings { api_keys, ..server });
        if let Some(name) = server
            .as_ref()
            .and_then(|server| server.default_account.as_ref())
            && !names.contains(name)
        {
            problems.add(
                "server.default_account",
                format!("no such account: [accounts.{name}] does not exist"),
                format!("没有这个账号：缺少 [accounts.{name}]"),
            );
        }
        if let (Some(server), Some(upstream)) = (&server, &upstream) {
            check_upstream_is_elsewhere(server, upstream, problems);
        }
        Some(Self {
            server: server?,
            log: log?,
            store: store?,
            upstream: upstream?,
            gateway: gateway?,
            limits: limits?,
            notify: notify?,
            default_apis,
            default_tags,
            accounts,
            exposed,
        })
    }
}

impl ServerSettings {
    fn read(section: &mut Section, base: &Path, problems: &mut Problems) -> Option<Self> {
        let listen = section.parse(
            "listen",
            "an address and a port",
            "127.0.0.1:8080",
            problems,
        );
        let admin_listen = match section.has_empty("admin_listen") {
            true => Some(None),
            false => section
                .parse(
                    "admin_listen",
                    "an address and a port",
                    "127.0.0.1:8081",
                    problems,
                )
                .map(Some),
        };
        if let (Some(listen), Some(Some(admin))) = (listen, admin_listen) {
            check_apart(listen, admin, section, problems);
        }
        let workers = section.number("workers", 0..=1_024, problems);
        let shutdown = section.number("shutdown_seconds", 0..=3_600, problems);
        let default_account = section
            .text("default_account", problems)
            .map(|name| Some(name).filter(|name| !name.is_empty()));
        let demo = section.flag("demo", problems);
        let readiness = section.choice("readiness", &["any", "all"], problems);
        let proxies = ProxySettings::read(section, problems);
        let admin_hosts = limits::hosts(section, problems);
        let reuse_port = section.flag("reuse_port", problems);
        let [tls, admin_tls] = ["tls", "admin_tls"]
            .map(|key| TlsSettings::read(section.section(key, problems), base, problems));
        section.finish(problems);
        Some(Self {
            listen: listen?,
            admin_listen: admin_listen?,
            admin_hosts: admin_hosts?,
            api_keys: ApiKeys::default(),
            workers: usize::try_from(workers?).ok()?,
            shutdown: Duration::from_secs(shutdown?),
            default_account: default_account?,
            demo: demo?,
            readiness: if readiness? == "all" {
                ReadyRule::All
            } else {
                ReadyRule::Any
            },
            proxies: proxies?,
            reuse_port: reuse_port?,
            tls: tls?,
            admin_tls: admin_tls?,
        })
    }
}

fn check_apart(listen: SocketAddr, admin: SocketAddr, section: &Section, problems: &mut Problems) {
    if collide(listen, admin) {
        problems.add(
            &section.path_of("admin_listen"),
            format!(
                "{admin} conflicts with server.listen ({listen}): use another port, or \"\" to disable the admin listener"
            ),
            format!("{admin} 与 server.listen（{listen}）冲突：请换一个端口，或留空以停用管理端口"),
        );
    }
}

impl LogSettings {
    fn read(section: &mut Section, problems: &mut Problems) -> Option<Self> {
        let level: Option<String> = section.text("level", problems);
        if let Some(text) = level.as_ref().filter(|text| !is_filter(text)) {
            let (en, zh) = got(text);
            problems.add(
                &section.path_of("level"),
                format!("must be error, warn, info, debug, trace, or a filter such as \"info,wx_jssdk=debug\"{en}"),
                format!("应为 error、warn、info、debug、trace，或 \"info,wx_jssdk=debug\" 这样的过滤规则{zh}"),
            );
        }
        let json = section
            .choice("format", &["text", "json"], problems)
            .map(|format| format == "json");
        let requests = section
            .choice("requests", &RequestLog::NAMES, problems)
            .and_then(|name| name.parse().ok());
        section.finish(problems);
        Some(Self {
            level: level?,
            json: json?,
            requests: requests?,
        })
    }
}

fn read_upstream(
    section: &mut Section,
    base: &Path,
    problems: &mut Problems,
) -> Option<UpstreamOptions> {
    let weixin = section.url("weixin", problems);
    let qyapi = section.url("qyapi", problems);
    let fallback = egress::fallback(section, weixin.as_deref(), problems);
    let egress = egress::read(section, base, problems);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000, problems);
    let timeout = section.number("timeout_ms", 1..=60_000, problems);
    section.finish(problems);
    Some(UpstreamOptions {
        weixin: weixin?,
        qyapi: qyapi?,
        fallback: fallback?,
        egress: egress?.unwrap_or_default(),
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
    })
}

/// Reports an upstream that is one of this server's own listeners: every call would come back.
fn check_upstream_is_elsewhere(
    server: &ServerSettings,
    upstream: &UpstreamOptions,
    problems: &mut Problems,
) {
    let own = [Some(server.listen), server.admin_listen];
    let fallback = upstream.fallback.iter().map(|base| ("fallback", base));
    let bases = [("weixin", &upstream.weixin), ("qyapi", &upstream.qyapi)];
    for (setting, base) in bases.into_iter().chain(fallback) {
        let Ok(url) = url::Url::parse(base) else {
            continue;
        };
        let ip = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.into(),
            Some(url::Host::Ipv6(ip)) => ip.into(),
            Some(url::Host::Domain("localhost")) => std::net::Ipv4Addr::LOCALHOST.into(),
            _ => continue,
        };
        let address = SocketAddr::new(ip, url.port_or_known_default().unwrap_or_default());
        // An address of another machine may have the same port, also if this server listens on all of its own.
        let is_own = |own: SocketAddr| {
            own.port() == address.port()
                && (own.ip() == ip || (own.ip().is_unspecified() && ip.is_loopback()))
        };
        if own.into_iter().flatten().any(is_own) {
            problems.add(
                &format!("upstream.{setting}"),
                format!("{address} is this server itself: write the address of WeChat, or of another wx-jssdk"),
                format!("{address} 是本服务自己的地址：请填写微信或另一台 wx-jssdk 的地址"),
            );
        }
    }
}

fn read_gateway(section: &mut Section, problems: &mut Problems) -> Option<GatewayOptions> {
    let replay_limit = section.number("replay_limit", 0..=16 * 1_048_576, problems);
    let body_limit = section.number("body_limit", 1..=1_073_741_824, problems);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000, problems);
    let timeout = section.number("timeout_ms", 1..=600_000, problems);
    let calls_at_once = section.number("calls_at_once", 1..=100_000, problems);
    let calls_per_second = section.number("calls_per_second", 0..=1_000_000, problems);
    section.finish(problems);
    Some(GatewayOptions {
        replay_limit: usize::try_from(replay_limit?).ok()?,
        body_limit: body_limit?,
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
        calls_at_once: u32::try_from(calls_at_once?).ok()?,
        calls_per_second: u32::try_from(calls_per_second?).ok()?,
    })
}

impl Problems {
    /// Adds a problem. Only problems of `account_defaults` can occur twice, so only those are deduplicated:
    /// ten thousand accounts may each have their own problem, and a search through all would be slow.
    pub fn add(&mut self, path: &str, en: String, zh: String) {
        let problem = Problem {
            path: path.to_owned(),
            what: Text {
                en: en.into(),
                zh: zh.into(),
            },
        };
        if !(path.starts_with("account_defaults.") && self.0.contains(&problem)) {
            self.0.push(problem);
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}: {}", problem.path, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    let mut problems = Problems::default();
    let (path, error) = (path.display().to_string(), error.to_string());
    problems.add(
        &path,
        format!("cannot be read: {error}"),
        format!("无法读取：{error}"),
    );
    problems
}

/// Returns whether every part is a level or `target=level`. `tracing` accepts a bare word as a target, but
/// here it is a typo: `inof` would disable all logging.
fn is_filter(text: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let good = |part: &str| {
        part.contains(['=', '[']) || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part))
    };
    text.split(',').all(|part| good(part.trim()))
        && tracing_subscriber::EnvFilter::try_new(text).is_ok()
}
