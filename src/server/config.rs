//! The configuration: `wx-jssdk.toml` over the compiled-in defaults, then the environment; every problem named at once.
//!
//! Reads and validates; opens nothing but secret files. The result holds ready [`Account`]s, not text.

mod accounts;
mod section;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment, File, FileFormat, Source, Value};

use crate::account::Account;
use crate::credential::Secret;
use crate::error::Hint;
use crate::upstream::UpstreamOptions;
use section::Section;

/// The defaults, and their documentation.
pub const DEFAULTS: &str = include_str!("../../wx-jssdk.default.toml");

/// Where the configuration is looked for when nobody says where.
pub const DEFAULT_PATH: &str = "wx-jssdk.toml";

/// Everything that can be set.
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
    /// `[account_defaults] js_api_list`: what an account has that is in no configuration, the sandbox's.
    pub default_apis: Vec<String>,
    /// `[accounts.NAME]`, sorted by name.
    pub accounts: Vec<(String, Account)>,
}

/// `[server]`.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where pages call.
    pub listen: SocketAddr,
    /// Threads; 0: one per core.
    pub workers: usize,
    /// How long requests may take to finish after SIGTERM.
    pub shutdown: Duration,
    /// The account of a request that names none.
    pub default_account: Option<String>,
    /// Whether the demo page is served.
    pub demo: bool,
}

/// `[log]`.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A level, or filters.
    pub level: String,
    /// Whether lines are JSON.
    pub json: bool,
}

/// `[store]`.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// `kind = "memory"`.
    Memory,
    /// `kind = "file"`.
    File(PathBuf),
    /// `kind = "redis"`: the URL may hold a password.
    Redis(Secret),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `accounts.main.secret_file`.
    pub path: String,
    /// What is wrong with it, and what to write instead.
    pub what: Hint,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Settings {
    /// Reads `file`, or [`DEFAULT_PATH`] if it is there, over the defaults and below the environment.
    ///
    /// # Errors
    /// [`Problems`] names every one.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => Some(PathBuf::from(DEFAULT_PATH)).filter(|path| path.exists()),
        };
        let text = match &file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| unreadable(path, &error))?,
        };
        let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        Self::read(&text, &base, std::env::vars().collect())
    }

    /// Reads a configuration text. `base` is what relative secret files are relative to, `environment` what `WX_JSSDK__…` is
    /// looked for in.
    ///
    /// # Errors
    /// [`Problems`] names every one.
    pub fn read(text: &str, base: &Path, environment: HashMap<String, String>) -> Result<Self, Problems> {
        let environment: HashMap<_, _> = environment.into_iter().filter(|(name, _)| name.starts_with("WX_JSSDK__")).collect();
        let merged = Config::builder()
            .add_source(File::from_str(DEFAULTS, FileFormat::Toml))
            .add_source(File::from_str(text, FileFormat::Toml))
            .add_source(Environment::with_prefix("WX_JSSDK").prefix_separator("__").separator("__").source(Some(environment)))
            .build()
            .and_then(|config| config.collect())
            .map_err(|error| unparsable(&error))?;
        let mut problems = Problems::default();
        let settings = Self::from_table(merged.into_iter().collect(), base, &mut problems);
        match settings {
            Some(settings) if problems.0.is_empty() => Ok(settings),
            _ => Err(problems),
        }
    }

    /// `None` only together with a problem.
    fn from_table(table: HashMap<String, Value>, base: &Path, problems: &mut Problems) -> Option<Self> {
        let mut root = Section::root(table);
        let server = ServerSettings::read(&mut root.section("server", problems), problems);
        let log = LogSettings::read(&mut root.section("log", problems), problems);
        let store = StoreSettings::read(&mut root.section("store", problems), problems);
        let upstream = read_upstream(&mut root.section("upstream", problems), problems);
        let defaults = root.section("account_defaults", problems);
        let default_apis = defaults.clone().list("js_api_list", problems).unwrap_or_default();
        let accounts = accounts::read(root.section("accounts", problems), &defaults, base, problems);
        root.finish(problems);
        if let Some(name) = server.as_ref().and_then(|server| server.default_account.as_ref())
            && !accounts.iter().any(|(known, _)| known == name)
        {
            problems.add(
                "server.default_account",
                format!("there is no [accounts.{name}]"),
                format!("没有 [accounts.{name}] 这一节"),
            );
        }
        Some(Self { server: server?, log: log?, store: store?, upstream: upstream?, default_apis, accounts })
    }
}

impl ServerSettings {
    fn read(section: &mut Section, problems: &mut Problems) -> Option<Self> {
        let listen = section.parse("listen", "an address and a port such as 127.0.0.1:8080", problems);
        let workers = section.number("workers", 0..=1_024, problems);
        let shutdown = section.number("shutdown_seconds", 0..=3_600, problems);
        let default_account = section.text("default_account", problems).map(|name| Some(name).filter(|name| !name.is_empty()));
        let demo = section.flag("demo", problems);
        section.finish(problems);
        Some(Self {
            listen: listen?,
            workers: usize::try_from(workers?).ok()?,
            shutdown: Duration::from_secs(shutdown?),
            default_account: default_account?,
            demo: demo?,
        })
    }
}

impl LogSettings {
    fn read(section: &mut Section, problems: &mut Problems) -> Option<Self> {
        let level: Option<String> = section.text("level", problems);
        if let Some(text) = &level
            && let Err(error) = tracing_subscriber::EnvFilter::try_new(text)
        {
            let path = section.path_of("level");
            problems.add(&path, format!("\"{text}\" is no log level: {error}"), format!("“{text}”不是有效的日志级别"));
        }
        let json = section.choice("format", &["text", "json"], problems).map(|format| format == "json");
        section.finish(problems);
        Some(Self { level: level?, json: json? })
    }
}

impl StoreSettings {
    fn read(section: &mut Section, problems: &mut Problems) -> Option<Self> {
        let kind = section.choice("kind", &["memory", "file", "redis"], problems);
        let path = section.text("path", problems);
        let url = section.text("url", problems);
        section.finish(problems);
        match kind?.as_str() {
            "memory" => Some(Self::Memory),
            "file" => {
                let path = path?;
                if path.is_empty() {
                    problems.add("store.path", "is empty: name a file".into(), "不能为空，请填写文件路径".into());
                }
                Some(Self::File(path.into()))
            }
            _ => {
                let url = url?;
                if url.is_empty() {
                    problems.add(
                        "store.url",
                        "is missing: store.kind = \"redis\" needs redis://host:6379/0".into(),
                        "缺少地址：store.kind = \"redis\" 需要 redis://host:6379/0".into(),
                    );
                }
                Some(Self::Redis(Secret::new(url)))
            }
        }
    }
}

fn read_upstream(section: &mut Section, problems: &mut Problems) -> Option<UpstreamOptions> {
    let weixin = section.url("weixin", problems);
    let qyapi = section.url("qyapi", problems);
    let connect_timeout = section.number("connect_timeout_ms", 1..=60_000, problems);
    let timeout = section.number("timeout_ms", 1..=60_000, problems);
    section.finish(problems);
    Some(UpstreamOptions {
        weixin: weixin?,
        qyapi: qyapi?,
        connect_timeout: Duration::from_millis(connect_timeout?),
        timeout: Duration::from_millis(timeout?),
    })
}

impl Problems {
    /// Notes one more.
    pub fn add(&mut self, path: &str, en: String, zh: String) {
        self.0.push(Problem { path: path.to_owned(), what: Hint { en: en.into(), zh: zh.into() } });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}: {}\n    {}", problem.path, problem.what.en, problem.what.zh)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

fn unreadable(path: &Path, error: &std::io::Error) -> Problems {
    let mut problems = Problems::default();
    let (path, error) = (path.display().to_string(), error.to_string());
    problems.add(&path, format!("cannot be read: {error}"), format!("无法读取：{error}"));
    problems
}

/// The parser quotes the line at fault, which may hold a secret: only its position and its complaint are kept.
fn unparsable(error: &config::ConfigError) -> Problems {
    let mut problems = Problems::default();
    let text = error.to_string();
    let lines: Vec<_> = text.lines().filter(|line| !line.contains('|') && !line.trim().is_empty()).map(str::trim).collect();
    problems.add("the configuration", format!("is no valid TOML: {}", lines.join(": ")), "不是有效的 TOML".into());
    problems
}
