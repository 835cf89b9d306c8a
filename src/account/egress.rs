//! The way by which calls leave this machine: directly, or through a proxy.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::credential::Secret;

/// The way by which calls to WeChat leave this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Egress {
    /// Through the proxy that the process's environment names (`HTTPS_PROXY`, `NO_PROXY`), or directly if it
    /// names none. A simulator on this machine is called directly.
    #[default]
    Environment,
    /// Directly, whatever the environment says.
    Direct,
    /// Through this proxy, even to this machine.
    Proxy(Proxy),
}

/// An egress proxy: `http`, `https`, `socks5` (names are resolved here) or `socks5h` (by the proxy).
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: &'static str,
    address: Arc<str>,
    credentials: Option<(Arc<str>, Secret)>,
}

impl Proxy {
    /// Parses the URL of a proxy, such as `http://10.0.0.5:3128`. The default ports are 80, 443 and 1080.
    ///
    /// # Errors
    /// [`ProxyError`] says what is wrong, without the URL.
    pub fn parse(url: &str) -> Result<Self, ProxyError> {
        if url.contains('@') {
            return Err(ProxyError::Credentials);
        }
        let (scheme, _) = url.split_once("://").ok_or(ProxyError::Scheme)?;
        let scheme = SCHEMES
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme))
            .ok_or(ProxyError::Scheme)?;
        let parsed = url::Url::parse(url).map_err(|_| ProxyError::Address)?;
        let host = parsed.host_str().filter(|host| is_host(host));
        let host = host.ok_or(ProxyError::Address)?;
        if !matches!(parsed.path(), "" | "/")
            || parsed.query().is_some()
            || parsed.fragment().is_some()
        {
            return Err(ProxyError::Path);
        }
        let port = parsed.port_or_known_default().unwrap_or(SOCKS_PORT);
        Ok(Self {
            scheme,
            address: format!("{host}:{port}").into(),
            credentials: None,
        })
    }

    /// Sets the user name and the password that the proxy asks for.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: Secret) -> Self {
        self.credentials = Some((user.into(), password));
        self
    }

    /// Returns the host and the port, for logs and pages.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the URL without credentials.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Returns whether the connection to the proxy itself is encrypted.
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    /// Returns the URL with the credentials in it: a secret.
    pub(crate) fn url_with_credentials(&self) -> Secret {
        let plain = self.url();
        let Some((user, password)) = &self.credentials else {
            return Secret::new(plain);
        };
        let mut url = url::Url::parse(&plain).expect("it was parsed before");
        // `Url` leaves a percent sign as it is, as if it were encoded already.
        let encoded = |text: &str| text.replace('%', "%25");
        let _ = url.set_username(&encoded(user));
        let _ = url.set_password(Some(&encoded(password.expose())));
        Secret::new(url.as_str())
    }
}

/// Prints no credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.url()).finish()
    }
}

impl Hash for Proxy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let credentials = self.credentials.as_ref();
        let credentials = credentials.map(|(user, password)| (user, password.expose()));
        (self.scheme, &self.address, credentials).hash(state);
    }
}

/// The text is not the URL of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It holds a user name or a password, which belong into settings of their own.
    #[error("the URL of a proxy must not contain a user name or a password")]
    Credentials,
    /// The scheme is not supported.
    #[error("the URL of a proxy must start with http://, https://, socks5:// or socks5h://")]
    Scheme,
    /// The host or the port is invalid.
    #[error("the URL of a proxy must contain a host and a port")]
    Address,
    /// Something follows the port.
    #[error("the URL of a proxy must end after the port")]
    Path,
}

/// Returns whether the HTTP client accepts the host. A proxy that it does not accept would be bypassed.
pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        })
}

const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];
const SOCKS_PORT: u16 = 1080;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_has_a_scheme_a_host_and_a_port() {
        for (url, plain) in [
            ("http://10.0.0.5:3128", "http://10.0.0.5:3128"),
            ("http://proxy.example", "http://proxy.example:80"),
            ("https://proxy.example/", "https://proxy.example:443"),
            ("socks5://proxy.example", "socks5://proxy.example:1080"),
            ("SOCKS5H://proxy_1:9050", "socks5h://proxy_1:9050"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
        ] {
            assert_eq!(Proxy::parse(url).unwrap().url(), plain, "{url}");
        }
    }

    #[test]
    fn an_invalid_proxy_address_is_refused_with_the_reason() {
        for (url, why) in [
            ("http://u:geheim@proxy:1", ProxyError::Credentials),
            ("proxy:3128", ProxyError::Scheme),
            ("ftp://proxy:3128", ProxyError::Scheme),
            ("socks4://proxy:1080", ProxyError::Scheme),
            ("http://", ProxyError::Address),
            ("socks5://:1080", ProxyError::Address),
            ("socks5://代理:1080", ProxyError::Address),
            ("http://proxy:99999", ProxyError::Address),
            ("http://proxy:3128/path", ProxyError::Path),
            ("http://proxy:3128?a=1", ProxyError::Path),
        ] {
            assert_eq!(Proxy::parse(url), Err(why), "{url}");
        }
    }

    #[test]
    fn credentials_are_part_of_the_identity_and_are_not_printed() {
        let plain = Proxy::parse("http://proxy:3128").unwrap();
        let with = plain
            .clone()
            .credentials("u%41", Secret::new("p@:/%20\u{e4}"));
        assert_ne!(plain, with);
        let url = with.url_with_credentials();
        let url = url.expose();
        assert_eq!(url, "http://u%2541:p%40%3A%2F%2520%C3%A4@proxy:3128/");
        assert!(!format!("{with:?}").contains("u%"), "{with:?}");
    }
}
