//! Decides which pages a bound domain covers.

use url::{Host, Url};

/// Whether a bound domain covers its subdomains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// An official account's JS safe domain covers its subdomains.
    Subdomains,
    /// WeCom's trusted domain covers that host only.
    Exact,
}

/// Returns whether a bound domain, `example.com` or `example.com/path`, covers this URL. WeChat accepts only
/// ports 80 and 443; the sandbox accepts any port, as it cannot bind those two.
pub(super) fn covers(domain: &str, reach: Reach, url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    let (host, path) = domain.split_at(domain.find('/').unwrap_or(domain.len()));
    let (Ok(bound), Some(actual)) = (Host::parse(host), url.host()) else {
        return false;
    };
    matches!(url.scheme(), "http" | "https")
        && covers_host(&bound, reach, &actual)
        && covers_path(path, url.path())
}

fn covers_host(bound: &Host, reach: Reach, actual: &Host<&str>) -> bool {
    match (bound, actual) {
        (Host::Domain(bound), Host::Domain(actual)) => {
            actual == bound
                || (reach == Reach::Subdomains
                    && bound.contains('.')
                    && actual
                        .strip_suffix(bound.as_str())
                        .is_some_and(|sub| sub.ends_with('.')))
        }
        (bound, actual) => bound.to_string() == actual.to_string(),
    }
}

fn covers_path(bound: &str, actual: &str) -> bool {
    let bound = bound.trim_end_matches('/');
    actual
        .strip_prefix(bound)
        .is_some_and(|rest| bound.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(domain: &str, url: &str) -> bool {
        super::covers(domain, Reach::Subdomains, url)
    }

    #[test]
    fn a_domain_covers_itself_and_what_is_under_it() {
        for url in [
            "https://example.com",
            "http://example.com:8080/p",
            "https://a.b.example.com/p?q",
            "https://EXAMPLE.com/",
        ] {
            assert!(covers("example.com", url), "{url}");
        }
        for url in [
            "https://evilexample.com/",
            "https://example.com.evil.com/",
            "https://com/",
            "ftp://example.com/",
            "example.com",
            "",
        ] {
            assert!(!covers("example.com", url), "{url}");
        }
    }

    #[test]
    fn a_name_without_a_dot_and_an_address_cover_only_themselves() {
        assert!(
            covers("localhost", "http://localhost:8080/")
                && !covers("localhost", "http://a.localhost/")
        );
        assert!(
            covers("127.0.0.1", "http://127.0.0.1:8080/")
                && !covers("127.0.0.1", "http://127.0.0.2/")
        );
        assert!(covers("[::1]", "http://[::1]:8080/"));
    }

    #[test]
    fn a_domain_with_a_path_covers_only_that_path() {
        assert!(
            covers("example.com/shop", "https://example.com/shop/1")
                && covers("example.com/shop/", "https://example.com/shop")
        );
        assert!(!covers("example.com/shop", "https://example.com/shopping"));
        assert!(!covers("example.com/shop", "https://example.com/"));
    }

    #[test]
    fn a_domain_in_chinese_covers_its_punycode() {
        assert!(covers("例子.cn", "https://xn--fsqu00a.cn/"));
    }
    #[test]
    fn an_exact_domain_covers_its_host_and_nothing_under_it() {
        let covers = |url: &str| super::covers("example.com", Reach::Exact, url);
        assert!(covers("https://example.com/p") && covers("http://EXAMPLE.com:8080/"));
        assert!(
            !covers("https://www.example.com/")
                && !covers("https://evilexample.com/")
                && !covers("https://com/")
        );
    }
}
