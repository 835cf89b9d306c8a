//! Access control of the control API: rejects pages of other sites.
//!
//! Any page open in a browser could otherwise send commands to a sandbox on the same machine, because a
//! browser sends a plain POST without a preflight. Programs send no `Origin`, and a page of another origin
//! cannot omit it. The `Host` of a page whose host name points at the sandbox (DNS rebinding) is that name.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use serde_json::json;
use url::{Host, Url};

/// The one path that pages of any origin may call: it changes nothing.
pub(super) const OPEN_TO_PAGES: &str = "/sandbox/pre-verify";

/// Rejects a request with an `Origin` other than that of `Host`, or under a host name that a stranger may own,
/// except to [`OPEN_TO_PAGES`].
pub(super) async fn own_pages_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let headers = request.headers();
    let host = headers.get(HOST).map_or("", |host| {
        // An unreadable name counts as a stranger's.
        host.to_str().unwrap_or("unreadable.example")
    });
    let own = format!("http://{host}");
    let is_page = headers.contains_key(ORIGIN);
    let error = if headers.get_all(ORIGIN).any(|origin| origin != own.as_str()) {
        "pages of other origins may not control the sandbox"
    } else if !is_local(host) || is_page && is_announced(host) {
        "the control API has no such host name: use an IP address or localhost"
    } else {
        ""
    };
    if error.is_empty() || request.path() == OPEN_TO_PAGES {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let refusal = HttpResponse::Forbidden().json(json!({ "error": error }));
    Ok(request.into_response(refusal).map_into_right_body())
}

/// Returns whether a `Host` is an address or a name that cannot be registered, such as a container's.
fn is_local(host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}")) else {
        return host.is_empty();
    };
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end))
        }
        _ => true,
    }
}

/// Returns whether any machine of the network may announce this name as its own (mDNS), and give its pages this
/// address.
fn is_announced(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.trim_end_matches('.').ends_with(".local")
}

/// Ends of host names that the DNS does not delegate, as of `host.docker.internal`.
const PRIVATE_ENDS: [&str; 3] = [".internal", ".local", ".localhost"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name_that_cannot_be_registered() {
        for host in [
            "",
            "127.0.0.1:8082",
            "192.0.2.7",
            "[::1]:8082",
            "localhost:8082",
            "wechat:8082",
            "host.docker.internal:8082",
            "mac.local",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in ["mac.local", "mac.local:8082", "evil.local.:8082"] {
            assert!(is_announced(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example.:8082",
            "127.0.0.1.evil.example",
            "local.example",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
