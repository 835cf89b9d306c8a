//! Access control of the control API: rejects pages of other sites.
//!
//! Any page open in a browser could otherwise send commands to a sandbox on the same machine, because a
//! browser sends a plain POST without a preflight. Programs send no `Origin`, and a page of another origin
//! cannot omit it. A page whose host name points at the sandbox (DNS rebinding) sends none with a GET: then
//! `Host` is that name.

use std::net::{IpAddr, SocketAddr};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderValue, ORIGIN};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse};
use serde_json::json;
use url::{Host, Url};

/// The one path that pages of any origin may call: it changes nothing.
pub(super) const OPEN_TO_PAGES: &str = "/sandbox/pre-verify";

/// Rejects a request with an `Origin` other than the sandbox's own, or under a host name that a stranger may
/// own, except to [`OPEN_TO_PAGES`].
pub(super) async fn own_pages_only(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let listens_at = request.app_config().local_addr();
    let headers = request.headers();
    let host = headers.get(HOST).map_or("", |host| {
        // An unreadable name counts as a stranger's.
        host.to_str().unwrap_or("unreadable.example")
    });
    let mut origins = headers.get_all(ORIGIN);
    let error = if origins.any(|origin| !is_own(origin, listens_at, host)) {
        "pages of other origins may not control the sandbox"
    } else if !is_local(host) {
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

/// Ends of host names that the DNS does not delegate, as of `host.docker.internal`.
const PRIVATE_ENDS: [&str; 3] = [".internal", ".local", ".localhost"];

/// Returns whether the sandbox itself served the page of this origin. A matching host name in `Host` proves
/// nothing, because the owner of a name may point it at this address. A page cannot choose `localhost` or an
/// IP address.
fn is_own(origin: &HeaderValue, listens_at: SocketAddr, host: &str) -> bool {
    let Some(origin) = origin
        .to_str()
        .ok()
        .and_then(|origin| Url::parse(origin).ok())
    else {
        return false;
    };
    let address = match origin.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
        Some(Host::Domain("localhost")) => listens_at.ip(),
        _ => return false,
    };
    // A sandbox that listens on every address is reached at the one in `Host`.
    let asked_at = || {
        host.parse::<SocketAddr>()
            .is_ok_and(|asked| asked.ip() == address)
    };
    let here = address == listens_at.ip()
        || (listens_at.ip().is_unspecified() && (address.is_loopback() || asked_at()));
    here && origin.scheme() == "http" && origin.port_or_known_default() == Some(listens_at.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(origin: &'static str, listens_at: &str, host: &str) -> bool {
        is_own(
            &HeaderValue::from_static(origin),
            listens_at.parse().unwrap(),
            host,
        )
    }

    #[test]
    fn the_sandboxes_own_pages_are_those_of_its_address_and_port() {
        for origin in ["http://127.0.0.1:8082", "http://localhost:8082"] {
            assert!(own(origin, "127.0.0.1:8082", "127.0.0.1:8082"), "{origin}");
        }
        assert!(own("http://[::1]:8082", "[::1]:8082", "[::1]:8082"));
        for origin in [
            "http://127.0.0.1:8080",
            "http://127.0.0.1",
            "https://127.0.0.1:8082",
            "http://127.0.0.2:8082",
            "http://evil.example:8082",
            "http://localhost.evil.example:8082",
            "null",
            "",
        ] {
            assert!(!own(origin, "127.0.0.1:8082", "127.0.0.1:8082"), "{origin}");
        }
    }

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
        for host in [
            "evil.example",
            "evil.example.:8082",
            "127.0.0.1.evil.example",
            "local.example",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }

    #[test]
    fn a_rebound_host_name_is_not_an_own_page_despite_a_matching_host() {
        assert!(!own(
            "http://evil.example:8082",
            "127.0.0.1:8082",
            "evil.example:8082"
        ));
        assert!(!own(
            "http://evil.example:8082",
            "0.0.0.0:8082",
            "evil.example:8082"
        ));
    }

    #[test]
    fn on_a_wildcard_listener_an_own_page_has_the_requested_host() {
        assert!(own(
            "http://192.0.2.7:8082",
            "0.0.0.0:8082",
            "192.0.2.7:8082"
        ));
        assert!(own(
            "http://127.0.0.1:8082",
            "0.0.0.0:8082",
            "127.0.0.1:8082"
        ));
        assert!(own(
            "http://localhost:8082",
            "0.0.0.0:8082",
            "localhost:8082"
        ));
        assert!(!own(
            "http://192.0.2.8:8082",
            "0.0.0.0:8082",
            "192.0.2.7:8082"
        ));
    }
}
