//! A JS safe domain: the pages that an account may sign.

use std::fmt;

use memchr::memchr;

use super::is_word;

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
        let error = |problem| DomainError {
            domain: domain.to_owned(),
            problem,
        };
        let (host, path) = split(domain);
        let has_port = !host.starts_with('[') && host.contains(':');
        let problems = [
            (domain.contains("://"), DomainProblem::Scheme),
            (domain.contains('*'), DomainProblem::Wildcard),
            (is_list(host, path), DomainProblem::List),
            (host.trim().is_empty(), DomainProblem::NoHost),
            (domain.contains(char::is_whitespace), DomainProblem::Blank),
            (has_port, DomainProblem::Port),
            (host.ends_with('.'), DomainProblem::Dot),
        ];
        if let Some((_, problem)) = problems.into_iter().find(|(is_so, _)| *is_so) {
            return Err(error(problem));
        }
        let parsed = url::Host::parse(host).ok().filter(is_host_name);
        let parsed = parsed.ok_or_else(|| error(DomainProblem::Host))?;
        if !is_path(path) {
            return Err(error(DomainProblem::Path));
        }
        Ok(Self {
            text: format!("{parsed}{}", path.trim_end_matches('/')),
        })
    }

    /// Parses a domain of an account whose domains cover their subdomains or, as WeCom's, do not.
    pub(crate) fn parse_for(domain: &str, subdomains: bool) -> Result<Self, DomainError> {
        Self::parse(domain).map_err(|error| match error.problem {
            DomainProblem::Wildcard if !subdomains => DomainError {
                problem: DomainProblem::WildcardOfHost,
                ..error
            },
            _ => error,
        })
    }

    /// Returns the host, lower case, in punycode.
    pub fn host(&self) -> &str {
        split(&self.text).0
    }

    /// Returns the bound path with a leading slash; empty for the whole host.
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
    name.split('.')
        .all(|label| !label.is_empty() && is_word(label))
}

/// Returns whether a text is a list, as one that was pasted. A path may contain `,` and `;`, but ends with neither and
/// has no domain after it. `v1.2` is no domain, since no top-level domain is a number.
fn is_list(host: &str, path: &str) -> bool {
    let begins_with_domain = |part: &str| {
        let name = split(part).0.rsplit_once('.');
        name.is_some_and(|(_, last)| !last.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let mut further = path.split(SEPARATORS).skip(1);
    host.contains(SEPARATORS) || further.any(|part| part.is_empty() || begins_with_domain(part))
}

/// Returns whether a path is written as in addresses of pages, with which it is compared.
fn is_path(path: &str) -> bool {
    let parsed = url::Url::parse(&format!("https://example.com{path}"));
    path.is_empty() || parsed.is_ok_and(|parsed| parsed.path() == path)
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
    problem: DomainProblem,
}

impl DomainError {
    /// Returns the kind of mistake.
    pub fn problem(&self) -> DomainProblem {
        self.problem
    }
}

/// Why a text is not a JS safe domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainProblem {
    /// It has a scheme.
    #[error("remove the scheme: write example.com instead of https://example.com")]
    Scheme,
    /// It has a wildcard.
    #[error(
        "remove the wildcard: example.com already covers its subdomains, and a path all below it"
    )]
    Wildcard,
    /// It has a wildcard, and the account is one of WeCom.
    #[error("remove the wildcard: WeCom's trusted domains are exact hosts, so list each of them")]
    WildcardOfHost,
    /// It is a list of domains.
    #[error("write one list entry per domain")]
    List,
    /// It contains a blank, a line break or the like.
    #[error("remove the blank: write one list entry per domain, and %20 in a path")]
    Blank,
    /// It is empty or begins with a path.
    #[error("the host name is missing")]
    NoHost,
    /// It has a port.
    #[error("remove the port: WeChat binds hosts, and its clients accept only ports 80 and 443")]
    Port,
    /// Its host ends with a dot.
    #[error("remove the dot at the end")]
    Dot,
    /// Its host is not a host name.
    #[error("not a host name")]
    Host,
    /// Its path is that of no page.
    #[error("write the path as browsers send it: percent-encoded, without query and fragment")]
    Path,
}

impl DomainProblem {
    /// Returns the problem in Chinese.
    #[cfg_attr(not(feature = "server"), allow(dead_code))]
    pub(crate) fn zh(self) -> &'static str {
        match self {
            Self::Scheme => "请去掉协议，写 example.com 而不是 https://example.com",
            Self::Wildcard => "请去掉通配符，example.com 已包含其子域名，路径已包含其下级路径",
            Self::WildcardOfHost => "请去掉通配符，企业微信的可信域名须完全一致，请逐个列出",
            Self::List => "每项只写一个域名",
            Self::Blank => "请去掉空格，每项只写一个域名，路径中的空格写作 %20",
            Self::NoHost => "缺少域名",
            Self::Port => "请去掉端口，微信绑定的是域名，其客户端只接受 80 和 443 端口",
            Self::Dot => "请去掉末尾的点",
            Self::Host => "不是有效的域名",
            Self::Path => "路径须与浏览器发送的一致：经过百分号编码，不含查询参数和锚点",
        }
    }
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

    #[test]
    fn a_domain_with_a_path_that_no_page_has_is_refused_with_the_reason() {
        for (domain, problem) in [
            ("a.com/app;b.com", DomainProblem::List),
            ("a.com/app, b.com/app", DomainProblem::List),
            ("a.com/app；b.com", DomainProblem::List),
            ("a.com/app;", DomainProblem::List),
            ("a.com/v1,b.com:80", DomainProblem::List),
            ("a.com b.com", DomainProblem::Blank),
            ("a.com/app ", DomainProblem::Blank),
            ("a.com/an app", DomainProblem::Blank),
            ("a.com/app\u{3000}", DomainProblem::Blank),
            ("a.com/店", DomainProblem::Path),
            ("a.com/a、b", DomainProblem::Path),
            ("a.com/app?x=1", DomainProblem::Path),
            ("a.com/#/app", DomainProblem::Path),
            ("a.com/a/../b", DomainProblem::Path),
        ] {
            let error = SafeDomain::parse(domain).unwrap_err();
            assert_eq!(error.problem(), problem, "{domain}");
        }
        for path in [
            "/a,b",
            "/a;v=1",
            "/a,v1.2",
            "/a;v=1/b.html",
            "/%E5%BA%97",
            "/an%20app",
            "/app/",
            "/v1.2",
        ] {
            let domain = SafeDomain::parse(&format!("a.com{path}")).unwrap();
            assert_eq!(domain.path(), path.trim_end_matches('/'));
        }
    }
}
