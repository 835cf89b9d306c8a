//! The way by which an account's calls leave: the client for it, and how pages and commands show it.

use std::time::Duration;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::{Client, Proxy, redirect};
use rustls::ClientConfig;

use super::Upstream;
use super::resolver::Resolver;
use super::transport_failure::{Through, address_of, describe};
use crate::account::{Account, Egress};
use crate::credential::Kind;
use crate::error::{System, Text};

/// The way of an account's next call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Base URL that is called first: a fallback host while those before it cannot be reached.
    pub base: String,
    /// Whether `base` is a fallback host.
    pub is_fallback: bool,
    /// What is between this machine and that host.
    pub via: Via,
}

/// What is between this machine and a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Via {
    /// Nothing.
    Direct,
    /// The proxy of the process's environment, as `host:port`.
    Environment(String),
    /// The configured proxy, as a URL without credentials.
    Proxy(String),
}

impl Via {
    /// Returns the name used in `status.json`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Environment(_) => "environment",
            Self::Proxy(_) => "proxy",
        }
    }

    /// Returns the proxy without credentials, if there is one.
    pub fn proxy(&self) -> Option<&str> {
        match self {
            Self::Direct => None,
            Self::Environment(proxy) | Self::Proxy(proxy) => Some(proxy),
        }
    }

    /// Returns a sentence part for people.
    pub fn text(&self) -> Text {
        match self {
            Self::Direct => Text::new("direct", "直连"),
            Self::Environment(proxy) => Text::owned(
                format!("proxy {proxy} of the environment"),
                format!("环境变量中的代理 {proxy}"),
            ),
            Self::Proxy(proxy) => Text::owned(format!("proxy {proxy}"), format!("代理 {proxy}")),
        }
    }
}

impl Upstream {
    /// Returns the way of an account's next call.
    pub fn route(&self, account: &Account) -> Route {
        let (system, egress) = self.way_of(account);
        let hosts = self.hosts(system);
        let base = match self.uses_circuits(egress) {
            true => hosts.in_use(),
            false => hosts.in_order()[0],
        };
        let is_fallback = hosts.all().first().is_some_and(|(first, _)| *first != base);
        let via = match (egress, self.proxy(egress, base)) {
            (Egress::Proxy(proxy), _) => Via::Proxy(proxy.url()),
            (_, Some(proxy)) => Via::Environment(address_of(&proxy)),
            (_, None) => Via::Direct,
        };
        Route {
            base: base.to_owned(),
            is_fallback,
            via,
        }
    }

    /// Returns what determines the way of an account's calls. Cheaper than the way itself.
    pub(crate) fn way_of<'a>(&'a self, account: &'a Account) -> (System, &'a Egress) {
        let (system, _) = super::endpoint(account, Kind::AccessToken);
        (system, self.egress_of(account))
    }

    /// Returns whether calls by this egress use the hosts' circuits. An account's own egress does not: it neither
    /// opens, probes nor closes a circuit, and skips no host because of one.
    pub(super) fn uses_circuits(&self, egress: &Egress) -> bool {
        *egress == *self.egress
    }

    /// Returns the base URLs of `api.weixin.qq.com` to which nothing could be sent last time, if there are
    /// fallback hosts.
    pub fn unreachable_hosts(&self) -> Vec<String> {
        let hosts = self.hosts(System::Weixin).all().into_iter();
        hosts
            .filter(|(_, has_failed)| *has_failed)
            .map(|(base, _)| base.to_owned())
            .collect()
    }

    /// Returns the proxy between this machine and a host, as the HTTP client finds it.
    pub(super) fn proxy(&self, egress: &Egress, base: &str) -> Option<Intercept> {
        let base = base.parse().ok()?;
        match egress {
            Egress::Environment if self.is_local => None,
            Egress::Environment => self.environment.intercept(&base),
            Egress::Direct => None,
            Egress::Proxy(proxy) => {
                let url = proxy.url_with_credentials();
                let matcher = Matcher::builder().all(url.expose()).build();
                matcher.intercept(&base)
            }
        }
    }

    /// Returns the proxy between this machine and a host, for the failures of a call.
    pub(super) fn through<'a>(&self, egress: &Egress, base: &'a str) -> Option<Through<'a>> {
        Some(Through {
            proxy: self.proxy(egress, base)?,
            base,
            status_timeout: self.connect_timeout,
        })
    }
}

/// Creates a client whose requests leave by this way; it follows no redirects and keeps no connection. Fails with a
/// text for people.
///
/// On a pooled connection that WeChat has just closed, a request looks like a lost reply, and a lost token call costs
/// a classic token its validity. Calls are rare, so one connection per call is cheap.
pub(crate) fn new_client(
    tls: ClientConfig,
    egress: &Egress,
    connect_timeout: Duration,
    timeout: Duration,
) -> Result<Client, String> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .user_agent(concat!("wx-jssdk/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls)
        .dns_resolver(Resolver)
        .pool_max_idle_per_host(0)
        .connect_timeout(connect_timeout)
        .timeout(timeout);
    let builder = match egress {
        Egress::Environment => builder,
        Egress::Direct => builder.no_proxy(),
        Egress::Proxy(proxy) => {
            let url = proxy.url_with_credentials();
            builder.proxy(Proxy::all(url.expose()).expect("a proxy has a valid URL"))
        }
    };
    let client = builder.build();
    client.map_err(|error| describe(&error.without_url()))
}
