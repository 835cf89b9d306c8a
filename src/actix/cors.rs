//! The headers that [`endpoint::cors`](crate::endpoint::cors) decides on, as those of actix-web.
//!
//! Not a middleware: the allowed origins depend on the account that the query names, and a middleware
//! would cost every request, most of which are same-origin.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::broker::Broker;
use crate::endpoint::cors::{Header, SIGNED_HEADERS, Value, of_preflight};

/// Adds the headers of a signed answer to one without headers: `insert` would also move out what it replaces.
pub(super) fn add_signed_headers(headers: &mut HeaderMap) {
    const fn converted((name, value): (&'static str, &'static str)) -> (HeaderName, HeaderValue) {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    }
    const SIGNED: [(HeaderName, HeaderValue); SIGNED_HEADERS.len()] =
        [converted(SIGNED_HEADERS[0]), converted(SIGNED_HEADERS[1])];
    for (name, value) in SIGNED {
        headers.append(name, value);
    }
}

/// Returns the origin of a request.
pub(super) fn origin(request: &HeaderMap) -> Option<&[u8]> {
    request.get(ORIGIN).map(HeaderValue::as_bytes)
}

/// Adds these headers and `Vary` to an answer that depends on the origin.
pub(super) fn allow(added: &[Header], request: &HeaderMap, headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    add(added, request, headers);
}

/// Adds these headers.
pub(super) fn add(added: &[Header], request: &HeaderMap, headers: &mut HeaderMap) {
    for (name, value) in added {
        let value = match *value {
            Value::Text(text) => Some(HeaderValue::from_static(text)),
            Value::OfRequest(name) => request.get(name).cloned(),
        };
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Answers `OPTIONS`, the preflight that browsers send for requests with custom headers.
pub(super) async fn preflight(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let head = request.headers();
    let added = of_preflight(&broker, request.query_string(), origin(head));
    let mut response = HttpResponse::NoContent().finish();
    allow(added, head, response.headers_mut());
    response
}
