//! Who a browser lets read: this page itself, under a name that nobody else can point here.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};

use crate::actix::Problem;
use crate::error::Hint;

/// Refuses a name that may be a stranger's. A page of `evil.example` whose name has been made to point at 127.0.0.1 is of the same
/// origin as what answers there: only the name tells.
pub(super) fn check_host(request: &HttpRequest, known: &[String]) -> Result<(), Problem> {
    let host = header(request, HOST).unwrap_or_default();
    let name = without_port(host).trim_end_matches('.').to_ascii_lowercase();
    let safe = is_address(&name)
        || (!name.is_empty() && !name.contains('.'))
        || name.ends_with(".localhost")
        || known.iter().any(|known| known.eq_ignore_ascii_case(&name));
    if safe {
        return Ok(());
    }
    Err(problem(
        StatusCode::MISDIRECTED_REQUEST,
        "unknown_host",
        "The status page is not shown under this name",
        "the request's Host is a name that is not in server.admin_hosts",
        Hint::fixed(
            "Open it by IP address or localhost, or add the name to server.admin_hosts and restart.",
            "请用 IP 地址或 localhost 打开，或把该域名加入 server.admin_hosts 后重启。",
        ),
    ))
}

/// Refuses what another site's page asks for. That somebody followed a link is no such thing.
pub(super) fn check_site(request: &HttpRequest) -> Result<(), Problem> {
    let fetch = |name| header(request, HeaderName::from_static(name));
    let foreign = matches!(fetch("sec-fetch-site"), Some("cross-site" | "same-site"));
    if foreign && fetch("sec-fetch-mode") != Some("navigate") { Err(cross_site()) } else { Ok(()) }
}

/// Refuses a change that was not sent by this page's own script (or by a program, which sends neither header).
pub(super) fn check_own_script(request: &HttpRequest) -> Result<(), Problem> {
    let site = header(request, HeaderName::from_static("sec-fetch-site"));
    let origin = header(request, ORIGIN);
    let own = |origin: &str| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| header(request, HOST).is_some_and(|own| own.eq_ignore_ascii_case(host)))
    };
    let marked = header(request, HeaderName::from_static("x-requested-with")) == Some(MARK);
    if !marked || site.is_some_and(|site| site != "same-origin") || origin.is_some_and(|origin| !own(origin)) {
        return Err(cross_site());
    }
    Ok(())
}

fn cross_site() -> Problem {
    problem(
        StatusCode::FORBIDDEN,
        "cross_site",
        "Other sites' pages may not ask here",
        "the request comes from a page of another origin, or does not say that it comes from this one",
        Hint::fixed(
            "Open /status itself. A program sends the header X-Requested-With: wx-jssdk and no Origin.",
            "请直接打开 /status。程序调用时请带上请求头 X-Requested-With: wx-jssdk，不要带 Origin。",
        ),
    )
}

pub(super) fn problem(status: StatusCode, code: &'static str, title: &'static str, detail: &str, hint: Hint) -> Problem {
    Problem { status, code, title, detail: detail.to_owned(), hint, errcode: None, retry_after: None, upstream: None }
}

fn header(request: &HttpRequest, name: HeaderName) -> Option<&str> {
    request.headers().get(name)?.to_str().ok()
}

/// `[::1]:8081` → `[::1]`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn is_address(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    bare.parse::<IpAddr>().is_ok()
}

/// What a form of another site cannot send, and its script only after a preflight that is answered with no permission.
const MARK: &str = "wx-jssdk";

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn host(host: &str) -> bool {
        let request = TestRequest::default().insert_header((HOST, host)).to_http_request();
        check_host(&request, &["ops.example.com".to_owned()]).is_ok()
    }

    #[test]
    fn addresses_local_names_and_configured_names_are_answered() {
        for name in
            ["127.0.0.1", "127.0.0.1:8081", "10.0.0.7:1", "[::1]:8081", "[::1]", "localhost:8081", "LOCALHOST", "wx-jssdk:8081"]
        {
            assert!(host(name), "{name}");
        }
        assert!(host("ops.example.com") && host("OPS.example.com:443") && host("ops.example.com.") && host("a.localhost"));
    }

    #[test]
    fn a_name_that_may_be_a_strangers_is_not() {
        for name in
            ["evil.example", "evil.example:8081", "127.0.0.1.evil.example", "xops.example.com", "", ":8081", "1.2.3.4.5"]
        {
            assert!(!host(name), "{name}");
        }
    }

    fn own(headers: &[(&'static str, &str)]) -> bool {
        let request = TestRequest::default().insert_header((HOST, "127.0.0.1:8081"));
        let request = headers.iter().fold(request, |request, (name, value)| request.insert_header((*name, *value)));
        check_own_script(&request.to_http_request()).is_ok()
    }

    #[test]
    fn only_this_pages_script_and_programs_may_change_something() {
        let mark = ("x-requested-with", "wx-jssdk");
        assert!(own(&[mark]));
        assert!(own(&[mark, ("origin", "http://127.0.0.1:8081"), ("sec-fetch-site", "same-origin")]));
        assert!(own(&[mark, ("origin", "https://127.0.0.1:8081")]), "TLS may end before this server");
        assert!(!own(&[]));
        assert!(!own(&[("x-requested-with", "XMLHttpRequest")]));
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:9999"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-site", "none"),
        ] {
            assert!(!own(&[mark, (name, value)]), "{name}: {value}");
        }
    }
}
