//! A JS safe domain: the pages that an account may sign.

use std::fmt;

use memchr::memchr;

/// A bound domain: a host, and optionally the path under which WeChat looks for the verify file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafeDomain {
    /// Host and path. The path starts with `/` and does not end with one; empty for the whole host.
    pub(super) text: String,
}

impl SafeDomain {
    /// Parses a domain in the form that WeChat's console accepts.
    ///
    /// # Errors
    /// [`DomainError`] if it is not exactly a host and an optional path.
    pub fn parse(domain: &str) -> Result<Self, DomainError> {
        let error = |problem| {
            Err(DomainError {
                domain: domain.to_owned(),
                problem,
            })
        };
        if domain.contains("://") {
            return error("remove the scheme: write example.com instead of https://example.com");
        }
        if domain.contains('*') {
            return error("remove the wildcard: example.com already covers its subdomains");
        }
        if domain.contains(SEPARATORS) {
            return error("write one list entry per domain");
        }
        let (host, path) = split(domain);
        if host.is_empty() {
            return error("the host name is missing");
        }
        if !host.starts_with('[') && host.contains(':') {
            return error(
                "remove the port: WeChat binds hosts, and its clients accept only ports 80 and 443",
            );
        }
        if host.ends_with('.') {
            return error("remove the dot at the end");
        }
        match url::Host::parse(host) {
            Ok(parsed) if is_host_name(&parsed) => Ok(Self {
                text: format!("{parsed}{}", path.trim_end_matches('/')),
            }),
            _ => error("not a host name"),
        }
    }

    /// Returns the host, lower case, in punycode.
    #[must_use]
    pub fn host(&self) -> &str {
        split(&self.text).0
    }

    /// Returns the bound path with a leading slash; empty for the whole host.
    #[must_use]
    pub fn path(&self) -> &str {
        split(&self.text).1
    }

    /// Returns whether a domain in printed form covers a page.
    pub(crate) fn covers(domain: &str, subdomains: bool, host: &str, path: &str) -> bool {
        let (bound_host, bound_path) = split(domain);
        let below = path.strip_prefix(bound_path);
        covers_host(bound_host, subdomains, host)
            && below.is_some_and(|rest| {
                bound_path.is_empty() || rest.is_empty() || rest.starts_with('/')
            })
    }
}

/// Returns whether a page can be on this host: the URL standard also allows empty labels and marks such as `!`.
fn is_host_name(host: &url::Host) -> bool {
    let url::Host::Domain(name) = host else {
        return true;
    };
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// Splits a domain in printed form into host and path.
fn split(domain: &str) -> (&str, &str) {
    domain.split_at(memchr(b'/', domain.as_bytes()).unwrap_or(domain.len()))
}

/// Returns whether the domain is `host` or, if the domain contains a dot, a parent of it: `example.com`
/// does not cover `evilexample.com`, and `com` covers no other host.
pub(super) fn covers_host(bound: &str, subdomains: bool, host: &str) -> bool {
    host == bound
        || (subdomains
            && bound.contains('.')
            && host
                .strip_suffix(bound)
                .is_some_and(|front| front.len() > 1 && front.ends_with('.')))
}

impl fmt::Display for SafeDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A domain that WeChat's console would not accept either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{domain}\" cannot be a JS safe domain: {problem}")]
pub struct DomainError {
    domain: String,
    problem: &'static str,
}

/// What separates domains in a pasted list: WeChat's console shows them with `;`.
const SEPARATORS: [char; 5] = [';', ',', '；', '，', '、'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_compared_in_lower_case_punycode() {
        assert_eq!(
            SafeDomain::parse("EXAMPLE.com").unwrap().host(),
            "example.com"
        );
        assert_eq!(
            SafeDomain::parse("例え.jp").unwrap().host(),
            "xn--r8jz45g.jp"
        );
        assert_eq!(SafeDomain::parse("[::1]").unwrap().host(), "[::1]");
        assert_eq!(
            SafeDomain::parse("127.0.0.1").unwrap().to_string(),
            "127.0.0.1"
        );
    }

    #[test]
    fn a_host_that_no_page_can_have_is_refused() {
        for domain in [
            "a;b.com",
            "a,b.com",
            "a；b.com",
            "a%3Bb.com",
            "a!b.com",
            "a=b",
            "a..com",
            ".com",
            "{a}.com",
        ] {
            assert!(SafeDomain::parse(domain).is_err(), "{domain}");
        }
        for domain in ["a_b.example.com", "localhost", "xn--r8jz45g.jp", "[::1]"] {
            assert!(SafeDomain::parse(domain).is_ok(), "{domain}");
        }
    }
}
