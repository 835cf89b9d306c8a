//! Opens connections to WeChat for calls that are passed on: directly, or through the account's proxy. HTTP
//! itself, and keeping connections, is up to the caller.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::rt::{Read, Write};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::Upstream;
use super::resolver::{Resolver, lookup};
use super::transport_failure::{BoxError, Broken, RESOLVED_HERE};
use crate::account::{Account, Egress};

/// A connection on which requests can be sent.
pub(crate) struct Opened {
    /// The connection, encrypted if the base URL is https.
    pub(crate) stream: Box<dyn Stream>,
    /// What requests need, if a proxy forwards them instead of tunnelling the connection.
    pub(crate) absolute_form: Option<AbsoluteForm>,
}

/// The form of requests that a proxy forwards: they name the whole URL.
pub(crate) struct AbsoluteForm {
    /// The value of `Proxy-Authorization`.
    pub(crate) authorization: Option<HeaderValue>,
}

/// A bidirectional stream.
pub(crate) trait Stream: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Stream for T {}

impl Upstream {
    /// Opens a connection to a base URL by the way of an account's calls.
    ///
    /// # Errors
    /// [`Broken`]: nothing was sent.
    pub(crate) async fn connect(
        &self,
        account: &Account,
        base: &str,
        timeout: Duration,
    ) -> Result<Opened, Broken> {
        let opened = tokio::time::timeout(timeout, self.open(self.egress_of(account), base));
        match opened.await {
            Ok(opened) => opened.map_err(|error| Broken::new(error, true)),
            Err(elapsed) => Err(Broken::timed_out(elapsed, true)),
        }
    }

    async fn open(&self, egress: &Egress, base: &str) -> Result<Opened, BoxError> {
        let target: Uri = base.parse()?;
        let is_tls = target.scheme_str() == Some("https");
        let tls = self.tls(egress)?;
        let mut http = HttpConnector::new_with_resolver(Resolver);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_keepalive(Some(KEEPALIVE));
        let mut connector = HttpsConnector::from((http.clone(), tls.clone()));
        let Some(proxy) = self.proxy(egress, base) else {
            return Ok(Opened::whole(connector.call(target).await?));
        };
        let scheme = proxy.uri().scheme_str().unwrap_or_default();
        if scheme.starts_with("socks") {
            let destination = match scheme {
                "socks5" => resolved(&target).await?,
                _ => target.clone(),
            };
            let stream = socks(&proxy, http).call(destination).await?;
            return match is_tls {
                true => secured(stream, &target, tls).await,
                false => Ok(Opened::whole(stream)),
            };
        }
        if is_tls {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            let stream = tunnel.call(target.clone()).await?;
            return secured(stream, &target, tls).await;
        }
        Ok(Opened {
            stream: Box::new(connector.call(proxy.uri().clone()).await?),
            absolute_form: Some(AbsoluteForm {
                authorization: proxy.basic_auth().cloned(),
            }),
        })
    }
}

impl Opened {
    fn whole(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            absolute_form: None,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { Ok(lookup(name.as_str()).await?.into_iter()) })
    }
}

fn socks(proxy: &Intercept, http: HttpConnector<Resolver>) -> SocksV5<HttpConnector<Resolver>> {
    let socks = SocksV5::new(proxy.uri().clone(), http);
    match proxy.raw_auth() {
        Some((user, password)) => socks.with_auth(user.to_owned(), password.to_owned()),
        None => socks,
    }
}

/// Resolves the host of a URL: a `socks5` proxy is given an IP address.
async fn resolved(target: &Uri) -> Result<Uri, BoxError> {
    let host = target.host().unwrap_or_default();
    let port = target.port_u16().unwrap_or(HTTPS_PORT);
    let found = lookup(host)
        .await
        .map_err(|error| format!("{RESOLVED_HERE}: {error}"))?;
    let mut address = *found.first().ok_or(RESOLVED_HERE)?;
    address.set_port(port);
    Ok(format!("https://{address}").parse()?)
}

/// Makes the TLS handshake with WeChat's host inside a tunnel.
async fn secured(
    stream: impl Stream + 'static,
    target: &Uri,
    tls: Arc<ClientConfig>,
) -> Result<Opened, BoxError> {
    let host = target.host().unwrap_or_default();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())?;
    let connected = TlsConnector::from(tls).connect(name, TokioIo::new(stream));
    Ok(Opened::whole(TokioIo::new(connected.await?)))
}

/// A peer that vanished is noticed.
const KEEPALIVE: Duration = Duration::from_secs(15);

const HTTPS_PORT: u16 = 443;
