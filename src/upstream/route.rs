//! The way by which an account's calls leave, as pages and commands show it.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use super::Upstream;
use super::transport::{Through, address_of};
use crate::account::{Account, Egress};
use crate::error::System;

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

impl Upstream {
    /// Returns the way of an account's next call.
    #[must_use]
    pub fn route(&self, account: &Account) -> Route {
        let system = super::endpoint(account, crate::credential::Kind::AccessToken).0;
        let hosts = self.hosts(system);
        let base = hosts.in_use();
        let is_fallback = hosts.all().first().is_some_and(|(first, _)| *first != base);
        let egress = self.egress_of(account);
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

    /// Returns the base URLs that are left out because they could not be reached.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        let open = self.hosts(System::Weixin).all().into_iter();
        open.filter(|(_, is_open)| *is_open)
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

    pub(super) fn through<'a>(&self, proxy: &'a Intercept, base: &'a str) -> Through<'a> {
        Through {
            proxy,
            base,
            patience: self.connect_timeout,
        }
    }
}
