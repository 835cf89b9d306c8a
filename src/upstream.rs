//! Calls to WeChat for credentials and open platforms: their paths, and the formats of the answers.
//!
//! A response becomes [`Issued`] or an [`UpstreamError`], decided by its `errcode` and never by the HTTP
//! status or Content-Type.
//! Nothing is retried or cached here: `broker` does that.

mod answer;
mod base_url;
mod endpoints;
mod failover;
#[cfg(feature = "server")]
pub(crate) mod gateway_connector;
mod open_platform;
mod options;
mod resolver;
mod route;
mod tls;
mod transport_failure;
mod verify_file_probe;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use moka::sync::Cache;
use reqwest::{Client, RequestBuilder, Response};
use rustls::ClientConfig;
use serde_json::Value;

pub(crate) use answer::read_up_to;
pub use endpoints::endpoint;
pub(crate) use endpoints::failed;
pub use open_platform::{Authorized, AuthorizerInfo, AuthorizerPage, AuthorizerToken};
pub use options::UpstreamOptions;
pub(crate) use route::new_client;
pub use route::{Route, Via};
#[cfg_attr(not(feature = "server"), allow(unused_imports))]
pub(crate) use tls::{provider, tls_config};
pub(crate) use transport_failure::describe;
pub use verify_file_probe::{VerifyFileFailure, VerifyFileProbe};

use crate::account::{Account, Egress, Platform, TokenMode};
use crate::clock::Clock;
use crate::credential::{Kind, Secret};
use crate::error::{Class, Failure, ProxyProblem, System, UpstreamError};
use answer::Answer;
use endpoints::{CHECK, Endpoint, WORK_CHECK, endpoint_of, url};
use failover::Hosts;
use tls::tls_without_roots;
#[cfg(feature = "server")]
pub(crate) use transport_failure::BoxError;
pub(crate) use transport_failure::Broken;
use transport_failure::Through;

/// The client of WeChat's APIs. Clones are handles to the same client.
#[derive(Clone, Debug)]
pub struct Upstream {
    weixin: Arc<Hosts>,
    qyapi: Arc<Hosts>,
    egress: Arc<Egress>,
    /// One for each way by which calls leave.
    clients: Cache<Egress, Client>,
    /// The proxies of the process's environment, as the HTTP client reads them.
    environment: Arc<Matcher>,
    /// Made when it is first needed.
    tls: Arc<OnceLock<Arc<ClientConfig>>>,
    /// Whether all base URLs are simulators on this machine.
    is_local: bool,
    connect_timeout: Duration,
    timeout: Duration,
}

/// A credential issued by WeChat: validated, not yet cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The token or ticket.
    pub value: Secret,
    /// Its lifetime, counted from when the call was *sent*. Zero only for a token of WeCom in its last second.
    pub expires_in: Duration,
}

/// The HTTP client could not be created: no TLS roots, or an invalid base URL.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the HTTP client for WeChat cannot be created: {0}")]
pub struct ClientError(String);

impl Upstream {
    /// Creates the client: rustls, no redirects (WeChat sends none, but a captive portal does).
    ///
    /// # Errors
    /// [`ClientError`] if a base URL is not http(s) or TLS cannot be set up.
    pub fn new(options: &UpstreamOptions) -> Result<Self, ClientError> {
        Self::with_clock(options, Clock::system())
    }

    /// The same with a clock for the times at which a host is left out.
    ///
    /// # Errors
    /// As [`Upstream::new`].
    pub fn with_clock(options: &UpstreamOptions, clock: Clock) -> Result<Self, ClientError> {
        let weixin = std::iter::once(&options.weixin).chain(&options.fallback);
        let weixin: Vec<_> = weixin
            .map(|text| base_url::parse(text))
            .collect::<Result<_, _>>()?;
        let qyapi = base_url::parse(&options.qyapi)?;
        let is_local = weixin
            .iter()
            .chain([&qyapi])
            .all(|base| base_url::is_loopback(base) && base.scheme() == "http");
        let hosts = |bases: &[url::Url], clock| {
            let plain = |url: &url::Url| url.as_str().trim_end_matches('/').to_owned();
            Arc::new(Hosts::new(bases.iter().map(plain).collect(), clock))
        };
        let upstream = Self {
            weixin: hosts(&weixin, clock.clone()),
            qyapi: hosts(&[qyapi], clock),
            egress: Arc::new(options.egress.clone()),
            clients: Cache::new(MOST_CLIENTS),
            environment: Arc::new(Matcher::from_system()),
            tls: Arc::default(),
            is_local,
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
        };
        upstream.client(&upstream.egress)?;
        Ok(upstream)
    }

    /// Returns the maximum duration of a call. A lease must last longer.
    pub fn timeout(&self) -> Duration {
        // Each host but the last can fail to connect.
        let others = self.weixin.all().len().saturating_sub(1);
        let others = u32::try_from(others).unwrap_or(u32::MAX);
        self.timeout
            .saturating_add(self.connect_timeout.saturating_mul(others))
    }

    /// Returns the way by which an account's calls leave: the key for a client per way.
    pub(crate) fn egress_of<'a>(&'a self, account: &'a Account) -> &'a Egress {
        account.own_egress().unwrap_or(&self.egress)
    }

    /// Returns the base URLs of a system in the order to try now. A caller goes on to the next one only if
    /// nothing was sent to the one before, and reports each with [`Upstream::host_failed`] or
    /// [`Upstream::host_answered`].
    pub(crate) fn bases(&self, account: &Account, system: System) -> Vec<&str> {
        match self.uses_circuits(self.egress_of(account)) {
            true => self.hosts(system).to_try(),
            false => self.hosts(system).in_order(),
        }
    }

    /// Returns the hosts of WeChat's pages on which an account authorises an open platform, for PCs and for
    /// phones. A simulator serves them itself.
    pub(crate) fn page_hosts(&self) -> [&str; 2] {
        match self.is_local {
            true => [self.weixin.all()[0].0; 2],
            false => ["https://mp.weixin.qq.com", "https://open.weixin.qq.com"],
        }
    }

    /// Records that nothing could be sent to the host of this base URL: it could not be resolved or connected
    /// to, or its TLS handshake failed. A failure of the proxy is not the host's.
    pub(crate) fn host_failed(&self, account: &Account, base: &str) {
        if self.uses_circuits(self.egress_of(account)) {
            self.weixin.failed(base);
            self.qyapi.failed(base);
        }
    }

    /// Records that the host of this base URL answered.
    pub(crate) fn host_answered(&self, account: &Account, base: &str) {
        if self.uses_circuits(self.egress_of(account)) {
            self.weixin.answered(base);
            self.qyapi.answered(base);
        }
    }

    /// Classifies the error of a call to `base` that was not answered.
    #[cfg_attr(not(feature = "server"), allow(dead_code))] // for the gateway
    pub(crate) async fn failure(&self, account: &Account, base: &str, broken: Broken) -> Failure {
        let through = self.through(self.egress_of(account), base);
        transport_failure::failure(broken, through).await
    }

    /// Returns the failure behind an answer with status 407: a proxy that forwards plain requests answers in
    /// the place of WeChat. `None` if no such proxy is in between.
    #[cfg_attr(not(feature = "server"), allow(dead_code))] // for the gateway
    pub(crate) fn refused_by_proxy(&self, account: &Account, base: &str) -> Option<Failure> {
        let through = self.through(self.egress_of(account), base);
        let through = through.filter(Through::forwards)?;
        Some(through.failure(ProxyProblem::Password, "HTTP 407"))
    }

    fn hosts(&self, system: System) -> &Hosts {
        match system {
            System::Weixin => &self.weixin,
            System::Qyapi => &self.qyapi,
        }
    }

    fn client(&self, egress: &Egress) -> Result<Client, ClientError> {
        let build = || {
            let tls = self.tls(egress)?;
            let egress = match egress {
                // A simulator on this machine is not reached through the company's egress proxy.
                Egress::Environment if self.is_local => &Egress::Direct,
                egress => egress,
            };
            let tls = ClientConfig::clone(&tls);
            new_client(tls, egress, self.connect_timeout, self.timeout).map_err(ClientError)
        };
        let client = self.clients.entry_by_ref(egress).or_try_insert_with(build);
        client
            .map(moka::Entry::into_value)
            .map_err(|error| (*error).clone())
    }

    /// Returns the settings of TLS. A simulator on this machine needs no certificates, which take a while to
    /// read.
    fn tls(&self, egress: &Egress) -> Result<Arc<ClientConfig>, ClientError> {
        let needs_roots =
            !self.is_local || matches!(egress, Egress::Proxy(proxy) if proxy.is_tls());
        match (needs_roots, self.tls.get()) {
            (false, _) => Ok(Arc::new(tls_without_roots())),
            (true, Some(tls)) => Ok(tls.clone()),
            (true, None) => {
                let tls = Arc::new(tls_config()?);
                Ok(self.tls.get_or_init(|| tls).clone())
            }
        }
    }

    /// Fetches an access token with the account's secret. `force` retires the current token; only stable
    /// mode has this option, classic and WeCom calls ignore it.
    ///
    /// # Errors
    /// [`UpstreamError`], classified.
    pub async fn token(&self, account: &Account, force: bool) -> Result<Issued, UpstreamError> {
        let (id, secret) = (account.app_id(), account.secret().expose());
        let endpoint = endpoint_of(account, Kind::AccessToken);
        let query = match (endpoint.system, account.mode()) {
            (System::Qyapi, _) => vec![("corpid", id), ("corpsecret", secret)],
            (System::Weixin, TokenMode::Classic) => vec![
                ("grant_type", "client_credential"),
                ("appid", id),
                ("secret", secret),
            ],
            (System::Weixin, TokenMode::Stable) => {
                let body = serde_json::json!({
                    "grant_type": "client_credential", "appid": id, "secret": secret, "force_refresh": force,
                });
                let secrets = [account.secret()];
                let answer = self.post(account, endpoint, &[], &secrets, &body);
                return answer.await?.issued();
            }
        };
        let answer = self.get(account, endpoint, &query, account.secret());
        answer.await?.issued()
    }

    /// Returns whether WeChat refuses this access token, by a call that costs nothing
    /// (<https://developers.weixin.qq.com/doc/service/api/base/api_getapidomainip>). False if it could not be
    /// found out.
    #[cfg_attr(not(feature = "actix"), allow(dead_code))] // only the drop-in asks
    pub(crate) async fn refuses_token(&self, account: &Account, token: &Secret) -> bool {
        let endpoint = match account.platform() {
            Platform::Work { .. } => &WORK_CHECK,
            _ => &CHECK,
        };
        let query = [("access_token", token.expose())];
        let answer = self.get(account, endpoint, &query, token).await;
        answer.is_err_and(|error| error.class() == Class::StaleToken)
    }

    /// Fetches a ticket with an access token. `kind` must be one that the account has.
    ///
    /// # Errors
    /// [`UpstreamError`], classified: [`crate::error::Class::StaleToken`] if WeChat rejected the token.
    pub async fn ticket(
        &self,
        account: &Account,
        kind: Kind,
        token: &Secret,
    ) -> Result<Issued, UpstreamError> {
        let endpoint = endpoint_of(account, kind);
        let mut query = vec![("access_token", token.expose())];
        query.extend(endpoint.ticket_type(kind).map(|kind| ("type", kind)));
        let answer = self.get(account, endpoint, &query, token);
        answer.await?.issued()
    }

    async fn get(
        &self,
        account: &Account,
        endpoint: &'static Endpoint,
        query: &[(&str, &str)],
        secret: &Secret,
    ) -> Result<Answer, UpstreamError> {
        let get = |client: &Client, base: &str| client.get(url(base, endpoint, query));
        self.call(account, endpoint, &[secret], get).await
    }

    async fn post(
        &self,
        account: &Account,
        endpoint: &'static Endpoint,
        query: &[(&str, &str)],
        secrets: &[&Secret],
        body: &Value,
    ) -> Result<Answer, UpstreamError> {
        let body = body.to_string();
        let post = |client: &Client, base: &str| {
            client
                .post(url(base, endpoint, query))
                .header("content-type", "application/json")
                .body(body.clone())
        };
        self.call(account, endpoint, secrets, post).await
    }

    /// Calls the hosts in their order until something was sent to one. `secrets` are those of the request, which
    /// are redacted from all text that is kept.
    async fn call(
        &self,
        account: &Account,
        endpoint: &'static Endpoint,
        secrets: &[&Secret],
        request: impl Fn(&Client, &str) -> RequestBuilder,
    ) -> Result<Answer, UpstreamError> {
        let egress = self.egress_of(account);
        let client = self
            .client(egress)
            .map_err(|ClientError(why)| endpoint.failed(Failure::Unreachable(why)))?;
        let mut unreachable = None;
        for base in self.bases(account, endpoint.system) {
            let through = self.through(egress, base);
            let sent = request(&client, base).send().await;
            match judge(endpoint, secrets, sent, through).await {
                Err(error) if error.failure.is_about_the_host() => {
                    self.host_failed(account, base);
                    unreachable.get_or_insert(error);
                }
                Err(error)
                    if matches!(error.failure, Failure::ReplyLost(_) | Failure::Proxy { .. }) =>
                {
                    return Err(error);
                }
                answer => {
                    self.host_answered(account, base);
                    return answer;
                }
            }
        }
        // The first host's failure: the others are only its replacements.
        Err(unreachable.expect("there is always a host to try"))
    }
}

/// Turns a response into an answer or one classified error. `secrets` are redacted from all text that is kept.
async fn judge(
    endpoint: &'static Endpoint,
    secrets: &[&Secret],
    sent: reqwest::Result<Response>,
    through: Option<Through<'_>>,
) -> Result<Answer, UpstreamError> {
    let response = match sent {
        Ok(response) => response,
        Err(error) => {
            return Err(endpoint.failed(transport_failure::failure(error.into(), through).await));
        }
    };
    let status = response.status().as_u16();
    let body = answer::read(response).await;
    let body = body.map_err(|failure| endpoint.failed(failure))?;
    let judged = answer::judged(endpoint, secrets, status, &body);
    // A proxy that forwards plain requests answers in the place of WeChat, which has neither status.
    let problem = match status {
        407 => ProxyProblem::Password,
        403 => ProxyProblem::Rules,
        _ => return judged,
    };
    match (judged, through.filter(Through::forwards)) {
        (Err(error), Some(through)) if matches!(error.failure, Failure::NotJson { .. }) => {
            Err(endpoint.failed(through.failure(problem, &format!("HTTP {status}"))))
        }
        (judged, _) => judged,
    }
}

/// For the fuzz target; not part of the API.
#[doc(hidden)]
pub fn judge_body(
    account: &Account,
    kind: Kind,
    secret: &Secret,
    status: u16,
    body: &[u8],
) -> Result<Issued, UpstreamError> {
    let endpoint = endpoint_of(account, kind);
    answer::judged(endpoint, &[secret], status, body)?.issued()
}

/// Maximum number of HTTP clients kept: one for each proxy in use.
const MOST_CLIENTS: u64 = 256;
