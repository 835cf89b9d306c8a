//! The headers of a signed answer, and those that let pages of other origins read an answer (CORS): pages on the
//! account's safe domains, and of any site if it is an error. All answers that depend on the origin have
//! `Vary: Origin` besides.

use self::Value::{OfRequest, Text};
use super::query::account_of;
use crate::broker::Broker;

/// The headers of a signed answer, besides [`of_signed`].
pub(crate) const SIGNED_HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
];

/// The name and the value of a header.
pub(crate) type Header = (&'static str, Value);

/// The value of a header.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// This text.
    Text(&'static str),
    /// The value of this header of the request; without it, the answer lacks the header too.
    OfRequest(&'static str),
}

/// Returns the headers that let the request's origin read a signed answer for this account.
pub(crate) fn of_signed(
    broker: &Broker,
    account: &str,
    origin: Option<&[u8]>,
) -> &'static [Header] {
    let origin = origin.and_then(|origin| std::str::from_utf8(origin).ok());
    match origin.is_some_and(|origin| may_read(broker, account, origin)) {
        true => &[ORIGIN, CREDENTIALS, EXPOSED],
        false => &[],
    }
}

/// Returns the headers that let the request's origin read the answer to this query. An error holds nothing
/// secret: a developer on any site sees the reason, not the browser's CORS error.
pub(crate) fn of_answer(
    broker: &Broker,
    query: &str,
    origin: Option<&[u8]>,
    is_error: bool,
) -> &'static [Header] {
    // Most requests are same-origin and have no Origin header; then the query need not be read again.
    if origin.is_none() {
        return &[];
    }
    match of_signed(broker, &account_of(query), origin) {
        [] if is_error => &ANYONE,
        headers => headers,
    }
}

/// Returns the headers that let the request's origin send the request that a preflight announces.
pub(crate) fn of_preflight(
    broker: &Broker,
    query: &str,
    origin: Option<&[u8]>,
) -> &'static [Header] {
    let account = account_of(query);
    if broker.accounts().get(&account).is_err() {
        // What follows is an error.
        return &[ANY_ORIGIN, EXPOSED, METHODS, MAX_AGE, REQUESTED];
    }
    match of_signed(broker, &account, origin) {
        [] => &[],
        _ => &[ORIGIN, CREDENTIALS, EXPOSED, METHODS, MAX_AGE, REQUESTED],
    }
}

/// The headers that let pages of any site read an answer.
pub(crate) const ANYONE: [Header; 2] = [ANY_ORIGIN, EXPOSED];

const ORIGIN: Header = ("access-control-allow-origin", OfRequest("origin"));
const ANY_ORIGIN: Header = ("access-control-allow-origin", Text("*"));
const CREDENTIALS: Header = ("access-control-allow-credentials", Text("true"));
const EXPOSED: Header = ("access-control-expose-headers", Text("Retry-After"));
const METHODS: Header = ("access-control-allow-methods", Text("GET"));
const MAX_AGE: Header = ("access-control-max-age", Text("86400"));
const REQUESTED: Header = (
    "access-control-allow-headers",
    OfRequest("access-control-request-headers"),
);

/// Returns whether the origin's host is a safe domain of the account. An empty `account` means the default
/// one. The port does not matter, since WeChat's rule has none.
pub fn may_read(broker: &Broker, account: &str, origin: &str) -> bool {
    let accounts = broker.accounts();
    let Ok((_, account)) = accounts.get(account) else {
        return false;
    };
    host_of(origin).is_some_and(|host| account.allows_host(&host))
}

/// Returns the host of an origin as browsers write it: lower case, without a default port, a path or a
/// user name. No browser sends another spelling, and echoing one would be a guess at its meaning.
fn host_of(origin: &str) -> Option<String> {
    // A parser takes milliseconds for thousands of labels in punycode.
    if origin.len() > MAX_ORIGIN {
        return None;
    }
    let url = url::Url::parse(origin)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if url.origin().ascii_serialization() != origin {
        return None;
    }
    url.host_str().map(str::to_owned)
}

/// Maximum length of `https://`, a DNS name and a port.
const MAX_ORIGIN: usize = 8 + 253 + 6;
