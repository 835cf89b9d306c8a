//! CORS for the accounts' safe domains.
//!
//! Not a middleware: the allowed origins depend on the account that the query names, and a middleware
//! would cost every request, most of which are same-origin.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::broker::Broker;
use crate::endpoint::{account_of, may_read};

/// Adds the headers that let a page on another safe domain read the answer. An empty `account` means the
/// default one.
pub(super) fn allow(
    broker: &Broker,
    account: &str,
    origin: Option<&HeaderValue>,
    headers: &mut HeaderMap,
) {
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let is_allowed = |origin: &&HeaderValue| {
        let origin = origin.to_str();
        origin.is_ok_and(|origin| may_read(broker, account, origin))
    };
    let Some(origin) = origin.filter(is_allowed) else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Retry-After"),
    );
}

/// Lets pages of any site read an error, which holds nothing secret: a developer then sees the reason, not the
/// browser's CORS error.
pub(crate) fn allow_anyone(headers: &mut HeaderMap) {
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("Retry-After"),
        );
    }
}

/// Answers `OPTIONS`, the preflight that browsers send for requests with custom headers.
pub(super) async fn preflight(request: HttpRequest, broker: web::Data<Broker>) -> HttpResponse {
    let account = account_of(request.query_string());
    let mut response = HttpResponse::NoContent().finish();
    let headers = response.headers_mut();
    allow(&broker, &account, request.headers().get(ORIGIN), headers);
    if broker.accounts().get(&account).is_err() {
        // What follows is an error.
        allow_anyone(headers);
    }
    if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("GET"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
        if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
    }
    response
}
