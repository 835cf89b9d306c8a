//! Where calls go, and how long they may take.

use std::time::Duration;

use super::base_url;
use crate::account::Egress;

/// The base URLs of WeChat's APIs and the timeouts of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// Base URL of `api.weixin.qq.com`, without a trailing slash.
    pub weixin: String,
    /// Base URL of `qyapi.weixin.qq.com`.
    pub qyapi: String,
    /// Base URLs of further hosts of `api.weixin.qq.com`, used while those before them cannot be reached.
    pub fallback: Vec<String>,
    /// The way by which calls leave, for accounts that have none of their own.
    pub egress: Egress,
    /// Timeout of the TCP and TLS handshakes.
    pub connect_timeout: Duration,
    /// Timeout of the whole call, including the handshakes.
    pub timeout: Duration,
}

impl UpstreamOptions {
    /// Returns whether the text is a base URL: http(s), without credentials, query and fragment.
    pub fn is_base_url(text: &str) -> bool {
        base_url::parse(text).is_ok()
    }

    /// Returns the defaults with this base URL for all of WeChat's hosts, as the sandbox and test servers have it.
    pub fn at(url: impl Into<String>) -> Self {
        let url = url.into();
        Self {
            weixin: url.clone(),
            qyapi: url,
            ..Self::default()
        }
    }
}

impl Default for UpstreamOptions {
    /// The same values as `[upstream]` in `wx-jssdk.default.toml`, for embedders; `tests/cli/config/defaults.rs`
    /// compares the two.
    fn default() -> Self {
        Self {
            weixin: "https://api.weixin.qq.com".into(),
            qyapi: "https://qyapi.weixin.qq.com".into(),
            fallback: Vec::new(),
            egress: Egress::Environment,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }
}
