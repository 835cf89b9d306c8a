//! The request as it goes upstream: the query with the account's token or secret, the headers without those
//! of this hop, and no API key of this server; `forward` adds that of an upstream wx-jssdk.

use std::borrow::Cow;
use std::sync::LazyLock;

use actix_web::http::header::HeaderMap as CallerHeaders;
use hyper::header::{HeaderMap, HeaderName, HeaderValue, VIA};
use memchr::memmem;

use super::super::dropin::reply::Refusal;
use super::super::keys::{API_KEY_PREFIX, OWN_PREFIXES};
use crate::endpoint::query::{self, MAX_PARAMETERS};
use crate::error::codes::wire_errors;

/// A query string as it stands in the request.
#[derive(Clone, Copy)]
pub(super) struct Query<'a>(pub(super) &'a str);

impl<'a> Query<'a> {
    fn pairs(self) -> impl Iterator<Item = (&'a str, Cow<'a, str>, Cow<'a, str>)> {
        let pairs = self.0.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|raw| {
            let (name, value) = query::pair(raw);
            (raw, name, value)
        })
    }

    /// Returns the first parameter of this name, trimmed; `None` if it is missing or empty.
    pub(super) fn get(self, name: &str) -> Option<Cow<'a, str>> {
        query::trimmed_value(self.0, name)
    }

    /// Refuses an oversized query, before it is read for who calls.
    pub(super) fn check_size(self) -> Result<(), Refusal> {
        let what = if self.0.len() > LONGEST_QUERY {
            format!("the query has more than {LONGEST_QUERY} bytes")
        } else if query::has_too_many_parameters(self.0) {
            format!("the query has more than {MAX_PARAMETERS} parameters")
        } else {
            return Ok(());
        };
        Err(Refusal::because(wire_errors::BAD_ARGS, what))
    }

    /// Returns the query with this value for the first parameter that has one of these names, else for the first
    /// name at the end. Further parameters of these names are left out; all other bytes stay.
    pub(super) fn with(self, names: &[&str], value: &str) -> String {
        let mut found = self.pairs().map(|(_, name, _)| name);
        let found = found.find(|name| names.contains(&&**name));
        let name = found.as_deref().unwrap_or(names[0]);
        let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let replaced = format!("{name}={value}");
        let mut placed = Some(replaced.as_str());
        let pairs = self.pairs().filter_map(|(raw, key, _)| {
            let is_replaced = names.contains(&&*key);
            if is_replaced {
                placed.take()
            } else {
                Some(raw)
            }
        });
        let mut pairs: Vec<_> = pairs.collect();
        pairs.extend(placed);
        pairs.join("&")
    }

    /// Whether it contains what looks like an API key or a virtual token, apart from the values of these
    /// parameters.
    pub(super) fn contains_key_beside(self, parameters: &[&str]) -> bool {
        self.pairs().any(|(raw, name, value)| {
            let is_decoded = raw.contains('%');
            !parameters.contains(&&*name)
                && (contains_key(raw.as_bytes())
                    || (is_decoded
                        && (contains_key(name.as_bytes()) || contains_key(value.as_bytes()))))
        })
    }
}

/// Refuses a request that this process has passed on already: the upstream leads back to it.
pub(super) fn refuse_loop(headers: &CallerHeaders, via: &str) -> Result<(), Refusal> {
    let came_back = headers
        .get_all("via")
        .any(|hops| memmem::find(hops.as_bytes(), via.as_bytes()).is_some());
    match came_back {
        true => Err(super::unavailable(
            actix_web::http::StatusCode::LOOP_DETECTED,
            "system error: the call came back to this wx-jssdk, so upstream.weixin or upstream.qyapi leads to itself".into(),
        )),
        false => Ok(()),
    }
}

/// The refusal of a request with an API key in a part that would go upstream.
pub(super) fn key_found() -> Refusal {
    // Not one of the errcodes for which SDKs fetch another token and try again.
    Refusal::because(
        wire_errors::NOT_FOR_THIS_ACCOUNT,
        "the request contains an API key or a virtual token of wx-jssdk in a place from where it would reach WeChat; \
         send it as Authorization: Bearer KEY or as access_token in the query",
    )
}

/// Whether this contains what looks like an API key or a virtual token.
pub(super) fn contains_key(bytes: &[u8]) -> bool {
    // Built once: most texts are shorter than the search's own preparation.
    static START: LazyLock<memmem::Finder<'static>> =
        LazyLock::new(|| memmem::Finder::new(COMMON_START));
    START.find_iter(bytes).any(|at| {
        let found = &bytes[at..];
        let prefix = OWN_PREFIXES
            .into_iter()
            .find(|prefix| found.starts_with(prefix.as_bytes()));
        prefix.is_some_and(|prefix| {
            let rest = found[prefix.len()..].iter().take(SHORTEST_REST);
            let key = rest.take_while(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
            key.count() == SHORTEST_REST
        })
    })
}

/// Bytes of a body that the next chunk may continue to a key.
pub(super) const OVERLAP: usize = API_KEY_PREFIX.len() + SHORTEST_REST;

/// How both prefixes begin.
const COMMON_START: &str = "wx";

/// An API key has 43 characters after its prefix, a virtual token more.
const SHORTEST_REST: usize = 43;

/// Returns the headers to send. Dropped are those of this hop, those with the caller's credentials and
/// addresses, and `Accept-Encoding`, since the errcode of a compressed answer cannot be read.
pub(super) fn headers(source: &CallerHeaders, via: &str, client_ip_header: &str) -> HeaderMap {
    let connection = source.get_all("connection");
    let hop_by_hop = HopByHop::new(connection.map(|value| value.as_bytes()));
    let mut headers = HeaderMap::with_capacity(source.len() + 1);
    for (name, value) in source {
        let name = name.as_str();
        let is_dropped = DROPPED.contains(&name)
            || name.starts_with("x-forwarded-")
            || name.eq_ignore_ascii_case(client_ip_header)
            || hop_by_hop.contains(name);
        if is_dropped {
            continue;
        }
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_bytes(value.as_bytes()),
        ) {
            headers.append(name, value);
        }
    }
    if let Ok(via) = HeaderValue::try_from(format!("1.1 {via}")) {
        headers.append(VIA, via);
    }
    headers
}

/// The headers of one connection (RFC 9110 section 7.6.1), in a request or an answer.
pub(super) struct HopByHop(Vec<String>);

impl HopByHop {
    /// `connection`: the values of its `Connection` headers, which name further ones.
    pub(super) fn new<'a>(connection: impl Iterator<Item = &'a [u8]>) -> Self {
        let values = connection.filter_map(|value| str::from_utf8(value).ok());
        let names = values.flat_map(|value| value.split(','));
        let names = names.map(|name| name.trim().to_ascii_lowercase());
        Self(names.collect())
    }

    /// Returns whether a header of this name, in lower case, is not passed on.
    pub(super) fn contains(&self, name: &str) -> bool {
        HOP_BY_HOP.contains(&name)
            || name.starts_with("proxy-")
            || self.0.iter().any(|hop| hop == name)
    }
}

/// What no `Connection` header needs to name, and the length of the body, which each side sets itself.
const HOP_BY_HOP: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Credentials, addresses, and what the HTTP client sets itself.
const DROPPED: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "cf-connecting-ip",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "referer",
    "true-client-ip",
    "x-api-key",
    "x-client-ip",
    "x-original-forwarded-for",
    "x-real-ip",
    "x-request-id",
];

/// WeChat's own servers refuse longer ones.
const LONGEST_QUERY: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_replaced_at_its_place_and_nothing_else_changes() {
        for (query, expected) in [
            (
                "access_token=OLD&type=image",
                "access_token=NEW%2B&type=image",
            ),
            (
                "a=%7E~&access_token=OLD&b=x+y%20z&&",
                "a=%7E~&access_token=NEW%2B&b=x+y%20z",
            ),
            ("%61ccess_token=OLD&a=1", "access_token=NEW%2B&a=1"),
            ("access_token=A&access_token=B&a", "access_token=NEW%2B&a"),
            ("", "access_token=NEW%2B"),
            ("a=1", "a=1&access_token=NEW%2B"),
        ] {
            assert_eq!(
                Query(query).with(&["access_token"], "NEW+"),
                expected,
                "{query}"
            );
        }
        let names = ["access_token", "component_access_token"];
        for (query, expected) in [
            ("a=1", "a=1&access_token=NEW"),
            (
                "component_access_token=OLD&a=1&access_token=OLD",
                "component_access_token=NEW&a=1",
            ),
        ] {
            assert_eq!(Query(query).with(&names, "NEW"), expected);
        }
    }

    #[test]
    fn an_api_key_is_found_however_it_is_encoded() {
        let key = crate::actix::new_key();
        let encoded = key.replace('w', "%77");
        for query in [
            format!("a={key}"),
            format!("{key}=a"),
            format!("a={encoded}&b=1"),
            format!("a=x{key}y"),
        ] {
            assert!(Query(&query).contains_key_beside(&["token"]), "{query}");
        }
        for query in ["", "a=wxk_", "a=wxk_short", "prefix=wxv_1"] {
            assert!(!Query(query).contains_key_beside(&["token"]), "{query}");
        }
        let replaced = format!("token={key}&a=1&t%6fken={key}");
        assert!(!Query(&replaced).contains_key_beside(&["token"]));
        assert!(Query(&replaced).contains_key_beside(&[]));
    }
}
