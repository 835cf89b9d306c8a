//! The headers of a signed answer, and which pages of other origins may read an answer (CORS): those on the
//! account's safe domains, and those of any site if it is an error.

use super::query::account_of;
use crate::broker::Broker;

/// The name and the value of a header.
pub(crate) type Header = (&'static str, &'static str);

/// The headers of a signed answer, besides `Vary: Origin` and those of its [`Readers`].
pub(crate) const SIGNED_HEADERS: [Header; 2] = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
];

/// The pages of other origins that may read an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// No page.
    SameOrigin,
    /// Pages of the request's origin: name it in `Access-Control-Allow-Origin`.
    RequestOrigin,
    /// Pages of any site.
    Anyone,
}

impl Readers {
    /// Returns who may read a signed answer for this account.
    pub(crate) fn of_signed(broker: &Broker, account: &str, origin: Option<&[u8]>) -> Self {
        let origin = origin.and_then(|origin| std::str::from_utf8(origin).ok());
        match origin.is_some_and(|origin| may_read(broker, account, origin)) {
            true => Self::RequestOrigin,
            false => Self::SameOrigin,
        }
    }

    /// Returns who may read the answer to this query. An error holds nothing secret: a developer on any site
    /// sees the reason, not the browser's CORS error.
    pub(crate) fn of_answer(
        broker: &Broker,
        query: &str,
        origin: Option<&[u8]>,
        is_error: bool,
    ) -> Self {
        // Most requests are same-origin and have no Origin header; then the query need not be read again.
        if origin.is_none() {
            return Self::SameOrigin;
        }
        match Self::of_signed(broker, &account_of(query), origin) {
            Self::SameOrigin if is_error => Self::Anyone,
            readers => readers,
        }
    }

    /// Returns who may send the request that a preflight announces.
    pub(crate) fn of_preflight(broker: &Broker, query: &str, origin: Option<&[u8]>) -> Self {
        let account = account_of(query);
        match broker.accounts().get(&account) {
            Ok(_) => Self::of_signed(broker, &account, origin),
            // What follows is an error.
            Err(_) => Self::Anyone,
        }
    }

    /// Returns the headers of the answer.
    pub(crate) fn headers(self) -> &'static [Header] {
        const EXPOSED: Header = ("access-control-expose-headers", "Retry-After");
        match self {
            Self::SameOrigin => &[],
            Self::RequestOrigin => &[("access-control-allow-credentials", "true"), EXPOSED],
            Self::Anyone => &[("access-control-allow-origin", "*"), EXPOSED],
        }
    }

    /// Returns the headers that the answer to a preflight has besides.
    pub(crate) fn preflight_headers(self) -> &'static [Header] {
        match self {
            Self::SameOrigin => &[],
            _ => &[
                ("access-control-allow-methods", "GET"),
                ("access-control-max-age", "86400"),
            ],
        }
    }
}

/// Returns whether the origin's host is a safe domain of the account. An empty `account` means the default
/// one. The port does not matter, since WeChat's rule has none.
#[must_use]
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
    let url = url::Url::parse(origin)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    if url.origin().ascii_serialization() != origin {
        return None;
    }
    url.host_str().map(str::to_owned)
}
