//! Protects the admin listener from browsers: a foreign page must not reach what this listener reveals
//! without a key.
//!
//! Such a page either sends a cross-origin request, which browsers mark in `Sec-Fetch-Site`, or points
//! its own host name at this server's address (DNS rebinding): then `Host` is a foreign name. Programs
//! that are not browsers are not checked here; they need a key where it matters. Nor are calls
//! of WeChat's paths: they reveal nothing without a key, and an SDK, whose User-Agent may be a browser's,
//! understands only an errcode.

use std::net::{Ipv4Addr, Ipv6Addr};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_LANGUAGE, HOST, HeaderMap, HeaderValue, ORIGIN, USER_AGENT};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use crate::actix::WechatPath;
use crate::endpoint::Problem;
use crate::error::{ProblemCode, Text};

/// The names under which a browser may open the admin listener.
#[derive(Clone, Debug)]
pub(super) struct HostNames(Vec<String>);

impl HostNames {
    /// Creates the list of names that are allowed in addition to IP addresses, `localhost` and names
    /// without a dot, which cannot be registered.
    pub(super) fn new(names: &[String]) -> Self {
        Self(names.to_vec())
    }

    fn problem(&self, path: &str, method: &Method, headers: &HeaderMap) -> Option<Problem> {
        if !may_be_browser(path, headers) {
            return None;
        }
        // An unreadable value counts as foreign: no expected value has characters outside ASCII.
        let text = |name: &str| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap_or("unreadable"))
        };
        let knows = |host: &HeaderValue| host.to_str().is_ok_and(|host| self.know(host));
        if !headers.get(HOST).is_none_or(knows) {
            return Some(foreign_host());
        }
        let elsewhere = !matches!(text("sec-fetch-site"), "" | "same-origin" | "none");
        let follows_a_link = *method == Method::GET
            && text("sec-fetch-mode") == "navigate"
            && text("sec-fetch-dest") == "document";
        (elsewhere && !follows_a_link).then(cross_site)
    }

    fn know(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let bracketed = || name.strip_prefix('[')?.strip_suffix(']');
        let is_label = |name: &str| {
            name.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        bracketed().is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
            || is_label(&name)
            || name.parse::<Ipv4Addr>().is_ok()
            || self.0.contains(&name)
    }
}

/// Returns whether the request may come from a browser. When a page that uses DNS rebinding reads from its own
/// host name, browsers send neither `Origin` nor `Sec-Fetch-Site`, which is for trustworthy addresses only, and
/// its script may set `User-Agent`. It can empty `Accept-Language`, but not remove it. `fetch` of Node.js sends
/// that header too, so it does not count where an API key is needed.
fn may_be_browser(path: &str, headers: &HeaderMap) -> bool {
    let mozilla = headers
        .get(USER_AGENT)
        .is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"));
    mozilla
        || headers.contains_key("sec-fetch-site")
        || headers.contains_key(ORIGIN)
        || (headers.contains_key(ACCEPT_LANGUAGE) && !needs_key(path))
}

/// Returns whether every answer at this path needs an API key.
fn needs_key(path: &str) -> bool {
    KEYED.into_iter().any(|keyed| {
        let below = path.strip_prefix(keyed);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    })
}

/// The paths that need an API key, besides WeChat's.
const KEYED: [&str; 4] = [
    "/accounts",
    "/credentials",
    "/status/refresh",
    "/status/reload",
];

/// The middleware for `App::wrap(from_fn(…))`; needs [`HostNames`] in the application's data. The gateway
/// answers its calls before it.
pub(super) async fn keep_out(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let path = WechatPath::parse(request.path());
    let is_wechats = path.is_some_and(WechatPath::is_issued_here);
    let problem = request
        .app_data::<web::Data<HostNames>>()
        .filter(|_| !is_wechats)
        .and_then(|names| names.problem(request.path(), request.method(), request.headers()));
    match problem {
        Some(problem) => Ok(request.into_response(problem.into_response())),
        None => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

fn foreign_host() -> Problem {
    Problem::new(
        ProblemCode::ForeignHost,
        "a browser, or a program with headers of a browser, opened the admin listener under a host name that is not in server.admin_hosts",
        Text::new(
            "Open it by its IP address, or add the host name to server.admin_hosts.",
            "请用 IP 地址访问，或将该域名加入 server.admin_hosts。",
        ),
    )
}

fn cross_site() -> Problem {
    Problem::new(
        ProblemCode::CrossSite,
        "a browser sent this request on behalf of a page of another site",
        Text::new(
            "Call it from a server, with an API key.",
            "请从服务器端携带 API key 调用。",
        ),
    )
}
