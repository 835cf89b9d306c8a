//! HTTP client for a running wx-jssdk: its base URL, and one exchange of limited time and size.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::redirect;
use rustls::ClientConfig;
use url::Url;

use crate::upstream::read_up_to;

/// The base URL of a server.
#[derive(Clone, Debug)]
pub(super) struct Server(Url);

/// Status and body of an answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the body is longer than [`LONGEST`], and was not read to its end.
    pub(super) is_truncated: bool,
}

impl FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        });
        url.map(Self).ok_or_else(|| {
            "must be http://host:port, or https://host:port with TLS · 应为 http://主机:端口，配置了证书时用 https://".to_owned()
        })
    }
}

impl Server {
    /// Builds the URL of a listener; replaces an unspecified address with loopback.
    pub(super) fn at(mut address: SocketAddr, secure: bool) -> Self {
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let scheme = if secure { "https" } else { "http" };
        Self(Url::parse(&format!("{scheme}://{address}")).expect("an address is a host and a port"))
    }

    /// Returns whether the scheme is https.
    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Returns the URL with the other scheme, http for https and https for http, and the same port.
    pub(super) fn with_other_scheme(&self) -> Self {
        let mut other = self.0.clone();
        other
            .set_scheme(if self.is_secure() { "http" } else { "https" })
            .and_then(|()| other.set_port(Some(self.port())))
            .expect("both are schemes of the web");
        Self(other)
    }

    /// Returns the server with a query for its next request.
    pub(super) fn with_query(&self, query: &[(&str, &str)]) -> Self {
        let mut url = self.0.clone();
        url.query_pairs_mut().extend_pairs(query);
        Self(url)
    }

    /// Returns host and port.
    pub(super) fn host_and_port(&self) -> String {
        let host = &self.0[url::Position::BeforeHost..url::Position::AfterHost];
        format!("{host}:{}", self.port())
    }

    fn port(&self) -> u16 {
        let port = self.0.port_or_known_default();
        port.expect("http and https have a default port")
    }

    /// Sends a `GET`, or a `POST` if there is a body. Path segments may hold any text; `key` must be a valid
    /// header value.
    pub(super) async fn ask(
        &self,
        path: &[&str],
        key: Option<&str>,
        body: Option<String>,
        tls: ClientConfig,
        within: Duration,
    ) -> reqwest::Result<Reply> {
        // The server is on the company's own network: no egress proxy, and it sends no redirects.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(within)
            .build()?;
        let mut request = match body {
            None => client.get(self.address(path)),
            Some(body) => client
                .post(self.address(path))
                .header(CONTENT_TYPE, "application/json")
                // `/status/…` requires this header, against CSRF.
                .header("X-Requested-With", "wx-jssdk")
                .body(body),
        };
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = read_up_to(response, LONGEST).await?;
        let is_truncated = body.len() > LONGEST;
        Ok(Reply {
            status,
            body,
            is_truncated,
        })
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.path_segments_mut()
            .expect("an http URL has a path")
            .pop_if_empty()
            .extend(path);
        url
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0[..url::Position::AfterPath].trim_end_matches('/'))
    }
}

/// Time to connect: an address that drops packets must not take the whole time for an answer.
const CONNECT: Duration = Duration::from_secs(10);

/// Limit of a body, in bytes; above the size of every answer of wx-jssdk to a command.
pub(super) const LONGEST: usize = 8 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_segment_cannot_become_another_request() {
        let server: Server = "http://127.0.0.1:8081".parse().unwrap();
        let address = server.address(&["credentials", "a/b?c#d\r\nX: y ..", "access_token"]);
        assert_eq!(
            address.as_str(),
            "http://127.0.0.1:8081/credentials/a%2Fb%3Fc%23dX:%20y%20../access_token"
        );
        let below: Server = "http://x:81/wx".parse().unwrap();
        assert_eq!(below.address(&["a"]).as_str(), "http://x:81/wx/a");
    }

    #[test]
    fn the_other_scheme_keeps_the_port() {
        for (text, other, host_and_port) in [
            ("http://h", "https://h:80", "h:80"),
            ("https://h", "http://h:443", "h:443"),
            ("http://h:443", "https://h", "h:443"),
            ("https://[::1]:8081", "http://[::1]:8081", "[::1]:8081"),
        ] {
            let server: Server = text.parse().unwrap();
            assert_eq!(server.with_other_scheme().to_string(), other);
            assert_eq!(server.host_and_port(), host_and_port);
        }
    }

    #[test]
    fn a_server_is_named_by_a_plain_base_url_or_an_address() {
        for (text, shown) in [
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://x:81/wx", "http://x:81/wx"),
            ("https://x:81", "https://x:81"),
        ] {
            assert_eq!(text.parse::<Server>().unwrap().to_string(), shown);
        }
        for bad in ["", "127.0.0.1:8081", "ftp://x", "http://", "http://x/?a"] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
        let of = |address: &str| Server::at(address.parse().unwrap(), false).to_string();
        assert_eq!(of("0.0.0.0:8081"), "http://127.0.0.1:8081");
        assert_eq!(
            (of("[::]:8081"), of("[2001:db8::1]:81")),
            ("http://[::1]:8081".into(), "http://[2001:db8::1]:81".into())
        );
    }
}
