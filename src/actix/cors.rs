//! The headers that [`endpoint`](crate::endpoint) decides on, as those of actix-web.
//!
//! Not a middleware: the allowed origins depend on the account that the query names, and a middleware
//! would cost every request, most of which are same-origin.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderMap, HeaderName, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::broker::Broker;
use crate::endpoint::{Header, Readers, SIGNED_HEADERS};

/// Adds the headers of a signed answer to one without headers: `insert` would also move out what it replaces.
pub(super) fn add_signed_headers(headers: &mut HeaderMap) {
    const SIGNED: [(HeaderName, HeaderValue); SIGNED_HEADERS.len()] =
        [converted(SIGNED_HEADERS[0]), converted(SIGNED_HEADERS[1])];
    for (name, value) in SIGNED {
        headers.append(name, value);
    }
}

/// Adds the headers that let these pages read the answer. `origin` is the request's.
pub(super) fn allow(readers: Readers, origin: Option<&HeaderValue>, headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let (Readers::RequestOrigin, Some(origin)) = (readers, origin) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    add(readers.headers(), headers);
}

/// Lets pages of any site read an error.
pub(super) fn allow_anyone(headers: &mut HeaderMap) {
    add(Readers::Anyone.headers(), headers);
}

/// Answers `OPTIONS`, the preflight that browsers send for requests with custom headers.
pub(super) async fn preflight(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let origin = request.headers().get(ORIGIN);
    let readers = Readers::of_preflight(
        &broker,
        request.query_string(),
        origin.map(HeaderValue::as_bytes),
    );
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    allow(readers, origin, headers);
    add(readers.preflight_headers(), headers);
    let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(asked) = asked.filter(|_| readers != Readers::SameOrigin) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    response
}

fn add(added: &[Header], headers: &mut HeaderMap) {
    for (name, value) in added.iter().copied().map(converted) {
        headers.insert(name, value);
    }
}

const fn converted((name, value): Header) -> (HeaderName, HeaderValue) {
    (
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    )
}
