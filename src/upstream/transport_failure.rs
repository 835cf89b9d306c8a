//! Classifies calls that ended without a response. Whether the request can have reached WeChat decides what a
//! lost token call does to the old token; what an egress proxy did is never blamed on WeChat.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Intercept;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::error::{Failure, ProxyProblem};

/// The proxy through which a call goes.
pub(super) struct Through<'a> {
    pub(super) proxy: Intercept,
    /// The base URL called.
    pub(super) base: &'a str,
    /// Timeout of asking the proxy for its status.
    pub(super) status_timeout: Duration,
}

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Why a call was not answered.
pub(crate) struct Broken {
    /// Contains no URL: the query holds secrets.
    pub(crate) error: BoxError,
    /// Whether WeChat has certainly received nothing.
    pub(crate) is_unsent: bool,
    /// Whether time ran out.
    pub(crate) is_timeout: bool,
}

#[cfg_attr(not(feature = "server"), allow(dead_code))] // for the gateway
impl Broken {
    /// Creates it for a call that failed before its time was over.
    pub(crate) fn new(error: impl Into<BoxError>, is_unsent: bool) -> Self {
        Self {
            error: error.into(),
            is_unsent,
            is_timeout: false,
        }
    }

    /// Creates it for a call that took too long.
    pub(crate) fn timed_out(error: impl Into<BoxError>, is_unsent: bool) -> Self {
        Self {
            is_timeout: true,
            ..Self::new(error, is_unsent)
        }
    }
}

impl From<reqwest::Error> for Broken {
    fn from(error: reqwest::Error) -> Self {
        Self {
            is_unsent: error.is_connect() || error.is_builder(),
            is_timeout: error.is_timeout(),
            error: error.without_url().into(),
        }
    }
}

/// Classifies the error of a call that was not answered. Asks an HTTP proxy that refused a tunnel for its
/// status, which the HTTP client does not tell.
pub(super) async fn failure(broken: Broken, through: Option<Through<'_>>) -> Failure {
    let error: &(dyn Error + 'static) = &*broken.error;
    let why = describe(error);
    let is_unsent = broken.is_unsent;
    match through {
        Some(_) if is_unsent && chain(error).any(|text| text.starts_with(RESOLVED_HERE)) => {
            Failure::Unreachable(why)
        }
        Some(through) if is_unsent => {
            let mut problem = through.problem(&broken);
            if problem == ProxyProblem::NoRoute
                && why.ends_with(TUNNEL_REFUSED)
                && let Some(refusal) = through.tunnel_refusal().await
            {
                problem = refusal;
            }
            through.failure(problem, &why)
        }
        None if is_untrusted(error) => Failure::Untrusted(why),
        None if is_unsent => Failure::Unreachable(why),
        _ => Failure::ReplyLost(why),
    }
}

/// Classifies the error of a response whose body broke off.
pub(super) fn lost(error: reqwest::Error) -> Failure {
    Failure::ReplyLost(describe(&error.without_url()))
}

impl Through<'_> {
    /// Returns the failure with the proxy's address, which is for the operator.
    pub(super) fn failure(&self, problem: ProxyProblem, why: &str) -> Failure {
        let proxy = address_of(&self.proxy);
        let said = format!("proxy {proxy}: {why}");
        Failure::Proxy { problem, said }
    }

    /// Returns whether the proxy answers in the place of WeChat: it forwards plain requests, and tunnels the
    /// others.
    pub(super) fn forwards(&self) -> bool {
        self.base.starts_with("http://") && self.proxy.uri().scheme_str().is_some_and(is_http)
    }

    /// Names the problem by the texts of the HTTP client's errors: their types are private.
    fn problem(&self, broken: &Broken) -> ProxyProblem {
        let error: &(dyn Error + 'static) = &*broken.error;
        let said =
            |lead: &str| chain(error).find_map(|text| text.strip_prefix(lead).map(str::to_owned));
        if is_untrusted(error) {
            return ProxyProblem::Untrusted;
        }
        if broken.is_timeout {
            return ProxyProblem::TimedOut;
        }
        match said("tunnel error: ").or_else(|| said("SOCKS error: ")) {
            Some(said) => match said.as_str() {
                "proxy authorization required"
                | "credentials not accepted"
                | "server does not support user/pass authentication" => ProxyProblem::Password,
                "connection not allowed" => ProxyProblem::Rules,
                "unsuccessful"
                | "general server failure"
                | "network unreachable"
                | "host unreachable"
                | "connection refused"
                | "ttl expired" => ProxyProblem::NoRoute,
                _ => ProxyProblem::Unreachable,
            },
            // With a tunnel, the handshake with WeChat's host itself; without one, the connection to the
            // proxy. A `socks5` proxy is given an address that this machine has resolved.
            None if self.forwards() => ProxyProblem::Unreachable,
            None => ProxyProblem::NoRoute,
        }
    }

    /// Returns the problem that the proxy's answer to a CONNECT shows: by its status, its rules refuse it; without
    /// one, it is not a proxy. `None` if it shows neither.
    async fn tunnel_refusal(&self) -> Option<ProxyProblem> {
        let asked = tokio::time::timeout(self.status_timeout, self.ask_for_tunnel());
        let head = asked.await.ok().flatten()?;
        let Some(version_and_status) = head.strip_prefix(b"HTTP/1.") else {
            return Some(ProxyProblem::Unreachable);
        };
        let is_refused = version_and_status.get(2) == Some(&b'4');
        is_refused.then_some(ProxyProblem::Rules)
    }

    /// Returns the beginning of the answer to a CONNECT, as long as that of HTTP up to its status.
    async fn ask_for_tunnel(&self) -> Option<[u8; 12]> {
        let uri = self.proxy.uri();
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let target = url::Url::parse(self.base).ok()?;
        let (host, port) = (target.host_str()?, target.port_or_known_default()?);
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(auth) = self.proxy.basic_auth() {
            let auth = auth.to_str().ok()?;
            request.push_str(&format!("Proxy-Authorization: {auth}\r\n"));
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(address_of(&self.proxy)).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut head = [0; "HTTP/1.1 403".len()];
        stream.read_exact(&mut head).await.ok()?;
        Some(head)
    }
}

/// Returns the host and the port of a proxy.
pub(super) fn address_of(proxy: &Intercept) -> String {
    let uri = proxy.uri();
    let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => 1080,
    });
    format!("{}:{port}", uri.host().unwrap_or_default())
}

fn is_http(scheme: &str) -> bool {
    matches!(scheme, "http" | "https")
}

/// Returns the texts of an error and its causes.
fn chain(error: &(dyn Error + 'static)) -> impl Iterator<Item = String> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error.to_string())
    })
}

/// Returns whether the TLS handshake failed because of the server's certificate.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    let io = error.downcast_ref::<io::Error>();
    match io.and_then(io::Error::get_ref) {
        Some(inside) => is_untrusted(inside),
        None => error.source().is_some_and(is_untrusted),
    }
}

/// Returns an error with its innermost cause: `error sending request: Connection refused (os error 111)`.
pub(crate) fn describe(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match error.source() {
        None => error.to_string(),
        Some(_) => format!("{error}: {innermost}"),
    }
}

/// The HTTP client's text for a host name that this machine could not resolve for a `socks5` proxy.
pub(super) const RESOLVED_HERE: &str = "error resolving for socks proxy";

/// The HTTP client's text for a CONNECT that was answered with neither 200 nor 407.
const TUNNEL_REFUSED: &str = "tunnel error: unsuccessful";
