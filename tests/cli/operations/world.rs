//! The whole service in this process, on a manual clock, with its log and metrics.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use wx_jssdk::Broker;
use wx_jssdk::clock::{Clock, UnixTime};
use wx_jssdk::sandbox::{App, Fault, FaultKind, Sandbox};
use wx_jssdk::server::Reloader;
use wx_jssdk::server::config::Settings;
use wx_jssdk::server::tls::Certificate;

pub(crate) use crate::common::http::{BOUND, client, fetch as get};
pub(crate) use crate::common::log::Log;
use crate::common::service;
use crate::common::wait::until_ok;

pub(crate) const SECRET: &str = "0c79e1fa963cd80cc0be99b20a18faeb";
pub(crate) const TOKEN: &str = "/cgi-bin/stable_token";
pub(crate) const CLASSIC: &str = "/cgi-bin/token";
pub(crate) const TICKET: &str = "/cgi-bin/ticket/getticket";

/// 2026-01-01T00:00:00Z: 08:00 in Shanghai.
pub(crate) const START: UnixTime = UnixTime(1_767_225_600);

/// Returns the AppID of the account with this name.
pub(crate) fn app_id(name: &str) -> String {
    format!("wx{name:0>16}")
}

pub(crate) fn app(name: &str) -> App {
    App::official(app_id(name), SECRET).safe_domain("example.com")
}

pub(crate) struct Service {
    pub(crate) sandbox: Sandbox,
    pub(crate) clock: Clock,
    pub(crate) broker: Broker,
    pub(crate) public: String,
    pub(crate) admin: String,
    pub(crate) reloader: Reloader,
    pub(crate) log: Log,
    head: String,
    running: service::Service,
    _listening: DefaultGuard,
}

/// A configuration's accounts, all known to WeChat.
pub(crate) fn accounts<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let account = |name| {
        format!(
            "[accounts.{name}]\napp_id = \"{}\"\nsecret = \"{SECRET}\"\n",
            app_id(name)
        )
    };
    names.into_iter().map(account).collect()
}

impl Service {
    /// With these accounts, each known to WeChat.
    pub(crate) async fn with(names: &[&str]) -> Self {
        Self::start("", &accounts(names.iter().copied()), |sandbox| {
            names.iter().for_each(|name| sandbox.add_app(app(name)))
        })
        .await
    }

    /// With these settings of `[server]` and these accounts.
    pub(crate) async fn start(
        server: &str,
        accounts: &str,
        prepare: impl FnOnce(&Sandbox),
    ) -> Self {
        let clock = Clock::manual(START);
        let sandbox = Sandbox::start(clock.clone()).await.unwrap();
        prepare(&sandbox);
        let head = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\nworkers = 1\nshutdown_seconds = 0\n{server}\n[store]\n
             kind = \"memory\"\n[upstream]\nweixin = \"{0}\"\nqyapi = \"{0}\"\ntimeout_ms = 60000\n[account_defaults]\njs_safe_domains = [\"example.com\"]\n",
            sandbox.url()
        );
        let log = Log::default();
        let _listening = log.listen();
        let settings = read(&format!("{head}{accounts}"));
        let running = service::Service::start_here(&settings, clock.clone()).await;
        Self {
            sandbox,
            clock,
            broker: running.broker.clone(),
            public: format!("http://{}", running.public),
            admin: format!("http://{}", running.admin),
            reloader: running.reloader.clone(),
            log,
            head,
            running,
            _listening,
        }
    }

    /// The same with other accounts.
    pub(crate) fn settings(&self, accounts: &str) -> Settings {
        read(&self.text(accounts))
    }

    /// The same as text.
    pub(crate) fn text(&self, accounts: &str) -> String {
        format!("{}{accounts}", self.head)
    }

    pub(crate) fn certificates(&self) -> &[Certificate] {
        &self.running.certificates
    }

    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    pub(crate) fn always(&self, endpoint: &'static str, kind: FaultKind) {
        self.sandbox.fault(Fault::always(endpoint, kind));
    }

    pub(crate) fn once(&self, endpoint: &'static str, kind: FaultKind) {
        self.sandbox.fault(Fault::once(endpoint, kind));
    }

    pub(crate) async fn sign(&self, account: &str) -> u16 {
        get(&format!(
            "{}/jssdk/config?url=https%3A%2F%2Fexample.com%2F&account={account}",
            self.public
        ))
        .await
        .0
    }

    pub(crate) async fn ready(&self) -> (u16, Value) {
        let (status, body) = get(&format!("{}/readyz", self.admin)).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    pub(crate) async fn scrape(&self) -> Scrape {
        let (status, text) = get(&format!("{}/metrics", self.admin)).await;
        assert_eq!(status, 200, "{text}");
        Scrape::of(text)
    }

    /// Scrapes until the condition holds, while the keeper runs.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Scrape) -> bool) -> Scrape {
        until_ok(what, async || {
            let scrape = self.scrape().await;
            if holds(&scrape) {
                Ok(scrape)
            } else {
                Err(self.log.text())
            }
        })
        .await
    }

    /// Waits until this account has its ticket.
    pub(crate) async fn warm(&self, account: &str) -> Scrape {
        let valid = |scrape: &Scrape| {
            scrape.value(
                "wx_jssdk_credential_remaining_seconds",
                &[("account", account), ("kind", "jsapi_ticket")],
            ) > Some(0.0)
        };
        self.until("a valid ticket", valid).await
    }

    pub(crate) async fn end(self) -> Log {
        self.running.end().await;
        self.log
    }
}

pub(crate) fn read(text: &str) -> Settings {
    service::settings(text, Path::new(""))
}

/// The samples of one scrape in the older text format.
#[derive(Debug)]
pub(crate) struct Scrape {
    pub(crate) text: String,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    pub(crate) fn of(text: String) -> Self {
        let samples = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(sample)
            .collect();
        Self { text, samples }
    }

    /// The samples of this name that have these labels, perhaps among others.
    pub(crate) fn all<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&'s str, &'s str)],
    ) -> impl Iterator<Item = (&'s BTreeMap<String, String>, f64)> {
        let fits = |known: &BTreeMap<String, String>| {
            labels
                .iter()
                .all(|(label, value)| known.get(*label).is_some_and(|v| v == value))
        };
        self.samples
            .iter()
            .filter(move |(known, at, _)| known == name && fits(at))
            .map(|(_, at, value)| (at, *value))
    }

    /// The only one.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.all(name, labels);
        let first = found.next()?.1;
        assert_eq!(found.next(), None, "{name} {labels:?} is one sample");
        Some(first)
    }

    /// Name and type of all described metrics, with or without samples.
    pub(crate) fn described(&self) -> BTreeMap<&str, &str> {
        self.text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
            .collect()
    }
}

/// `name{label="value",…} 1.5`; no label value contains a quote or a comma.
fn sample(line: &str) -> (String, BTreeMap<String, String>, f64) {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no sample: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels
        .trim_end_matches('}')
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (label, value) = label.split_once('=').unwrap();
            (label.to_owned(), value.trim_matches('"').to_owned())
        });
    (
        name.to_owned(),
        labels.collect(),
        value
            .parse()
            .unwrap_or_else(|_| panic!("no number: {line}")),
    )
}
