//! `[limits]`, and the settings for proxies and host names.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::HeaderName;
use ipnet::IpNet;

use super::section::Section;

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitSettings {
    /// Rate limit per client IP; 0: no limit.
    pub requests_per_second: u32,
    /// Burst size of the rate limit.
    pub burst: u32,
    /// Distinct invalid API keys per IP; 0: no limit.
    pub wrong_keys: u32,
    /// Connections on the public listener.
    pub max_connections: usize,
    /// Timeout for receiving a request.
    pub request: Duration,
    /// Idle timeout of a connection.
    pub keep_alive: Duration,
}

/// `server.trusted_proxies` and `server.client_ip_header`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySettings {
    /// Networks of trusted proxies.
    pub trusted: Vec<IpNet>,
    /// The header in which they send the client IP.
    pub header: HeaderName,
}

impl LimitSettings {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let requests_per_second = section.number("requests_per_second", 0..=1_000_000);
        let burst = section.number("burst", 1..=1_000_000);
        let wrong_keys = section.number("wrong_keys", 0..=1_000_000);
        let max_connections = section.number("max_connections", 10..=1_000_000);
        let request = section.number("request_seconds", 1..=3_600);
        let keep_alive = section.number("keep_alive_seconds", 1..=3_600);
        section.finish();
        Some(Self {
            requests_per_second: requests_per_second?,
            burst: burst?,
            wrong_keys: wrong_keys?,
            max_connections: max_connections?,
            request: Duration::from_secs(request?),
            keep_alive: Duration::from_secs(keep_alive?),
        })
    }
}

impl ProxySettings {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let header = section.parse(
            "client_ip_header",
            "the name of a header",
            "X-Forwarded-For",
        );
        let trusted = section.each("trusted_proxies", |text| {
            let network = text.parse::<IpNet>().ok();
            let network = network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            network.ok_or((
                "must be an IP address or network such as 127.0.0.1 or 10.0.0.0/8",
                "应为 127.0.0.1 或 10.0.0.0/8 这样的 IP 或网段",
            ))
        });
        Some(Self {
            trusted: trusted?,
            header: header?,
        })
    }
}

/// Reads `server.admin_hosts`; returns the names in lower case.
pub(super) fn hosts(section: &mut Section) -> Option<Vec<String>> {
    section.each("admin_hosts", |text| {
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match !text.is_empty() && text.chars().all(good) {
            true => Ok(text.to_ascii_lowercase()),
            false => Err((
                "must be a host name such as wx.internal, without scheme or port",
                "应为 wx.internal 这样的主机名，不含协议和端口",
            )),
        }
    })
}
