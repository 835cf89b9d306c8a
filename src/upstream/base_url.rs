//! Base URLs of WeChat's APIs, as `[upstream]` gives them.

use super::ClientError;
use crate::account::egress::is_host;

/// Checks a base URL: http(s), and nothing after the path.
pub(super) fn parse(text: &str) -> Result<url::Url, ClientError> {
    if text.contains('@') {
        // Not quoted, since the text before the `@` can contain a password.
        return Err(ClientError(
            "the base URL contains a user name: remove everything up to the @".into(),
        ));
    }
    let problem = |why: &str| ClientError(format!("\"{text}\" is not a base URL: {why}"));
    let url = url::Url::parse(text).map_err(|error| problem(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(problem(
            "it must start with https:// (or http:// for a simulator)",
        ));
    }
    if !url.host_str().is_some_and(is_host) {
        return Err(problem("the host contains a character that no host has"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("remove the query and the fragment"));
    }
    Ok(url)
}

/// Returns whether the host is this machine.
pub(super) fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_simulator_on_this_machine_bypasses_the_proxy() {
        for (text, loopback) in [
            ("http://127.0.0.1:8082", true),
            ("http://[::1]:8082", true),
            ("http://localhost", true),
            ("https://api.weixin.qq.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&parse(text).unwrap()), loopback, "{text}");
        }
    }

    #[test]
    fn an_invalid_base_url_is_refused_with_the_reason() {
        for (text, why) in [
            ("api.weixin.qq.com", "relative URL"),
            ("ftp://x", "https://"),
            ("https://x/?a=1", "query"),
            ("https://x，y", "host"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
